/* The table of faults, and the shape in which the older gateway's clients get them. */
#include "rows/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *word, *legacy, *sentence;
} table[] = {
#define FAULT(id, kind, word, legacy, sentence) {word, legacy, sentence},
#include "rows/fault.def"
#undef FAULT
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        /* A word has one legacy word, wherever it stands. */
        assert_string_equal(fault_legacy_type(table[i].word), table[i].legacy);
        assert_int_equal(strspn(table[i].word, "abcdefghijklmnopqrstuvwxyz_"), strlen(table[i].word));
        assert_true(strlen(table[i].sentence) > 20);
        const char *mark = strchr(table[i].sentence, '#');
        assert_true(mark == NULL || strchr(mark + 1, '#') == NULL);
    }
    assert_string_equal(fault_legacy_type("no such word"), "value_error");
}

static void assert_loc(const char *pointer, const char *expect)
{
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(fault_loc_json(slice_of(pointer), &out), ERR_OK);
    assert_string_equal(buf_str(&out), expect);
    buf_free(&out);
}

static void test_loc(void **state)
{
    (void)state;
    assert_loc("", "[\"body\"]");
    assert_loc("/uuid", "[\"body\",\"uuid\"]");
    assert_loc("/rows/0/index", "[\"body\",\"rows\",0,\"index\"]");
    assert_loc("/rows/12/data/a~1b~0c", "[\"body\",\"rows\",12,\"data\",\"a/b~c\"]");
    assert_loc("/rows/1/data/7/8/x", "[\"body\",\"rows\",1,\"data\",\"7\",8,\"x\"]");
    assert_loc("/row/data/7/8", "[\"body\",\"row\",\"data\",\"7\",8]");
    assert_loc("/row/data/", "[\"body\",\"row\",\"data\",\"\"]");
    assert_loc("/0", "[\"body\",\"0\"]");
    assert_loc("/row/data/a/00000000001", "[\"body\",\"row\",\"data\",\"a\",\"00000000001\"]");
    assert_loc("/row/data/a/~", "[\"body\",\"row\",\"data\",\"a\",\"~\"]");
}

static void test_loc_is_bounded(void **state)
{
    (void)state;
    for (size_t max = 0; max < 30; max++) {
        struct buf out;
        buf_init(&out, max);
        int code = fault_loc_json(slice_of("/rows/0/index"), &out);
        assert_int_equal(code, max < sizeof("[\"body\",\"rows\",0,\"index\"]") - 1 ? ERR_LIMIT : ERR_OK);
        assert_true(code == ERR_OK || out.len == 0);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_loc),
        cmocka_unit_test(test_loc_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

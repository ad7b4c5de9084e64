/* What processors may do to lent rows, and what stays as it was. */
#include "host/lent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 5 };

static struct hg_rows rows;
static struct lent_record record;
static struct buf context;

static int begin(void **state)
{
    (void)state;
    lent_init(&rows);
    buf_init(&context, 4096);
    assert_int_equal(context_add_tag(&context, slice_of("line"), slice_of("L1")), 0);
    assert_int_equal(context_add_tag(&context, slice_of("shift"), slice_of("2")), 0);
    assert_int_equal(context_finish(&context), 0);
    record = (struct lent_record){.context = buf_slice(&context), .rows = ROWS};
    rows.rows = calloc(ROWS, sizeof *rows.rows);
    rows.count = rows.cap = ROWS;
    for (uint32_t i = 0; i < ROWS; i++)
        rows.rows[i] = (struct hg_row){.record = &record, .data = "{\"a\":1}", .length = 7, .number = i};
    lent_change(&rows, "p");
    return 0;
}

static int end(void **state)
{
    (void)state;
    lent_fini(&rows);
    buf_free(&context);
    return 0;
}

static void assert_data(size_t n, const char *data)
{
    assert_int_equal(rows.rows[n].length, strlen(data));
    assert_memory_equal(rows.rows[n].data, data, strlen(data));
}

static void data_is_what_a_client_could_have_posted(void **state)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "null",
                                      "[]",
                                      "{",
                                      "{}x",
                                      "{\"a\":1},\"index\":{}",
                                      "{}},\"x\":{",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":01}",
                                      "{\"a\":9223372036854775808}",
                                      "{\"a\":1e999}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":\"\xff\"}",
                                      "{} {}",
                                      "{\"a\":NaN}"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        rows.rows[0].spoilt = false;
        assert_false(lent_set_data(&rows, 0, slice_of(bad[i])));
        assert_true(rows.rows[0].spoilt);
        assert_data(0, "{\"a\":1}");
    }
    assert_true(lent_set_data(&rows, 1, slice_of(" {\"Any key\": [1.50, {\"b\":12345678901234567890.0}]}\n")));
    assert_data(1, "{\"Any key\": [1.50, {\"b\":12345678901234567890.0}]}");
    assert_true(lent_set_data(&rows, 1, slice_of("{}")));
    assert_data(1, "{}");
    assert_false(lent_set_data(&rows, ROWS, slice_of("{}")));
    assert_int_equal(rows.misuse, 1);
    lent_change(&rows, NULL); /* push() may not */
    assert_false(lent_set_data(&rows, 2, slice_of("{}")));
    assert_false(rows.rows[2].spoilt);
}

static void tags_of(size_t n, char *out, size_t size)
{
    size_t at = 0;
    struct slice name, value;
    out[0] = '\0';
    while (lent_tag_next(lent_tags(&rows.rows[n]), &at, &name, &value)) {
        size_t len = strlen(out);
        snprintf(out + len, size - len, SLICE_FMT "=" SLICE_FMT " ", SLICE_ARG(name), SLICE_ARG(value));
    }
}

static void tags_of_one_row(void **state)
{
    char text[4096], long_value[TAG_VALUE_MAX + 2];
    (void)state;
    assert_true(lent_set_tag(&rows, 0, "line", "L2"));
    assert_true(lent_set_tag(&rows, 0, "new_one", ""));
    assert_true(lent_set_tag(&rows, 0, "shift", NULL));
    assert_true(lent_set_tag(&rows, 0, "not_there", NULL));
    tags_of(0, text, sizeof text);
    assert_string_equal(text, "line=L2 new_one= ");
    tags_of(1, text, sizeof text);
    assert_string_equal(text, "line=L1 shift=2 ");
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    assert_false(lent_set_tag(&rows, 2, "long", long_value));
    assert_true(rows.rows[2].spoilt);
    assert_false(lent_set_tag(&rows, 3, "Not", "x"));
    assert_false(lent_set_tag(&rows, 3, "", "x"));
    assert_false(lent_set_tag(&rows, 3, NULL, "x"));
    for (int i = 0; i < TAGS_MAX - 2; i++) {
        snprintf(text, sizeof text, "t%d", i);
        assert_true(lent_set_tag(&rows, 4, text, "x"));
    }
    assert_false(lent_set_tag(&rows, 4, "one_more", "x"));
    assert_true(lent_set_tag(&rows, 4, "t0", "y"));
}

static void what_has_a_verdict_is_out_of_sight(void **state)
{
    (void)state;
    assert_int_equal(lent_seen_count(&rows), ROWS);
    lent_judge(&rows, 1, HG_SKIP, 0, NULL);
    lent_judge(&rows, 3, HG_REJECT, 0, "why");
    lent_judge(&rows, 0, HG_OK, 0, NULL); /* none for a processor */
    lent_judge(&rows, 0, HG_DUPLICATE, 0, NULL);
    assert_int_equal(rows.misuse, 2);
    assert_int_equal(rows.rows[3].reason_length, 6);
    assert_memory_equal(rows.rows[3].reason, "p: why", 6);
    assert_int_equal(lent_narrow(&rows), HG_ALL_OK);
    lent_change(&rows, NULL);
    assert_int_equal(lent_seen_count(&rows), 3);
    assert_ptr_equal(lent_seen(&rows, 1), &rows.rows[2]);
    assert_null(lent_seen(&rows, 3));
    lent_judge(&rows, 2, HG_OK, 0, NULL); /* the pusher's third is the fifth */
    assert_int_equal(rows.rows[4].verdict, HG_OK);
    lent_judge(&rows, 3, HG_OK, 0, NULL);
    assert_int_equal(rows.misuse, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(data_is_what_a_client_could_have_posted, begin, end),
        cmocka_unit_test_setup_teardown(tags_of_one_row, begin, end),
        cmocka_unit_test_setup_teardown(what_has_a_verdict_is_out_of_sight, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The row scanner when memory runs out: at each request for memory in turn, ERR_NOMEM and nothing else; afterwards,
 * with memory, the same scan works as ever. And in the steady state it asks for none.
 *
 * All of its memory comes from realloc, so this program has a realloc of its own. */
#include "base/sys.h"
#include "rows/rows.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static long asked;        /* since it was set to 0 */
static long fail_at = -1; /* the one that fails, from 0 */
static bool watching;

void *realloc(void *ptr, size_t size)
{
    static void *(*real)(void *, size_t);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "realloc");
    if (watching && asked++ == fail_at)
        return NULL;
    return real(ptr, size);
}

static const struct scan_rules rules = {.max_rows = 1000, .max_depth = 32, .ndjson = true};

/* Something of everything that takes memory, more of it than fits the first step, and broken as far as `faults` says.
 */
static void add_body(struct buf *b, bool faults)
{
    assert_int_equal(buf_adds(b, "{\"uuid\":\"\\u0061\",\"\\u0078\":1,\"tags\":{"), ERR_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(buf_addf(b, "%s\"t%d\":\"\\n\"", i == 0 ? "" : ",", i), ERR_OK);
    assert_int_equal(buf_adds(b, "},\"rows\":["), ERR_OK);
    for (int i = 0; i < 40; i++)
        assert_int_equal(buf_addf(b, "%s{\"data\":{\"a\":1,\"b\":[{\"\\u0063\":2}],\"k\\u0065y\":3},\"x%d\":1}",
                                  i == 0 ? "" : ",", i),
                         ERR_OK);
    assert_int_equal(buf_adds(b, ",{\"data\":{\"a\":1,\"deep\":"), ERR_OK);
    for (int i = 0; i < (faults ? 4000 : 28); i++)
        assert_int_equal(buf_addc(b, '['), ERR_OK);
    for (int i = 0; i < (faults ? 4000 : 28); i++)
        assert_int_equal(buf_addc(b, ']'), ERR_OK);
    for (int i = 0; i < 300; i++)
        assert_int_equal(buf_addf(b, ",\"key%d\":1", faults && i % 7 == 0 ? 0 : i), ERR_OK);
    assert_int_equal(buf_adds(b, "}}]}\n"), ERR_OK);
    for (int i = 0; i < 40; i++)
        assert_int_equal(buf_addf(b, "{\"uuid\":\"%d\",\"tags\":{\"t\":\"%d\"},\"rows\":[]}\n", i, i), ERR_OK);
}

static int scan_once(struct slice body, int expect)
{
    asked = 0;
    watching = true;
    struct scan *s = scan_new();
    int code = s == NULL ? ERR_NOMEM : scan_body(s, &rules, body);
    watching = false;
    if (s != NULL && code == ERR_NOMEM) {
        uint32_t count;
        scan_sets(s, &count);
        assert_int_equal(count, 0);
        scan_faults(s, &count);
        assert_int_equal(count, 0);
        assert_int_equal(scan_body(s, &rules, body), expect);
    }
    scan_free(&s);
    return code;
}

static void fail_each(bool faults)
{
    struct buf body;
    buf_init(&body, 1 << 20);
    add_body(&body, faults);
    int expect = faults ? ERR_RANGE : ERR_OK;
    fail_at = -1;
    assert_int_equal(scan_once(buf_slice(&body), expect), expect);
    long all = asked;
    assert_true(all > 10);
    for (fail_at = 0; fail_at < all; fail_at++)
        assert_int_equal(scan_once(buf_slice(&body), expect), ERR_NOMEM);
    fail_at = -1;
    buf_free(&body);
}

static void test_each_fails(void **state)
{
    (void)state;
    fail_each(false);
    fail_each(true);
}

static void test_steady_state_asks_for_none(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 1 << 20);
    add_body(&body, false);
    struct scan *s = scan_new();
    assert_non_null(s);
    assert_int_equal(scan_body(s, &rules, buf_slice(&body)), ERR_OK);
    watching = true;
    asked = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(scan_body(s, &rules, buf_slice(&body)), ERR_OK);
    watching = false;
    assert_int_equal(asked, 0);
    scan_free(&s);
    buf_free(&body);
}

/* Memory is not lost on bodies that use blocks of different sizes. */
static void test_large_and_small(void **state)
{
    (void)state;
    struct scan *s = scan_new();
    assert_non_null(s);
    for (size_t len = 10; len < 200000; len *= 3) {
        struct buf body;
        buf_init(&body, 1 << 20);
        assert_int_equal(buf_adds(&body, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\":{\"\\u0061"), ERR_OK);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(buf_addc(&body, 'x'), ERR_OK);
        assert_int_equal(buf_adds(&body, "\":1,\"\\u0062\":2}}}]}"), ERR_OK);
        assert_int_equal(scan_body(s, &rules, buf_slice(&body)), ERR_OK);
        buf_free(&body);
    }
    scan_free(&s);
}

static ssize_t no_random(void *to, size_t len)
{
    (void)to, (void)len;
    return -1;
}

static void test_without_random_numbers(void **state)
{
    (void)state;
    struct sys mute = *sys;
    const struct sys *before = sys;
    mute.random = no_random;
    sys = &mute;
    struct scan *s = scan_new();
    sys = before;
    assert_non_null(s);
    assert_int_equal(scan_body(s, &rules, slice_of("{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":1,\"a\":1}}}")),
                     ERR_RANGE);
    scan_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fails),
        cmocka_unit_test(test_steady_state_asks_for_none),
        cmocka_unit_test(test_large_and_small),
        cmocka_unit_test(test_without_random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

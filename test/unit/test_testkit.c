/* The test kit by what it makes of verdicts that come later: as the host would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testkit.h"

#include <string.h>

enum { PATIENCE_MS = 20000 };

/* Rows 0 to 4, of which 2 is odd. */
static struct testkit *begin(const char *mode)
{
    struct testkit *kit = testkit_load(TEST_BUILD "/fixture/window.so");
    assert_non_null(kit);
    testkit_set(kit, "MODE", mode);
    testkit_set(kit, "MATCH", "odd");
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    assert_int_equal(testkit_rows(kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{}},{\"data\":{}},{\"data\":{\"odd\":1}},"
                                       "{\"data\":{}},{\"data\":{}}]}"),
                     5);
    return kit;
}

static void by_a_thread(void **state)
{
    (void)state;
    struct testkit *kit = begin("thread");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(testkit_push(kit, 0, 5), HG_JUDGED);
        assert_int_equal(testkit_await(kit, PATIENCE_MS), 1);
        assert_int_equal(testkit_verdict(kit, 0), HG_OK);
        assert_int_equal(testkit_verdict(kit, 2), HG_REJECT);
        assert_string_equal(testkit_reason(kit, 2), "odd");
    }
    testkit_free(&kit);
}

static void before_push_returns_and_by_flush(void **state)
{
    (void)state;
    struct testkit *kit = begin("early");
    testkit_push(kit, 0, 5);
    assert_int_equal(testkit_verdict(kit, 1), HG_OK);
    assert_int_equal(testkit_verdict(kit, 2), HG_SKIP);
    testkit_free(&kit);
    kit = begin("flush");
    testkit_push(kit, 1, 4);
    assert_int_equal(testkit_verdict(kit, 2), HG_RETRY);
    assert_int_equal(testkit_after(kit, 2), 50);
    assert_int_equal(testkit_verdict(kit, 4), HG_OK);
    testkit_free(&kit);
}

static void what_is_overdue(void **state)
{
    (void)state;
    struct testkit *kit = begin("none");
    testkit_push(kit, 0, 5);
    assert_int_equal(testkit_verdict(kit, 0), HG_LATER);
    assert_int_equal(testkit_await(kit, 1), 0);
    testkit_overdue(kit);
    assert_int_equal(testkit_verdict(kit, 0), HG_RETRY);
    testkit_free(&kit);
}

static void the_far_end_goes_away(void **state)
{
    (void)state;
    struct testkit *kit = begin("down");
    testkit_push(kit, 0, 5);
    assert_int_equal(testkit_await(kit, PATIENCE_MS), 1);
    assert_int_equal(testkit_verdict(kit, 1), HG_OK);
    assert_int_equal(testkit_verdict(kit, 2), 0);
    assert_int_equal(testkit_verdict(kit, 4), 0);
    assert_string_equal(testkit_push_reason(kit), "the connection is gone");
    assert_int_equal(testkit_push_after(kit), 100);
    testkit_free(&kit);
    kit = begin("fails");
    testkit_push(kit, 0, 5);
    assert_int_equal(testkit_verdict(kit, 2), HG_OK);
    assert_int_equal(testkit_verdict(kit, 0), 0);
    assert_string_equal(testkit_push_reason(kit), "flush: no answer");
    testkit_free(&kit);
}

static void later_needs_a_token(void **state)
{
    (void)state;
    struct testkit *kit = begin("judges");
    testkit_push(kit, 0, 5);
    assert_int_equal(testkit_verdict(kit, 0), HG_RETRY);
    assert_int_equal(testkit_forgotten(kit), 5);
    testkit_free(&kit);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(by_a_thread),         cmocka_unit_test(before_push_returns_and_by_flush),
    cmocka_unit_test(what_is_overdue),     cmocka_unit_test(the_far_end_goes_away),
    cmocka_unit_test(later_needs_a_token),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}

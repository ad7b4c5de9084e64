/* The test kit by what it makes of verdicts that come later, and of what a puller emits: as the host would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scratch.h"
#include "testkit.h"

#include <stdlib.h>
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

/* --- a puller --- */

static char *folder;

/* Counts from 0 to 4; writes a line for each notify into a file. */
static struct testkit *pulling(const char *mode)
{
    struct testkit *kit = testkit_load(TEST_BUILD "/fixture/pull.so");
    assert_non_null(kit);
    folder = scratch_make();
    testkit_set(kit, "FILE", scratch_path(folder, "told"));
    testkit_set(kit, "MODE", mode);
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    return kit;
}

static void told_is(const char *text)
{
    char *told = scratch_read(scratch_path(folder, "told"), NULL);
    assert_string_equal(told ? told : "", text);
    free(told);
}

static void end(struct testkit *kit)
{
    testkit_free(&kit);
    scratch_remove(&folder);
}

static void what_is_emitted(void **state)
{
    (void)state;
    struct testkit *kit = pulling("plain");
    size_t len;
    assert_int_equal(testkit_pull(kit), HG_PULLED);
    assert_int_equal(testkit_run(kit, 2), HG_PULLED);
    assert_int_equal(testkit_row_count(kit), 3);
    assert_int_equal(testkit_run(kit, 10), HG_PULL_NOTHING);
    assert_int_equal(testkit_row_count(kit), 5);
    assert_int_equal(testkit_placed(kit), 5);
    assert_string_equal(testkit_data(kit, 4), "{\"n\": 4}"); /* a line break between tokens becomes a blank */
    assert_string_equal(testkit_uuid(kit, 4), "count");
    assert_string_equal(testkit_tag(kit, 4, "kind"), "a \"b\"");
    assert_int_equal(testkit_index(kit, 4), 4);
    assert_string_equal(testkit_data(kit, 5), "");
    assert_null(testkit_tag(kit, 5, "kind"));
    assert_memory_equal(testkit_state(kit, &len), "5", 1);
    told_is("notify 1\nnotify 2\nnotify 3\nnotify 4\nnotify 5\n");
    end(kit);
}

static void a_crash_before_notify(void **state)
{
    (void)state;
    struct testkit *kit = pulling("plain");
    testkit_unnotified(kit, 1);
    assert_int_equal(testkit_run(kit, 2), HG_PULLED);
    told_is("");
    testkit_unnotified(kit, 0);
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    told_is("notify 2\n");
    assert_int_equal(testkit_notified(kit), 1);
    assert_int_equal(testkit_pull(kit), HG_PULLED);
    assert_string_equal(testkit_data(kit, 2), "{\"n\": 2}");
    testkit_state_put(kit, "1", 1);
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    assert_int_equal(testkit_pull(kit), HG_PULLED);
    assert_string_equal(testkit_data(kit, 3), "{\"n\": 1}");
    end(kit);
}

static void emissions_that_are_not_taken(void **state)
{
    (void)state;
    struct testkit *kit = pulling("bad");
    assert_int_equal(testkit_pull(kit), HG_PULL_NOT_NOW);
    assert_string_equal(testkit_fault(kit), "/rows/0/data/Bad: a key must be camelCase");
    told_is("emit 3 0 /rows/0/data/Bad: a key must be camelCase\n");
    end(kit);
    kit = pulling("plain");
    testkit_emit_fails(kit, 1, HG_EMIT_REFUSED, "too large");
    assert_int_equal(testkit_pull(kit), HG_PULL_NOT_NOW);
    told_is("emit 3 1 too large\n");
    testkit_emit_most(kit, 0);
    assert_int_equal(testkit_pull(kit), HG_PULL_NOT_NOW);
    assert_string_equal(testkit_fault(kit), "too many rows");
    testkit_emit_most(kit, 1);
    assert_int_equal(testkit_pull(kit), HG_PULLED);
    assert_string_equal(testkit_fault(kit), "");
    assert_int_equal(testkit_notified(kit), 1);
    assert_int_equal(testkit_row_count(kit), 1);
    end(kit);
}

static void room_and_the_clock(void **state)
{
    (void)state;
    struct testkit *kit = pulling("hasty"); /* wait_ms is 0 */
    testkit_full(kit, 500);
    assert_int_equal(testkit_pull(kit), HG_PULL_NOT_NOW);
    assert_int_equal(testkit_waited(kit), 0);
    end(kit);
    kit = pulling("plain"); /* wait_ms is -1 */
    testkit_full(kit, 500);
    assert_int_equal(testkit_pull(kit), HG_PULLED);
    assert_int_equal(testkit_waited(kit), 500);
    testkit_full(kit, 500);
    testkit_stop_after(kit, 200);
    assert_int_equal(testkit_pull(kit), HG_PULL_NOT_NOW);
    assert_int_equal(testkit_waited(kit), 700);
    testkit_stopping(kit, 0);
    assert_int_equal(testkit_pull(kit), HG_PULLED); /* it waited on where it was */
    assert_int_equal(testkit_waited(kit), 1000);
    testkit_full(kit, -1);
    assert_int_equal(testkit_pull(kit), HG_PULL_NOT_NOW);
    assert_int_equal(testkit_row_count(kit), 2);
    end(kit);
}

static void what_is_no_result_and_no_puller(void **state)
{
    (void)state;
    struct testkit *kit = pulling("nonsense");
    assert_int_equal(testkit_pull(kit), 0);
    assert_string_equal(testkit_fault(kit), "pull() returned 77, which is no result");
    end(kit);
    kit = pulling("broken");
    assert_int_equal(testkit_pull(kit), HG_PULL_BROKEN);
    assert_string_equal(testkit_fault(kit), "the source is not what it was");
    assert_int_equal(testkit_push(kit, 0, 0), 0);
    end(kit);
    kit = begin("early");
    assert_int_equal(testkit_pull(kit), 0);
    testkit_free(&kit);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_emitted),
    cmocka_unit_test(a_crash_before_notify),
    cmocka_unit_test(emissions_that_are_not_taken),
    cmocka_unit_test(room_and_the_clock),
    cmocka_unit_test(what_is_no_result_and_no_puller),
    cmocka_unit_test(by_a_thread),
    cmocka_unit_test(before_push_returns_and_by_flush),
    cmocka_unit_test(what_is_overdue),
    cmocka_unit_test(the_far_end_goes_away),
    cmocka_unit_test(later_needs_a_token),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A real headgate-host, played the daemon to: rows that are settled after push() has returned. */
#include "hosted.h"

#include "headgate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>

/* A host of `window` in MODE with three row sets: aaa 0..3, bbb 4..7 with the key `odd`, aaa 8..11. */
struct fixture {
    struct hosted h;
    struct maker m;
    uint64_t at[3];
    struct wire_hand hand;
};

static void begin(struct fixture *f, const char *mode)
{
    maker_open(&f->m, 8 << 20);
    f->at[0] = maker_set(&f->m, "aaa", 4, 0, 10, NULL);
    f->at[1] = maker_set(&f->m, "bbb", 4, 4, 10, "odd");
    f->at[2] = maker_set(&f->m, "aaa", 4, 8, 10, NULL);
    hosted_init(&f->h, "window");
    hosted_set(&f->h, "MODE", mode);
    hosted_set(&f->h, "MATCH", "odd");
    f->hand = hosted_range(&f->m, 42);
    hosted_ready(&f->h);
    hosted_segment(&f->h, &f->m, STORE_JOURNAL);
}

static void end(struct fixture *f)
{
    hosted_stop(&f->h);
    hosted_fini(&f->h);
    maker_close(&f->m);
}

static void expect_odd(const struct fixture *f, uint32_t verdict, const char *reason)
{
    assert_int_equal(f->h.row_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(f->h.rows[i].place.position, f->at[1]);
        assert_int_equal(f->h.rows[i].place.row, i);
        assert_int_equal(f->h.rows[i].verdict, verdict);
        assert_int_equal(f->h.rows[i].unjudged, 0);
        assert_string_equal(f->h.reasons[i], reason);
    }
}

static void by_a_thread(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "thread");
    for (uint64_t token = 42; token < 45; token++) {
        f.hand.head.token = token;
        hosted_push(&f.h, &f.hand, NULL, NULL);
        assert_int_equal(f.h.m.done.result, HG_JUDGED);
        assert_int_equal(f.h.m.done.delivered, 8);
        expect_odd(&f, HG_REJECT, "odd");
    }
    end(&f);
}

static void before_push_returns(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "early");
    hosted_push(&f.h, &f.hand, NULL, NULL);
    assert_int_equal(f.h.m.done.delivered, 8);
    expect_odd(&f, HG_SKIP, "");
    end(&f);
}

static void by_flush(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "flush");
    hosted_push(&f.h, &f.hand, NULL, NULL);
    assert_int_equal(f.h.m.done.delivered, 8);
    expect_odd(&f, HG_RETRY, "odd");
    assert_int_equal(f.h.rows[0].after_ms, 50);
    end(&f);
}

static void what_is_overdue_comes_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "some");
    f.hand.timeout_ms = 200;
    hosted_push(&f.h, &f.hand, NULL, NULL);
    assert_int_equal(f.h.m.done.result, HG_JUDGED);
    assert_int_equal(f.h.m.done.delivered, 8);
    expect_odd(&f, HG_RETRY, "not settled within TIMEOUT");
    hosted_logged(&f.h, "4 rows were not settled within TIMEOUT");
    end(&f);
}

static void the_far_end_goes_away(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "down");
    hosted_push(&f.h, &f.hand, NULL, NULL);
    assert_int_equal(f.h.m.done.result, HG_NOT_NOW);
    assert_int_equal(f.h.m.done.bad_result, 0);
    assert_int_equal(f.h.m.done.after_ms, 100);
    assert_int_equal(f.h.m.done.delivered, 4);
    assert_int_equal(f.h.m.done.listed, 12);
    assert_memory_equal(f.h.m.bytes + sizeof f.h.m.done, "the connection is gone", 22);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(f.h.rows[i].verdict, i < 4 ? HG_OK : HG_RETRY);
        assert_int_equal(f.h.rows[i].unjudged, i >= 4);
    }
    end(&f);
}

static void flush_says_not_now(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "fails");
    hosted_push(&f.h, &f.hand, NULL, NULL);
    assert_int_equal(f.h.m.done.result, HG_NOT_NOW);
    assert_int_equal(f.h.m.done.delivered, 4);
    assert_memory_equal(f.h.m.bytes + sizeof f.h.m.done, "flush: no answer", 16);
    assert_int_equal(f.h.rows[0].unjudged, 1);
    assert_int_equal(f.h.rows[4].verdict, HG_OK);
    end(&f);
}

static void what_settle_does_not_take(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "late");
    hosted_push(&f.h, &f.hand, NULL, NULL);
    char *text = hosted_written(&f.h);
    assert_string_equal(text, "before 0\nbeyond 0\nverdict 0\nfirst 1\nsecond 0\n");
    free(text);
    hosted_logged(&f.h, "2 verdicts that are none");
    assert_int_equal(f.h.m.done.delivered, 12);
    end(&f);
}

/* HG_LATER without a window is no verdict. */
static void later_needs_a_token(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "judges");
    hosted_push(&f.h, &f.hand, NULL, NULL);
    assert_int_equal(f.h.m.done.delivered, 0);
    assert_int_equal(f.h.rows[0].verdict, HG_RETRY);
    assert_int_equal(f.h.rows[0].unjudged, 1);
    hosted_logged(&f.h, "12 verdicts that are none");
    end(&f);
}

/* In `none` mode nobody ever settles. The channel closes: the host ends all the same, in a moment. */
static void a_stuck_window_ends_with_the_daemon(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "none");
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    hosted_hang_up(&f.h);
    (void)hosted_wait(&f.h);
    hosted_fini(&f.h);
    maker_close(&f.m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(by_a_thread),
    cmocka_unit_test(before_push_returns),
    cmocka_unit_test(by_flush),
    cmocka_unit_test(what_is_overdue_comes_again),
    cmocka_unit_test(the_far_end_goes_away),
    cmocka_unit_test(flush_says_not_now),
    cmocka_unit_test(what_settle_does_not_take),
    cmocka_unit_test(later_needs_a_token),
    cmocka_unit_test(a_stuck_window_ends_with_the_daemon),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}

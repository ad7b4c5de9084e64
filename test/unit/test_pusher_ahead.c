/* Repeatable batches that are written down ahead: when they are, what is handed out by what was written down, and what
 * becomes of it when a batch is not settled as a whole, or the daemon begins again. */
#include "pusher_bed.h"

enum { SETS = 50, BATCH = 10 };

static int setup(void **state)
{
    (void)state;
    bed_init(SETS);
    bed.flags = HG_STABLE_BATCH | HG_PLAN_AHEAD;
    bed.settings.batch_rows = BATCH;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_fini();
    return 0;
}

static uint64_t at(uint32_t set)
{
    return FIRST + (uint64_t)set * STEP;
}

static void open_and_run(void)
{
    struct err e;
    assert_int_equal(bed_open(&e), ERR_OK);
    bed_run();
}

/* A new life of the daemon: nothing is known but what is on the disk. */
static void begin_again(void)
{
    pusher_free(&bed.p);
    open_and_run();
}

/* The first batch is planned by itself; what comes behind it is written down with its plan. */
static void first_batch(void)
{
    open_and_run();
    assert_true(bed.hand.stable && !bed.hand.cut);
    bed_take(BATCH);
    bed_pass(0);
    assert_int_equal(bed.gos, 1);
}

static void expect_cut(uint32_t set, uint32_t end)
{
    assert_true(bed.hand.cut && !bed.hand.stable && !bed.hand.exact);
    assert_int_equal(bed.hand.from.position, at(set));
    assert_int_equal(bed.hand.limit, at(end));
    assert_true(bed.hand.max_rows == BATCH && bed.hand.max_bytes == bed.settings.batch_bytes);
}

static void test_many_batches_with_one_write(void **state)
{
    (void)state;
    first_batch();
    uint64_t sequence = bed.p->sequence;
    for (uint32_t set = BATCH; set < SETS; set += BATCH) {
        bed_done(HG_ALL_OK);
        expect_cut(set, SETS);
        bed_take(BATCH);
    }
    assert_true(bed.gos == 1 && bed.p->sequence == sequence);
    bed_done(HG_ALL_OK);
    assert_int_equal(bed.p->lanes[0].next.position, at(SETS));
    assert_int_equal(bed.p->lanes[0].ahead.count, 0);
}

static void test_nothing_is_handed_out_before_it_is_written(void **state)
{
    (void)state;
    first_batch();
    bed.mark = (struct journal_mark){at(2 * SETS), 2 * SETS};
    bed.segments[0].end = at(2 * SETS);
    for (uint32_t set = BATCH; set < SETS; set += BATCH) {
        bed_done_only(HG_ALL_OK);
        (void)pusher_step(bed.p, bed.now); /* the second stretch is being written all the time */
        expect_cut(set, SETS);
        bed_take(BATCH);
    }
    uint32_t hands = bed.hands;
    bed_done_only(HG_ALL_OK);
    (void)pusher_step(bed.p, bed.now);
    assert_true(bed.cp != NULL && bed.hands == hands);
    assert_int_equal(bed_write(), ERR_OK);
    (void)pusher_step(bed.p, bed.now);
    assert_int_equal(bed.hands, hands + 1);
    expect_cut(SETS, 2 * SETS);
}

static void test_only_where_the_plugin_allows_it(void **state)
{
    (void)state;
    bed.flags = HG_STABLE_BATCH;
    first_batch();
    bed_done(HG_ALL_OK);
    assert_true(bed.hand.stable && !bed.hand.cut && bed.p->lanes[0].ahead.count == 0);
}

static void test_not_for_less_than_a_batch(void **state)
{
    (void)state;
    bed.segments[0].end = at(BATCH + 3);
    bed.mark = (struct journal_mark){at(BATCH + 3), BATCH + 3};
    first_batch();
    bed_done(HG_ALL_OK);
    assert_true(bed.hand.stable && !bed.hand.cut && bed.hand.from.position == at(BATCH));
}

/* The cursor still stands at the beginning: each batch comes again, cut as before. */
static void test_a_new_life_cuts_the_same(void **state)
{
    (void)state;
    first_batch();
    bed_done(HG_ALL_OK);
    bed_take(BATCH);
    bed_done(HG_ALL_OK);
    bed_take(BATCH);
    bed.segments[0].end = at(2 * SETS); /* more came in, and more would fit in now */
    bed.mark = (struct journal_mark){at(2 * SETS), 2 * SETS};
    bed.settings.batch_rows = 2 * BATCH;
    begin_again();
    assert_true(bed.hand.exact && bed.hand.from.position == at(0) && bed.hand.to.position == at(BATCH));
    bed_take(BATCH);
    for (uint32_t set = BATCH; set < SETS; set += BATCH) {
        bed_done(HG_ALL_OK);
        expect_cut(set, SETS);
        bed_take(BATCH);
    }
    bed_done(HG_ALL_OK);
    assert_true(bed.hand.stable && bed.hand.max_rows == 2 * BATCH && bed.p->counts.uncertain == 0);
}

/* Nothing behind it was pushed: what is left waits, and is passed by. */
static void test_a_row_that_waits_ends_it(void **state)
{
    (void)state;
    first_batch();
    bed_done(HG_ALL_OK);
    bed_take(BATCH);
    bed_judge(3, HG_RETRY);
    bed_done_only(HG_JUDGED);
    (void)pusher_step(bed.p, bed.now);
    assert_true(bed.hand.stable && !bed.hand.cut && bed.hand.held_count == 1 &&
                bed.hand.from.position == at(2 * BATCH));
    assert_true(bed.p->lanes[0].ahead.count == 0 && bed.p->counts.uncertain == 0);
}

/* In a new life each of the batches may have been pushed: the rest of a part goes by itself, up to the next of them. */
static void test_a_part_of_a_repeat_goes_alone(void **state)
{
    (void)state;
    first_batch();
    bed_done(HG_ALL_OK);
    bed_take(BATCH);
    bed_quiet();
    begin_again();
    assert_true(bed.hand.exact && bed.hand.from.position == at(BATCH));
    bed_take(BATCH);
    for (uint32_t n = 0; n < BATCH; n++) {
        struct place place = bed_place(n);
        const struct judged row = {.place = place,
                                   .uuid_hash = place.position,
                                   .rows = 1,
                                   .verdict = n < 4 ? HG_OK : HG_RETRY,
                                   .unjudged = n >= 4};
        assert_int_equal(pusher_judged(bed.p, 0, bed.hand.token, &row, SLICE_LIT("")), ERR_OK);
        bed.listed++;
    }
    bed_done_only(HG_NOT_NOW);
    bed_pass(1000);
    assert_true(bed.hand.stable && !bed.hand.cut && bed.hand.from.position == at(BATCH + 4));
    assert_int_equal(bed.hand.to.position, at(2 * BATCH));
    bed_take(BATCH - 4);
    bed_pass(0);
    bed_done(HG_ALL_OK);
    expect_cut(2 * BATCH, SETS);
    assert_int_equal(bed.p->counts.uncertain, 0);
}

/* The host says that a row of it is held back: it cannot come as it was. */
static void test_a_repeat_that_is_barred_is_counted(void **state)
{
    (void)state;
    first_batch();
    bed_quiet();
    begin_again();
    bed_take(BATCH);
    bed_judge(3, HG_RETRY);
    bed_done_only(HG_JUDGED);
    bed.p->waiting.rows[0].due_ms = bed.now + 10000;
    bed_pass(0);
    expect_cut(BATCH, SETS);
    assert_int_equal(bed.hand.held_count, 1);
    bed_take(0);
    bed_done(HG_ALL_OK);
    assert_int_equal(bed.p->counts.uncertain, BATCH);
    assert_true(bed.hand.stable && !bed.hand.cut && bed.hand.from.position == at(BATCH));
}

/* It comes again as it was, by its own plan, and the next one as it was written down. */
static void test_a_host_that_is_killed(void **state)
{
    (void)state;
    first_batch();
    bed_done(HG_ALL_OK);
    bed_take(BATCH);
    bed_again(HOST_KILLED);
    assert_true(bed.hand.exact && bed.hand.from.position == at(BATCH) && bed.hand.to.position == at(2 * BATCH));
    bed_take(BATCH);
    bed_done(HG_ALL_OK);
    expect_cut(2 * BATCH, SETS);
}

static void test_what_is_given_up_is_no_batch(void **state)
{
    (void)state;
    first_batch();
    pusher_give_up(bed.p, at(SETS / 2), false, "an operator let it go");
    bed_done(HG_ALL_OK);
    bed_quiet();
    bed_pass(0);
    assert_true(bed.p->lanes[0].ahead.count == 0 && !bed.hand.cut);
    assert_int_equal(bed.hand.from.position, at(SETS / 2));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_many_batches_with_one_write),     TEST(test_nothing_is_handed_out_before_it_is_written),
        TEST(test_only_where_the_plugin_allows_it), TEST(test_not_for_less_than_a_batch),
        TEST(test_a_new_life_cuts_the_same),        TEST(test_a_row_that_waits_ends_it),
        TEST(test_a_part_of_a_repeat_goes_alone),   TEST(test_a_repeat_that_is_barred_is_counted),
        TEST(test_a_host_that_is_killed),           TEST(test_what_is_given_up_is_no_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

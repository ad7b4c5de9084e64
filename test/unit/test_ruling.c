/* Row sets whose fate an operator settled, or that are sent again: rows the lane has not reached, rows that wait, rows
 * that are aside, rows with a worker; and a daemon that ends at every moment in between. */
#include "pusher_bed.h"

static int setup(void **state)
{
    (void)state;
    bed_init(10);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sys = &sys_plain;
    bed_fini();
    return 0;
}

static uint64_t at(uint32_t n)
{
    return FIRST + (uint64_t)n * STEP;
}

static struct chosen_set set_of(uint32_t n)
{
    return (struct chosen_set){
        .position = at(n), .uuid_hash = at(n), .bytes = 64, .epoch = bed.segments[0].epoch, .rows = bed.set_rows};
}

static void rule(uint32_t n, enum ruling_kind kind)
{
    const struct chosen_set set = set_of(n);
    assert_int_equal(pusher_rule(bed.p, &set, kind, "{\"who\":\"me\"}"), ERR_OK);
}

static void again(uint32_t n)
{
    const struct chosen_set set = set_of(n);
    assert_int_equal(pusher_send_again(bed.p, &set, "{\"who\":\"me\"}", bed.now), ERR_OK);
}

/* Until everything is carried out, as the daemon steps after each checkpoint. */
static void quiet(void)
{
    for (int i = 0; i < 3; i++) {
        bed_quiet();
        bed_pass(0);
    }
    bed_quiet();
}

static uint32_t rulable(uint32_t n, enum ruling_kind kind)
{
    const struct chosen_set set = set_of(n);
    return pusher_rulable(bed.p, &set, kind);
}

static void outcome_see(void *arg, const struct settle_entry *e)
{
    *(int *)arg = e->outcome;
}

/* As a receipt has it. */
static int outcome_of(uint32_t n)
{
    int outcome = OUTCOME_DELIVERED;
    assert_int_equal(settle_find(bed.dir, BASE, at(n), outcome_see, &outcome), ERR_OK);
    return outcome;
}

static bool pushed(uint32_t n)
{
    for (uint32_t i = 0; bed_is_list() && i < bed.hand.item_count; i++)
        if (bed.items[i].place.position == at(n))
            return true;
    return !bed_is_list() && bed.hand.from.position <= at(n) && at(n) < bed.end.position;
}

/* Everything that comes is delivered, but what is ruled on must not come. */
static void deliver_but(uint32_t n)
{
    uint32_t hands = bed.hands - 1;
    for (int i = 0; i < 100 && !pusher_drained(bed.p, bed.mark.position); i++) {
        if (bed.hands == hands || bed.p->workers[bed.hand.worker].token != bed.hand.token ||
            !bed.p->workers[bed.hand.worker].busy) {
            bed_pass(1000);
            continue;
        }
        hands = bed.hands;
        uint64_t stop = bed.hand.to.position != 0 ? bed.hand.to.position : bed.hand.limit;
        bed_take(bed_is_list() ? 0 : (uint32_t)((stop - bed.hand.from.position) / STEP));
        assert_false(pushed(n));
        bed_done(HG_ALL_OK);
    }
    quiet();
    assert_true(pusher_drained(bed.p, bed.mark.position));
}

static void test_ahead_of_the_lane(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(bed_open(&e), ERR_OK); /* nothing runs yet */
    quiet();
    assert_int_equal(rulable(4, RULING_DELIVERED), 1);
    rule(4, RULING_DELIVERED);
    assert_int_equal(rulable(4, RULING_DELIVERED), 0); /* said already */
    assert_int_equal(rulable(4, RULING_GIVEN_UP), 1);
    uint64_t written = pusher_written_by(bed.p);
    assert_true(bed.p->sequence < written);
    assert_true(view_of(at(4), 1).pending == 1 && view_of(at(4), 1).ruled == 0); /* not before it is on disk */
    quiet();
    assert_true(bed.p->sequence >= written);
    bed_restart();
    struct pusher_view view = view_of(at(4), 1);
    assert_true(view.pending == 0 && view.ruled == 1 && view.ruling == RULING_DELIVERED);
    bed_run();
    assert_int_equal(bed.hand.to.position, at(4));
    deliver_but(4);
    assert_true(outcome_of(4) == OUTCOME_BY_HAND && outcome_of(3) == OUTCOME_DELIVERED);
    assert_true(bed_total(TOTAL_BY_HAND) == 1 && bed_total(TOTAL_DELIVERED) == 9 && bed_total(TOTAL_GIVEN_UP) == 0);
    assert_int_equal(bed.p->ruling_count, 0);
    struct buf notes;
    buf_init(&notes, 1000);
    assert_int_equal(note_find(bed.dir, BASE, at(4), &notes), ERR_OK);
    assert_string_equal(buf_str(&notes), "{\"who\":\"me\"}");
    buf_free(&notes);
}

static void test_what_waits_and_what_is_dead(void **state)
{
    (void)state;
    bed.settings.retry_min_ms = bed.settings.retry_max_ms = 3600 * 1000;
    begin();
    bed_take(10);
    bed_judge(2, HG_RETRY);
    bed_judge(3, HG_REJECT);
    bed_judge(5, HG_RETRY);
    bed_done(HG_JUDGED);
    quiet();
    assert_true(rulable(2, RULING_GIVEN_UP) == 1 && rulable(3, RULING_DELIVERED) == 1);
    assert_int_equal(rulable(4, RULING_GIVEN_UP), 0); /* delivered */
    rule(2, RULING_GIVEN_UP);
    rule(3, RULING_DELIVERED);
    quiet();
    bed_restart();
    assert_true(bed.p->waiting.count == 1 && bed.p->aside.dead_count == 0 && bed.p->ruling_count == 0);
    assert_true(outcome_of(2) == OUTCOME_GIVEN_UP && outcome_of(3) == OUTCOME_BY_HAND);
    assert_true(bed_total(TOTAL_BY_HAND) == 1 && bed_total(TOTAL_GIVEN_UP) == 1);
}

/* What a worker has is settled when it has come back, whatever is said of it then. */
static void test_with_a_worker(void **state)
{
    (void)state;
    begin();
    bed_take(10);
    for (uint32_t n = 1; n <= 3; n++)
        rule(n, RULING_GIVEN_UP);
    bed_pass(0);
    assert_true(view_of(at(1), 1).pending == 1 && view_of(at(1), 1).ruled == 0);
    bed_judge(1, HG_RETRY);
    bed_judge(2, HG_REJECT);
    bed_done(HG_JUDGED);
    quiet();
    assert_true(bed.p->waiting.count == 0 && bed.p->aside.dead_count == 0 && bed.p->ruling_count == 0);
    assert_true(outcome_of(1) == OUTCOME_GIVEN_UP && outcome_of(2) == OUTCOME_GIVEN_UP);
    assert_int_equal(outcome_of(3), OUTCOME_DELIVERED);
    assert_int_equal(bed_total(TOTAL_GIVEN_UP), 2);
}

/* The far end is down: the range comes back as it was, and goes again without the one in its middle. */
static void test_a_range_that_comes_back(void **state)
{
    (void)state;
    bed.flags = HG_STABLE_BATCH;
    begin();
    bed_take(10);
    bed_quiet(); /* its plan is written, and it goes */
    rule(6, RULING_DELIVERED);
    bed_done(HG_NOT_NOW);
    assert_int_equal(bed.p->counts.uncertain, 1);
    bed_pass(1000);
    assert_true(bed.hand.to.position == at(6) && !bed.hand.exact);
}

static void test_a_set_that_goes_as_one(void **state)
{
    (void)state;
    bed.set_rows = 3;
    bed.flags = HG_WHOLE_SETS;
    bed.settings.retry_min_ms = bed.settings.retry_max_ms = 3600 * 1000;
    begin();
    bed_take(30);
    bed_judge(3, HG_RETRY);
    bed_judge(6, HG_REJECT);
    bed_judge(12, HG_RETRY);
    bed_done(HG_JUDGED);
    quiet();
    assert_int_equal(rulable(1, RULING_DELIVERED), 3);
    rule(1, RULING_DELIVERED);
    rule(4, RULING_GIVEN_UP);
    quiet();
    assert_true(outcome_of(1) == OUTCOME_BY_HAND && outcome_of(4) == OUTCOME_GIVEN_UP);
    assert_true(bed_total(TOTAL_BY_HAND) == 3 && bed_total(TOTAL_GIVEN_UP) == 3 && bed.p->waiting.count == 0);
    again(2); /* one of its rows is a dead letter, and goes along */
    quiet();
    assert_true(bed.p->aside.dead_count == 0 && bed.p->aside.parked_count == 3);
    assert_true(bed.hand.what == HANDED_ASIDE && bed.items[0].place.row == PLACE_SET);
}

static void test_sent_again_after_all(void **state)
{
    (void)state;
    begin();
    bed_take(10);
    bed_judge(1, HG_REJECT);
    bed_judge(2, HG_SKIP);
    bed_done(HG_JUDGED);
    quiet();
    for (uint32_t n = 0; n < 3; n++)
        again(n);
    assert_true(view_of(at(0), 1).parked == 1 && view_of(at(1), 1).parked == 1 && view_of(at(2), 1).parked == 1);
    quiet();
    bed_restart();
    assert_int_equal(bed.p->aside.parked_count, 3);
    again(0); /* on its way already */
    quiet();
    assert_int_equal(bed.p->aside.parked_count, 3);
    bed_run();
    deliver_but(5);
    for (uint32_t n = 0; n < 3; n++)
        assert_int_equal(outcome_of(n), OUTCOME_DELIVERED);
    assert_int_equal(bed.p->aside.dead_count, 0);
    assert_int_equal(bed_total(TOTAL_DELIVERED), 8 + 3);
    bed.park_full = true;
    const struct chosen_set set = set_of(0);
    assert_int_equal(pusher_send_again(bed.p, &set, "{}", bed.now), ERR_LIMIT);
    assert_false(bed.p->broken);
}

/* What was said is taken back before the lane came to it. */
static void test_a_ruling_is_taken_back(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(bed_open(&e), ERR_OK);
    rule(4, RULING_GIVEN_UP);
    quiet();
    rule(4, RULING_DELIVERED);
    quiet();
    assert_true(bed.p->ruling_count == 1 && view_of(at(4), 1).ruling == RULING_DELIVERED);
    again(4);
    quiet();
    assert_true(bed.p->ruling_count == 0 && view_of(at(4), 1).pending == 1);
    bed_run();
    assert_int_equal(bed.hand.to.position, 0);
}

static void test_only_so_many(void **state)
{
    (void)state;
    struct err e;
    bed.segments[0].end = FIRST + 1000 * STEP;
    bed.mark.position = bed.segments[0].end;
    assert_int_equal(bed_open(&e), ERR_OK);
    for (uint32_t n = 0; n < CURSOR_RULINGS; n++)
        rule(2 * n + 1, RULING_GIVEN_UP);
    const struct chosen_set one = set_of(2);
    assert_int_equal(pusher_rule(bed.p, &one, RULING_GIVEN_UP, "{}"), ERR_LIMIT);
    rule(1, RULING_DELIVERED); /* there is one already */
    quiet();
    bed_restart();
    assert_int_equal(bed.p->ruling_count, CURSOR_RULINGS);
}

static int calls; /* until the daemon is killed */

static bool dies(void)
{
    return calls == 0 || calls-- == 0;
}

static ssize_t pwrite_dies(int fd, const void *from, size_t len, off_t where)
{
    if (!dies())
        return sys_plain.pwrite(fd, from, len, where);
    errno = EIO;
    return -1;
}

static int fdatasync_dies(int fd)
{
    if (!dies())
        return sys_plain.fdatasync(fd);
    errno = EIO;
    return -1;
}

/* Waits, is dead, is ahead: one checkpoint carries it all, and ends at its n-th write. After the next start each row is
 * as it was or as was said, and once it is said again all of it holds. True: it was through. */
static bool killed_at(int n)
{
    struct sys breaks = sys_plain;
    breaks.pwrite = pwrite_dies;
    breaks.fdatasync = fdatasync_dies;
    bed_init(10);
    bed.settings.retry_min_ms = bed.settings.retry_max_ms = 3600 * 1000;
    bed.settings.batch_rows = 6;
    begin();
    bed_take(6);
    bed_judge(2, HG_RETRY);
    bed_judge(3, HG_REJECT);
    bed_done(HG_JUDGED);
    bed_down(HOST_STOPPED, "the test");
    quiet();
    for (uint32_t k = 2; k <= 3; k++)
        rule(k, RULING_DELIVERED);
    rule(8, RULING_DELIVERED);
    calls = n;
    sys = &breaks;
    (void)pusher_step(bed.p, bed.now);
    bool through = bed.cp != NULL && bed_write() == ERR_OK;
    sys = &sys_plain;
    bed_restart();
    uint32_t open2 = view_of(at(2), 1).waiting, dead3 = (uint32_t)bed.p->aside.dead_count;
    assert_true(open2 == 1 || outcome_of(2) == OUTCOME_BY_HAND);
    assert_true(dead3 == 1 || outcome_of(3) == OUTCOME_BY_HAND);
    if (through)
        assert_true(open2 == 0 && dead3 == 0 && view_of(at(8), 1).ruled == 1);
    for (uint32_t k = 2; k <= 3; k++)
        if (rulable(k, RULING_DELIVERED) > 0)
            rule(k, RULING_DELIVERED);
    if (rulable(8, RULING_DELIVERED) > 0)
        rule(8, RULING_DELIVERED);
    quiet();
    bed_run();
    deliver_but(8);
    assert_true(outcome_of(2) == OUTCOME_BY_HAND && outcome_of(3) == OUTCOME_BY_HAND &&
                outcome_of(8) == OUTCOME_BY_HAND && bed.p->aside.dead_count == 0);
    return through;
}

static void test_killed_at_every_write(void **state)
{
    (void)state;
    int n = 0;
    for (bed_fini(); !killed_at(n); bed_fini())
        n++;
    assert_true(n > 5);
}

/* The same of a row set that is sent again: it is settled, or on its way, never neither. */
static bool again_killed_at(int n)
{
    struct sys breaks = sys_plain;
    breaks.pwrite = pwrite_dies;
    breaks.fdatasync = fdatasync_dies;
    bed_init(10);
    bed.set_rows = 3;
    bed.flags = HG_WHOLE_SETS;
    begin();
    bed_take(30);
    bed_judge(4, HG_REJECT);
    bed_done(HG_JUDGED);
    bed_down(HOST_STOPPED, "the test");
    quiet();
    again(1);
    calls = n;
    sys = &breaks;
    (void)pusher_step(bed.p, bed.now);
    bool through = bed.cp != NULL && bed_write() == ERR_OK;
    sys = &sys_plain;
    bed_restart();
    assert_true(bed.p->aside.dead_count == 1 || bed.p->aside.parked_count == 3);
    assert_true(!through || (bed.p->aside.parked_count == 3 && bed.p->aside.dead_count == 0));
    return through;
}

static void test_sent_again_and_killed(void **state)
{
    (void)state;
    int n = 0;
    for (bed_fini(); !again_killed_at(n); bed_fini())
        n++;
    assert_true(n > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ahead_of_the_lane),      TEST(test_what_waits_and_what_is_dead),
        TEST(test_with_a_worker),          TEST(test_a_range_that_comes_back),
        TEST(test_a_set_that_goes_as_one), TEST(test_sent_again_after_all),
        TEST(test_a_ruling_is_taken_back), TEST(test_only_so_many),
        TEST(test_killed_at_every_write),  TEST(test_sent_again_and_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

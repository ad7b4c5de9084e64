/* A pusher at its limits: tables and budgets that are full, a disk that is behind, time that is up, rows that are gone.
 * Whatever it cannot take stays where it is, and goes on once there is room. */
#include "pusher_bed.h"

static int setup(void **state)
{
    (void)state;
    bed_init(1000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sys = &sys_plain;
    bed_fini();
    return 0;
}

/* --- tables that are full --- */

/* Two lanes bring more than there is room for: what does not fit is parked, and where that is full too, the pusher
 * stops, with each row where it was. */
static void fill_waiting(void)
{
    for (size_t n; (n = waiting_room(&bed.p->waiting)) > 0;) {
        struct waiting_row *row =
            waiting_add(&bed.p->waiting, (struct place){1000 + n, 0}, n, WAITING_HELD, bed.now + 1000000);
        assert_non_null(row);
        row->passed = UINT64_MAX; /* nothing passes meanwhile: they are not parked for the room they take */
    }
}

static void test_no_room_to_wait(void **state)
{
    (void)state;
    begin();
    bed_take(3);
    bed_judge(0, HG_RETRY);
    bed_judge(1, HG_RETRY);
    fill_waiting();
    bed_done(HG_JUDGED);
    assert_int_equal(bed.hands, 1); /* each fresh row might have to wait */
    bed_quiet();
    assert_int_equal(bed.p->waiting.count, CURSOR_WAITING);
    assert_true(bed.p->aside.parked_count == 2 && !bed.p->broken);
    assert_int_equal(aside_of(FIRST)->state, ASIDE_PARKED);
    assert_int_equal(view_of(FIRST + STEP, 1).parked, 1);
}

static void test_no_room_at_all(void **state)
{
    (void)state;
    begin();
    bed_take(3);
    bed_judge(0, HG_OK);
    bed_judge(1, HG_RETRY);
    fill_waiting();
    bed.park_full = true;
    bed_done(HG_JUDGED);
    assert_true(bed.p->broken && strstr(bed.text, "park.max_bytes") != NULL);
    assert_int_equal(bed.p->lanes[0].next.position, FIRST + STEP); /* it goes on with the one that found no room */
    bed.park_full = false;
    bed.p->waiting.count = 0;
    bed_down(HOST_STOPPED, "");
    pusher_pause(bed.p, false, bed.now);
    bed_pass(0);
    bed_ready();
    assert_int_equal(bed.hand.from.position, FIRST + STEP);
}

static void test_dead_letters_are_full(void **state)
{
    (void)state;
    begin();
    bed.dead_full = true;
    bed_take(4);
    bed_judge(1, HG_REJECT);
    bed_done(HG_JUDGED);
    assert_true(bed.p->broken && strstr(bed.text, "dead.max_bytes") != NULL);
    assert_int_equal(bed_total(TOTAL_DEAD), 0);
    assert_int_equal(view_of(FIRST + STEP, 1).waiting, 1);
    bed_quiet();
    bed_down(HOST_STOPPED, "");
    bed.dead_full = false;
    pusher_pause(bed.p, false, bed.now);
    bed_pass(10);
    bed_ready();
    assert_true(bed.hand.what == HANDED_ROWS && bed.items[0].place.position == FIRST + STEP);
    bed_take(1);
    bed_judge(0, HG_REJECT);
    bed_done(HG_JUDGED);
    bed_quiet();
    assert_true(bed_total(TOTAL_DEAD) == 1 && aside_of(FIRST + STEP)->state == ASIDE_DEAD);
}

/* What is given up as dead letters waits for room too: rows that wait, a set, a whole lane. */
static void test_given_up_without_room(void **state)
{
    (void)state;
    bed.flags = HG_WHOLE_SETS;
    begin();
    bed_take(4);
    bed_judge(1, HG_RETRY);
    bed_done(HG_JUDGED);
    bed.dead_full = true;
    pusher_give_up(bed.p, FIRST + 10 * STEP, true, "an operator let it go");
    assert_true(bed.p->broken);
    bed_down(HOST_STOPPED, "");
    bed_quiet();
    assert_int_equal(bed_total(TOTAL_DEAD), 0);
    assert_int_equal(view_of(FIRST + STEP, 1).waiting, 1);
    bed.dead_full = false;
    bed_pass(1000);
    bed_quiet();
    assert_int_equal(bed_total(TOTAL_DEAD), 1 + 6);
    assert_int_equal(aside_of(FIRST + STEP)->state, ASIDE_DEAD);
    assert_int_equal(aside_of(FIRST + 9 * STEP)->state, ASIDE_DEAD);
    assert_null(aside_of(FIRST + 10 * STEP));
    bed_restart();
    assert_int_equal(bed.p->lanes[0].next.position, FIRST + 10 * STEP);
}

enum { PARKED = HELD_MAX + 4 };

/* As many uuids as can be held back are parked, and some more: nothing fresh, but the parked ones are tried. */
static void test_too_many_uuids_are_held(void **state)
{
    struct aside_add *adds = calloc(PARKED, sizeof *adds);
    struct aside_end end = {0};
    struct err e;
    (void)state;
    for (uint32_t i = 0; i < PARKED; i++) {
        adds[i] = (struct aside_add){.place = {1000 + i, 0}, .uuid_hash = 64 * i, .state = ASIDE_PARKED};
        snprintf(adds[i].reason, sizeof adds[i].reason, "again and again");
    }
    assert_int_equal(aside_append(bed.dir, &end, adds, PARKED, NULL, 0, &bed_source, &e), ERR_OK);
    free(adds);
    assert_int_equal(bed_open(&e), ERR_OK);
    bed.p->aside_due_ms = bed.now + 1000;
    bed_run();
    assert_int_equal(bed.hands, 0);
    for (uint32_t tried = 0; tried < PARKED; tried += bed.hand.item_count) {
        assert_false(pusher_drained(bed.p, FIRST));
        bed_pass(tried == 0 ? 1000 : 0);
        assert_int_equal(bed.hand.what, HANDED_ASIDE);
        bed_take(0);
        bed.now += 1000;
        bed_done(HG_ALL_OK);
        if (bed.hand.what == HANDED_RANGE) /* enough of them are through */
            break;
    }
    assert_int_equal(bed.hand.what == HANDED_ASIDE ? 0 : bed.hand.from.position, FIRST);
}

/* More than the disk takes is not delivered. */
static void test_the_disk_is_behind(void **state)
{
    enum { MANY = BACKLOG_MAX + 10 };
    (void)state;
    bed.segments[0].end = FIRST + (uint64_t)2 * MANY * STEP;
    bed.mark = (struct journal_mark){bed.segments[0].end, 2 * MANY};
    bed.settings.batch_rows = MANY;
    bed.settings.batch_bytes = UINT32_MAX;
    begin();
    bed_take(MANY);
    for (uint32_t i = 0; i < MANY; i++)
        bed_judge(i, i % 2 == 0 ? HG_SKIP : HG_DUPLICATE);
    const struct done done = {.result = HG_JUDGED, .rows = MANY, .listed = MANY, .end = bed.end};
    bed.p->checkpoint_at_ms = bed.now + 1000;
    assert_int_equal(pusher_done(bed.p, 0, bed.hand.token, &done, bed.now), ERR_OK);
    (void)pusher_step(bed.p, bed.now);
    assert_int_equal(bed.hands, 1);
    bed_pass(1000);
    bed_pass(1000);
    assert_int_equal(bed.hands, 2);
    assert_int_equal(bed_total(TOTAL_SKIPPED) + bed_total(TOTAL_DUPLICATE), MANY);
}

/* --- sets --- */

static int tell_at(uint64_t position, uint32_t row, uint32_t verdict)
{
    const struct judged judged = {.place = {position, row}, .uuid_hash = position, .verdict = verdict};
    int code = pusher_judged(bed.p, bed.hand.worker, bed.hand.token, &judged, SLICE_LIT("because"));
    bed.listed += code == ERR_OK;
    return code;
}

/* Its host takes the sets of the last hand-out: so many rows of three each. */
static void take_sets(uint32_t sets)
{
    bed_take(3 * sets);
    bed.rows = 3 * sets;
    struct handed *h = handed_find(bed.p, bed.hand.worker, bed.hand.token);
    h->rows = bed.rows;
}

/* The set at FIRST fails each time, while others pass. */
static void park_a_set(void)
{
    bed.flags = HG_WHOLE_SETS;
    bed.set_rows = 3;
    begin();
    take_sets(2);
    for (uint32_t row = 0; row < 3; row++)
        assert_int_equal(tell_at(FIRST, row, HG_RETRY), ERR_OK);
    bed_done(HG_JUDGED);
    for (int i = 0; bed.p->waiting.count > 0; i++) {
        assert_true(i < 50);
        bed.now += 10;
        bool set = bed.hand.what == HANDED_ROWS;
        take_sets(1);
        for (uint32_t row = 0; set && row < 3; row++)
            assert_int_equal(tell_at(FIRST, row, HG_RETRY), ERR_OK);
        bed_done(HG_JUDGED);
    }
    bed_quiet();
}

static struct aside_entry *parked_set(void)
{
    return aside_find(&bed.p->aside, &bed.segments[0].epoch, (struct place){FIRST, PLACE_SET});
}

/* Until it is handed out as one. */
static void to_parked_set(void)
{
    for (int i = 0; bed.hand.what != HANDED_ASIDE; i++) {
        assert_true(i < 50);
        take_sets(1);
        bed.now += 10;
        bed_done(HG_ALL_OK);
    }
    assert_true(bed.hand.item_count == 1 && bed.items[0].place.row == PLACE_SET);
}

static void test_a_set_that_always_fails_is_parked(void **state)
{
    (void)state;
    park_a_set();
    assert_true(parked_set() != NULL && parked_set()->state == ASIDE_PARKED && bed.p->aside.parked_count == 3);
    assert_true(pusher_low(bed.p) > FIRST && bed.p->durable_low > FIRST); /* it pins nothing */
    assert_int_equal(view_of(FIRST, 3).parked, 3);
    bed_restart();
    assert_true(parked_set() != NULL && bed.p->aside.parked_count == 3 && !pusher_drained(bed.p, FIRST));
    bed_run();
    to_parked_set();
    take_sets(1);
    assert_int_equal(tell_at(FIRST, PLACE_SET, HG_REJECT), ERR_SYNTAX); /* sets are judged by their rows */
    assert_int_equal(tell_at(FIRST, 1, HG_REJECT), ERR_OK);
    uint64_t before = bed_total(TOTAL_DELIVERED);
    bed.unreadable = ERR_GONE; /* the journal has dropped it by now */
    bed_done(HG_JUDGED);
    assert_int_equal(bed_total(TOTAL_DELIVERED), before + 2);
    bed_quiet();
    struct aside_entry *dead = aside_find(&bed.p->aside, &bed.segments[0].epoch, (struct place){FIRST, 1});
    assert_true(parked_set() == NULL && dead != NULL && dead->state == ASIDE_DEAD && dead->rows == 1);
    assert_true(bed.p->aside.dead_count == 1 && bed.p->aside.parked_count == 0 && view_of(FIRST, 3).parked == 0);
    bed_restart();
    assert_true(bed.p->aside.dead_count == 1 && bed.p->aside.parked_count == 0);
}

/* A crash when its dead letters were written and its own end was not: the set counts. */
static void test_a_set_that_half_became_dead_letters(void **state)
{
    struct err e;
    (void)state;
    park_a_set();
    const struct aside_entry *set = parked_set();
    struct aside_add add = {.place = {FIRST, 1},
                            .epoch = set->epoch,
                            .uuid_hash = set->uuid_hash,
                            .state = ASIDE_DEAD,
                            .from_file = set->file,
                            .from_offset = set->offset};
    struct aside_end end = {.file = bed.p->aside.file, .size = bed.p->aside.size};
    snprintf(add.reason, sizeof add.reason, "because");
    assert_int_equal(aside_append(bed.dir, &end, &add, 1, NULL, 0, &bed_source, &e), ERR_OK);
    bed_restart();
    assert_true(bed.p->aside.dead_count == 0 && bed.p->aside.parked_count == 3 && parked_set() != NULL);
}

/* No room for its dead letters: none of them is one, and the set stays as it is. */
static void test_a_parked_set_without_room(void **state)
{
    (void)state;
    park_a_set();
    to_parked_set();
    bed.dead_full = true;
    take_sets(1);
    for (uint32_t row = 0; row < 2; row++)
        assert_int_equal(tell_at(FIRST, row, HG_REJECT), ERR_OK);
    bed_done(HG_JUDGED);
    assert_true(bed.p->broken && parked_set() != NULL && bed_total(TOTAL_DEAD) == 0);
    bed_down(HOST_STOPPED, "");
    bed_quiet();
    bed.dead_full = false;
    struct err e;
    pusher_want(bed.p, false, bed.now);
    assert_int_equal(pusher_forget(bed.p, bed.mark, &e), ERR_OK);
    for (int i = 0; !pusher_let_go(bed.p); i++) {
        assert_true(i < 50);
        bed_pass(1000);
    }
    assert_true(parked_set() == NULL && bed.p->aside.parked_count == 0);
    for (uint32_t row = 0; row < 3; row++)
        assert_non_null(aside_find(&bed.p->aside, &bed.segments[0].epoch, (struct place){FIRST, row}));
}

/* The same where it waits: a refused set has room for all its dead letters, or for none. */
static void test_a_refused_set_without_room(void **state)
{
    (void)state;
    bed.flags = HG_WHOLE_SETS;
    bed.set_rows = 3;
    begin();
    bed.dead_full = true;
    take_sets(1);
    for (uint32_t row = 0; row < 3; row++)
        assert_int_equal(tell_at(FIRST, row, HG_REJECT), ERR_OK);
    bed_done(HG_JUDGED);
    assert_true(bed.p->broken && bed_total(TOTAL_DEAD) == 0 && bed.p->add_count == 0);
    assert_non_null(waiting_find(&bed.p->waiting, (struct place){FIRST, PLACE_SET}));
    bed.dead_full = false;
    bed_down(HOST_STOPPED, "");
    pusher_pause(bed.p, false, bed.now);
    bed_pass(10);
    bed_ready();
    assert_int_equal(bed.hand.what, HANDED_ROWS);
    take_sets(1);
    for (uint32_t row = 0; row < 3; row++)
        assert_int_equal(tell_at(FIRST, row, HG_REJECT), ERR_OK);
    bed_done(HG_JUDGED);
    bed_quiet();
    assert_true(bed.p->aside.dead_count == 3 && bed_total(TOTAL_DEAD) == 3);
}

/* A suspect that no neighbour comes for pins nothing after a while; one that comes then convicts it all the same. */
static void test_a_suspect_is_parked(void **state)
{
    (void)state;
    bed.settings.retry_max_ms = 5000;
    begin();
    bed_take(1);
    bed_done(HG_ALL_OK);
    bed.p->paused = true; /* nothing else passes meanwhile */
    bed_pass(0);
    struct waiting_row *row = waiting_add(&bed.p->waiting, (struct place){FIRST, 0}, FIRST, WAITING_SUSPECT, bed.now);
    row->due_ms = bed.now + 5000;
    bed.p->suspect = row->c.place;
    bed.p->paused = false;
    bed_pass(4999);
    assert_int_equal(bed.p->waiting.count, 1);
    bed_pass(1);
    bed_quiet();
    assert_true(bed.p->waiting.count == 0 && aside_of(FIRST)->state == ASIDE_PARKED && aside_of(FIRST)->suspect);
    assert_int_equal(bed.hand.what, HANDED_RANGE);
    bed_take(1);
    bed_done(HG_ALL_OK);
    bed_quiet();
    assert_true(aside_of(FIRST)->state == ASIDE_DEAD && bed.p->suspect.position == 0);
}

/* --- time that is up --- */

static void test_a_range_expires(void **state)
{
    (void)state;
    bed.settings.retry_for_ms = 5000;
    begin();
    for (int i = 0; bed_total(TOTAL_DEAD) == 0; i++) {
        assert_true(i < 20);
        bed_take(5);
        bed_done(HG_NOT_NOW);
        bed_pass(1000);
        bed_pass(1000);
    }
    bed_quiet();
    assert_int_equal(bed_total(TOTAL_DEAD), 5); /* those that were tried, not those behind them */
    assert_int_equal(bed.p->lanes[0].next.position, FIRST + 5 * STEP);
    struct buf copy;
    struct record record;
    buf_init(&copy, 1 << 20);
    struct aside_entry *entry = aside_of(FIRST + 4 * STEP);
    assert_int_equal(aside_read(bed.dir, entry->file, entry->offset, &copy, &record), ERR_OK);
    assert_true(strncmp(aside_reason(&record).ptr, "expired: tried for longer than RETRY_FOR", 40) == 0);
    buf_free(&copy);
}

static void test_a_waiting_row_expires(void **state)
{
    (void)state;
    bed.settings.retry_for_ms = 5000;
    begin();
    bed_take(5);
    bed_judge(2, HG_RETRY);
    bed_done(HG_JUDGED);
    bed.dead_full = true;
    bed_take(5);
    bed_done(HG_NOT_NOW); /* nothing passes from now on */
    bed_pass(6000);
    assert_true(bed.p->broken && bed.p->waiting.count == 1 && bed.p->counts.given_up_expired == 0);
    bed.dead_full = false;
    bed_down(HOST_STOPPED, "");
    pusher_pause(bed.p, false, bed.now);
    bed_pass(1);
    bed_quiet();
    assert_true(bed.p->counts.given_up_expired == 1 && bed.p->waiting.count == 0);
    assert_int_equal(aside_of(FIRST + 2 * STEP)->state, ASIDE_DEAD);
}

static void test_what_cannot_open_expires(void **state)
{
    (void)state;
    bed.settings.retry_for_ms = 5000;
    struct err e;
    assert_int_equal(bed_open(&e), ERR_OK);
    pusher_want(bed.p, true, bed.now);
    for (int i = 0; i < 10; i++) {
        bed_pass(1000);
        bed_down(HOST_NOT_NOW, "no route to host");
        if (i == 0) { /* what comes later has its own time */
            bed.segments[0].end += STEP;
            bed.mark = (struct journal_mark){bed.mark.position + STEP, bed.mark.rows + 1};
        }
    }
    bed_quiet();
    assert_int_equal(bed_total(TOTAL_DEAD), 1000);
    assert_int_equal(bed.p->state, PUSHER_RETRYING);
    for (int i = 0; i < 10; i++) {
        bed_pass(1000);
        bed_down(HOST_NOT_NOW, "no route to host");
    }
    bed_quiet();
    assert_int_equal(bed_total(TOTAL_DEAD), 1001);
}

/* A stable batch of one row that hangs three times is split off, and waits. */
static void test_a_row_that_hangs(void **state)
{
    (void)state;
    bed.flags = HG_STABLE_BATCH;
    begin();
    bed_take(1);
    assert_int_equal(bed.gos, 0); /* its plan comes first */
    bed_pass(100);
    assert_int_equal(bed.gos, 1);
    for (int i = 0; i < LONE_OVERDUE_MAX; i++) {
        assert_int_equal(bed.hand.from.position, FIRST);
        if (i > 0)
            bed_take(1);
        bed_pass(bed.settings.timeout_ms);
        assert_int_equal(bed.kills, i + 1);
        bed_again(HOST_DEADLINE);
    }
    assert_int_equal(bed.p->counts.uncertain, 1);
    const struct waiting_row *row = waiting_find(&bed.p->waiting, (struct place){FIRST, 0});
    assert_non_null(row);
    assert_true(row->solo && row->c.attempts == PARK_ATTEMPTS && strstr(row->reason, "three times") != NULL);
    assert_int_equal(bed.p->lanes[0].next.position, FIRST + STEP);
}

/* Nobody knows what became of a stable batch when its host was killed: its rows are not parked one by one. */
static void test_a_batch_that_comes_again_is_not_parked(void **state)
{
    (void)state;
    bed.flags = HG_STABLE_BATCH;
    bed.settings.retry_min_ms = bed.settings.retry_max_ms = 1;
    begin();
    bed_take(5);
    bed_pass(100);
    bed_judge(1, HG_RETRY);
    bed_judge(2, HG_RETRY);
    bed_done_only(HG_JUDGED);
    bed_pass(100);
    assert_true(bed.hand.what == HANDED_ROWS && bed.hand.item_count == 2);
    bed_take(0);
    bed_pass(100);
    assert_int_equal(bed.gos, 2);
    for (size_t i = 0; i < bed.p->waiting.count; i++) {
        bed.p->waiting.rows[i].c.attempts = PARK_ATTEMPTS;
        bed.p->waiting.rows[i].passed = 0;
    }
    bed_again(HOST_KILLED);
    assert_true(bed.hand.what == HANDED_ROWS && bed.hand.item_count == 2);
    bed_take(0);
    bed_judge(0, HG_RETRY);
    bed_judge(1, HG_RETRY);
    bed_done(HG_JUDGED);
    bed_quiet();
    assert_true(bed.p->waiting.count == 0 && bed.p->aside.parked_count == 2); /* it has returned */
}

/* RETRY_FOR is through for one row of it: what is left is another batch, and counted as such. */
static void test_a_batch_that_comes_again_expires_in_part(void **state)
{
    (void)state;
    bed.flags = HG_STABLE_BATCH;
    bed.settings.retry_for_ms = 50000;
    begin();
    bed_take(5);
    bed_pass(100);
    bed_judge(1, HG_RETRY);
    bed_judge(2, HG_RETRY);
    bed_done_only(HG_JUDGED);
    bed_pass(100);
    assert_true(bed.hand.what == HANDED_ROWS && bed.hand.item_count == 2);
    bed_take(0);
    bed_pass(100);
    bed.p->waiting.rows[0].c.waited_ms = 50000;
    bed_again(HOST_KILLED);
    assert_true(bed.p->counts.given_up_expired == 1 && bed.p->counts.uncertain == 1);
    assert_true(bed.hand.what == HANDED_ROWS && bed.hand.item_count == 1 && bed.hand.stable);
}

/* --- rows that are gone --- */

static void test_rows_that_were_lost(void **state)
{
    (void)state;
    begin();
    bed_take(5);
    bed_judge(1, HG_RETRY);
    bed_judge(2, HG_RETRY);
    bed_done(HG_JUDGED);
    bed_take(5);
    bed.now += 10;
    bed_done(HG_ALL_OK);
    assert_true(bed.hand.what == HANDED_ROWS && bed.hand.item_count == 2);
    bed_take(0);
    bed_judge(0, VERDICT_LOST);
    bed_judge(1, HG_RETRY);
    bed_done(HG_JUDGED);
    assert_true(bed.p->counts.lost == 1 && bed.p->waiting.count == 1);
    bed_down(HOST_STOPPED, "");
    bed.segment_count = 0; /* damage took the rest */
    pusher_give_up(bed.p, FIRST + 100 * STEP, true, "an operator let it go");
    bed_quiet();
    assert_true(bed.p->counts.lost == 2 && bed.p->waiting.count == 0 && bed.p->aside.count == 0);
    assert_int_equal(bed.p->lanes[0].give_up, 0);
}

static void test_a_set_that_was_lost(void **state)
{
    (void)state;
    bed.flags = HG_WHOLE_SETS;
    begin();
    bed_take(5);
    bed_judge(1, HG_RETRY);
    bed_judge(2, HG_RETRY);
    bed_done(HG_JUDGED);
    bed.unreadable = ERR_DAMAGED;
    waiting_find(&bed.p->waiting, (struct place){FIRST + STEP, PLACE_SET})->give_up = GIVE_DEAD;
    bed_quiet();
    assert_true(bed.p->counts.lost == 1 && bed.p->waiting.count == 1 && bed_total(TOTAL_DEAD) == 0);
    bed.segment_count = 0;
    waiting_find(&bed.p->waiting, (struct place){FIRST + 2 * STEP, PLACE_SET})->give_up = GIVE_SKIP;
    bed_pass(1000);
    assert_true(bed.p->counts.lost == 2 && bed.p->waiting.count == 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_set_that_always_fails_is_parked),
        TEST(test_a_set_that_half_became_dead_letters),
        TEST(test_a_parked_set_without_room),
        TEST(test_a_refused_set_without_room),
        TEST(test_a_suspect_is_parked),
        TEST(test_no_room_to_wait),
        TEST(test_no_room_at_all),
        TEST(test_dead_letters_are_full),
        TEST(test_given_up_without_room),
        TEST(test_too_many_uuids_are_held),
        TEST(test_the_disk_is_behind),
        TEST(test_a_range_expires),
        TEST(test_a_waiting_row_expires),
        TEST(test_what_cannot_open_expires),
        TEST(test_a_batch_that_comes_again_is_not_parked),
        TEST(test_a_batch_that_comes_again_expires_in_part),
        TEST(test_a_row_that_hangs),
        TEST(test_rows_that_were_lost),
        TEST(test_a_set_that_was_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

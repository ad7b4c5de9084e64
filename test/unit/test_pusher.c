/* A pusher's delivery state, event by event, where the simulator and the flow tests do not come by: first pushes, marks
 * and late answers, forgetting, replays, what receipts are told, checkpoints that fail. Limits stand in
 * test_pusher_limits.c. */
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

/* --- states --- */

/* A pusher that has pushed nothing is idle: it does not wait for a fuller batch, however young the clock is. */
static void test_the_first_push_does_not_wait(void **state)
{
    (void)state;
    bed.settings.batch_wait_ms = 10 * 60 * 1000;
    bed.settings.batch_rows = 5000;
    bed.now = 1;
    begin();
    assert_int_equal(bed.hands, 1);
    bed_take(10);
    bed_done(HG_ALL_OK);
    assert_int_equal(bed.hands, 1); /* now it waits */
    assert_int_equal(pusher_step(bed.p, bed.now + 1000), bed.now + bed.settings.batch_wait_ms);
    bed_pass(bed.settings.batch_wait_ms);
    assert_int_equal(bed.hands, 2);
}

static void test_what_was_marked_stays(void **state)
{
    (void)state;
    begin();
    bed_take(10);
    pusher_want(bed.p, false, bed.now);
    assert_int_equal(bed.stops, 1);
    pusher_mark(bed.p, PUSHER_ORPHANED, "its file is gone");
    assert_string_equal(bed.event, "pusher.not_started");
    bed_done(HG_NOT_NOW);
    assert_int_equal(bed.p->state, PUSHER_ORPHANED);
    bed_down(HOST_CRASHED, "it crashed");
    assert_int_equal(bed.p->state, PUSHER_ORPHANED);
    bed_pass(60000);
    assert_int_equal(bed.starts, 1);
    pusher_mark(bed.p, PUSHER_REFUSED, "not an option: X");
    assert_true(bed.p->state == PUSHER_REFUSED && strcmp(bed.p->error, "not an option: X") == 0);
    pusher_want(bed.p, true, bed.now);
    bed_pass(0);
    assert_true(bed.p->state == PUSHER_STARTING && bed.starts == 2);
}

static void test_one_that_ends_without_rows_is_broken(void **state)
{
    (void)state;
    begin();
    bed_take(10);
    bed_done(HG_NOT_NOW);
    for (int i = 0; i < FAILED_STARTS_MAX; i++) {
        assert_false(bed.p->broken);
        bed_down(HOST_CRASHED, "exit code 3");
        bed_pass(1000);
    }
    assert_int_equal(bed.p->state, PUSHER_BROKEN);
    assert_non_null(strstr(bed.text, "exit code 3"));
    assert_int_equal(bed.starts, FAILED_STARTS_MAX);
    bed_pass(60000);
    assert_int_equal(bed.starts, FAILED_STARTS_MAX);
    pusher_pause(bed.p, false, bed.now);
    bed_pass(0);
    assert_true(!bed.p->broken && bed.starts == FAILED_STARTS_MAX + 1);
}

static void test_nonsense(void **state)
{
    const struct judged row = {.place = {FIRST, 0}, .verdict = HG_OK};
    struct done done = {.result = HG_ALL_OK, .rows = 9, .delivered = 9};
    (void)state;
    begin();
    uint64_t token = bed.hand.token;
    assert_int_equal(
        pusher_taken(bed.p, 0, token + 1, (struct place){FIRST, 0}, (struct place){FIRST, 1}, 1, 1, 1, 1, 1),
        ERR_SYNTAX);
    assert_int_equal(pusher_taken(bed.p, 999, token, (struct place){FIRST, 0}, (struct place){FIRST, 1}, 1, 1, 1, 1, 1),
                     ERR_SYNTAX);
    assert_int_equal(pusher_judged(bed.p, 0, token, &row, SLICE_LIT("")), ERR_SYNTAX); /* not taken */
    assert_int_equal(pusher_done(bed.p, 0, token, &done, bed.now), ERR_SYNTAX);
    bed_take(10);
    assert_int_equal(pusher_done(bed.p, 0, token, &done, bed.now), ERR_SYNTAX); /* not as many */
    done = (struct done){.rows = 10, .end = bed.end, .has_state = true, .state = {NULL, CURSOR_STATE + 1}};
    assert_int_equal(pusher_done(bed.p, 0, token, &done, bed.now), ERR_SYNTAX);
    done = (struct done){.rows = 10, .end = {FIRST, 3}};
    assert_int_equal(pusher_done(bed.p, 0, token, &done, bed.now), ERR_SYNTAX);
    bed_judge(0, HG_RETRY);
    assert_int_equal(bed_tell(0, HG_OK), ERR_SYNTAX); /* twice */
    bed_done(HG_JUDGED);
    assert_int_equal(bed.hand.what, HANDED_RANGE);
    bed_pass(10); /* it is due */
    bed_take(10);
    bed_done(HG_ALL_OK);
    assert_int_equal(bed.hand.what, HANDED_ROWS);
    const struct place place = bed.items[0].place;
    assert_int_equal(pusher_taken(bed.p, 0, bed.hand.token, place, place, 2, 1, 1, 1, 1), ERR_SYNTAX); /* it was one */
    pusher_damage(bed.p, FIRST, FIRST + STEP);
    assert_true(bed.p->counts.damaged == 1 && bed.damages == 1);
}

/* --- looking --- */

/* A row that waits is tried as soon as somebody says so, and only that one. */
static void test_expedite(void **state)
{
    (void)state;
    const struct epoch epoch = {.bytes = {0}};
    bed.settings.retry_min_ms = bed.settings.retry_max_ms = 3600 * 1000;
    begin();
    bed_take(3);
    const struct place second = bed_place(1);
    bed_judge(0, HG_RETRY);
    bed_judge(1, HG_RETRY);
    bed_done(HG_JUDGED);
    bed_take(10);
    bed_done(HG_ALL_OK);
    bed_quiet();
    uint32_t hands = bed.hands;
    assert_int_equal(pusher_expedite(bed.p, &epoch, second.position + 1, bed.now), 0); /* no such row set */
    bed_pass(0);
    assert_int_equal(pusher_expedite(bed.p, &epoch, second.position, bed.now), 1);
    assert_int_equal(pusher_expedite(bed.p, &epoch, second.position, bed.now), 0); /* due already */
    while (bed.hands == hands || bed.hand.what != HANDED_ROWS) {
        bed_take(1);
        bed_done(HG_ALL_OK);
        assert_true(bed.hands < hands + 2000);
    }
    assert_int_equal(bed.hand.item_count, 1);
    assert_int_equal(place_cmp(bed.items[0].place, second), 0);
    assert_int_equal(bed.items[0].attempt, 2);
}

/* More wait than go in one hand-out, and all are due again at once: each has its turn. */
static void test_waiting_rows_take_turns(void **state)
{
    enum { WAITING = 25, BATCH = 10 };
    uint32_t tries[WAITING] = {0};
    (void)state;
    bed.segments[0].end = FIRST + (uint64_t)WAITING * STEP;
    bed.mark = (struct journal_mark){bed.segments[0].end, WAITING};
    bed.settings.batch_rows = BATCH;
    begin();
    for (uint32_t done = 0; done < WAITING; done += bed.rows) {
        bed_take(done + BATCH <= WAITING ? BATCH : WAITING - done);
        for (uint32_t n = 0; n < bed.rows; n++)
            bed_judge(n, HG_RETRY);
        bed_done(HG_JUDGED);
    }
    for (int turn = 0; turn < 6; turn++) {
        bed_pass(100);
        assert_int_equal(bed.hand.what, HANDED_ROWS);
        bed_take(0);
        for (uint32_t n = 0; n < bed.rows; n++) {
            tries[(bed_place(n).position - FIRST) / STEP]++;
            bed_judge(n, HG_RETRY);
        }
        bed_done_only(HG_JUDGED);
    }
    for (uint32_t i = 0; i < WAITING; i++)
        assert_int_equal(tries[i], 2);
}

/* Two of four are pushed; before and behind them stands a row set of another client. */
static void push_two_of_four(uint32_t result)
{
    bed.listed = 0;
    bed.end = bed_place(4);
    assert_int_equal(pusher_taken(bed.p, bed.hand.worker, bed.hand.token, bed_place(1), bed.end, 2, 200,
                                  bed_place(1).position, 0, bed.now),
                     ERR_OK);
    bed_judge(0, VERDICT_CLIENT);
    bed_judge(3, VERDICT_CLIENT);
    const struct done done = {
        .result = result, .rows = 2, .delivered = result == HG_NOT_NOW ? 0 : 2, .listed = 2, .end = bed.end};
    assert_int_equal(pusher_done(bed.p, bed.hand.worker, bed.hand.token, &done, bed.now), ERR_OK);
    bed_pass(60000);
}

static void test_other_clients(void **state)
{
    (void)state;
    begin();
    const struct place first = bed_place(0), fifth = bed_place(4);
    push_two_of_four(HG_NOT_NOW);
    assert_int_equal(bed.p->counts.skipped_client + bed.p->counts.delivered_rows, 0);
    assert_int_equal(place_cmp(bed.hand.from, first), 0); /* nothing has moved, and nothing was booked */
    push_two_of_four(HG_ALL_OK);
    assert_int_equal(place_cmp(bed.hand.from, fifth), 0);
    assert_int_equal(bed.p->counts.skipped_client, 2);
    assert_int_equal(bed.p->counts.delivered_rows, 2); /* what is passed by is no evidence that rows pass */
    assert_int_equal(bed_total(TOTAL_DELIVERED), 2);
    assert_int_equal(bed_total(TOTAL_SKIPPED), 0);
}

static void test_views_and_lag(void **state)
{
    uint64_t rows, bytes;
    (void)state;
    begin();
    pusher_lag(bed.p, &rows, &bytes);
    assert_true(rows == 1000 && bytes == (uint64_t)1000 * STEP);
    bed_take(10);
    struct pusher_view view = view_of(FIRST + 3 * STEP, 1);
    assert_true(view.pending == 1 && view.delivering && view.attempts == 1);
    assert_false(view_of(FIRST + 30 * STEP, 1).delivering);
    bed_judge(2, HG_RETRY);
    bed_judge(3, HG_REJECT);
    bed_done(HG_JUDGED);
    view = view_of(FIRST + 2 * STEP, 1);
    assert_true(view.pending == 0 && view.waiting == 1 && view.parked == 0);
    assert_true(view_of(FIRST, 1).pending + view_of(FIRST, 1).waiting == 0);
    assert_int_equal(bed.p->writing == NULL ? bed.p->add_count : bed.p->writing->add_count, 1);
    view = view_of(FIRST + 3 * STEP, 1);
    assert_true(view.parked == 1 && view.pending == 0); /* open until it can be found as a dead letter */
    assert_false(pusher_drained(bed.p, FIRST + 5 * STEP));
    bed_quiet();
    assert_int_equal(view_of(FIRST + 3 * STEP, 1).parked, 0);
    assert_int_equal(aside_of(FIRST + 3 * STEP)->state, ASIDE_DEAD);
    bed.p->lanes[0].row = 10; /* as a host tells */
    pusher_lag(bed.p, &rows, &bytes);
    assert_true(rows == 990 + 1 && bytes == (uint64_t)998 * STEP);
    bed.set_rows = 2; /* a row set that is passed in the middle */
    bed.p->lanes[0].next.row = 1;
    assert_int_equal(view_of(bed.p->lanes[0].next.position, 2).pending, 1);
}

static uint32_t settles[OUTCOME_COUNT];

static void settle_seen(void *arg, const struct settle_entry *entry)
{
    (void)arg;
    settles[entry->outcome]++;
}

static void test_receipts_of_what_is_not_on_disk(void **state)
{
    (void)state;
    memset(settles, 0, sizeof settles);
    begin();
    bed_take(10);
    bed_judge(1, HG_SKIP);
    bed_judge(2, HG_DUPLICATE);
    bed_judge(4, HG_DUPLICATE);
    bed_judge(5, HG_REJECT);
    bed.now += 1;
    const struct done done = {.result = HG_JUDGED, .rows = 10, .delivered = 6, .listed = 4, .end = bed.end};
    assert_int_equal(pusher_done(bed.p, 0, bed.hand.token, &done, bed.now), ERR_OK);
    pusher_settles(bed.p, settle_seen, NULL);
    assert_true(settles[OUTCOME_SKIPPED] == 1 && settles[OUTCOME_DUPLICATE] == 2 && settles[OUTCOME_DEAD] == 0);
    bed.now += 1000;
    (void)pusher_step(bed.p, bed.now);
    assert_non_null(bed.cp); /* under way: still not on disk */
    memset(settles, 0, sizeof settles);
    pusher_settles(bed.p, settle_seen, NULL);
    assert_true(settles[OUTCOME_SKIPPED] == 1 && settles[OUTCOME_DUPLICATE] == 2);
    assert_int_equal(bed_write(), ERR_OK);
    memset(settles, 0, sizeof settles);
    pusher_settles(bed.p, settle_seen, NULL);
    assert_int_equal(settles[OUTCOME_DUPLICATE], 0);
    assert_int_equal(settle_read(bed.dir, BASE, settle_seen, NULL), ERR_OK);
    assert_true(settles[OUTCOME_DUPLICATE] == 2 && settles[OUTCOME_DEAD] == 1);
    assert_string_equal(outcome_word(OUTCOME_GIVEN_UP), "given-up");
    assert_string_equal(outcome_word(OUTCOME_COUNT), "unknown");
    assert_string_equal(pusher_state_word(PUSHER_STATES), "unknown");
}

/* --- rows that are aside --- */

/* Rows 0 to `count` - 1 of the journal become dead letters. */
static void make_dead(uint32_t count)
{
    bed_take(count + 1);
    for (uint32_t i = 0; i < count; i++)
        bed_judge(i, HG_REJECT);
    bed_done(HG_JUDGED);
    bed_quiet();
    assert_int_equal(bed.p->aside.dead_count, count);
}

static void test_sent_again(void **state)
{
    (void)state;
    begin();
    make_dead(4);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(pusher_dead_retry(bed.p, aside_of(FIRST + i * STEP), (struct slice){NULL, 0}, bed.now),
                         ERR_OK);
    assert_int_equal(pusher_dead_retry(bed.p, aside_of(FIRST + 3 * STEP), SLICE_LIT("{\"n\":1}"), bed.now), ERR_OK);
    bed_take(1);
    bed_done(HG_ALL_OK);
    assert_true(bed.hand.what == HANDED_ASIDE && bed.hand.item_count == 3);
    bed_take(0);
    bed_judge(0, VERDICT_LOST);
    bed_judge(1, HG_REJECT);
    bed_judge(2, HG_SKIP);
    bed_done(HG_JUDGED);
    bed_quiet();
    assert_int_equal(bed.p->counts.lost, 1);
    assert_null(aside_of(FIRST));
    assert_true(aside_of(FIRST + STEP)->state == ASIDE_DEAD && aside_of(FIRST + STEP)->returned == 1);
    assert_null(aside_of(FIRST + 2 * STEP));
    assert_null(aside_of(FIRST + 3 * STEP)); /* it has another id now */
    assert_true(bed.p->aside.parked_count + bed.p->aside.dead_count == 2);
    pusher_dead_drop(bed.p, aside_of(FIRST + STEP));
    bed_quiet();
    bed_restart();
    assert_int_equal(bed.p->aside.dead_count, 0);
    assert_int_equal(bed.p->aside.parked_count, 1);
}

/* A parked row that is refused stays parked while there is no room for it, or the breaker says no. */
static void test_a_parked_row_is_refused(void **state)
{
    (void)state;
    bed.settings.reject_breaker = 2;
    begin();
    bed_take(2);
    assert_true(pusher_set_aside(bed.p, (struct place){FIRST, 0}, FIRST, 5, ASIDE_PARKED, "again and again"));
    bed_done(HG_ALL_OK);
    bed_quiet();
    bed_take(1);
    bed.now += 10;
    bed_done(HG_ALL_OK);
    for (int i = 0; bed.hand.what != HANDED_ASIDE; i++) {
        assert_true(i < 5);
        bed_take(1);
        bed_done(HG_ALL_OK);
    }
    bed_take(0);
    bed_judge(0, HG_REJECT);
    bed.dead_full = true;
    bed_done(HG_JUDGED);
    assert_true(bed.p->broken && aside_of(FIRST)->state == ASIDE_PARKED);
    bed_quiet();
    bed_down(HOST_STOPPED, "");
    bed.dead_full = false;
    bed.p->rejects = 2;
    pusher_pause(bed.p, false, bed.now);
    bed_pass(100);
    bed_ready();
    assert_int_equal(bed.hand.what, HANDED_ASIDE);
    bed.p->rejects = 2; /* as many were refused without one that passed */
    bed_take(0);
    bed_judge(0, HG_REJECT);
    bed_done(HG_JUDGED);
    assert_true(bed.p->broken && strstr(bed.text, "REJECT_BREAKER") != NULL);
    assert_int_equal(aside_of(FIRST)->state, ASIDE_PARKED);
}

/* Rows that are aside are suspected, found, and judged when a neighbour has passed: once there is room. */
static void test_a_row_aside_crashes_it(void **state)
{
    (void)state;
    begin();
    bed_take(2);
    assert_true(pusher_set_aside(bed.p, (struct place){FIRST, 0}, FIRST, 5, ASIDE_PARKED, "again and again"));
    bed_done(HG_ALL_OK);
    bed_quiet();
    bed_take(1);
    bed_done(HG_ALL_OK);
    for (int i = 0; bed.hand.what != HANDED_ASIDE; i++) {
        assert_true(i < 5);
        bed_take(1);
        bed_done(HG_ALL_OK);
    }
    for (int i = 0; !aside_of(FIRST)->suspect; i++) {
        assert_true(i <= LONE_CRASHES_MAX);
        assert_int_equal(bed.hand.what, HANDED_ASIDE);
        bed_take(0);
        bed_again(HOST_CRASHED);
    }
    assert_int_equal(bed.hand.what, HANDED_RANGE); /* a neighbour */
    bed.dead_full = true;
    bed_take(1);
    bed_done(HG_ALL_OK);
    assert_true(bed.p->broken && aside_of(FIRST)->suspect && aside_of(FIRST)->state == ASIDE_PARKED);
    assert_true(bed.p->suspect.position == FIRST);
    bed.dead_full = false;
    bed_down(HOST_STOPPED, "");
    pusher_pause(bed.p, false, bed.now);
    assert_false(aside_of(FIRST)->suspect); /* an operator wants another try */
}

/* Dead weight goes: what is alive in the oldest file is copied, and the file removed. */
static void test_compaction(void **state)
{
    enum { LARGE = 1 << 20, MANY = 40 };
    static struct aside_add adds[MANY];
    struct aside_end end = {0};
    struct err e;
    char path[256];
    (void)state;
    bed.row_bytes = LARGE;
    for (uint32_t i = 0; i < MANY; i++)
        adds[i] =
            (struct aside_add){.place = {1000 + i, 0}, .uuid_hash = 1 + i, .state = ASIDE_DEAD, .reason = "too large"};
    assert_int_equal(aside_append(bed.dir, &end, adds, MANY, NULL, 0, &bed_source, &e), ERR_OK);
    assert_int_equal(bed_open(&e), ERR_OK);
    assert_int_equal(bed.p->aside.dead_count, MANY);
    for (size_t i = 1; i < MANY; i++)
        pusher_dead_drop(bed.p, &bed.p->aside.entries[i]);
    bed_quiet();
    pusher_dirty(bed.p, true);
    bed_quiet();
    pusher_dirty(bed.p, true);
    bed_quiet();
    aside_path(bed.dir, 1, path, sizeof path);
    assert_int_not_equal(access(path, F_OK), 0);
    bed_restart();
    assert_int_equal(bed.p->aside.dead_count, 1);
    struct buf copy;
    struct record record;
    buf_init(&copy, 4 * LARGE);
    assert_int_equal(aside_read(bed.dir, bed.p->aside.entries[0].file, bed.p->aside.entries[0].offset, &copy, &record),
                     ERR_OK);
    assert_int_equal(record_row(&record, 0).len, LARGE);
    assert_true(slice_is(aside_reason(&record), "too large"));
    buf_free(&copy);
}

/* --- forgetting --- */

static int no_open(const char *path, int flags, mode_t mode)
{
    if (strstr(path, "/cursor") == NULL)
        return sys_plain.open(path, flags, mode);
    errno = EIO;
    return -1;
}

static struct sys broken_disk;

static void disk_breaks(void)
{
    broken_disk = sys_plain;
    broken_disk.open = no_open;
    sys = &broken_disk;
}

static void test_forgotten(void **state)
{
    struct err e;
    (void)state;
    begin();
    bed_take(10);
    bed_judge(1, HG_RETRY);
    assert_true(pusher_set_aside(bed.p, (struct place){FIRST, 0}, FIRST, 5, ASIDE_PARKED, "again and again"));
    bed_done(HG_JUDGED);
    pusher_want(bed.p, false, bed.now);
    bed_down(HOST_STOPPED, "");
    bed_quiet();
    const struct journal_mark end = {FIRST + 500 * STEP, 500};
    disk_breaks();
    assert_int_equal(pusher_forget(bed.p, end, &e), ERR_IO);
    assert_true(!bed.p->forgotten && pusher_takes(bed.p, end.position) && !pusher_let_go(bed.p));
    sys = &sys_plain;
    assert_int_equal(pusher_forget(bed.p, end, &e), ERR_OK);
    assert_true(pusher_takes(bed.p, end.position - STEP) && !pusher_takes(bed.p, end.position));
    assert_false(pusher_let_go(bed.p));
    bed_restart(); /* it goes on after a crash */
    assert_true(bed.p->forgotten && pusher_end(bed.p).position == end.position);
    bed_quiet();
    bed_pass(1000);
    bed_quiet();
    assert_true(pusher_let_go(bed.p) && pusher_drained(bed.p, bed.mark.position));
    assert_int_equal(aside_of(FIRST)->state, ASIDE_DEAD);   /* was parked */
    assert_int_equal(bed.p->aside.dead_count, 1 + 1 + 490); /* one waited */
    assert_int_equal(pusher_dead_retry(bed.p, aside_of(FIRST), (struct slice){NULL, 0}, bed.now), ERR_BUSY);
    uint64_t rows, bytes;
    pusher_lag(bed.p, &rows, &bytes);
    assert_true(rows == 0 && bytes == 0);
    disk_breaks();
    assert_int_equal(pusher_register_again(bed.p, bed.mark.position, bed.mark.rows, &e), ERR_IO);
    assert_true(bed.p->forgotten);
    sys = &sys_plain;
    bed_quiet();
    assert_int_equal(pusher_register_again(bed.p, bed.mark.position, bed.mark.rows, &e), ERR_OK);
    assert_true(pusher_takes(bed.p, bed.mark.position) && !pusher_takes(bed.p, bed.mark.position - STEP));
    bed_restart();
    assert_true(!bed.p->forgotten && bed.p->aside.dead_count == 492);
}

/* It had got more workers, and its lanes had not met yet: that must not keep it. */
static void test_forgotten_before_its_lanes_meet(void **state)
{
    struct err e;
    (void)state;
    begin();
    bed_take(10);
    bed_done(HG_ALL_OK);
    pusher_configure(bed.p, &bed.settings, bed.flags, 3);
    assert_int_equal(bed.p->reshard_at, bed.mark.position);
    pusher_want(bed.p, false, bed.now);
    bed_down(HOST_STOPPED, "");
    bed_quiet();
    bed.segments[0].end += 10 * STEP;
    bed.mark = (struct journal_mark){bed.segments[0].end, bed.mark.rows + 10};
    assert_int_equal(pusher_forget(bed.p, bed.mark, &e), ERR_OK);
    bed_quiet();
    assert_true(pusher_let_go(bed.p) && bed.p->aside.dead_count == bed.mark.rows - 10);
}

/* --- replays --- */

static uint64_t replay(struct cursor_replay job)
{
    uint64_t id = 0;
    assert_int_equal(pusher_replay(bed.p, &job, &id), ERR_OK);
    return id;
}

/* Until a replay is handed out. */
static void to_replay(void)
{
    for (int i = 0; bed.hand.what != HANDED_REPLAY; i++) {
        assert_true(i < 5);
        bed_take(1);
        bed_done(HG_ALL_OK);
    }
}

static void test_replays_are_few(void **state)
{
    const struct cursor_replay job = {.next = {FIRST, 0}, .to = FIRST + 10 * STEP};
    uint64_t ids[CURSOR_REPLAYS], id;
    (void)state;
    begin();
    for (uint32_t i = 0; i < CURSOR_REPLAYS; i++)
        ids[i] = replay(job);
    assert_int_equal(pusher_replay(bed.p, &job, &id), ERR_LIMIT);
    pusher_replay_end(bed.p, 999); /* none of that number */
    pusher_replay_end(bed.p, ids[2]);
    assert_string_equal(replay_word(&bed.p->replays[2]), "stopped");
    assert_true(strcmp(bed.event, "replay.ended") == 0 && strcmp(bed.text, "stopped") == 0);
    pusher_replay_end(bed.p, ids[2]);
    id = replay(job); /* in its place */
    assert_true(id > ids[CURSOR_REPLAYS - 1] && bed.p->replay_count == CURSOR_REPLAYS);
    bed_quiet();
    bed_restart();
    assert_int_equal(bed.p->replay_count, CURSOR_REPLAYS);
    assert_int_equal(pusher_replay(bed.p, &job, &id), ERR_LIMIT);
}

static void test_a_replay_that_is_overtaken(void **state)
{
    (void)state;
    begin();
    uint64_t id = replay(
        (struct cursor_replay){.next = {FIRST - 640, 0}, .to = FIRST + 4 * STEP, .row = 0, .to_row = 100, .rate = 2});
    bed.segments[0].first_row = 10; /* what was before it is gone */
    to_replay();
    assert_true(bed.hand.from.position == FIRST && bed.hand.max_rows == 2 && bed.hand.replay == id);
    bed_take(2);
    bed_done(HG_ALL_OK);
    assert_int_equal(bed.p->replays[0].next_due_ms, bed.now + 1000); /* two rows a second */
    bed_pass(1000);
    to_replay();
    bed_take(2);
    bed_judge(0, HG_DUPLICATE);
    bed_done(HG_JUDGED);
    assert_true(bed.p->replays[0].c.gone == 10 && bed.p->replays[0].c.sent == 3 && bed.p->replays[0].c.duplicate == 1);
    assert_string_equal(replay_word(&bed.p->replays[0]), "overtaken");
}

static void test_a_replay_whose_end_is_gone(void **state)
{
    (void)state;
    begin();
    (void)replay((struct cursor_replay){.next = {FIRST - 6400, 0}, .to = FIRST - 64});
    bed_take(1);
    bed_done(HG_ALL_OK);
    bed_take(1);
    bed_done(HG_ALL_OK);
    assert_string_equal(replay_word(&bed.p->replays[0]), "done");
    assert_int_equal(bed.hand.what, HANDED_RANGE);
}

static void test_a_replay_has_no_room(void **state)
{
    (void)state;
    begin();
    (void)replay((struct cursor_replay){.next = {FIRST, 0}, .to = FIRST + 4 * STEP});
    to_replay();
    bed_take(4);
    bed_judge(1, HG_REJECT);
    bed.dead_full = true;
    bed_done(HG_JUDGED);
    assert_true(bed.p->broken && bed.p->replays[0].c.next.position == FIRST + STEP);
    assert_string_equal(replay_word(&bed.p->replays[0]), "running");
}

/* A row that a replay and its own push both refuse is one dead letter, whichever comes first, and however far the other
 * has come by then. */
static void test_refused_by_a_replay_too(void **state)
{
    enum { OWN_FIRST, OWN_WRITING, OWN_LATER, WAYS };
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        bed_fini();
        bed_init(10);
        begin();
        if (way != OWN_LATER) {
            bed_take(5);
            bed_judge(1, HG_REJECT);
            bed.p->checkpoint_at_ms = way == OWN_FIRST ? bed.now + 1000 : bed.now;
            bed_done_only(HG_JUDGED);
            bed.now += way == OWN_WRITING;
        }
        (void)replay((struct cursor_replay){.next = {FIRST, 0}, .to = FIRST + 4 * STEP});
        bed.p->checkpoint_at_ms = way == OWN_FIRST ? bed.now + 1000 : bed.now;
        if (way == OWN_LATER) { /* its own push is under way */
            bed_take(1);
            bed_done_only(HG_ALL_OK);
        }
        bed.p->urgent = false;
        bed.p->replay_turn = false;
        (void)pusher_step(bed.p, bed.now);
        assert_int_equal(bed.hand.what, HANDED_REPLAY);
        assert_true((bed.p->writing != NULL) == (way != OWN_FIRST));
        bed_take(4);
        bed_judge(1, HG_REJECT);
        bed_done_only(HG_JUDGED);
        if (bed.cp != NULL)
            assert_int_equal(bed_write(), ERR_OK);
        bed_pass(0);
        if (way == OWN_LATER) {
            assert_true(bed.hand.what == HANDED_RANGE && bed.hand.from.position == FIRST + STEP);
            bed_take(4);
            bed_judge(0, HG_REJECT);
            bed_done(HG_JUDGED);
        }
        bed_quiet();
        assert_true(bed.p->aside.dead_count == 1 && aside_of(FIRST + STEP)->state == ASIDE_DEAD);
        assert_int_equal(bed_total(TOTAL_DEAD), 1);
        bed_restart();
        assert_int_equal(bed.p->aside.dead_count, 1);
    }
}

/* --- checkpoints --- */

static void test_a_checkpoint_that_fails(void **state)
{
    (void)state;
    begin();
    bed_take(10);
    bed_judge(1, HG_REJECT);
    bed.now += 1000;
    disk_breaks();
    bed_done(HG_JUDGED);
    const struct checkpoint *cp = bed.p->writing;
    assert_true(cp != NULL && bed.p->write_failed && cp->stage == STAGE_CURSOR);
    assert_string_equal(bed.event, "pusher.cursor_failed");
    bed_pass(CHECKPOINT_RETRY_MS - 1);
    assert_null(bed.cp); /* not yet */
    sys = &sys_plain;
    bed.now += 1;
    (void)pusher_step(bed.p, bed.now);
    assert_ptr_equal(bed.cp, cp);
    assert_int_equal(bed_write(), ERR_OK);
    bed_quiet();
    bed_restart();
    assert_int_equal(bed.p->lanes[0].next.position, FIRST + 10 * STEP);
    assert_int_equal(bed.p->aside.dead_count, 1); /* not twice */
}

/* Until a checkpoint begins. */
static int64_t pause_before_it(void)
{
    for (int64_t ms = 0; ms < 10000; ms++) {
        if (bed.cp != NULL) {
            assert_int_equal(bed_write(), ERR_OK);
            return ms;
        }
        bed.now++;
        (void)pusher_step(bed.p, bed.now);
    }
    return -1;
}

/* Each cursor is a sync: with many pushers they share the disk. */
static void test_many_cursors(void **state)
{
    static const struct {
        uint32_t running;
        int64_t pause;
    } cases[] = {{0, 100}, {1, 100}, {2, 100}, {3, 150}, {8, 400}, {20, 1000}, {21, 1000}, {1000, 1000}};
    (void)state;
    begin();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bed.running = cases[i].running;
        for (int round = 0; round < 3; round++) { /* the first pause was that of the number before */
            bed_take(10);
            bed_done_only(HG_ALL_OK);
            int64_t pause = pause_before_it();
            assert_true(round == 0 || pause == cases[i].pause);
        }
    }
    bed_take(10); /* a row set aside can be found only after it, so it does not wait for its share */
    bed_judge(1, HG_REJECT);
    bed_done_only(HG_JUDGED);
    assert_int_equal(pause_before_it(), 100);
    bed_take(10); /* nor is an end waited for */
    bed_done_only(HG_ALL_OK);
    pusher_stop(bed.p);
    assert_int_equal(pause_before_it(), 100);
}

static void test_both_slots_are_lost(void **state)
{
    char junk[2 * CURSOR_SLOT];
    struct err e;
    (void)state;
    bed.register_at = FIRST + 500 * STEP;
    begin();
    bed_quiet();
    assert_false(bed.lost);
    memset(junk, 0x5a, sizeof junk);
    scratch_write(scratch_path(bed.dir, "cursor"), junk, sizeof junk);
    pusher_free(&bed.p);
    assert_int_equal(bed_open(&e), ERR_OK);
    assert_true(bed.lost && bed.p->lanes[0].next.position == FIRST); /* the oldest: a repeat, never a loss */
    assert_int_equal(pusher_register(bed.p, &e), ERR_OK);
    bed_restart();
    assert_false(bed.lost);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_push_does_not_wait),
        TEST(test_what_was_marked_stays),
        TEST(test_one_that_ends_without_rows_is_broken),
        TEST(test_nonsense),
        TEST(test_expedite),
        TEST(test_waiting_rows_take_turns),
        TEST(test_other_clients),
        TEST(test_views_and_lag),
        TEST(test_receipts_of_what_is_not_on_disk),
        TEST(test_sent_again),
        TEST(test_a_parked_row_is_refused),
        TEST(test_a_row_aside_crashes_it),
        TEST(test_compaction),
        TEST(test_forgotten),
        TEST(test_forgotten_before_its_lanes_meet),
        TEST(test_replays_are_few),
        TEST(test_a_replay_that_is_overtaken),
        TEST(test_a_replay_whose_end_is_gone),
        TEST(test_a_replay_has_no_room),
        TEST(test_refused_by_a_replay_too),
        TEST(test_a_checkpoint_that_fails),
        TEST(test_many_cursors),
        TEST(test_both_slots_are_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

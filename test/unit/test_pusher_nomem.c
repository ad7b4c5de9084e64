/* Memory that runs out under a pusher: each allocation of a run fails once, and memory is there again afterwards. Then
 * every row is through, as what the plugin said of it, and nothing is left behind. */
#include "pusher_bed.h"

#include "nomem.h"

enum { ROWS = 60 };

/* What the plugin says of a row: some are refused, skipped, there already; some come twice. */
static uint32_t verdict_of(struct place place, uint32_t attempt)
{
    uint64_t n = (place.position - FIRST) / STEP;
    if (n % 7 == 1 && attempt < PARK_ATTEMPTS + 2) /* it is parked meanwhile */
        return HG_RETRY;
    return n % 7 == 2 ? HG_REJECT : n % 7 == 3 ? HG_SKIP : n % 7 == 4 ? HG_DUPLICATE : HG_OK;
}

/* A hand-out that has come is pushed. False: the host ended for want of memory, as its messages could not be kept. */
static bool push(void)
{
    const uint64_t left = (bed.hand.limit - bed.hand.from.position) / STEP;
    const uint32_t most = bed.hand.exact ? (uint32_t)((bed.hand.to.position - bed.hand.from.position) / STEP) : 10;
    bed_take(left < most ? (uint32_t)left : most);
    if (bed.p->workers[0].go != GO_NOT_NEEDED)
        bed_quiet(); /* its plan comes first */
    for (uint32_t i = 0; i < bed.rows; i++) {
        uint32_t verdict = verdict_of(bed_place(i), bed_is_list() ? bed.items[i].attempt : bed.hand.attempt);
        if (verdict == HG_OK && !bed_is_list())
            continue;
        if (bed_tell(i, verdict) != ERR_OK)
            return false;
    }
    bed_done(HG_JUDGED);
    return true;
}

static bool settled(void)
{
    return pusher_drained(bed.p, bed.mark.position) && !bed.p->dirty && bed.p->writing == NULL;
}

static bool replayed(void)
{
    return bed.p->replay_count > 0 && bed.p->replays[0].end != REPLAY_RUNS;
}

/* The daemon's part until all is through, and some of it was replayed. */
static void drain(void)
{
    for (int i = 0; !settled() || !replayed(); i++) {
        assert_true(i < 2000);
        if (settled() && bed.p->replay_count == 0) {
            uint64_t id;
            const struct cursor_replay job = {.next = {FIRST, 0}, .to = FIRST + 5 * STEP};
            assert_int_equal(pusher_replay(bed.p, &job, &id), ERR_OK);
        }
        bed_pass(100);
        if (bed.p->host == HOST_STARTING)
            bed_ready();
        if (bed.p->workers[0].busy && !push())
            bed_down(HOST_KILLED, "no memory");
    }
}

/* An operator edits one dead letter and drops another. */
static void operate(void)
{
    struct aside *a = &bed.p->aside;
    for (size_t i = 0, done = 0; i < a->count && done < 1; i++)
        if (a->entries[i].state == ASIDE_DEAD) {
            int code = pusher_dead_retry(bed.p, &a->entries[i], SLICE_LIT("{\"n\":1}"), bed.now);
            assert_true(code == ERR_OK || code == ERR_NOMEM);
            assert_int_equal(a->entries[i].state, code == ERR_OK ? ASIDE_GONE : ASIDE_DEAD);
            done++;
        }
    drain();
}

static int run(void)
{
    struct err e = {.text = ""};
    int code = bed_open(&e);
    if (code != ERR_OK) {
        assert_true(code == ERR_NOMEM && bed.p == NULL && e.text[0] != '\0');
        return code;
    }
    pusher_want(bed.p, true, bed.now);
    drain();
    operate();
    return ERR_OK;
}

static void again(void)
{
    nomem.left = -1;
    assert_int_equal(run(), ERR_OK);
}

/* With memory that fails at the n-th call; true: it was not so many. */
static bool run_failing(long n)
{
    nomem.left = n;
    if (run() != ERR_OK)
        again();
    bool done = nomem.left >= 0;
    nomem.left = -1;
    bed_quiet();
    pusher_free(&bed.p);
    return done;
}

/* Sent again: the one that was edited is refused once more, as its place says. */
static void expect_all(void)
{
    struct err e;
    assert_int_equal(bed_open(&e), ERR_OK);
    uint64_t dead = 0, skipped = 0, duplicate = 0;
    for (uint32_t n = 0; n < ROWS; n++) {
        dead += n % 7 == 2;
        skipped += n % 7 == 3;
        duplicate += n % 7 == 4;
    }
    assert_int_equal(bed.p->lanes[0].next.position, bed.mark.position);
    assert_true(bed.p->waiting.count == 0 && bed.p->aside.parked_count == 0);
    assert_true(bed_total(TOTAL_SKIPPED) >= skipped && bed_total(TOTAL_DUPLICATE) >= duplicate);
    assert_true(bed_total(TOTAL_DELIVERED) >= ROWS - dead - skipped - duplicate);
    for (uint32_t n = 0; n < ROWS; n++) { /* each that was refused is there, but for the one that was edited */
        uint64_t position = FIRST + (uint64_t)n * STEP;
        size_t copies = 0;
        for (size_t i = 0; i < bed.p->aside.count; i++)
            copies += bed.p->aside.entries[i].place.position == position;
        assert_int_equal(copies, n % 7 == 2);
    }
    pusher_free(&bed.p);
}

static void each_allocation(uint32_t flags, uint32_t workers)
{
    bool done = false;
    long n = 0;
    for (; !done; n++) {
        assert_true(n < 5000);
        bed_init(ROWS);
        bed.flags = flags;
        bed.workers = workers;
        nomem.live = 0;
        nomem.counting = true;
        done = run_failing(n);
        nomem.counting = false;
        if (nomem.live != 0)
            fail_msg("%ld blocks left behind when allocation %ld failed", nomem.live, n);
        expect_all();
        scratch_remove(&bed.dir);
    }
    print_message("%ld allocations, each failed once\n", n - 1);
    assert_true(n > 50);
}

static void test_rows(void **state)
{
    (void)state;
    if (!NOMEM)
        skip();
    each_allocation(0, 1);
}

static void test_stable_batches(void **state)
{
    (void)state;
    if (!NOMEM)
        skip();
    each_allocation(HG_STABLE_BATCH, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_stable_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

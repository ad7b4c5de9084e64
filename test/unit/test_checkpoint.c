/* Checkpoints, written stage by stage: what was given up is found in the journal, a lane that ends with its segment, a
 * set that is damaged, a journal that cannot be read just now; what failed goes on where it was. */
#include "pusher_bed.h"

static int setup(void **state)
{
    (void)state;
    bed_init(20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(&bed.dir);
    return 0;
}

static struct checkpoint *checkpoint_of(const struct sweep *sweeps, size_t count)
{
    struct checkpoint *cp = calloc(1, sizeof *cp);
    assert_non_null(cp);
    cp->dir = strdup(bed.dir);
    cp->source = &bed_source;
    cp->cursor.sequence = 1;
    cp->cursor.lane_count = 1;
    cp->cursor.lanes[0] = (struct place){FIRST, 0};
    cp->cursor.plans[0].there = true;
    cp->sweeps = calloc(count, sizeof *sweeps);
    memcpy(cp->sweeps, sweeps, count * sizeof *sweeps);
    cp->sweep_count = count;
    return cp;
}

static struct sweep lane_to(uint64_t to, bool dead)
{
    return (struct sweep){.dead = dead,
                          .shard_count = 1,
                          .from = {FIRST, 0},
                          .limit = bed.segments[0].end,
                          .to = to,
                          .base = BASE,
                          .why = "an operator let it go"};
}

static struct cursor cursor_now(void)
{
    static struct cursor c;
    struct err e;
    assert_int_equal(cursor_read(bed.dir, &c, &e), ERR_OK);
    cursor_fini(&c);
    return c;
}

static void test_a_lane_to_its_end(void **state)
{
    struct err e;
    (void)state;
    const struct sweep s = lane_to(FIRST + 20 * STEP, false);
    struct checkpoint *cp = checkpoint_of(&s, 1);
    cp->sweeps[0].from.position = FIRST + 19 * STEP + 8; /* nothing more begins before the limit */
    assert_int_equal(checkpoint_write(cp, &e), ERR_OK);
    assert_true(cp->sweeps[0].rows == 0 && cp->sweeps[0].end.position == bed.segments[0].end);
    checkpoint_free(&cp);
    assert_int_equal(cursor_now().lanes[0].position, bed.segments[0].end);
}

static void test_the_first_row_that_stays(void **state)
{
    struct err e;
    (void)state;
    const struct sweep s = lane_to(FIRST + 5 * STEP + 8, true);
    struct checkpoint *cp = checkpoint_of(&s, 1);
    assert_int_equal(checkpoint_write(cp, &e), ERR_OK);
    assert_true(cp->sweeps[0].rows == 6 && cp->swept_count == 6 && cp->sweeps[0].end.position == FIRST + 6 * STEP);
    checkpoint_free(&cp);
    const struct cursor c = cursor_now();
    assert_true(c.lanes[0].position == FIRST + 6 * STEP && c.totals[TOTAL_DEAD] == 6 && !c.plans[0].there);
}

/* What the journal cannot give for now is tried again; what it has lost is passed by. */
static void test_a_journal_that_cannot_be_read(void **state)
{
    struct err e = {.text = ""};
    (void)state;
    const struct sweep sweeps[] = {lane_to(FIRST + 3 * STEP, true),
                                   {.set = true, .dead = true, .attempts = 4, .from = {FIRST - 640, 0}, .base = BASE}};
    struct checkpoint *cp = checkpoint_of(sweeps, 2);
    bed.unreadable = ERR_IO;
    assert_int_equal(checkpoint_write(cp, &e), ERR_IO);
    assert_true(strstr(e.text, "given up") != NULL && cp->swept_count == 0 && cp->stage == STAGE_SWEEP);
    bed.unreadable = ERR_OK;
    assert_int_equal(checkpoint_write(cp, &e), ERR_OK);
    assert_true(cp->swept_count == 4 && cp->swept_settles[3].attempts == 4);
    checkpoint_free(&cp);
    const struct cursor before = cursor_now();
    assert_true(before.totals[TOTAL_DEAD] == 4 && before.lanes[0].position == FIRST + 3 * STEP);
    const struct sweep lost = {.set = true, .dead = true, .attempts = 4, .from = {FIRST, 0}, .base = BASE};
    cp = checkpoint_of(&lost, 1);
    cp->cursor.sequence = 2;
    bed.unreadable = ERR_GONE;
    assert_int_equal(checkpoint_write(cp, &e), ERR_OK);
    assert_true(cp->sweeps[0].rows == 0 && cp->swept_count == 0);
    checkpoint_free(&cp);
}

/* A stage that is done is not done again. */
static void test_goes_on_where_it_was(void **state)
{
    struct err e;
    struct aside a;
    uint32_t damaged;
    (void)state;
    const struct sweep s = lane_to(FIRST + 3 * STEP, true);
    struct checkpoint *cp = checkpoint_of(&s, 1);
    const char *cursor = scratch_path(bed.dir, "cursor");
    assert_int_equal(sys->mkdir(cursor, 0750), 0); /* where the cursor should be there is something else */
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(checkpoint_write(cp, &e), ERR_OK);
        assert_int_equal(cp->stage, STAGE_CURSOR);
    }
    assert_int_equal(sys->rmdir(cursor), 0);
    assert_int_equal(checkpoint_write(cp, &e), ERR_OK);
    checkpoint_free(&cp);
    assert_int_equal(aside_open(&a, bed.dir, &damaged, &e), ERR_OK);
    assert_int_equal(a.dead_count, 3);
    aside_close(&a);
    assert_int_equal(cursor_now().totals[TOTAL_DEAD], 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_lane_to_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_first_row_that_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_journal_that_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_on_where_it_was, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

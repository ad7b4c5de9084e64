/* Trials of a disk that nobody writes rows to: asked for, done by the helper's step, told by the health. The clock and
 * the disk's answers are the test's. */
#include "journal_bed.h"

static struct sys table;
static int64_t now_ms;
static int open_error, write_error, sync_error; /* of the trial's file; 0: well */
static int trial_fd, trials;                    /* its descriptor; how many pages were written */

static int trial_clock(clockid_t which, struct timespec *out)
{
    int64_t ms = now_ms + (which == CLOCK_REALTIME ? INT64_C(1700000000000) : 0);
    *out = (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    return 0;
}

static int trial_open(const char *path, int flags, mode_t mode)
{
    bool its = strlen(path) > 6 && strcmp(path + strlen(path) - 6, "/trial") == 0;
    if (its && open_error != 0) {
        errno = open_error;
        return -1;
    }
    int fd = sys_plain.open(path, flags, mode);
    trial_fd = its ? fd : trial_fd;
    return fd;
}

static ssize_t trial_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    if (fd == trial_fd && write_error != 0) {
        errno = write_error;
        return -1;
    }
    trials += fd == trial_fd;
    return sys_plain.pwritev(fd, parts, count, at);
}

static int trial_fdatasync(int fd)
{
    errno = sync_error;
    return fd == trial_fd && sync_error != 0 ? -1 : 0;
}

static int trial_close(int fd)
{
    trial_fd = fd == trial_fd ? -1 : trial_fd;
    return sys_plain.close(fd);
}

static int setup(void **state)
{
    struct bed *b = malloc(sizeof *b);
    assert_non_null(b);
    table = sys_plain;
    table.clock = trial_clock;
    table.open = trial_open;
    table.pwritev = trial_pwritev;
    table.fdatasync = trial_fdatasync;
    table.close = trial_close;
    sys = &table;
    open_error = write_error = sync_error = trials = 0;
    trial_fd = -1;
    now_ms = 1000000;
    bed_init(b);
    struct err e;
    assert_int_equal(journal_open_quiet(&b->j, &b->options, &b->report, &e), ERR_OK);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;
    journal_free(&b->j);
    bed_fini(b);
    free(b);
    sys = &sys_plain;
    return 0;
}

static void help(struct bed *b)
{
    int64_t wait;
    while (helper_step(b->j, &wait))
        ;
}

static int health(struct bed *b, char text[256])
{
    struct journal_health h;
    journal_health(b->j, &h);
    assert_int_equal(h.intake, ERR_OK); /* whatever a trial says */
    memcpy(text, h.trial_text, sizeof h.trial_text);
    return h.trial;
}

/* After `ms`, someone asks and the helper has its time. */
static int later(struct bed *b, int64_t ms, char text[256])
{
    now_ms += ms;
    journal_try(b->j);
    help(b);
    return health(b, text);
}

static void only_when_nothing_else_shows_it(void **state)
{
    struct bed *b = *state;
    char text[256];
    assert_int_equal(later(b, 4999, text), ERR_OK);
    assert_int_equal(trials, 0); /* the start has shown it */
    assert_int_equal(later(b, 1, text), ERR_OK);
    assert_int_equal(trials, 1);
    now_ms += 3600 * 1000;
    help(b);
    assert_int_equal(trials, 1); /* nobody asks */
    assert_int_equal(later(b, 0, text), ERR_OK);
    assert_int_equal(later(b, 4999, text), ERR_OK);
    assert_int_equal(trials, 2);

    struct put p; /* a group that is synced is a trial too */
    put_init(&p, 1, ++b->serial, 10, NULL);
    p.entry.queue = &b->queue;
    assert_int_equal(journal_append(b->j, &p.entry), ERR_OK);
    (void)commit_step(b->j);
    assert_ptr_equal(commit_take(&b->queue), &p.entry);
    assert_int_equal(p.entry.status, ERR_OK);
    put_fini(&p);
    assert_int_equal(later(b, 4999, text), ERR_OK);
    assert_int_equal(trials, 2);
    assert_int_equal(later(b, 1, text), ERR_OK);
    assert_int_equal(trials, 3);
}

static void each_way_to_fail(void **state)
{
    struct bed *b = *state;
    int *const ways[] = {&open_error, &write_error, &sync_error};
    static const int errors[] = {EIO, EROFS};
    char text[256];
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        for (size_t k = 0; k < COUNT_OF(errors); k++) {
            uint64_t told = b->wakes;
            *ways[i] = errors[k];
            assert_int_not_equal(later(b, 5000, text), ERR_OK);
            assert_non_null(strstr(text, strerror(errors[k])));
            assert_true(b->wakes > told); /* `changed` was called */
            *ways[i] = 0;
            assert_int_not_equal(later(b, b->options.retry_ms - 1, text), ERR_OK); /* not tried again yet */
            told = b->wakes;
            assert_int_equal(later(b, 1, text), ERR_OK);
            assert_true(b->wakes > told);
        }
}

static void what_is_short_is_no_failure(void **state)
{
    struct bed *b = *state;
    static const int errors[] = {ENOSPC, EDQUOT, EMFILE, ENOMEM};
    char text[256];
    for (size_t k = 0; k < COUNT_OF(errors); k++) {
        open_error = errors[k];
        assert_int_equal(later(b, 5000, text), ERR_OK);
    }
}

static void rows_that_are_synced_end_it(void **state)
{
    struct bed *b = *state;
    char text[256];
    write_error = EIO;
    assert_int_equal(later(b, 5000, text), ERR_IO);
    struct put p;
    put_init(&p, 1, ++b->serial, 10, NULL);
    p.entry.queue = &b->queue;
    assert_int_equal(journal_append(b->j, &p.entry), ERR_OK); /* rows are not refused for it */
    (void)commit_step(b->j);
    assert_ptr_equal(commit_take(&b->queue), &p.entry);
    assert_int_equal(p.entry.status, ERR_OK);
    put_fini(&p);
    assert_int_equal(health(b, text), ERR_OK);
}

static void a_disk_that_does_not_answer(void **state)
{
    struct bed *b = *state;
    char text[256];
    now_ms += 5000;
    journal_try(b->j); /* and the helper does not come back */
    now_ms += 29999;
    assert_int_equal(health(b, text), ERR_OK);
    now_ms += 1;
    assert_int_equal(health(b, text), ERR_TIMEOUT);
    assert_non_null(strstr(text, "30 seconds"));
    help(b);
    assert_int_equal(health(b, text), ERR_OK);
}

static void its_file_is_no_part_of_the_journal(void **state)
{
    struct bed *b = *state;
    char text[256];
    assert_int_equal(later(b, 5000, text), ERR_OK);
    for (int n = 0; n < 2; n++) {
        struct err e;
        journal_free(&b->j);
        assert_int_equal(journal_open_quiet(&b->j, &b->options, &b->report, &e), ERR_OK);
        assert_int_equal(b->report.damages, 0);
    }
    assert_int_equal(later(b, 5000, text), ERR_OK);
    assert_int_equal(trials, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_when_nothing_else_shows_it, setup, teardown),
        cmocka_unit_test_setup_teardown(each_way_to_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_short_is_no_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_that_are_synced_end_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_does_not_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(its_file_is_no_part_of_the_journal, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A request that is alone is committed on the thread that asks; whenever something speaks against it, on the commit
 * thread. Which thread synced is seen in the table of system calls; how long that took is what the test's clock says.
 */
#include "journal_bed.h"

#include <stdatomic.h>

enum { QUICK_US = 100, SLOW_US = 5000 };

static atomic_llong now_us = 1000000;
static atomic_int sync_us, syncs_here, syncs_there, failing, queue_wakes;
static pthread_t here;

static int lone_clock(clockid_t which, struct timespec *out)
{
    long long us = atomic_fetch_add(&now_us, 1);
    if (which != CLOCK_MONOTONIC)
        return clock_gettime(which, out);
    *out = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return 0;
}

static int lone_fdatasync(int fd)
{
    (void)fd;
    atomic_fetch_add(pthread_equal(pthread_self(), here) ? &syncs_here : &syncs_there, 1);
    atomic_fetch_add(&now_us, atomic_load(&sync_us));
    if (atomic_exchange(&failing, 0) == 0)
        return 0;
    errno = EIO;
    return -1;
}

void sys_hook(void)
{
    static struct sys table;
    table = sys_plain;
    table.clock = lone_clock;
    table.fdatasync = lone_fdatasync;
    sys = &table;
}

static void queue_wake(void *arg)
{
    atomic_fetch_add(&queue_wakes, 1);
    bed_wake(arg);
}

static void start(struct bed *b)
{
    here = pthread_self();
    atomic_store(&sync_us, QUICK_US);
    bed_init(b);
    b->queue.wake = queue_wake;
    bed_open(b);
}

static void entry_make(struct bed *b, struct put *p, size_t size)
{
    put_init(p, 1, ++b->serial, size, NULL);
    p->entry.queue = &b->queue;
    assert_int_equal(journal_put(b->j, &p->entry), ERR_OK);
}

static void entry_end(struct bed *b, struct put *p, int status)
{
    struct journal_entry *done = NULL;
    bed_wait(b, queue_filled, &done);
    assert_ptr_equal(done, &p->entry);
    assert_null(done->next);
    assert_int_equal(p->entry.status, status);
    if (status == ERR_OK)
        bed_remember(b, p);
    put_fini(p);
}

/* One request, put and committed; true: on this thread. A committed one must be back at once then, unwoken. */
static bool lone(struct bed *b, size_t size, int status)
{
    struct put p;
    int before = atomic_load(&syncs_here), others = atomic_load(&syncs_there), wakes = atomic_load(&queue_wakes);
    entry_make(b, &p, size);
    bool was_here = journal_commit_here(b->j, &b->queue);
    if (was_here)
        assert_ptr_equal(atomic_load(&b->queue.done), &p.entry);
    entry_end(b, &p, status);
    assert_int_equal(atomic_load(&syncs_here) - before, was_here);
    assert_int_equal(atomic_load(&syncs_there) - others, !was_here);
    if (was_here)
        assert_int_equal(atomic_load(&queue_wakes), wakes);
    return was_here;
}

/* Until the disk is known to be quick and the journal idle. The commit thread lays the writer down a moment after its
 * entry is back, and looks once more for work a moment after that: what is put just then it takes, alone or not. So a
 * test that wants the next one here too settles and tries until it was. */
static void settle(struct bed *b)
{
    atomic_store(&sync_us, QUICK_US);
    while (!lone(b, 100, ERR_OK))
        ;
}

static void test_alone_is_committed_here(void **state)
{
    (void)state;
    struct bed b;
    start(&b);
    assert_false(lone(&b, 100, ERR_OK)); /* how quick the disk is, nobody knows yet */
    settle(&b);
    for (int n = 0; n < 500; n++) /* several segments: at an end the helper may be asked for the next one */
        settle(&b);
    assert_true(atomic_load(&syncs_here) >= 500);
    bed_expect_all(&b);
    bed_reopen(&b);
    bed_expect_all(&b);
    bed_fini(&b);
}

static void test_a_slow_disk(void **state)
{
    (void)state;
    struct bed b;
    start(&b);
    do {
        settle(&b);
        atomic_store(&sync_us, SLOW_US);
    } while (!lone(&b, 100, ERR_OK)); /* the first slow one is not foreseen */
    for (int n = 0; n < 5; n++)
        assert_false(lone(&b, 100, ERR_OK));
    bed_fini(&b);
}

static void test_large_ones_are_not(void **state)
{
    (void)state;
    struct bed b;
    start(&b);
    b.options.segment_bytes = 1 << 20;
    b.options.max_bytes = 64 << 20;
    journal_close(&b.j);
    bed_open(&b);
    do
        settle(&b);
    while (!lone(&b, 60000, ERR_OK));
    assert_false(lone(&b, 66000, ERR_OK));
    bed_fini(&b);
}

/* As if a commit were under way. */
static void writer_hold(struct bed *b, bool hold)
{
    journal_lock(b->j);
    assert_int_equal(b->j->committing, !hold);
    b->j->committing = hold;
    journal_unlock(b->j);
}

static void test_two_are_not_alone(void **state)
{
    (void)state;
    struct bed b;
    struct put first, second;
    start(&b);
    settle(&b);
    int before = atomic_load(&syncs_here);
    writer_hold(&b, true); /* nobody takes the first before the second is there */
    entry_make(&b, &first, 100);
    entry_make(&b, &second, 100);
    writer_hold(&b, false);
    assert_false(journal_commit_here(b.j, &b.queue));
    struct journal_entry *done = NULL;
    do
        bed_wait(&b, queue_filled, &done);
    while (done->next == NULL);
    assert_ptr_equal(done, &first.entry);
    assert_ptr_equal(done->next, &second.entry);
    bed_remember(&b, &first);
    bed_remember(&b, &second);
    put_fini(&first);
    put_fini(&second);
    assert_int_equal(atomic_load(&syncs_here), before);
    assert_false(lone(&b, 100, ERR_OK)); /* the group before had two */
    settle(&b);
    bed_expect_all(&b);
    bed_fini(&b);
}

static void test_of_another_loop(void **state)
{
    (void)state;
    struct bed b;
    struct put p;
    start(&b);
    settle(&b);
    struct commit_queue other = {.wake = bed_wake, .arg = &b};
    entry_make(&b, &p, 100);
    assert_false(journal_commit_here(b.j, &other)); /* its owner has to be woken */
    entry_end(&b, &p, ERR_OK);
    bed_fini(&b);
}

static void test_other_durabilities(void **state)
{
    (void)state;
    struct bed b;
    struct put p;
    start(&b);
    settle(&b);
    b.options.durability = DURABILITY_NONE;
    journal_reconfigure(b.j, &b.options);
    entry_make(&b, &p, 100);
    assert_false(journal_commit_here(b.j, &b.queue));
    entry_end(&b, &p, ERR_OK);
    bed_fini(&b);
}

static void test_woken_or_closed_it_is_committed_too(void **state)
{
    (void)state;
    struct bed b;
    struct put p;
    start(&b);
    settle(&b);
    entry_make(&b, &p, 100);
    journal_wake(b.j);
    entry_end(&b, &p, ERR_OK);
    entry_make(&b, &p, 100);
    journal_close(&b.j);
    entry_end(&b, &p, ERR_OK);
    bed_open(&b);
    bed_expect_all(&b);
    bed_fini(&b);
}

static void test_a_failed_sync(void **state)
{
    (void)state;
    struct bed b;
    start(&b);
    struct journal_health health;
    unsigned failed = 0;
    for (bool was_here = false; !was_here;) {
        settle(&b);
        atomic_store(&failing, 1);
        was_here = lone(&b, 100, ERR_IO);
        for (journal_health(b.j, &health); health.intake != ERR_OK; journal_health(b.j, &health)) {
            atomic_fetch_add(&now_us, 10000); /* a fresh segment is tried after a while */
            sched_yield();
        }
        assert_int_equal(health.voided, ++failed);
    }
    settle(&b);
    bed_expect_all(&b);
    bed_reopen(&b);
    bed_expect_all(&b);
    bed_fini(&b);
}

/* --- with others beside it --- */

enum { EACH = 4000 };

static void *beside(void *arg)
{
    struct bed *b = arg;
    struct bed mine = {.j = b->j, .queue = {.wake = bed_wake, .arg = &mine}, .serial = 1000000};
    pthread_mutex_init(&mine.lock, NULL);
    pthread_cond_init(&mine.wake, NULL);
    mine.queue.arg = &mine;
    for (int n = 0; n < EACH; n++)
        CHECK(bed_put(&mine, 1, (size_t)n % 300) == ERR_OK);
    pthread_mutex_lock(&b->lock);
    while (mine.fact_count > 0) {
        b->facts = realloc(b->facts, (b->fact_count + 1) * sizeof *b->facts);
        CHECK(b->facts != NULL);
        b->facts[b->fact_count++] = mine.facts[--mine.fact_count];
    }
    b->fact_cap = b->fact_count;
    pthread_mutex_unlock(&b->lock);
    free(mine.facts);
    pthread_mutex_destroy(&mine.lock);
    pthread_cond_destroy(&mine.wake);
    return NULL;
}

static int by_position(const void *a, const void *b)
{
    uint64_t x = ((const struct fact *)a)->position, y = ((const struct fact *)b)->position;
    return (x > y) - (x < y);
}

static void test_beside_the_commit_thread(void **state)
{
    (void)state;
    struct bed b, ours;
    pthread_t thread;
    start(&b);
    b.options.max_bytes = 512 * BED_SEGMENT;
    b.options.keep_bytes = 500 * BED_SEGMENT;
    journal_reconfigure(b.j, &b.options);
    memset(&ours, 0, sizeof ours);
    pthread_mutex_init(&ours.lock, NULL);
    pthread_cond_init(&ours.wake, NULL);
    ours.j = b.j;
    ours.queue = (struct commit_queue){.wake = bed_wake, .arg = &ours};
    assert_int_equal(pthread_create(&thread, NULL, beside, &b), 0);
    int taken = 0;
    size_t count = 0;
    for (; count < EACH || taken == 0; count++) { /* on a busy machine perhaps none before the other one is done */
        struct put p;
        entry_make(&ours, &p, count % 300);
        taken += journal_commit_here(b.j, &ours.queue);
        entry_end(&ours, &p, ERR_OK);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    b.facts = realloc(b.facts, (b.fact_count + ours.fact_count) * sizeof *b.facts);
    assert_non_null(b.facts);
    memcpy(b.facts + b.fact_count, ours.facts, ours.fact_count * sizeof *ours.facts);
    b.fact_count = b.fact_cap = b.fact_count + ours.fact_count;
    assert_int_equal(b.fact_count, EACH + count);
    qsort(b.facts, b.fact_count, sizeof *b.facts, by_position);
    bed_expect_all(&b);
    bed_reopen(&b);
    bed_expect_all(&b);
    free(ours.facts);
    bed_fini(&b);
}

int main(void)
{
    sys_hook();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_is_committed_here),
        cmocka_unit_test(test_a_slow_disk),
        cmocka_unit_test(test_large_ones_are_not),
        cmocka_unit_test(test_two_are_not_alone),
        cmocka_unit_test(test_of_another_loop),
        cmocka_unit_test(test_other_durabilities),
        cmocka_unit_test(test_woken_or_closed_it_is_committed_too),
        cmocka_unit_test(test_a_failed_sync),
        cmocka_unit_test(test_beside_the_commit_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

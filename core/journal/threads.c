/* The two threads of a journal: thin drivers that wait for work and call the steps; and the loop that takes the commit
 * thread's place for a group of one.
 *
 * Condition variables wait on the monotonic clock, so a jump of the wall clock neither hangs nor hurries anything.
 * Close lets the commit thread finish what is queued while the helper still makes segments for it, then ends the
 * helper. */
#include "base/sys.h"
#include "journal/state.h"

#include <errno.h>

void helper_call(struct journal *j)
{
    j->chores_waiting = true;
    CHECK(pthread_cond_signal(&j->chores) == 0);
}

void commit_call(struct journal *j)
{
    CHECK(pthread_cond_signal(&j->work) == 0);
}

/* Under the lock; -1: for ever. */
static void wait_ms(struct journal *j, pthread_cond_t *on, int64_t ms)
{
    if (ms < 0) {
        CHECK(pthread_cond_wait(on, &j->lock) == 0);
        return;
    }
    struct timespec until;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    int code = pthread_cond_timedwait(on, &j->lock, &until);
    CHECK(code == 0 || code == ETIMEDOUT);
}

/* --- commit --- */

enum { LONE_BYTES = 64 * 1024, LONE_SYNC_NS = 500 * 1000 };

/* Under the lock. */
static bool commit_has_work(const struct journal *j)
{
    if (j->state == COMMIT_SEGMENT)
        return j->prepared_count > 0 || j->intake != ERR_OK;
    return j->queue != NULL || j->closing || j->state == COMMIT_MORE;
}

/* Milliseconds until there may be something to do; 0: now, -1: not before someone says so. Under the lock. */
static int64_t commit_due(const struct journal *j)
{
    if (j->committing)
        return -1;
    if (commit_has_work(j))
        return 0;
    if (j->state != COMMIT_SYNC_DUE)
        return -1;
    int64_t ms = j->writer.sync_due_ms - clock_ms();
    return ms < 0 ? 0 : ms;
}

/* Wait for work and take the writer; false: all is done and the journal is closed. */
static bool writer_take(struct journal *j)
{
    journal_lock(j);
    for (int64_t ms = commit_due(j); ms != 0; ms = commit_due(j))
        wait_ms(j, &j->work, ms);
    bool more = !j->closing || j->queue != NULL || j->state == COMMIT_SEGMENT || j->state == COMMIT_MORE;
    j->committing = true;
    journal_unlock(j);
    return more;
}

static void writer_give(struct journal *j, enum commit_state state)
{
    journal_lock(j);
    j->state = state;
    j->committing = false;
    journal_unlock(j);
}

static void *commit_run(void *arg)
{
    struct journal *j = arg;
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    while (writer_take(j))
        writer_give(j, commit_step(j));
    commit_finish(j);
    return NULL;
}

/* --- in the commit thread's place --- */

void journal_wake(struct journal *j)
{
    journal_lock(j);
    commit_call(j);
    journal_unlock(j);
}

/* One small entry waits, nobody commits, the group before was no larger, and the disk is quick. Under the lock. */
static bool commit_is_lone(const struct journal *j)
{
    const struct writer *w = &j->writer;
    return !j->committing && !j->closing && j->state == COMMIT_IDLE && j->options.durability == DURABILITY_FSYNC &&
           j->queue != NULL && j->queue->next == NULL && j->queue->length <= LONE_BYTES && w->lonely &&
           w->sync_ns > 0 && w->sync_ns < LONE_SYNC_NS;
}

bool journal_commit_here(struct journal *j, struct commit_queue *own)
{
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    journal_lock(j);
    bool lone = commit_is_lone(j) && j->queue->queue == own;
    if (lone)
        j->committing = true;
    else
        commit_call(j);
    journal_unlock(j);
    if (!lone)
        return false;
    j->writer.own = own;
    enum commit_state state = commit_one(j);
    j->writer.own = NULL;
    journal_lock(j);
    j->state = state;
    j->committing = false;
    if (state != COMMIT_IDLE || j->queue != NULL || j->closing)
        commit_call(j);
    journal_unlock(j);
    return state != COMMIT_SEGMENT; /* there is none ready: the entry is still to be written */
}

/* --- helper --- */

enum { LINGER_POLL_MS = 60 * 1000 };

static void sooner(int64_t *wait, int64_t ms)
{
    if (ms >= 0 && (*wait < 0 || ms < *wait))
        *wait = ms;
}

static int64_t helper_wait(struct journal *j)
{
    int64_t wait = -1, now_us = clock_wall_us();
    journal_lock(j);
    if (j->prepared_count < prepare_ahead(j) || j->discarded != NULL)
        sooner(&wait, j->options.retry_ms);
    for (uint32_t i = 0; i < j->count; i++)
        if (j->table[i]->sealed_us != 0 && !j->table[i]->indexed)
            sooner(&wait, j->options.retry_ms);
    int64_t linger = retain_wait(j, now_us);
    sooner(&wait, linger > LINGER_POLL_MS ? LINGER_POLL_MS : linger); /* the wall clock may jump */
    journal_unlock(j);
    return wait;
}

bool helper_step(struct journal *j, int64_t *wait)
{
    int64_t now = clock_ms();
    if (trial_step(j, now) || discard_step(j, now) || prepare_step(j, now) || index_step(j, now) || retire_step(j))
        return true;
    *wait = helper_wait(j);
    return false;
}

static bool helper_stopping(struct journal *j, int64_t wait)
{
    journal_lock(j);
    if (!j->chores_waiting && !j->stopping)
        wait_ms(j, &j->chores, wait);
    j->chores_waiting = false;
    bool stop = j->stopping;
    journal_unlock(j);
    return stop;
}

static void *helper_run(void *arg)
{
    struct journal *j = arg;
    int64_t wait = 0;
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    do
        if (helper_step(j, &wait))
            wait = 0;
    while (!helper_stopping(j, wait));
    return NULL;
}

/* --- both --- */

int journal_start(struct journal *j)
{
    if (pthread_create(&j->helper_thread, NULL, helper_run, j) != 0)
        return ERR_NOMEM;
    if (pthread_create(&j->commit_thread, NULL, commit_run, j) != 0) {
        journal_lock(j);
        j->stopping = true;
        helper_call(j);
        journal_unlock(j);
        CHECK(pthread_join(j->helper_thread, NULL) == 0);
        return ERR_NOMEM;
    }
    j->started = true;
    return ERR_OK;
}

void journal_close(struct journal **handle)
{
    struct journal *j = *handle;
    if (j == NULL)
        return;
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    journal_lock(j);
    j->closing = true;
    commit_call(j);
    journal_unlock(j);
    if (j->started) {
        CHECK(pthread_join(j->commit_thread, NULL) == 0);
        journal_lock(j);
        j->stopping = true;
        helper_call(j);
        journal_unlock(j);
        CHECK(pthread_join(j->helper_thread, NULL) == 0);
    }
    journal_free(handle);
}

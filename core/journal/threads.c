/* The two threads of a journal: thin drivers that wait for work and call the steps.
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

/* Under the lock. */
static bool commit_has_work(const struct journal *j, enum commit_state state)
{
    if (state == COMMIT_SEGMENT)
        return j->prepared_count > 0 || j->intake != ERR_OK;
    return j->queue != NULL || j->closing;
}

static void commit_wait(struct journal *j, enum commit_state state)
{
    int64_t ms = -1;
    if (state == COMMIT_SYNC_DUE) {
        ms = j->writer.sync_due_ms - clock_ms();
        ms = ms < 0 ? 0 : ms;
    }
    journal_lock(j);
    if (!commit_has_work(j, state))
        wait_ms(j, &j->work, ms);
    journal_unlock(j);
}

static bool commit_done(struct journal *j, enum commit_state state)
{
    journal_lock(j);
    bool done = j->closing && j->queue == NULL && state != COMMIT_SEGMENT;
    journal_unlock(j);
    return done;
}

static void *commit_run(void *arg)
{
    struct journal *j = arg;
    enum commit_state state = COMMIT_IDLE;
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    while (!commit_done(j, state)) {
        commit_wait(j, state);
        state = commit_step(j);
    }
    commit_finish(j);
    return NULL;
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
    if (discard_step(j, now) || prepare_step(j, now) || index_step(j, now) || retire_step(j))
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

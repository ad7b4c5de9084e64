/* A sink with a window (a broker that acknowledges, a bulk loader) does not know at the end of push() what became of
 * the rows. It judges them HG_LATER and settles each when it knows, from a thread of its own.
 *
 * The window is the push: its rows were bounded by BATCH_ROWS and BATCH_BYTES, and the worker hands out no others until
 * every one is settled; PARALLEL makes several windows. So nothing about a row in flight differs from one in push():
 * what a crash proves, which rows come again and in which order is decided by the same hand-out, told as one.
 *
 * A push that returns with rows to be settled later is followed by flush() at once: nothing more comes until they are.
 * At TIMEOUT what is not settled is tried again, when something of the push was settled; when nothing was, the push is
 * stuck, and the daemon ends it like any other. Nothing here survives a crash. */
#include "host/window.h"

#include "base/sys.h"
#include "host/host.h"
#include "host/hostlog.h"

#include <stdio.h>

void window_init(struct window *v)
{
    *v = (struct window){0};
    pthread_mutex_init(&v->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&v->changed, &attr);
    pthread_condattr_destroy(&attr);
}

void window_fini(struct window *v)
{
    pthread_cond_destroy(&v->changed);
    pthread_mutex_destroy(&v->mutex);
}

uint64_t window_open(struct hg_rows *rows)
{
    static _Atomic uint64_t last;
    struct window *v = &rows->window;
    pthread_mutex_lock(&v->mutex);
    if (v->token == 0) {
        v->token = atomic_fetch_add(&last, 1) + 1;
        v->later = 0;
        v->not_now = false;
    }
    uint64_t token = v->token;
    pthread_mutex_unlock(&v->mutex);
    return token;
}

/* Only the push's own thread opens and closes its window, so it may look without the mutex. */
void window_lock(struct hg_rows *rows)
{
    if (rows->window.token != 0)
        pthread_mutex_lock(&rows->window.mutex);
}

void window_unlock(struct hg_rows *rows)
{
    if (rows->window.token != 0)
        pthread_mutex_unlock(&rows->window.mutex);
}

bool window_settle(struct hg_rows *rows, uint64_t token, size_t n, uint32_t verdict, int64_t after_ms,
                   const char *reason)
{
    struct window *v = &rows->window;
    pthread_mutex_lock(&v->mutex);
    bool open = token != 0 && v->token == token;
    const struct hg_row *row = open ? lent_seen(rows, n) : NULL;
    bool sound = row != NULL && verdict >= HG_OK && verdict <= HG_REJECT;
    bool counts = sound && (row->verdict == 0 || row->verdict == HG_LATER);
    if (counts) {
        bool awaited = row->verdict == HG_LATER && v->later > 0;
        lent_judge(rows, n, verdict, after_ms, reason);
        if (awaited && --v->later == 0)
            pthread_cond_signal(&v->changed);
    } else if (open && !sound) {
        rows->misuse++;
    }
    pthread_mutex_unlock(&v->mutex);
    return counts;
}

bool window_not_now(struct hg_rows *rows, uint64_t token, int64_t after_ms, const char *reason)
{
    struct window *v = &rows->window;
    pthread_mutex_lock(&v->mutex);
    bool counts = token != 0 && v->token == token && !v->not_now;
    if (counts) {
        v->not_now = true;
        lent_not_now(rows, after_ms, reason);
        pthread_cond_signal(&v->changed);
    }
    pthread_mutex_unlock(&v->mutex);
    return counts;
}

/* --- the worker's end of it, with the mutex held --- */

/* Counts what is waited for; true when anything of the push is known. */
static bool window_count(struct hg_rows *rows, int result)
{
    bool known = false;
    rows->window.later = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t verdict = rows->rows[i].verdict;
        rows->window.later += verdict == HG_LATER;
        known = known || (verdict != 0 && verdict != HG_LATER) || (verdict == 0 && result == HG_ALL_OK);
    }
    return known;
}

/* What is not settled and not waited for any longer. */
static void window_level(struct hg_rows *rows, uint32_t verdict, const char *reason)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        struct hg_row *row = &rows->rows[i];
        if (row->verdict != HG_LATER)
            continue;
        row->verdict = verdict;
        row->reason = reason;
        row->reason_length = reason == NULL ? 0 : (uint32_t)strlen(reason);
    }
}

/* Nobody is to blame for what is left; what the call said about rows without a verdict is written out, because the
 * result that said it is replaced. */
static int window_give_back(struct hg_rows *rows, int result)
{
    uint32_t silent = result == HG_ALL_OK ? HG_OK : result == HG_JUDGED ? HG_RETRY : 0;
    for (uint32_t i = 0; i < rows->count; i++)
        if (rows->rows[i].verdict == 0)
            rows->rows[i].verdict = silent;
    window_level(rows, 0, NULL);
    return HG_NOT_NOW;
}

static bool window_wait(struct hg_rows *rows, int64_t deadline)
{
    const struct timespec at = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
    return pthread_cond_timedwait(&rows->window.changed, &rows->window.mutex, &at) == 0;
}

static int window_await(struct hg_host *w, int result)
{
    struct hg_rows *rows = &w->rows;
    struct window *v = &rows->window;
    int64_t deadline = atomic_load(&w->deadline);
    (void)window_count(rows, result);
    while (v->later > 0 && !v->not_now) {
        if (window_wait(rows, deadline) || v->later == 0 || v->not_now)
            continue;
        if (!window_count(rows, result)) { /* stuck: the daemon ends this process in a moment */
            deadline = clock_ms() + IDLE_MS;
            continue;
        }
        hostlog(HG_LOG_WARN, "%u rows were not settled within TIMEOUT; they are tried again", v->later);
        window_level(rows, HG_RETRY, "not settled within TIMEOUT");
        break;
    }
    return v->not_now ? window_give_back(rows, result) : result;
}

/* --- around it --- */

static void window_flush(struct hg_host *w)
{
    const struct hg_pusher *p = w->host->plugin.plugin->pusher;
    if (p->flush == NULL)
        return;
    w->reason[0] = '\0';
    w->unflushed = false;
    int result = p->flush(w->state);
    if (result == HG_NOT_NOW)
        (void)window_not_now(&w->rows, w->rows.window.token, 0, w->reason);
    else if (result != HG_ALL_OK)
        hostlog(HG_LOG_WARN, "flush() returned %d", result);
}

int window_finish(struct hg_host *w, int result)
{
    struct hg_rows *rows = &w->rows;
    if (rows->window.token == 0)
        return result;
    window_lock(rows);
    (void)window_count(rows, result);
    bool more = rows->window.later > 0;
    pthread_mutex_unlock(&rows->window.mutex);
    if (more)
        window_flush(w);
    pthread_mutex_lock(&rows->window.mutex);
    result = window_await(w, result);
    rows->window.token = 0;
    pthread_mutex_unlock(&rows->window.mutex);
    return result;
}

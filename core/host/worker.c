/* What a worker's thread does: open(), then one hand-out after the other (gather, tell what was taken, push(), tell
 * what became of it), or one pull() after the other, between them what was asked for besides, close().
 *
 * TAKEN leaves before push() begins, so that the daemon knows the suspects when the push ends this process. When it
 * ends in another way nothing is lost either: what was handed out and not told as done is handed out again. */
#include "host/worker.h"

#include "base/sys.h"
#include "host/chain.h"
#include "host/crash.h"
#include "host/hostapi.h"
#include "host/hostlog.h"
#include "host/life.h"
#include "host/tell.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum job { JOB_HAND, JOB_PULL, JOB_REOPEN, JOB_PROBE, JOB_IDLE, JOB_STOP };

static const struct hg_pusher *worker_pusher(const struct hg_host *w)
{
    return w->host->plugin.plugin->pusher;
}

static void worker_damaged(void *arg, struct read_damage damage)
{
    tell_damage(arg, damage);
}

static void worker_dropped(void *arg, uint32_t store, uint64_t base)
{
    struct hg_host *w = arg;
    tell_dropped(w->host, store, base);
}

int worker_init(struct hg_host *w, struct host *h, uint16_t lane)
{
    *w = (struct hg_host){.magic = WORKER_MAGIC, .lane = lane, .host = h, .stage = WORKER_OPENING};
    w->of = w;
    w->name = h->setup.instance;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    bool whole = h->puller == NULL && (worker_pusher(w)->flags & HG_WHOLE_SETS) != 0;
    gather_init(&w->gather, &h->shelf, whole, &h->stopping);
    w->gather.clients = h->setup.clients;
    w->gather.damaged = worker_damaged;
    w->gather.dropped = worker_dropped;
    w->gather.arg = w;
    lent_init(&w->rows);
    if (lane == CRASH_NO_LANE)
        return ERR_OK;
    w->inbox = malloc(WIRE_MAX);
    return w->inbox == NULL ? ERR_NOMEM : ERR_OK;
}

void worker_fini(struct hg_host *w)
{
    gather_fini(&w->gather);
    lent_fini(&w->rows);
    free(w->inbox);
    w->inbox = NULL;
    pthread_cond_destroy(&w->changed);
    w->magic = 0;
}

static void worker_enter(struct hg_host *w, enum worker_stage stage)
{
    pthread_mutex_lock(&w->host->mutex);
    w->stage = stage;
    pthread_mutex_unlock(&w->host->mutex);
    life_wake(w->host);
}

static void worker_allow(struct hg_host *w, int64_t ms)
{
    const int64_t ever = INT64_MAX / 2;
    atomic_store(&w->deadline, ms > 0 && ms < ever ? clock_ms() + ms : ever);
}

/* --- opening --- */

/* What start(), open() or probe() came to; anything that is no hg_open_result is a broken plugin. */
static int worker_outcome(struct hg_host *w, const char *what, int result)
{
    if (result == HG_OPEN_OK || result == HG_OPEN_NOT_NOW || result == HG_OPEN_BROKEN)
        return result;
    snprintf(w->reason, sizeof w->reason, "%s() returned %d, which is no result", what, result);
    return HG_OPEN_BROKEN;
}

static void worker_call_start(struct hg_host *w)
{
    struct host *h = w->host;
    worker_allow(&h->self, h->setup.timeout_ms);
    int result = chain_start(&h->self);
    memcpy(w->reason, h->self.reason, sizeof w->reason);
    if (result == HG_OPEN_OK && h->calls.start != NULL) {
        worker_allow(&h->self, h->setup.timeout_ms);
        result = worker_outcome(&h->self, "start", h->calls.start(&h->self, &hostapi, h->config));
        memcpy(w->reason, h->self.reason, sizeof w->reason);
    }
    pthread_mutex_lock(&h->mutex);
    h->started = result;
    for (uint16_t i = 0; i < h->worker_count; i++)
        pthread_cond_broadcast(&h->workers[i].changed);
    pthread_mutex_unlock(&h->mutex);
}

/* The result of start(), 0 when the host is stopping before it is known. */
static int worker_await_start(struct hg_host *w)
{
    struct host *h = w->host;
    if (w->lane == 0)
        worker_call_start(w);
    pthread_mutex_lock(&h->mutex);
    while (h->started == 0 && !atomic_load(&h->stopping))
        (void)life_wait(w, INT64_MAX);
    int started = atomic_load(&h->stopping) ? 0 : h->started;
    pthread_mutex_unlock(&h->mutex);
    return started;
}

static bool worker_open(struct hg_host *w)
{
    struct host *h = w->host;
    int result = worker_await_start(w);
    if (result == HG_OPEN_OK) {
        worker_allow(w, h->setup.timeout_ms);
        result = chain_open(w);
    }
    if (result == HG_OPEN_OK && h->calls.open != NULL) {
        worker_allow(w, h->setup.timeout_ms);
        result = worker_outcome(w, "open", h->calls.open(w, &hostapi, h->config, &w->state));
        if (result != HG_OPEN_OK)
            chain_close(w);
    }
    w->outcome = result;
    worker_enter(w, result == HG_OPEN_OK ? WORKER_OPEN : WORKER_FAILED);
    return result == HG_OPEN_OK;
}

/* --- pushing --- */

static void worker_read_hand(struct hg_host *w)
{
    struct hand *hand = &w->hand;
    memcpy(&hand->head, w->inbox, sizeof hand->head);
    const void *lists = w->inbox + sizeof hand->head;
    hand->held = hand->head.held > 0 ? lists : NULL;
    hand->items = hand->head.items > 0 ? lists : NULL;
}

/* Another hand-out may come as soon as DONE is told, so the inbox is given back just before. */
static void worker_done(struct hg_host *w, const struct told *told)
{
    pthread_mutex_lock(&w->host->mutex);
    w->busy = false;
    pthread_mutex_unlock(&w->host->mutex);
    tell_done(w, told);
    lent_reset(&w->rows, false);
}

/* Nothing of the hand-out is pushed now. */
static void worker_refuse(struct hg_host *w, const char *why)
{
    const struct batch_end end = {.place = w->hand.head.from};
    const struct told told = {.result = HG_NOT_NOW, .end = end.place, .reason = why, .reason_length = reason_cut(why)};
    tell_taken(w, &end);
    worker_done(w, &told);
}

/* A plan is durable before its first push. False: the host is stopping. */
static bool worker_await_go(struct hg_host *w)
{
    struct host *h = w->host;
    if ((w->hand.head.flags & HAND_STABLE) == 0)
        return true;
    pthread_mutex_lock(&h->mutex);
    while (w->go != w->hand.head.head.token && !atomic_load(&h->stopping))
        (void)life_wait(w, INT64_MAX);
    bool go = w->go == w->hand.head.head.token && !atomic_load(&h->stopping);
    pthread_mutex_unlock(&h->mutex);
    return go;
}

/* When the far end is down and took none of them, nothing is decided: rows that processors dropped are asked about
 * again as well, so that the whole hand-out comes again as it was. */
static bool worker_took_none(const struct hg_rows *l, int result)
{
    bool none = result != HG_ALL_OK && result != HG_JUDGED;
    for (uint32_t i = 0; none && i < l->count; i++)
        none = l->rows[i].verdict == 0 || l->rows[i].step > 0;
    return none;
}

static int worker_call_push(struct hg_host *w)
{
    w->pushing = true;
    int result = worker_pusher(w)->push(w->state, &w->rows);
    w->pushing = false;
    w->unflushed = true;
    result = window_finish(w, result);
    if (w->steps != NULL && worker_took_none(&w->rows, result))
        chain_forget(&w->rows);
    return result;
}

static void worker_push(struct hg_host *w, struct told *told)
{
    bool bad = false;
    worker_allow(w, w->hand.head.timeout_ms);
    int64_t began = clock_ns();
    crash_token(w->hand.head.head.token);
    int result = chain_process(w, &bad);
    if (result == HG_ALL_OK && lent_seen_count(&w->rows) > 0)
        result = worker_call_push(w);
    crash_token(0);
    told->push_us = (clock_ns() - began) / 1000;
    told->bad_result = bad || (result != HG_ALL_OK && result != HG_JUDGED && result != HG_NOT_NOW);
    told->result = told->bad_result ? HG_NOT_NOW : (uint32_t)result;
    if (told->bad_result && !bad) {
        char why[64];
        snprintf(why, sizeof why, "push() returned %d, which is no result", result);
        lent_not_now(&w->rows, 0, why);
    }
    if (w->gather.whole_sets)
        lent_whole_sets(&w->rows, told->result);
    if (told->result == HG_NOT_NOW) {
        told->reason = w->rows.reason;
        told->reason_length = w->rows.reason_length;
    }
    if (w->rows.misuse > 0)
        hostlog(HG_LOG_WARN, "%s gave %u verdicts that are none, or about no row",
                w->steps == NULL ? "push()" : "push(), or a processor,", w->rows.misuse);
}

static void worker_hand(struct hg_host *w)
{
    struct batch_end end;
    struct err e;
    worker_read_hand(w);
    w->state_changed = false;
    lent_reset(&w->rows, false);
    if (gather_rows(&w->gather, &w->hand, &w->rows, &end, &e) != ERR_OK) {
        worker_refuse(w, e.text);
        return;
    }
    struct told told = {.result = HG_ALL_OK, .end = end.place};
    tell_taken(w, &end);
    if (w->rows.count > 0) {
        if (!worker_await_go(w))
            return; /* never pushed, so not done: it is handed out again */
        worker_push(w, &told);
    }
    worker_done(w, &told);
}

/* --- pulling --- */

/* What a position that is durable releases at the source, which a crash may have kept from being told before. */
static void worker_remind(struct hg_host *w)
{
    struct host *h = w->host;
    if (h->puller != NULL && h->puller->notify != NULL && h->state_len > 0)
        h->puller->notify(w->state, h->state, h->state_len);
}

static void worker_pull(struct hg_host *w, uint64_t token)
{
    w->reason[0] = '\0';
    w->pulling = true;
    int result = w->host->puller->pull(w->state);
    w->pulling = false;
    if (result < HG_PULLED || result > HG_PULL_BROKEN) {
        snprintf(w->reason, sizeof w->reason, "pull() returned %d, which is no result", result);
        result = HG_PULL_NOT_NOW;
    }
    tell_counts(w->host);
    tell_pulled(w, token, result, w->reason);
}

/* --- between pushes --- */

static void worker_flush(struct hg_host *w)
{
    if (!w->unflushed || worker_pusher(w)->flush == NULL)
        return;
    w->unflushed = false;
    worker_allow(w, w->host->setup.timeout_ms);
    int result = worker_pusher(w)->flush(w->state);
    if (result != HG_ALL_OK)
        hostlog(HG_LOG_WARN, "flush() returned %d", result);
}

/* A worker that has nothing to do should cost nothing. */
static void worker_idle(struct hg_host *w)
{
    worker_flush(w);
    gather_trim(&w->gather);
    lent_reset(&w->rows, true);
    malloc_trim(0);
}

static void worker_probe(struct hg_host *w, uint64_t token)
{
    int result = HG_OPEN_OK;
    w->reason[0] = '\0';
    if (w->host->calls.probe != NULL) {
        worker_allow(w, w->host->setup.timeout_ms);
        result = worker_outcome(w, "probe", w->host->calls.probe(w->state));
    }
    tell_outcome(w->host, WIRE_PROBED, w->lane, token, result, w->reason);
}

static bool take_flag(bool *flag)
{
    bool was = *flag;
    *flag = false;
    return was;
}

static enum job worker_next(struct hg_host *w, bool *rested, uint64_t *token)
{
    struct host *h = w->host;
    int64_t rest = *rested ? INT64_MAX : clock_ms() + IDLE_MS;
    enum job job = JOB_IDLE;
    pthread_mutex_lock(&h->mutex);
    for (;;) {
        if (atomic_load(&h->stopping))
            job = JOB_STOP;
        else if (take_flag(&w->reopen))
            job = JOB_REOPEN;
        else if (take_flag(&w->probe))
            job = JOB_PROBE;
        else if (take_flag(&w->received))
            job = JOB_HAND;
        else if (take_flag(&w->pull))
            job = JOB_PULL;
        else if (life_wait(w, rest))
            continue;
        break;
    }
    *token = job == JOB_PULL ? w->pull_token : w->probe_token;
    pthread_mutex_unlock(&h->mutex);
    *rested = job == JOB_IDLE || (*rested && job != JOB_HAND && job != JOB_PULL);
    return job;
}

static void worker_serve(struct hg_host *w)
{
    bool rested = false;
    for (;;) {
        uint64_t token;
        switch (worker_next(w, &rested, &token)) {
        case JOB_HAND: worker_hand(w); break;
        case JOB_PULL: worker_pull(w, token); break;
        case JOB_PROBE: worker_probe(w, token); break;
        case JOB_IDLE: worker_idle(w); break;
        case JOB_REOPEN:
            if (w->host->calls.reopen != NULL)
                w->host->calls.reopen(w->state);
            break;
        case JOB_STOP: return;
        }
    }
}

static void *worker_main(void *arg)
{
    struct hg_host *w = arg;
    CHECK_MAGIC(w, WORKER_MAGIC);
    if (crash_thread_init(w->lane) != ERR_OK)
        hostlog(HG_LOG_WARN, "no memory to tell of crashes in lane %u", w->lane);
    if (worker_open(w)) {
        worker_remind(w);
        worker_serve(w);
        worker_flush(w);
        worker_allow(w, w->host->setup.timeout_ms);
        if (w->host->calls.close != NULL)
            w->host->calls.close(w->state);
        chain_close(w);
    }
    crash_thread_fini();
    worker_enter(w, WORKER_ENDED);
    return NULL;
}

int worker_start(struct hg_host *w)
{
    if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
        return ERR_NOMEM;
    w->running = true;
    return ERR_OK;
}

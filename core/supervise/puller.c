/* When a puller's host starts, when it is called, and what its end means.
 *
 * Without EVERY one call follows the other at once while there is something, and after a delay that grows while there
 * is nothing. With EVERY a run begins when it is due and lasts until pull() has nothing more; a run that was due while
 * the one before was at it begins right after it, but only one. A host that ends before it emitted anything or came
 * back from pull(), several times in a row, breaks the puller: what it would take in waits at its source.
 *
 * After a crash of the daemon nothing of this is known but the position and whether it was paused. A run that was
 * missed meanwhile is made up for where EVERY is a duration (it begins at once), not where it is a time of day. */
#include "supervise/puller.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRACE_MS = 500 };

struct puller *puller_new(const char *name, const char *dir, const struct position *position, uint64_t seed)
{
    struct puller *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->magic = PULLER_MAGIC;
    link_init(&p->link);
    p->name = strdup(name);
    p->dir = strdup(dir);
    p->position = *position;
    p->paused = position->paused;
    p->random = seed | 1;
    p->state = PUSHER_UNCONFIGURED;
    p->state_since_us = clock_wall_us();
    p->next_ms = INT64_MAX;
    p->settings.retry_min_ms = p->settings.retry_max_ms = p->settings.timeout_ms = 1000;
    if (p->name == NULL || p->dir == NULL)
        puller_free(&p);
    return p;
}

void puller_free(struct puller **pp)
{
    struct puller *p = *pp;
    if (p == NULL)
        return;
    CHECK_MAGIC(p, PULLER_MAGIC);
    CHECK(link_alone(&p->link) && !p->emitting);
    free(p->name);
    free(p->dir);
    p->magic = 0;
    free(p);
    *pp = NULL;
}

/* The one place where a puller changes state. */
static void set_state(struct puller *p, enum pusher_state state, const char *event, const char *reason)
{
    if (reason != NULL && reason[0] != '\0')
        snprintf(p->error, sizeof p->error, "%s", reason);
    if (p->state == state)
        return;
    p->state = state;
    p->state_since_us = clock_wall_us();
    p->ops->changed(p->ops->arg, p, event, reason == NULL ? "" : reason);
}

static void show(struct puller *p, enum pusher_state state, const char *event, const char *reason)
{
    if (p->wanted && !p->paused && !p->broken)
        set_state(p, state, event, reason);
}

/* Doubles with each try up to RETRY_MAX; up to a quarter less, so that many do not come together. */
static int64_t backoff(struct puller *p, uint32_t tries)
{
    int64_t delay = p->settings.retry_min_ms;
    for (uint32_t i = 1; i < tries && delay < p->settings.retry_max_ms; i++)
        delay *= 2;
    if (delay > p->settings.retry_max_ms)
        delay = p->settings.retry_max_ms;
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return delay - (int64_t)((p->random >> 33) % (uint64_t)(delay / 4 + 1));
}

static void end_host(struct puller *p, int64_t now)
{
    if (p->host != PULL_READY && p->host != PULL_STARTING)
        return;
    p->host = PULL_ENDING;
    p->deadline_ms = now + 2 * p->settings.timeout_ms + GRACE_MS;
    p->ops->stop(p->ops->arg, p);
}

/* --- wishes --- */

static void set_broken(struct puller *p, const char *reason, int64_t now)
{
    if (p->wanted && !p->paused)
        set_state(p, PUSHER_BROKEN, "puller.broken", reason);
    p->broken = true;
    end_host(p, now);
}

static void begin_again(struct puller *p, int64_t now)
{
    p->broken = false;
    p->failures = p->tries = 0;
    p->restart_at_ms = now;
    p->running = false;
    p->next_wall_us = 0;
    p->next_ms = now;
}

void puller_configure(struct puller *p, const struct pusher_settings *settings)
{
    p->settings = *settings;
}

void puller_want(struct puller *p, bool wanted, int64_t now)
{
    p->wanted = wanted;
    if (!wanted) {
        end_host(p, now);
        return;
    }
    begin_again(p, now);
    set_state(p, p->paused ? PUSHER_PAUSED : PUSHER_STARTING, "puller.starting", NULL);
}

void puller_mark(struct puller *p, enum pusher_state state, const char *reason)
{
    p->broken = state == PUSHER_BROKEN;
    set_state(p, state, "puller.not_started", reason);
}

void puller_pause(struct puller *p, bool paused, int64_t now)
{
    bool mend = !paused && p->broken && p->wanted;
    if (p->paused == paused && !mend)
        return;
    p->paused = paused;
    if (paused) {
        if (p->wanted)
            set_state(p, PUSHER_PAUSED, "puller.paused", NULL);
        end_host(p, now);
        return;
    }
    begin_again(p, now);
    if (p->wanted)
        set_state(p, PUSHER_STARTING, "puller.resumed", NULL);
}

void puller_stop(struct puller *p)
{
    p->stopping = true;
}

/* --- what the host says --- */

/* When the next run is due; a duration counts from the beginning of the last one. */
static void schedule(struct puller *p, int64_t now, int64_t wall_us)
{
    const struct every *every = &p->settings.every;
    p->next_ms = now;
    p->next_wall_us = 0;
    if (every->cron)
        p->next_wall_us = every_next(every, wall_us);
    else if (every->period_ms > 0 && p->last_run_us > 0)
        p->next_wall_us = p->last_run_us + every->period_ms * 1000;
    if (p->next_wall_us > wall_us)
        p->next_ms = now + (p->next_wall_us - wall_us + 999) / 1000;
}

void puller_host_ready(struct puller *p, int64_t now, int64_t wall_us)
{
    if (p->host != PULL_STARTING)
        return;
    p->host = PULL_READY;
    if (!p->running)
        schedule(p, now, wall_us);
    else
        p->next_ms = now;
    show(p, PUSHER_RUNNING, "puller.running", NULL);
}

void puller_host_down(struct puller *p, enum host_end end, const char *reason, int64_t now)
{
    p->host = PULL_NO_HOST;
    p->pulling = p->kill_sent = false;
    if (end == HOST_STOPPED || !p->wanted || p->paused || p->broken)
        return;
    p->counts.restarts++;
    p->failures = p->progress ? 1 : p->failures + 1;
    p->restart_at_ms = now + backoff(p, p->failures);
    bool crashed = end == HOST_CRASHED || end == HOST_PROTOCOL || end == HOST_MEMORY || end == HOST_DEADLINE;
    char text[sizeof p->error];
    if (end == HOST_BROKEN) {
        set_broken(p, reason, now);
    } else if (crashed && p->failures >= PULLER_CRASHES_MAX) {
        snprintf(text, sizeof text, "it ended %u times in a row before it got anywhere, the last time so: %.400s",
                 p->failures, reason);
        set_broken(p, text, now);
    } else {
        show(p, PUSHER_RETRYING, "puller.retrying", reason);
    }
}

static void run_ended(struct puller *p, int64_t now, int64_t wall_us)
{
    p->tries++;
    if (p->settings.every.text[0] == '\0') {
        p->next_ms = now + backoff(p, p->tries);
        return;
    }
    p->running = false;
    schedule(p, now, wall_us);
}

int puller_pulled(struct puller *p, uint64_t token, uint32_t result, struct slice reason, int64_t now, int64_t wall_us)
{
    char text[sizeof p->error];
    if (!p->pulling || token != p->token)
        return ERR_SYNTAX;
    snprintf(text, sizeof text, SLICE_FMT, SLICE_ARG(reason));
    p->pulling = false;
    p->progress = true;
    p->failures = 0;
    switch (result) {
    case HG_PULLED:
        p->tries = 0;
        p->next_ms = now;
        break;
    case HG_PULL_NOTHING:
        snprintf(p->error, sizeof p->error, "%s", text); /* the run is over; it may still say what went wrong in it */
        run_ended(p, now, wall_us);
        break;
    case HG_PULL_NOT_NOW:
        p->counts.not_now++;
        p->next_ms = now + backoff(p, ++p->tries);
        show(p, PUSHER_RETRYING, "puller.retrying", text[0] == '\0' ? "pull() says not now" : text);
        return ERR_OK;
    case HG_PULL_BROKEN: set_broken(p, text[0] == '\0' ? "pull() says that it is no use" : text, now); return ERR_OK;
    default: return ERR_SYNTAX;
    }
    show(p, PUSHER_RUNNING, "puller.running", NULL);
    return ERR_OK;
}

void puller_emitted(struct puller *p, uint64_t rows, uint64_t sets)
{
    p->counts.rows += rows;
    p->counts.sets += sets;
    if (p->host != PULL_READY)
        return;
    p->progress = true;
    p->failures = p->tries = 0;
    show(p, PUSHER_RUNNING, "puller.running", NULL);
}

/* --- the clock --- */

/* Not while rows of the host before are on their way: the position that a host begins with must be the last one. */
static int64_t start_host(struct puller *p, int64_t now)
{
    if (!p->wanted || p->paused || p->broken || p->stopping || p->emitting)
        return INT64_MAX;
    if (p->restart_at_ms > now)
        return p->restart_at_ms;
    p->host = PULL_STARTING;
    p->progress = false;
    p->deadline_ms = now + p->settings.timeout_ms + GRACE_MS;
    p->ops->start(p->ops->arg, p);
    return p->host == PULL_STARTING ? p->deadline_ms : INT64_MAX;
}

static int64_t call(struct puller *p, int64_t now, int64_t wall_us)
{
    if (p->pulling)
        return INT64_MAX;
    if (p->next_ms > now && p->next_wall_us > 0 && !p->running) /* the wall clock may have been set */
        p->next_ms = p->next_wall_us > wall_us ? now + (p->next_wall_us - wall_us + 999) / 1000 : now;
    if (p->next_ms > now)
        return p->next_ms;
    if (!p->running) {
        p->running = true;
        p->last_run_us = wall_us;
        p->counts.runs++;
        p->next_wall_us = 0;
    }
    p->pulling = true;
    p->ops->pull(p->ops->arg, p, ++p->token);
    return INT64_MAX;
}

static int64_t watch(struct puller *p, int64_t now)
{
    if (p->deadline_ms > now)
        return p->deadline_ms;
    if (!p->kill_sent) {
        p->kill_sent = true;
        p->ops->kill(p->ops->arg, p, p->host == PULL_STARTING ? HOST_DEADLINE : HOST_KILLED);
    }
    return INT64_MAX;
}

int64_t puller_step(struct puller *p, int64_t now, int64_t wall_us)
{
    CHECK_MAGIC(p, PULLER_MAGIC);
    switch (p->host) {
    case PULL_NO_HOST: return start_host(p, now);
    case PULL_READY: return call(p, now, wall_us);
    case PULL_STARTING:
    case PULL_ENDING: return watch(p, now);
    }
    return INT64_MAX;
}

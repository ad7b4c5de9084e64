/* A pusher's life: made from its cursor, given settings, started, stopped, broken, mended. What it hands out stands in
 * pump.c, what comes back in judge.c, what a host's death proves in evidence.c.
 *
 * After a crash of the daemon all that is known is the cursor: rows beyond it come again. */
#include "delivery/internal.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_words[] = {
#define STATE(name, word) word,
#include "delivery/state.def"
#undef STATE
};

const double push_bounds[PUSH_BUCKETS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30};

const char *pusher_state_word(enum pusher_state s)
{
    return (int)s >= 0 && s < PUSHER_STATES ? state_words[s] : "unknown";
}

/* xorshift64*: jitter needs no better, and a simulator needs it repeatable. */
uint64_t pusher_random(struct pusher *p)
{
    uint64_t x = p->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    p->random = x;
    return x * 0x2545F4914F6CDD1Du;
}

int64_t pusher_backoff(struct pusher *p, uint32_t tries)
{
    int64_t cap = p->settings.retry_min_ms;
    for (uint32_t i = 1; i < tries && cap < p->settings.retry_max_ms; i++)
        cap *= 2;
    if (cap > p->settings.retry_max_ms)
        cap = p->settings.retry_max_ms;
    return cap <= 1 ? 1 : 1 + (int64_t)(pusher_random(p) % (uint64_t)cap);
}

/* The one place where a pusher changes state. */
void pusher_set_state(struct pusher *p, enum pusher_state state, const char *event, const char *reason)
{
    if (reason != NULL && reason[0] != '\0')
        snprintf(p->error, sizeof p->error, "%s", reason);
    if (p->state == state)
        return;
    p->state = state;
    p->state_since_us = clock_wall_us();
    p->ops->changed(p->ops->arg, p, event, reason == NULL ? "" : reason);
}

void pusher_show(struct pusher *p, enum pusher_state state, const char *event, const char *reason)
{
    if (p->wanted && !p->paused && !p->broken)
        pusher_set_state(p, state, event, reason);
}

void pusher_error(struct pusher *p, struct slice reason)
{
    if (reason.len > 0)
        snprintf(p->error, sizeof p->error, SLICE_FMT, SLICE_ARG(reason));
}

void pusher_break(struct pusher *p, const char *reason)
{
    p->broken = true;
    if (p->wanted)
        pusher_set_state(p, PUSHER_BROKEN, "pusher.broken", reason);
    if (p->host == HOST_READY || p->host == HOST_STARTING) {
        p->host = HOST_ENDING;
        p->ops->stop(p->ops->arg, p);
    }
}

uint32_t pusher_lane_of_row(const struct pusher *p, uint64_t uuid_hash, uint64_t position)
{
    for (uint32_t lane = 0; lane < p->lane_count; lane++)
        if (shard_takes(lane, p->lane_count, p->spread, uuid_hash, position))
            return lane;
    return 0;
}

bool pusher_unsettled(struct pusher *p, struct place place, uint64_t uuid_hash)
{
    const struct place set = {place.position, PLACE_SET};
    uint32_t lane = pusher_lane_of_row(p, uuid_hash, place.position);
    return !place_before(place, p->lanes[lane].next) || waiting_find(&p->waiting, place) != NULL ||
           waiting_find(&p->waiting, set) != NULL;
}

/* --- made from the cursor --- */

void pusher_register_at(struct pusher *p, uint64_t at, uint64_t row)
{
    p->registered = at;
    p->lane_count = p->worker_count;
    p->spread = p->settings.order == ORDER_NONE;
    for (uint32_t i = 0; i < CURSOR_LANES; i++) {
        p->lanes[i].next = (struct place){at, 0};
        p->lanes[i].row = row;
    }
    p->durable_low = at;
    pusher_dirty(p, true);
}

static int restore_waiting(struct pusher *p, const struct cursor *c, int64_t now)
{
    for (uint32_t i = 0; i < c->waiting_count; i++) {
        const struct cursor_waiting *from = &c->waiting[i];
        struct waiting_row *row =
            waiting_add(&p->waiting, from->place, from->uuid_hash, (enum waiting_kind)from->kind, now);
        if (row == NULL)
            return ERR_NOMEM;
        row->c = *from;
        if (from->kind == WAITING_SUSPECT) { /* tried again: the crashes were counted in another life */
            row->c.kind = WAITING_RETRY;
            row->suspected = true;
        }
        if (from->plan >= p->next_plan)
            p->next_plan = from->plan + 1;
    }
    return ERR_OK;
}

static int restore(struct pusher *p, const struct cursor *c, int64_t now)
{
    p->registered = c->registered;
    p->sequence = c->sequence;
    p->paused = c->paused;
    p->forgotten = c->forgotten;
    p->give_up_to = c->give_up_to;
    p->spread = c->spread;
    p->lane_count = c->lane_count;
    for (uint32_t i = 0; i < c->lane_count; i++) {
        p->lanes[i].next = c->lanes[i];
        p->lanes[i].row = c->lane_rows[i];
        p->lanes[i].plan = c->plans[i];
        ahead_restore(&p->lanes[i], &c->aheads[i]);
    }
    for (uint32_t i = 0; i < c->replay_count; i++) {
        p->replays[i] = (struct replay_job){.c = c->replays[i]};
        if (c->replays[i].id >= p->next_replay)
            p->next_replay = c->replays[i].id + 1;
    }
    p->replay_count = c->replay_count;
    p->ruling_count = c->ruling_count;
    for (uint32_t i = 0; i < c->ruling_count; i++)
        p->rulings[i] = (struct ruling){.c = c->rulings[i], .sequence = c->sequence};
    memcpy(p->totals, c->totals, sizeof p->totals);
    memcpy(p->plugin_state, c->state, c->state_len);
    p->plugin_state_len = c->state_len;
    int code = restore_waiting(p, c, now);
    p->durable_low = pusher_low(p);
    return code;
}

/* A copy of a row that the cursor has not passed was set aside by a checkpoint that did not end: the row comes again,
 * and is judged again. */
static void drop_unsettled_copies(struct pusher *p)
{
    for (size_t i = 0; i < p->aside.count; i++) {
        struct aside_entry *entry = &p->aside.entries[i];
        struct journal_segment segment;
        if (p->ops->segment_at(p->ops->arg, entry->place.position, &segment) != ERR_OK ||
            memcmp(&segment.epoch, &entry->epoch, sizeof entry->epoch) != 0)
            continue;
        if (pusher_unsettled(p, entry->place, entry->uuid_hash))
            aside_move(&p->aside, entry, ASIDE_GONE, clock_wall_us());
    }
    for (const struct aside_entry *entry = aside_active(&p->aside); entry != NULL;
         entry = aside_active_next(&p->aside, entry))
        if (entry->changed)
            pusher_dirty(p, false);
}

static int load(struct pusher *p, const struct pusher_init *init, int64_t now, bool *lost, struct err *e)
{
    uint32_t damaged = 0;
    int code = aside_open(&p->aside, init->dir, &damaged, e);
    if (code != ERR_OK)
        return code;
    p->counts.damaged += damaged;
    struct cursor *c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(e, ERR_NOMEM, "no memory for the cursor of %s", init->name);
    code = cursor_read(init->dir, c, e);
    if (code == ERR_NOTFOUND) {
        pusher_register_at(p, init->register_at, init->register_row);
        code = ERR_OK;
    } else if (code == ERR_DAMAGED) {
        *lost = true;
        pusher_register_at(p, init->oldest, 0);
        code = ERR_OK;
    } else if (code == ERR_OK) {
        code = restore(p, c, now);
        if (code != ERR_OK)
            err_set(e, code, "no memory for what waits for %s", init->name);
        cursor_fini(c);
    }
    free(c);
    if (code == ERR_OK)
        drop_unsettled_copies(p);
    return code;
}

/* Other workers, another order: the lanes have to meet first. */
static void lanes_settle_count(struct pusher *p)
{
    bool spread = p->settings.order == ORDER_NONE;
    if (p->lane_count == 1 && p->worker_count == 1)
        p->spread = spread; /* the one lane takes all */
    if (p->lane_count != p->worker_count || p->spread != spread)
        p->reshard_at = p->ops->durable(p->ops->arg).position;
}

/* WHEN, PROCESS and CLIENTS are the host's affair: their texts stay with who gave them. */
static void pusher_take_settings(struct pusher *p, const struct pusher_settings *settings)
{
    p->settings = *settings;
    p->settings.when = NULL;
    p->settings.process = NULL;
    p->settings.clients = NULL;
}

int pusher_new(struct pusher **out, const struct pusher_init *init, int64_t now, bool *lost, struct err *e)
{
    CHECK(init->workers >= 1 && init->workers <= CURSOR_LANES);
    struct pusher *p = calloc(1, sizeof *p);
    if (p == NULL)
        return err_set(e, ERR_NOMEM, "no memory for pusher %s", init->name);
    *lost = false;
    p->magic = PUSHER_MAGIC;
    link_init(&p->link);
    pusher_take_settings(p, init->settings);
    p->flags = init->flags;
    p->worker_count = init->workers;
    p->ops = init->ops;
    p->owner = init->owner;
    p->random = init->seed | 1;
    p->next_token = 1;
    p->next_plan = 1;
    p->next_replay = 1;
    p->state = PUSHER_UNCONFIGURED;
    p->state_since_us = clock_wall_us();
    p->name = strdup(init->name);
    p->plugin = strdup(init->plugin);
    p->dir = strdup(init->dir);
    p->lanes = calloc(CURSOR_LANES, sizeof *p->lanes);
    p->workers = calloc(CURSOR_LANES, sizeof *p->workers);
    int code = ERR_OK;
    if (p->name == NULL || p->plugin == NULL || p->dir == NULL || p->lanes == NULL || p->workers == NULL)
        code = err_set(e, ERR_NOMEM, "no memory for pusher %s", init->name);
    if (code == ERR_OK) {
        for (uint32_t i = 0; i < CURSOR_LANES; i++)
            p->lanes[i].max_rows = p->settings.batch_rows;
        code = load(p, init, now, lost, e);
    }
    if (code != ERR_OK) {
        pusher_free(&p);
        return code;
    }
    lanes_settle_count(p);
    if (p->forgotten && p->give_up_to > 0) {
        p->give_up_row = p->ops->durable(p->ops->arg).rows;
        pusher_forget_rows(p);
    }
    *out = p;
    return ERR_OK;
}

void pusher_free(struct pusher **pp)
{
    struct pusher *p = *pp;
    if (p == NULL)
        return;
    CHECK_MAGIC(p, PUSHER_MAGIC);
    CHECK(link_alone(&p->link));
    for (uint32_t i = 0; p->workers != NULL && i < CURSOR_LANES; i++)
        handed_fini(&p->workers[i]);
    for (size_t i = 0; i < p->add_count; i++)
        free(p->adds[i].data);
    for (size_t i = 0; i < p->note_count; i++)
        free(p->notes[i].json);
    if (p->writing != NULL)
        checkpoint_free(&p->writing);
    waiting_fini(&p->waiting);
    aside_close(&p->aside);
    free(p->notes);
    free(p->settles);
    free(p->sets);
    free(p->adds);
    free(p->lanes);
    free(p->workers);
    free(p->name);
    free(p->plugin);
    free(p->dir);
    free(p->clients);
    p->magic = 0;
    free(p);
    *pp = NULL;
}

int pusher_set_clients(struct pusher *p, const char *clients)
{
    char *copy = *clients == '\0' ? NULL : strdup(clients);
    if (copy == NULL && *clients != '\0')
        return ERR_NOMEM;
    free(p->clients);
    p->clients = copy;
    return ERR_OK;
}

void pusher_configure(struct pusher *p, const struct pusher_settings *settings, uint32_t flags, uint32_t workers)
{
    CHECK(workers >= 1 && workers <= CURSOR_LANES);
    pusher_take_settings(p, settings);
    p->flags = flags;
    p->worker_count = workers;
    for (uint32_t i = 0; i < CURSOR_LANES; i++)
        if (p->lanes[i].max_rows > settings->batch_rows || p->lanes[i].suspects_end.position == 0)
            p->lanes[i].max_rows = settings->batch_rows;
    lanes_settle_count(p);
}

/* --- wishes --- */

void pusher_want(struct pusher *p, bool wanted, int64_t now)
{
    p->wanted = wanted;
    if (wanted) {
        pusher_absolve(p, now);
        p->broken = false;
        p->failed_starts = 0;
        p->deaths = 0;
        p->rejects = 0;
        p->restart_at_ms = now;
        p->not_now_until_ms = now;
        pusher_set_state(p, p->paused ? PUSHER_PAUSED : PUSHER_STARTING, "pusher.starting", NULL);
    } else if (p->host == HOST_READY || p->host == HOST_STARTING) {
        p->host = HOST_ENDING;
        p->ops->stop(p->ops->arg, p);
    }
}

void pusher_mark(struct pusher *p, enum pusher_state state, const char *reason)
{
    CHECK(state == PUSHER_ORPHANED || state == PUSHER_REFUSED || state == PUSHER_UNCONFIGURED ||
          state == PUSHER_BROKEN);
    p->broken = state == PUSHER_BROKEN;
    pusher_set_state(p, state, "pusher.not_started", reason);
}

void pusher_hurry(struct pusher *p, int64_t now)
{
    p->restart_at_ms = p->restart_at_ms > now ? now : p->restart_at_ms;
    p->not_now_until_ms = p->not_now_until_ms > now ? now : p->not_now_until_ms;
    for (size_t i = 0; i < p->waiting.count; i++)
        if (p->waiting.rows[i].due_ms > now)
            p->waiting.rows[i].due_ms = now;
    for (struct aside_entry *entry = aside_active(&p->aside); entry != NULL;
         entry = aside_active_next(&p->aside, entry))
        if (entry->due_ms > now)
            entry->due_ms = now;
    p->aside_due_ms = now;
}

void pusher_pause(struct pusher *p, bool paused, int64_t now)
{
    bool mend = !paused && p->broken && p->wanted;
    if (p->paused == paused && !mend)
        return;
    p->paused = paused;
    pusher_dirty(p, true);
    if (paused) {
        if (p->wanted && !p->broken)
            pusher_set_state(p, PUSHER_PAUSED, "pusher.paused", NULL);
        return;
    }
    pusher_absolve(p, now);
    if (mend)
        pusher_want(p, true, now);
    else if (p->wanted)
        pusher_set_state(p, p->host == HOST_READY ? PUSHER_RUNNING : PUSHER_STARTING, "pusher.resumed", NULL);
}

void pusher_stop(struct pusher *p)
{
    p->stopping = true;
}

bool pusher_quiet(const struct pusher *p)
{
    for (uint32_t i = 0; i < p->worker_top; i++)
        if (p->workers[i].busy)
            return false;
    return p->writing == NULL && !p->dirty;
}

/* --- the clock --- */

static int64_t start_host(struct pusher *p, int64_t now)
{
    if (!p->wanted || p->broken || p->stopping || p->forgotten)
        return INT64_MAX;
    if (p->restart_at_ms > now)
        return p->restart_at_ms;
    p->host = HOST_STARTING;
    p->kill_sent = false;
    p->pushes = 0;
    p->start_deadline_ms = now + p->settings.timeout_ms + DEADLINE_GRACE_MS;
    p->ops->start(p->ops->arg, p);
    return p->start_deadline_ms;
}

/* Until when the host must have started, or ended. */
static int64_t host_deadline(struct pusher *p, int64_t now)
{
    if (p->host == HOST_STARTING)
        return p->start_deadline_ms;
    if (p->host != HOST_ENDING)
        return INT64_MAX;
    if (p->end_by_ms == 0) /* what it has in hand may take its time, and so may close() */
        p->end_by_ms = now + 2 * p->settings.timeout_ms + DEADLINE_GRACE_MS;
    return p->end_by_ms;
}

static int64_t watch_deadlines(struct pusher *p, int64_t now)
{
    int64_t wake = host_deadline(p, now);
    bool late = wake <= now;
    for (uint32_t i = 0; i < p->worker_top; i++) {
        struct handed *h = &p->workers[i];
        if (!h->busy || h->go == GO_WANTED || h->go == GO_WRITTEN)
            continue;
        if (h->deadline_ms <= now) {
            h->deadline_passed = true;
            late = true;
        } else if (h->deadline_ms < wake) {
            wake = h->deadline_ms;
        }
    }
    if (late && !p->kill_sent && p->host != HOST_NONE) {
        p->kill_sent = true;
        p->ops->kill(p->ops->arg, p, HOST_DEADLINE);
    }
    return late ? INT64_MAX : wake;
}

/* open() alone has failed for RETRY_FOR: what was there when it began is given up. */
static void expire_unopened(struct pusher *p, int64_t now)
{
    if (p->settings.retry_for_ms == 0 || p->down_since_ms == 0 || now - p->down_since_ms < p->settings.retry_for_ms)
        return;
    pusher_give_up(p, p->down_position, true, "expired: the plugin could not open for longer than RETRY_FOR");
    p->down_since_ms = now;
    p->down_position = p->ops->durable(p->ops->arg).position;
}

int64_t pusher_step(struct pusher *p, int64_t now)
{
    CHECK_MAGIC(p, PUSHER_MAGIC);
    expire_unopened(p, now);
    pusher_carry_out(p);
    pusher_let_rows_go(p);
    if (p->forgotten && p->aside.parked_count > 0)
        pusher_forget_parked(p);
    int64_t wake = INT64_MAX, at;
    if (p->host == HOST_NONE)
        wake = start_host(p, now);
    at = pusher_tend_waiting(p, now);
    wake = at < wake ? at : wake;
    at = pusher_pump(p, now);
    wake = at < wake ? at : wake;
    at = watch_deadlines(p, now);
    wake = at < wake ? at : wake;
    if (p->dirty && p->writing == NULL) {
        at = pusher_checkpoint_due(p);
        if (p->urgent || at <= now)
            pusher_checkpoint_begin(p, now);
        else
            wake = at < wake ? at : wake;
    } else if (p->writing != NULL && p->write_failed) {
        if (p->checkpoint_at_ms <= now) {
            p->write_failed = false;
            p->ops->checkpoint(p->ops->arg, p, p->writing);
        } else {
            wake = p->checkpoint_at_ms < wake ? p->checkpoint_at_ms : wake;
        }
    }
    return wake;
}

/* Drawing up checkpoints: what has to be made durable is gathered while events come in, and put into one struct when
 * the last one is written. What happens meanwhile goes into the next. */
#include "delivery/internal.h"

#include "base/sys.h"

#include <stdlib.h>
#include <string.h>

void pusher_dirty(struct pusher *p, bool urgent)
{
    p->dirty = true;
    p->urgent = p->urgent || urgent;
}

static struct settle_entry *settle_new(struct pusher *p, struct place place)
{
    struct journal_segment segment;
    if (p->ops->segment_at(p->ops->arg, place.position, &segment) != ERR_OK)
        return NULL; /* its segment is gone, and so is its receipt */
    if (p->settle_count == p->settle_cap) {
        size_t cap = p->settle_cap == 0 ? 64 : p->settle_cap * 2;
        struct settle_entry *grown = realloc(p->settles, cap * sizeof *grown);
        if (grown == NULL)
            return NULL; /* the receipt will say delivered: better than not delivering */
        p->settles = grown;
        p->settle_cap = cap;
    }
    struct settle_entry *entry = &p->settles[p->settle_count++];
    *entry = (struct settle_entry){.place = place, .segment = segment.base};
    return entry;
}

static void settle(struct pusher *p, struct place place, uint32_t rows, uint32_t attempts, enum outcome outcome,
                   bool aside)
{
    pusher_dirty(p, false);
    if (p->settle_count > 0) { /* runs of one row set and outcome are one entry */
        struct settle_entry *last = &p->settles[p->settle_count - 1];
        if (last->place.position == place.position && last->place.row + last->rows == place.row && last->rows > 0 &&
            last->outcome == outcome && last->attempts == attempts && last->aside == aside) {
            last->rows += rows;
            return;
        }
    }
    struct settle_entry *entry = settle_new(p, place);
    if (entry == NULL)
        return;
    entry->rows = rows;
    entry->attempts = attempts;
    entry->outcome = (uint8_t)outcome;
    entry->aside = aside;
}

void pusher_settle(struct pusher *p, struct place place, uint32_t rows, uint32_t attempts, enum outcome outcome)
{
    settle(p, place, rows, attempts, outcome, false);
}

void pusher_settle_aside(struct pusher *p, struct place place, uint32_t rows, uint32_t attempts, enum outcome outcome)
{
    settle(p, place, rows, attempts, outcome, true);
}

void pusher_settle_all(struct pusher *p, struct place place, uint64_t end, uint32_t attempts, enum outcome outcome)
{
    pusher_dirty(p, false);
    struct settle_entry *entry = settle_new(p, place);
    if (entry == NULL)
        return;
    entry->end = end;
    entry->attempts = attempts;
    entry->outcome = (uint8_t)outcome;
}

/* --- one checkpoint --- */

static int draw_cursor(const struct pusher *p, struct cursor *c, int64_t now)
{
    c->sequence = p->sequence + 1;
    c->registered = p->registered;
    c->paused = p->paused;
    c->forgotten = p->forgotten;
    c->give_up_to = p->give_up_to;
    c->spread = p->spread;
    c->lane_count = p->lane_count;
    for (uint32_t i = 0; i < p->lane_count; i++) {
        c->lanes[i] = p->lanes[i].next;
        c->lane_rows[i] = p->lanes[i].row;
        c->plans[i] = p->lanes[i].plan;
        c->aheads[i] = p->lanes[i].ahead;
    }
    c->waiting = calloc(p->waiting.count + 1, sizeof *c->waiting);
    if (c->waiting == NULL)
        return ERR_NOMEM;
    c->waiting_count = (uint32_t)p->waiting.count;
    for (size_t i = 0; i < p->waiting.count; i++) {
        c->waiting[i] = p->waiting.rows[i].c;
        c->waiting[i].waited_ms = waiting_age(&p->waiting.rows[i], now);
    }
    for (uint32_t i = 0; i < p->replay_count; i++)
        if (p->replays[i].end == REPLAY_RUNS)
            c->replays[c->replay_count++] = p->replays[i].c;
    c->ruling_count = p->ruling_count;
    for (uint32_t i = 0; i < p->ruling_count; i++)
        c->rulings[i] = p->rulings[i].c;
    memcpy(c->totals, p->totals, sizeof c->totals);
    memcpy(c->state, p->plugin_state, p->plugin_state_len);
    c->state_len = p->plugin_state_len;
    return ERR_OK;
}

/* States of aside rows that are not on disk yet. */
static int draw_changes(struct pusher *p, struct checkpoint *cp)
{
    size_t count = 0;
    aside_rest(&p->aside);
    for (const struct aside_entry *entry = aside_active(&p->aside); entry != NULL;
         entry = aside_active_next(&p->aside, entry))
        count += entry->changed && !entry->moving;
    if (count == 0)
        return ERR_OK;
    cp->changes = calloc(count, sizeof *cp->changes);
    if (cp->changes == NULL)
        return ERR_NOMEM;
    for (struct aside_entry *entry = aside_active(&p->aside); entry != NULL;
         entry = aside_active_next(&p->aside, entry)) {
        if (!entry->changed || entry->moving)
            continue; /* what moves is written with its copy */
        entry->changed = false;
        cp->changes[cp->change_count++] = (struct aside_change){
            .file = entry->file,
            .offset = entry->offset,
            .attempts = entry->attempts,
            .returned = entry->returned,
            .since_us = entry->since_us,
            .state = entry->state,
        };
    }
    return ERR_OK;
}

/* One lane's rows that are given up, up to the end of the segment its cursor is in; or the row set that it stands at
 * and that an operator has settled. */
static void draw_sweep(struct pusher *p, struct checkpoint *cp, uint32_t index, const struct ruling *ruling)
{
    struct lane *lane = &p->lanes[index];
    struct journal_segment segment;
    if (p->ops->segment_at(p->ops->arg, lane->next.position, &segment) != ERR_OK) {
        lane->give_up = 0;
        return;
    }
    struct place from = lane->next;
    if (from.position < segment.first)
        from = (struct place){segment.first, 0};
    uint64_t limit = segment.end;
    if (p->reshard_at != 0 && limit > p->reshard_at)
        limit = p->reshard_at; /* the lanes meet there */
    uint64_t wanted = ruling != NULL ? ruling->c.position + 1 : lane->give_up;
    uint64_t to = wanted < limit ? wanted : limit;
    if (to <= from.position) {
        if (lane->give_up <= from.position)
            lane->give_up = 0;
        return;
    }
    struct sweep *s = &cp->sweeps[cp->sweep_count++];
    *s = (struct sweep){
        .lane = index,
        .shard = index,
        .shard_count = p->lane_count,
        .spread = p->spread,
        .dead = ruling == NULL && lane->give_up_dead,
        .by_hand = ruling != NULL && ruling->c.kind == RULING_DELIVERED,
        .from = from,
        .limit = limit,
        .to = to,
        .base = segment.base,
        .epoch = segment.epoch,
    };
    memcpy(s->why, lane->give_up_why, sizeof s->why);
    lane->sweeping = true;
}

static void draw_lanes(struct pusher *p, struct checkpoint *cp)
{
    for (uint32_t i = 0; i < p->lane_count; i++) {
        struct lane *lane = &p->lanes[i];
        if (lane->give_up <= lane->next.position)
            lane->give_up = 0;
        if (pusher_lane_busy(p, i))
            continue;
        if (lane->give_up == 0) {
            const struct ruling *ruling = pusher_ruling_here(p, i);
            if (ruling != NULL)
                draw_sweep(p, cp, i, ruling);
            continue;
        }
        if (lane->give_up_dead && p->ops->aside_full(p->ops->arg, ASIDE_DEAD, pusher_adding(p))) {
            pusher_break(p, DEAD_FULL);
            return;
        }
        draw_sweep(p, cp, i, NULL);
    }
}

static int draw_sweeps(struct pusher *p, struct checkpoint *cp)
{
    bool any = p->set_count > 0 || p->ruling_count > 0;
    for (uint32_t i = 0; i < p->lane_count; i++)
        any = any || p->lanes[i].give_up > 0;
    if (!any)
        return ERR_OK;
    cp->sweeps = calloc(p->lane_count + p->set_count + 1, sizeof *cp->sweeps);
    if (cp->sweeps == NULL)
        return ERR_NOMEM;
    if (p->set_count > 0)
        memcpy(cp->sweeps, p->sets, p->set_count * sizeof *p->sets);
    cp->sweep_count = p->set_count;
    draw_lanes(p, cp);
    return ERR_OK;
}

static struct checkpoint *draw(struct pusher *p, int64_t now)
{
    struct checkpoint *cp = calloc(1, sizeof *cp);
    if (cp == NULL)
        return NULL;
    cp->dir = strdup(p->dir);
    cp->clients = p->clients == NULL ? NULL : strdup(p->clients);
    cp->source = p->ops->source;
    cp->end = (struct aside_end){.file = p->aside.file, .size = p->aside.size};
    struct journal_segment oldest;
    if (p->ops->segment_at(p->ops->arg, 0, &oldest) == ERR_OK)
        cp->trim = oldest.base;
    if (cp->dir == NULL || (p->clients != NULL && cp->clients == NULL) || draw_cursor(p, &cp->cursor, now) != ERR_OK ||
        draw_sweeps(p, cp) != ERR_OK || draw_changes(p, cp) != ERR_OK) {
        for (uint32_t i = 0; i < p->lane_count; i++)
            p->lanes[i].sweeping = false;
        checkpoint_free(&cp);
        return NULL;
    }
    cp->notes = p->notes;
    cp->note_count = p->note_count;
    cp->settles = p->settles;
    cp->settle_count = p->settle_count;
    cp->adds = p->adds;
    cp->add_count = p->add_count;
    p->notes = NULL;
    p->settles = NULL;
    p->adds = NULL;
    p->note_count = p->settle_count = p->settle_cap = p->add_count = p->add_cap = p->set_count = 0;
    return cp;
}

/* Each cursor is a sync of its own, in one queue with the journal's: so many pushers move theirs less often, and a
 * crash repeats more of each. */
static int64_t checkpoint_share(const struct pusher *p)
{
    int64_t share = (int64_t)p->ops->running(p->ops->arg) * CHECKPOINT_SHARE_MS;
    if (share > CHECKPOINT_LATEST_MS)
        share = CHECKPOINT_LATEST_MS;
    return share > CHECKPOINT_EVERY_MS ? share - CHECKPOINT_EVERY_MS : 0;
}

int64_t pusher_checkpoint_due(const struct pusher *p)
{
    bool alone = p->add_count + p->set_count == 0 && !p->stopping;
    return p->checkpoint_at_ms + (alone ? p->checkpoint_share_ms : 0);
}

void pusher_checkpoint_begin(struct pusher *p, int64_t now)
{
    p->checkpoint_at_ms = now + CHECKPOINT_EVERY_MS;
    p->checkpoint_share_ms = checkpoint_share(p);
    pusher_compact(p);
    struct checkpoint *cp = draw(p, now);
    if (cp == NULL)
        return; /* no memory: tried again at the next step after checkpoint_at_ms */
    p->dirty = p->urgent = false;
    for (uint32_t i = 0; i < p->lane_count; i++)
        p->lanes[i].ahead_drawn = p->lanes[i].ahead.count;
    for (uint32_t i = 0; i < p->worker_top; i++)
        if (p->workers[i].busy && p->workers[i].go == GO_WANTED)
            p->workers[i].go = GO_WRITTEN;
    p->writing = cp;
    p->ops->checkpoint(p->ops->arg, p, cp);
}

static void apply_sweep(struct pusher *p, const struct sweep *s)
{
    p->totals[outcome_total(sweep_outcome(s))] += s->rows;
    p->counts.lost += s->set && s->rows == 0;
    if (s->set)
        return;
    struct lane *lane = &p->lanes[s->lane];
    lane->sweeping = false;
    lane->plan.there = lane->plan.there && s->rows == 0; /* else it has lost rows */
    ahead_drop(lane);
    lane->next = s->end;
    if (s->end_row > 0)
        lane->row = s->end_row;
    lane->attempt = 0;
    lane->first_try_ms = 0;
    lane->first_end = (struct place){0, 0};
    lane->crashes = lane->overdue = 0;
    if (!place_before(lane->next, lane->suspects_end))
        lane->suspects_end.position = 0;
    if (lane->next.position < lane->give_up)
        pusher_dirty(p, true);
    else
        lane->give_up = 0;
}

static uint64_t cursor_low(const struct cursor *c)
{
    uint64_t low = UINT64_MAX;
    for (uint32_t i = 0; i < c->lane_count; i++)
        low = c->lanes[i].position < low ? c->lanes[i].position : low;
    for (uint32_t i = 0; i < c->waiting_count; i++)
        low = c->waiting[i].place.position < low ? c->waiting[i].place.position : low;
    return low;
}

void pusher_checkpointed(struct pusher *p, int status, const char *reason, int64_t now)
{
    CHECK(p->writing != NULL);
    if (status != ERR_OK) {
        p->write_failed = true;
        p->checkpoint_at_ms = now + CHECKPOINT_RETRY_MS;
        p->ops->changed(p->ops->arg, p, "pusher.cursor_failed", reason);
        return;
    }
    struct checkpoint *cp = p->writing;
    if (aside_reserve(&p->aside, cp->swept_count + cp->add_count) != ERR_OK) {
        p->write_failed = true; /* memory may be back in a moment; the stages on disk are not repeated */
        p->checkpoint_at_ms = now + CHECKPOINT_RETRY_MS;
        return;
    }
    p->counts.lost += aside_apply(&p->aside, cp->swept, cp->swept_count);
    p->counts.lost += aside_apply(&p->aside, cp->adds, cp->add_count);
    aside_grown(&p->aside, &cp->end);
    for (size_t i = 0; i < cp->sweep_count; i++)
        apply_sweep(p, &cp->sweeps[i]);
    if (cp->swept_count + cp->add_count > 0)
        p->aside_due_ms = now;
    p->sequence = cp->cursor.sequence;
    p->durable_low = cursor_low(&cp->cursor);
    p->writing = NULL;
    for (uint32_t i = 0; i < p->lane_count; i++)
        p->lanes[i].ahead_durable = p->lanes[i].ahead_drawn;
    aside_sweep(&p->aside);
    checkpoint_free(&cp);
    for (uint32_t i = 0; i < p->worker_top; i++) {
        struct handed *h = &p->workers[i];
        if (!h->busy || h->go != GO_WRITTEN)
            continue;
        h->go = GO_NOT_NEEDED;
        h->first_push = p->pushes++ == 0;
        h->deadline_ms = now + p->settings.timeout_ms;
        p->ops->go(p->ops->arg, p, i, h->token);
    }
}

/* A row that becomes a dead letter is one when it can be found there; until then it counts as open (pusher_view). */
static void visit_settles(const struct settle_entry *entries, size_t count, settle_visit *visit, void *arg)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].outcome != OUTCOME_DEAD)
            visit(arg, &entries[i]);
}

void pusher_settles(const struct pusher *p, settle_visit *visit, void *arg)
{
    if (p->writing != NULL)
        visit_settles(p->writing->settles, p->writing->settle_count, visit, arg);
    visit_settles(p->settles, p->settle_count, visit, arg);
}

int pusher_write_cursor(struct pusher *p, struct err *e)
{
    struct cursor *c = calloc(1, sizeof *c);
    int code = c == NULL ? ERR_NOMEM : draw_cursor(p, c, 0);
    if (code == ERR_OK)
        code = cursor_write(p->dir, c, e);
    else
        err_set(e, code, "no memory for the cursor of %s", p->name);
    if (code == ERR_OK) {
        p->sequence = c->sequence;
        p->durable_low = pusher_low(p);
    }
    if (c != NULL)
        cursor_fini(c);
    free(c);
    return code;
}

int pusher_register(struct pusher *p, struct err *e)
{
    return p->sequence > 0 ? ERR_OK : pusher_write_cursor(p, e);
}

/* Drawing up checkpoints: what has to be made durable is gathered while events come in, and put into one struct when
 * the last one is written. What happens meanwhile goes into the next. */
#include "delivery/internal.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pusher_dirty(struct pusher *p, bool urgent)
{
    p->dirty = true;
    p->urgent = p->urgent || urgent;
}

void pusher_settle(struct pusher *p, struct place place, uint32_t rows, uint32_t attempts, enum outcome outcome)
{
    pusher_dirty(p, false);
    if (p->settle_count > 0 && rows > 0) { /* runs of one row set and outcome are one entry */
        struct settle_entry *last = &p->settles[p->settle_count - 1];
        if (last->place.position == place.position && last->place.row + last->rows == place.row && last->rows > 0 &&
            last->outcome == outcome && last->attempts == attempts) {
            last->rows += rows;
            return;
        }
    }
    struct journal_segment segment;
    if (p->ops->segment_at(p->ops->arg, place.position, &segment) != ERR_OK)
        return; /* its segment is gone, and so is its receipt */
    if (p->settle_count == p->settle_cap) {
        size_t cap = p->settle_cap == 0 ? 64 : p->settle_cap * 2;
        struct settle_entry *grown = realloc(p->settles, cap * sizeof *grown);
        if (grown == NULL)
            return; /* the receipt will say delivered: better than not delivering */
        p->settles = grown;
        p->settle_cap = cap;
    }
    p->settles[p->settle_count++] = (struct settle_entry){
        .place = place,
        .rows = rows,
        .attempts = attempts,
        .outcome = (uint8_t)outcome,
        .segment = segment.base,
    };
}

static struct aside_add *add_new(struct pusher *p)
{
    if (p->add_count == p->add_cap) {
        size_t cap = p->add_cap == 0 ? 16 : p->add_cap * 2;
        struct aside_add *grown = realloc(p->adds, cap * sizeof *grown);
        if (grown == NULL)
            return NULL;
        p->adds = grown;
        p->add_cap = cap;
    }
    struct aside_add *add = &p->adds[p->add_count++];
    memset(add, 0, sizeof *add);
    return add;
}

bool pusher_set_aside(struct pusher *p, struct place place, uint64_t uuid_hash, uint32_t attempts,
                      enum aside_state state, const char *reason)
{
    struct journal_segment segment;
    if (p->ops->aside_full(p->ops->arg, state, p->add_count * 1024)) {
        pusher_break(p, state == ASIDE_DEAD
                            ? "there is no room for more dead letters (dead.max_bytes): retry or drop some"
                            : "there is no room for more parked rows (park.max_bytes)");
        return false;
    }
    if (p->ops->segment_at(p->ops->arg, place.position, &segment) != ERR_OK) {
        p->counts.lost++;
        return true; /* damage took it */
    }
    struct aside_add *add = add_new(p);
    if (add == NULL)
        return false;
    add->place = place;
    add->epoch = segment.epoch;
    add->uuid_hash = uuid_hash;
    add->attempts = attempts;
    add->state = (uint8_t)state;
    snprintf(add->reason, sizeof add->reason, "%.255s", reason);
    if (state == ASIDE_DEAD) {
        p->totals[TOTAL_DEAD]++;
        pusher_settle(p, place, 1, attempts, OUTCOME_DEAD);
    }
    pusher_dirty(p, false);
    return true;
}

bool pusher_waiting_aside(struct pusher *p, struct waiting_row *row, enum aside_state state, const char *reason)
{
    if (!pusher_set_aside(p, row->c.place, row->c.uuid_hash, row->c.attempts, state, reason))
        return false;
    waiting_remove(&p->waiting, row);
    return true;
}

int pusher_dead_retry(struct pusher *p, struct aside_entry *entry, struct slice new_data, int64_t now)
{
    if (new_data.ptr == NULL) {
        aside_move(&p->aside, entry, ASIDE_RETRYING, clock_wall_us());
        entry->due_ms = now;
        p->aside_due_ms = now;
        pusher_dirty(p, true);
        return ERR_OK;
    }
    struct epoch epoch; /* an edited row is a new row: a new id, for this pusher alone */
    if (epoch_draw(&epoch) != ERR_OK)
        return ERR_IO;
    char *data = malloc(new_data.len);
    struct aside_add *add = data == NULL ? NULL : add_new(p);
    if (add == NULL) {
        free(data);
        return ERR_NOMEM;
    }
    memcpy(data, new_data.ptr, new_data.len);
    *add = (struct aside_add){
        .place = entry->place,
        .epoch = epoch,
        .uuid_hash = entry->uuid_hash,
        .state = ASIDE_RETRYING,
        .from_file = entry->file,
        .from_offset = entry->offset,
        .data = data,
        .data_len = new_data.len,
    };
    aside_move(&p->aside, entry, ASIDE_GONE, clock_wall_us());
    p->aside_due_ms = now;
    pusher_dirty(p, true);
    return ERR_OK;
}

void pusher_dead_drop(struct pusher *p, struct aside_entry *entry)
{
    aside_move(&p->aside, entry, ASIDE_GONE, clock_wall_us());
    pusher_dirty(p, true);
}

/* --- one checkpoint --- */

static int draw_cursor(const struct pusher *p, struct cursor *c, int64_t now)
{
    c->sequence = p->sequence + 1;
    c->registered = p->registered;
    c->paused = p->paused;
    c->forgotten = p->forgotten;
    c->lane_count = p->lane_count;
    for (uint32_t i = 0; i < p->lane_count; i++) {
        c->lanes[i] = p->lanes[i].next;
        c->lane_rows[i] = p->lanes[i].row;
        c->plans[i] = p->lanes[i].plan;
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
        if (!p->replays[i].done)
            c->replays[c->replay_count++] = p->replays[i].c;
    memcpy(c->totals, p->totals, sizeof c->totals);
    memcpy(c->state, p->plugin_state, p->plugin_state_len);
    c->state_len = p->plugin_state_len;
    return ERR_OK;
}

/* States of aside rows that are not on disk yet. */
static int draw_changes(struct pusher *p, struct checkpoint *cp)
{
    size_t count = 0;
    for (size_t i = 0; i < p->aside.count; i++)
        count += p->aside.entries[i].changed;
    if (count == 0)
        return ERR_OK;
    cp->changes = calloc(count, sizeof *cp->changes);
    if (cp->changes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < p->aside.count; i++) {
        struct aside_entry *entry = &p->aside.entries[i];
        if (!entry->changed)
            continue;
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

/* One lane's rows that are given up, up to the end of the segment its cursor is in. */
static int draw_sweep(struct pusher *p, struct checkpoint *cp, uint32_t index)
{
    struct lane *lane = &p->lanes[index];
    struct journal_segment segment;
    if (p->ops->segment_at(p->ops->arg, lane->next.position, &segment) != ERR_OK) {
        lane->give_up = 0;
        return ERR_OK;
    }
    if (cp->sweeps == NULL)
        cp->sweeps = calloc(p->lane_count, sizeof *cp->sweeps);
    if (cp->sweeps == NULL)
        return ERR_NOMEM;
    struct place from = lane->next;
    if (from.position < segment.first)
        from = (struct place){segment.first, 0};
    struct sweep *s = &cp->sweeps[cp->sweep_count++];
    *s = (struct sweep){
        .lane = index,
        .shard = index,
        .shard_count = p->lane_count,
        .spread = p->settings.order == ORDER_NONE,
        .dead = lane->give_up_dead,
        .from = from,
        .limit = lane->give_up < segment.end ? lane->give_up : segment.end,
        .base = segment.base,
        .epoch = segment.epoch,
    };
    if (s->limit <= s->from.position) { /* nothing of this segment: move on to the next */
        cp->sweep_count--;
        lane->give_up = 0;
        return ERR_OK;
    }
    memcpy(s->why, lane->give_up_why, sizeof s->why);
    lane->sweeping = true;
    return ERR_OK;
}

static bool lane_busy(const struct pusher *p, uint32_t lane)
{
    for (uint32_t i = 0; i < p->worker_count; i++)
        if (p->workers[i].busy && p->workers[i].what == HANDED_RANGE && p->workers[i].lane == lane)
            return true;
    return false;
}

static int draw_sweeps(struct pusher *p, struct checkpoint *cp)
{
    int code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < p->lane_count; i++) {
        struct lane *lane = &p->lanes[i];
        if (lane->give_up <= lane->next.position)
            lane->give_up = 0;
        if (lane->give_up == 0 || lane_busy(p, i))
            continue;
        code = draw_sweep(p, cp, i);
        lane->plan.there = false;
    }
    return code;
}

static struct checkpoint *draw(struct pusher *p, int64_t now)
{
    struct checkpoint *cp = calloc(1, sizeof *cp);
    if (cp == NULL)
        return NULL;
    cp->dir = strdup(p->dir);
    cp->source = p->ops->source;
    cp->end = (struct aside_end){p->aside.file, p->aside.size};
    struct journal_segment oldest;
    if (p->ops->segment_at(p->ops->arg, 0, &oldest) == ERR_OK)
        cp->trim = oldest.base;
    if (cp->dir == NULL || draw_cursor(p, &cp->cursor, now) != ERR_OK || draw_sweeps(p, cp) != ERR_OK ||
        draw_changes(p, cp) != ERR_OK) {
        for (uint32_t i = 0; i < p->lane_count; i++)
            p->lanes[i].sweeping = false;
        checkpoint_free(&cp);
        return NULL;
    }
    cp->settles = p->settles;
    cp->settle_count = p->settle_count;
    cp->adds = p->adds;
    cp->add_count = p->add_count;
    p->settles = NULL;
    p->adds = NULL;
    p->settle_count = p->settle_cap = p->add_count = p->add_cap = 0;
    return cp;
}

void pusher_checkpoint_begin(struct pusher *p, int64_t now)
{
    p->checkpoint_at_ms = now + CHECKPOINT_EVERY_MS;
    struct checkpoint *cp = draw(p, now);
    if (cp == NULL)
        return; /* no memory: tried again at the next step after checkpoint_at_ms */
    p->dirty = p->urgent = false;
    for (uint32_t i = 0; i < p->worker_count; i++)
        if (p->workers[i].busy && p->workers[i].go == GO_WANTED)
            p->workers[i].go = GO_WRITTEN;
    p->writing = cp;
    p->ops->checkpoint(p->ops->arg, p, cp);
}

static void apply_sweep(struct pusher *p, const struct sweep *s)
{
    struct lane *lane = &p->lanes[s->lane];
    lane->sweeping = false;
    lane->next = s->end;
    lane->row += s->rows;
    lane->attempt = 0;
    lane->first_try_ms = 0;
    p->totals[s->dead ? TOTAL_DEAD : TOTAL_GIVEN_UP] += s->rows;
    if (lane->next.position < lane->give_up)
        pusher_dirty(p, true);
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
    if (aside_apply(&p->aside, &cp->end, cp->adds, cp->add_count) != ERR_OK) {
        p->write_failed = true; /* memory may be back in a moment; the stages on disk are not repeated */
        p->checkpoint_at_ms = now + CHECKPOINT_RETRY_MS;
        return;
    }
    for (size_t i = 0; i < cp->add_count; i++)
        p->counts.lost += cp->adds[i].lost;
    for (size_t i = 0; i < cp->sweep_count; i++)
        apply_sweep(p, &cp->sweeps[i]);
    if (cp->add_count > 0)
        p->aside_due_ms = now;
    p->sequence = cp->cursor.sequence;
    p->durable_low = cursor_low(&cp->cursor);
    p->writing = NULL;
    aside_sweep(&p->aside);
    checkpoint_free(&cp);
    for (uint32_t i = 0; i < p->worker_count; i++) {
        struct handed *h = &p->workers[i];
        if (!h->busy || h->go != GO_WRITTEN)
            continue;
        h->go = GO_NOT_NEEDED;
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

int pusher_register(struct pusher *p, struct err *e)
{
    struct cursor *c = p->sequence == 0 ? calloc(1, sizeof *c) : NULL;
    if (p->sequence > 0)
        return ERR_OK;
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

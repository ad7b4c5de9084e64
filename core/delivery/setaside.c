/* Rows that leave the journal: dead letters, parked rows, copies within the aside store, and what is let go. All of it
 * is gathered for the next checkpoint, and takes effect in memory at once where nobody can be misled by it. */
#include "delivery/internal.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPACT_BYTES = 8 << 20 }; /* copied by one checkpoint */

bool pusher_adds_reserve(struct pusher *p, size_t more)
{
    size_t cap = p->add_cap == 0 ? 16 : p->add_cap;
    while (cap < p->add_count + more)
        cap *= 2;
    if (cap == p->add_cap)
        return true;
    struct aside_add *grown = realloc(p->adds, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    p->adds = grown;
    p->add_cap = cap;
    return true;
}

struct aside_add *pusher_add_new(struct pusher *p)
{
    if (!pusher_adds_reserve(p, 1))
        return NULL;
    struct aside_add *add = &p->adds[p->add_count++];
    memset(add, 0, sizeof *add);
    return add;
}

uint64_t pusher_adding(const struct pusher *p)
{
    size_t adds = p->add_count + 1 + (p->writing == NULL ? 0 : p->writing->add_count);
    return adds * (ADD_OVERHEAD + p->row_bytes);
}

bool pusher_dead_room(struct pusher *p, uint32_t rows)
{
    uint64_t more = pusher_adding(p) + (rows - 1) * (ADD_OVERHEAD + p->row_bytes);
    if (!p->ops->aside_full(p->ops->arg, ASIDE_DEAD, more))
        return pusher_adds_reserve(p, rows);
    pusher_break(p, DEAD_FULL);
    return false;
}

bool pusher_set_aside(struct pusher *p, struct place place, uint64_t uuid_hash, uint32_t attempts,
                      enum aside_state state, const char *reason)
{
    struct journal_segment segment;
    if (p->ops->aside_full(p->ops->arg, state, pusher_adding(p))) {
        pusher_break(p, state == ASIDE_DEAD ? DEAD_FULL : "there is no room for more parked rows (park.max_bytes)");
        return false;
    }
    if (p->ops->segment_at(p->ops->arg, place.position, &segment) != ERR_OK) {
        p->counts.lost++;
        return true; /* damage took it */
    }
    struct aside_add *add = pusher_add_new(p);
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

static bool adds_take(const struct aside_add *adds, size_t add_count, const struct sweep *sets, size_t set_count,
                      struct place place)
{
    for (size_t i = 0; i < add_count; i++)
        if (adds[i].place.position == place.position &&
            (adds[i].place.row == place.row || adds[i].place.row == PLACE_SET))
            return true;
    for (size_t i = 0; i < set_count; i++)
        if (sets[i].set && sets[i].from.position == place.position)
            return true;
    return false;
}

bool pusher_sets_aside(const struct pusher *p, struct place place)
{
    const struct checkpoint *cp = p->writing;
    return adds_take(p->adds, p->add_count, p->sets, p->set_count, place) ||
           (cp != NULL && adds_take(cp->adds, cp->add_count, cp->sweeps, cp->sweep_count, place));
}

/* A whole set: its rows are found by the checkpoint. */
static bool set_aside_set(struct pusher *p, const struct waiting_row *row, enum giving how, const char *reason)
{
    struct journal_segment segment;
    if (how == GIVE_DEAD && p->ops->aside_full(p->ops->arg, ASIDE_DEAD, pusher_adding(p))) {
        pusher_break(p, DEAD_FULL);
        return false;
    }
    if (p->ops->segment_at(p->ops->arg, row->c.place.position, &segment) != ERR_OK) {
        p->counts.lost++;
        return true;
    }
    if (p->set_count == p->set_cap) {
        size_t cap = p->set_cap == 0 ? 16 : p->set_cap * 2;
        struct sweep *grown = realloc(p->sets, cap * sizeof *grown);
        if (grown == NULL)
            return false;
        p->sets = grown;
        p->set_cap = cap;
    }
    struct sweep *s = &p->sets[p->set_count++];
    *s = (struct sweep){
        .set = true,
        .attempts = row->c.attempts > 0 ? row->c.attempts : 1,
        .dead = how == GIVE_DEAD,
        .by_hand = how == GIVE_BY_HAND,
        .from = {row->c.place.position, 0},
        .base = segment.base,
        .epoch = segment.epoch,
    };
    snprintf(s->why, sizeof s->why, "%.150s", reason);
    pusher_dirty(p, false);
    return true;
}

bool pusher_waiting_aside(struct pusher *p, struct waiting_row *row, enum aside_state state, const char *reason)
{
    bool done = row->c.place.row == PLACE_SET && state == ASIDE_DEAD
                    ? set_aside_set(p, row, GIVE_DEAD, reason)
                    : pusher_set_aside(p, row->c.place, row->c.uuid_hash, row->c.attempts, state, reason);
    if (done)
        waiting_remove(&p->waiting, row);
    return done;
}

static struct aside_add *move_new(struct pusher *p, struct aside_entry *entry)
{
    struct aside_add *add = pusher_add_new(p);
    if (add == NULL)
        return NULL;
    *add = (struct aside_add){
        .place = entry->place,
        .epoch = entry->epoch,
        .uuid_hash = entry->uuid_hash,
        .attempts = entry->attempts,
        .returned = entry->returned,
        .state = entry->state,
        .since_us = entry->since_us,
        .from_file = entry->file,
        .from_offset = entry->offset,
        .moved = true,
    };
    entry->moving = true;
    return add;
}

void pusher_aside_row_dead(struct pusher *p, const struct aside_entry *set, uint32_t row, const char *reason)
{
    struct aside_add *add = pusher_add_new(p);
    CHECK(add != NULL && row < set->rows); /* there is room: pusher_dead_room */
    *add = (struct aside_add){
        .place = {set->place.position, row},
        .epoch = set->epoch,
        .uuid_hash = set->uuid_hash,
        .attempts = set->attempts,
        .state = ASIDE_DEAD,
        .from_file = set->file,
        .from_offset = set->offset,
    };
    snprintf(add->reason, sizeof add->reason, "%.255s", reason);
    p->totals[TOTAL_DEAD]++;
    pusher_settle_aside(p, add->place, 1, set->attempts, OUTCOME_DEAD);
}

/* Each of its rows is a dead letter, and the set is gone. */
static bool aside_set_dead(struct pusher *p, struct aside_entry *set, const char *reason)
{
    if (set->moving || !pusher_dead_room(p, set->rows))
        return false;
    for (uint32_t row = 0; row < set->rows; row++)
        pusher_aside_row_dead(p, set, row, reason);
    set->suspect = set->suspected = set->solo = false;
    aside_move(&p->aside, set, ASIDE_GONE, clock_wall_us());
    return true;
}

bool pusher_aside_dead(struct pusher *p, struct aside_entry *entry, const char *reason)
{
    if (entry->place.row == PLACE_SET)
        return aside_set_dead(p, entry, reason);
    bool parked = entry->state == ASIDE_PARKED; /* else it was a dead letter already, and had its room */
    if (parked && p->ops->aside_full(p->ops->arg, ASIDE_DEAD, pusher_adding(p))) {
        pusher_break(p, DEAD_FULL);
        return false;
    }
    struct aside_add *add = entry->moving ? NULL : move_new(p, entry);
    if (add == NULL)
        return false;
    entry->returned += !parked;
    entry->suspect = entry->suspected = entry->solo = false;
    aside_move(&p->aside, entry, ASIDE_DEAD, clock_wall_us());
    entry->changed = false; /* the copy says so */
    add->state = ASIDE_DEAD;
    add->returned = entry->returned;
    add->since_us = entry->since_us;
    snprintf(add->reason, sizeof add->reason, "%.255s", reason);
    p->totals[TOTAL_DEAD]++;
    pusher_settle_aside(p, entry->place, 1, entry->attempts, OUTCOME_DEAD);
    return true;
}

void pusher_compact(struct pusher *p)
{
    struct aside *a = &p->aside;
    if (!aside_bloated(a))
        return;
    uint64_t bytes = 0;
    for (size_t i = a->front; i < a->count && a->entries[i].file <= a->oldest && bytes < COMPACT_BYTES; i++) {
        struct aside_entry *entry = &a->entries[i];
        if (entry->state == ASIDE_GONE || entry->out || entry->moving)
            continue;
        if (move_new(p, entry) == NULL)
            return; /* tried again with the next checkpoint */
        entry->changed = false;
        bytes += entry->length;
    }
}

/* A lane that was with a worker when it was let go is swept by the first checkpoint after it has come back. */
static void let_lanes_go(struct pusher *p)
{
    for (uint32_t i = 0; i < p->lane_count && !p->dirty; i++) {
        const struct lane *lane = &p->lanes[i];
        if (lane->give_up > lane->next.position && !lane->sweeping && !pusher_lane_busy(p, i))
            pusher_dirty(p, false);
    }
}

/* A row that waits is settled as it was said. False: it could not be. */
static bool let_row_go(struct pusher *p, struct waiting_row *row)
{
    uint32_t plan = row->c.plan;
    if (row->give_up == GIVE_DEAD) {
        if (!pusher_waiting_aside(p, row, ASIDE_DEAD, row->reason))
            return false;
    } else if (row->c.place.row == PLACE_SET) {
        if (!set_aside_set(p, row, (enum giving)row->give_up, row->reason))
            return false;
        waiting_remove(&p->waiting, row);
    } else {
        enum outcome outcome = row->give_up == GIVE_BY_HAND ? OUTCOME_BY_HAND : OUTCOME_GIVEN_UP;
        pusher_settle(p, row->c.place, 1, row->c.attempts, outcome);
        p->totals[outcome_total(outcome)]++;
        waiting_remove(&p->waiting, row);
    }
    pusher_plan_breaks(p, plan);
    return true;
}

void pusher_let_rows_go(struct pusher *p)
{
    let_lanes_go(p);
    for (size_t i = 0; i < p->waiting.count;) {
        struct waiting_row *row = &p->waiting.rows[i];
        if (row->give_up == GIVE_NO || row->out)
            i++;
        else if (!let_row_go(p, row))
            return;
    }
}

int pusher_dead_retry(struct pusher *p, struct aside_entry *entry, struct slice new_data, int64_t now)
{
    if (p->forgotten || (entry->place.row == PLACE_SET && new_data.ptr != NULL))
        return ERR_BUSY;
    if (new_data.ptr == NULL) {
        aside_move(&p->aside, entry, ASIDE_RETRYING, clock_wall_us());
        entry->due_ms = now;
        entry->crashes = 0;
        entry->suspect = entry->suspected = entry->solo = false;
        p->aside_due_ms = now;
        pusher_dirty(p, true);
        return ERR_OK;
    }
    struct epoch epoch; /* an edited row is a new row: a new id, for this pusher alone */
    if (epoch_draw(&epoch) != ERR_OK)
        return ERR_IO;
    char *data = malloc(new_data.len);
    struct aside_add *add = data == NULL ? NULL : pusher_add_new(p);
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

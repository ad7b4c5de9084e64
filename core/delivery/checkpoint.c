/* Writing a checkpoint: aside, settle, cursor, in this order, each durable before the next begins.
 *
 * After a crash between two stages the cursor is the old one: the rows come again, copies set aside meanwhile are
 * dropped at the next start (pusher_load), settle entries are written a second time and mean the same.
 *
 * A row that is aside already does not come again by the cursor: its file alone says what it is. So what was said of
 * such rows is settled before it changes there; after a crash in between they are tried again, and whatever is said
 * then is another entry behind this one. */
#include "delivery/checkpoint.h"

#include "base/client.h"
#include "base/hash.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_ROWS = 1000, SWEEP_BYTES = 8 << 20 }; /* given up by one checkpoint, so that it stays short */

bool shard_takes(uint32_t shard, uint32_t shard_count, bool spread, uint64_t uuid_hash, uint64_t position)
{
    if (shard_count <= 1)
        return true;
    uint64_t hash = spread ? hash_bytes(slice_make(&position, sizeof position)) : uuid_hash;
    return hash % shard_count == shard;
}

static int add_settle(struct checkpoint *cp, const struct sweep *s, const struct record *r, uint32_t from,
                      enum outcome outcome)
{
    struct settle_entry *grown = realloc(cp->swept_settles, (cp->swept_settle_count + 1) * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    cp->swept_settles = grown;
    grown[cp->swept_settle_count++] = (struct settle_entry){
        .place = {r->position, from},
        .rows = r->rows - from,
        .attempts = s->set ? s->attempts : 1,
        .outcome = (uint8_t)outcome,
        .segment = s->base,
    };
    return ERR_OK;
}

static int add_dead(struct checkpoint *cp, const struct sweep *s, const struct record *r, uint32_t from, uint64_t hash)
{
    struct aside_add *grown = realloc(cp->swept, (cp->swept_count + r->rows - from) * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    cp->swept = grown;
    for (uint32_t row = from; row < r->rows; row++) {
        struct aside_add *add = &grown[cp->swept_count++];
        *add = (struct aside_add){
            .place = {r->position, row},
            .epoch = s->epoch,
            .uuid_hash = hash,
            .attempts = s->set ? s->attempts : 1,
            .state = ASIDE_DEAD,
        };
        snprintf(add->reason, sizeof add->reason, "%s", s->why);
    }
    return ERR_OK;
}

static int sweep_record(struct checkpoint *cp, struct sweep *s, const struct record *r)
{
    struct slice uuid = {NULL, 0}, client = {"", 0};
    (void)context_get(r->context, CONTEXT_UUID, &uuid);
    (void)context_get(r->context, CONTEXT_CLIENT, &client);
    uint64_t hash = hash_bytes(uuid);
    uint32_t from = r->position == s->from.position ? s->from.row : 0;
    if (from >= r->rows || (!s->set && !shard_takes(s->shard, s->shard_count, s->spread, hash, r->position)))
        return ERR_OK;
    s->end_row = r->first_row + r->rows;
    if (!s->set && cp->clients != NULL && !client_listed(cp->clients, client))
        return add_settle(cp, s, r, from, OUTCOME_SKIPPED); /* never was for this pusher */
    s->rows += r->rows - from;
    int code = add_settle(cp, s, r, from, sweep_outcome(s));
    return code == ERR_OK && s->dead ? add_dead(cp, s, r, from, hash) : code;
}

static int sweep_set(struct checkpoint *cp, struct sweep *s, void **session)
{
    struct record r;
    int code = cp->source->at(cp->source->arg, session, s->from.position, &r);
    if (code == ERR_OK)
        return sweep_record(cp, s, &r);
    return code == ERR_DAMAGED || code == ERR_NOTFOUND || code == ERR_GONE ? ERR_OK : code;
}

/* It ends between two row sets, at or behind `to`: nothing could be read from the middle of one. */
static int sweep_lane(struct checkpoint *cp, struct sweep *s, void **session)
{
    uint64_t at = s->from.position;
    uint64_t stop = s->to - at > SWEEP_BYTES ? at + SWEEP_BYTES : s->to;
    struct record r;
    int code = ERR_OK;
    while (code == ERR_OK && at < stop && s->rows < SWEEP_ROWS) {
        code = cp->source->next(cp->source->arg, session, &at, s->limit, &r);
        if (code == ERR_OK && r.position >= s->to)
            at = r.position; /* the first that stays */
        else if (code == ERR_OK)
            code = sweep_record(cp, s, &r);
    }
    if (code == ERR_NOTFOUND) { /* nothing more in this segment */
        at = s->limit;
        code = ERR_OK;
    }
    s->end = (struct place){at, 0};
    return code;
}

/* Bounded: ends early with `end` before `limit`; the next checkpoint goes on. */
static int stage_sweep(struct checkpoint *cp)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < cp->sweep_count; i++) {
        struct sweep *s = &cp->sweeps[i];
        void *session = NULL;
        s->rows = s->end_row = 0;
        code = s->set ? sweep_set(cp, s, &session) : sweep_lane(cp, s, &session);
        cp->source->end(cp->source->arg, &session);
    }
    if (code != ERR_OK) /* the whole stage is done again */
        cp->swept_count = cp->swept_settle_count = 0;
    return code;
}

/* The cursor was drawn up before the sweeps were known: their lanes go on behind what was given up, and the totals
 * count it. */
static void sweep_lanes(struct checkpoint *cp)
{
    for (size_t i = 0; i < cp->sweep_count; i++) {
        const struct sweep *s = &cp->sweeps[i];
        cp->cursor.totals[outcome_total(sweep_outcome(s))] += s->rows;
        if (s->set)
            continue;
        cp->cursor.lanes[s->lane] = s->end;
        cp->cursor.aheads[s->lane].count = 0;
        if (s->rows > 0)
            cp->cursor.plans[s->lane].there = false;
        if (s->end_row > 0)
            cp->cursor.lane_rows[s->lane] = s->end_row;
    }
}

static int stage_swept(struct checkpoint *cp, struct err *e)
{
    if (cp->swept_count == 0)
        return ERR_OK;
    return aside_append(cp->dir, &cp->end, cp->swept, cp->swept_count, NULL, 0, cp->source, e);
}

static int stage_aside(struct checkpoint *cp, struct err *e)
{
    if (cp->add_count == 0 && cp->change_count == 0)
        return ERR_OK;
    return aside_append(cp->dir, &cp->end, cp->adds, cp->add_count, cp->changes, cp->change_count, cp->source, e);
}

/* Those of rows that are aside, or the others. */
static int settle_some(struct checkpoint *cp, bool aside, struct err *e)
{
    struct settle_entry *some = calloc(cp->settle_count + 1, sizeof *some);
    size_t count = 0;
    if (some == NULL)
        return err_set(e, ERR_NOMEM, "no memory for settle entries");
    for (size_t i = 0; i < cp->settle_count; i++)
        if (cp->settles[i].aside == aside)
            some[count++] = cp->settles[i];
    int code = settle_append(cp->dir, some, count, e);
    free(some);
    return code;
}

static int stage_settle(struct checkpoint *cp, struct err *e)
{
    int code = settle_some(cp, false, e);
    if (code == ERR_OK)
        code = settle_append(cp->dir, cp->swept_settles, cp->swept_settle_count, e);
    if (code == ERR_OK && cp->trim > 0)
        settle_trim(cp->dir, cp->trim);
    return code;
}

int checkpoint_write(struct checkpoint *cp, struct err *e)
{
    if (sys->mkdir(cp->dir, 0750) != 0 && errno != EEXIST)
        return err_errno(e, errno, "cannot make %s", cp->dir);
    while (cp->stage != STAGE_DONE) {
        int code = ERR_OK;
        switch (cp->stage) {
        case STAGE_NOTES: code = note_append(cp->dir, cp->notes, cp->note_count, e); break;
        case STAGE_SWEEP:
            code = stage_sweep(cp);
            if (code == ERR_OK)
                sweep_lanes(cp);
            else
                err_set(e, code, "cannot read the rows to be given up: %s", err_text(code));
            break;
        case STAGE_SWEPT: code = stage_swept(cp, e); break;
        case STAGE_JUDGED: code = settle_some(cp, true, e); break;
        case STAGE_ASIDE: code = stage_aside(cp, e); break;
        case STAGE_SETTLE: code = stage_settle(cp, e); break;
        case STAGE_CURSOR: code = cursor_write(cp->dir, &cp->cursor, e); break;
        case STAGE_DONE: break;
        }
        if (code != ERR_OK)
            return code;
        cp->stage = (enum checkpoint_stage)(cp->stage + 1);
    }
    return ERR_OK;
}

void checkpoint_free(struct checkpoint **cp)
{
    if (*cp == NULL)
        return;
    for (size_t i = 0; i < (*cp)->add_count; i++)
        free((*cp)->adds[i].data);
    for (size_t i = 0; i < (*cp)->note_count; i++)
        free((*cp)->notes[i].json);
    cursor_fini(&(*cp)->cursor);
    free((*cp)->notes);
    free((*cp)->sweeps);
    free((*cp)->swept);
    free((*cp)->swept_settles);
    free((*cp)->adds);
    free((*cp)->changes);
    free((*cp)->settles);
    free((*cp)->clients);
    free((*cp)->dir);
    free(*cp);
    *cp = NULL;
}

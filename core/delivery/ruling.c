/* One row set at one pusher, by an operator's word: taken for delivered, given up, or sent again.
 *
 * The first two are rulings. A ruling stands in the cursor, so it is durable with the next checkpoint; what it says is
 * carried out by every step until nothing of the set is left: rows that wait, are parked or are dead letters at once,
 * what a worker has when it has come back, and what the lane has not reached when it gets there. It never goes beyond
 * the set: the range before it ends where it begins, and the checkpoint settles it. So a ruling costs nothing while it
 * waits, and after a crash is carried out again from where it was.
 *
 * To be sent again, settled rows are copied out of the journal, and tried as dead letters are that were sent again:
 * each on its own, without holding anything back, and what is said of it then is what its receipt says. */
#include "delivery/internal.h"

#include "base/sys.h"

#include <stdlib.h>
#include <string.h>

static struct ruling *ruling_find(const struct pusher *p, uint64_t position, uint64_t uuid_hash)
{
    for (uint32_t i = 0; i < p->ruling_count; i++)
        if (p->rulings[i].c.position == position && p->rulings[i].c.uuid_hash == uuid_hash)
            return (struct ruling *)(uintptr_t)&p->rulings[i];
    return NULL;
}

static uint32_t ruling_lane(const struct pusher *p, const struct ruling *r)
{
    return pusher_lane_of_row(p, r->c.uuid_hash, r->c.position);
}

static enum outcome ruling_outcome(const struct ruling *r)
{
    return r->c.kind == RULING_DELIVERED ? OUTCOME_BY_HAND : OUTCOME_GIVEN_UP;
}

/* The lane has not passed it. */
static bool ahead(const struct pusher *p, const struct ruling *r)
{
    return p->lanes[ruling_lane(p, r)].next.position <= r->c.position;
}

const struct ruling *pusher_ruling_here(const struct pusher *p, uint32_t lane)
{
    const struct lane *l = &p->lanes[lane];
    for (uint32_t i = 0; i < p->ruling_count; i++) {
        const struct ruling *r = &p->rulings[i];
        if (r->c.position == l->next.position && ruling_lane(p, r) == lane && !l->sweeping &&
            (p->reshard_at == 0 || r->c.position < p->reshard_at)) /* else the lanes meet first */
            return r;
    }
    return NULL;
}

uint64_t pusher_ruling_ahead(const struct pusher *p, uint32_t lane)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < p->ruling_count; i++)
        if (p->rulings[i].c.position < next && ahead(p, &p->rulings[i]) && ruling_lane(p, &p->rulings[i]) == lane)
            next = p->rulings[i].c.position;
    return next;
}

/* A range that is with a worker, or going there, reaches over it. */
static bool is_out(const struct pusher *p, const struct ruling *r)
{
    uint32_t lane = ruling_lane(p, r);
    for (uint32_t i = 0; i < CURSOR_LANES; i++) {
        const struct handed *h = &p->workers[i];
        if (h->busy && h->what == HANDED_RANGE && h->lane == lane && h->limit > r->c.position)
            return true;
    }
    return false;
}

const struct ruling *pusher_ruled(const struct pusher *p, uint64_t position, uint64_t uuid_hash)
{
    const struct ruling *r = p->ruling_count == 0 ? NULL : ruling_find(p, position, uuid_hash);
    return r != NULL && r->sequence <= p->sequence && !is_out(p, r) ? r : NULL;
}

/* --- carrying out --- */

/* It must not be pushed along with a plan that comes again; and where the lane stands at it, a checkpoint settles it.
 */
static void rule_lane(struct pusher *p, const struct ruling *r)
{
    struct lane *lane = &p->lanes[ruling_lane(p, r)];
    const struct cursor_plan *plan = &lane->plan;
    const struct place first = {r->c.position, 0}, behind = {r->c.position + 1, 0};
    if (is_out(p, r))
        return;
    if (plan->there && place_before(first, plan->to) && place_before(plan->from, behind)) {
        lane->plan.there = false;
        p->counts.uncertain++;
    }
    if (pusher_ruling_here(p, ruling_lane(p, r)) == r)
        pusher_dirty(p, true);
}

/* True: something of it waits. */
static bool rule_waiting(struct pusher *p, const struct ruling *r)
{
    bool any = false;
    for (size_t i = 0; i < p->waiting.count; i++) {
        struct waiting_row *row = &p->waiting.rows[i];
        if (row->c.place.position != r->c.position)
            continue;
        any = true;
        if (row->give_up == GIVE_NO)
            row->give_up = r->c.kind == RULING_DELIVERED ? GIVE_BY_HAND : GIVE_SKIP;
    }
    return any;
}

/* Of each row's place in the settle stream. A set that is one entry stands for all its rows. */
static void settle_entry_of(struct pusher *p, struct aside_entry *entry, enum outcome outcome)
{
    struct place place = {entry->place.position, entry->place.row == PLACE_SET ? 0 : entry->place.row};
    pusher_settle_aside(p, place, entry->rows, entry->attempts, outcome);
    p->totals[outcome_total(outcome)] += entry->rows;
    entry->suspect = entry->suspected = entry->solo = false;
    aside_move(&p->aside, entry, ASIDE_GONE, clock_wall_us());
    pusher_dirty(p, true);
}

/* The entries of a row set; edited dead letters of it too. ERR_NOMEM: not known. */
static int entries_of(struct pusher *p, uint64_t position, uint64_t uuid_hash, size_t **out, size_t *count)
{
    size_t kept = 0;
    *count = 0;
    *out = NULL;
    if (p->aside.dead_count + p->aside.parked_count == 0)
        return ERR_OK;
    int code = aside_of_uuid(&p->aside, uuid_hash, 0, out, count);
    for (size_t i = 0; code == ERR_OK && i < *count; i++) {
        const struct aside_entry *e = &p->aside.entries[(*out)[i]];
        if (e->place.position == position && e->state != ASIDE_GONE)
            (*out)[kept++] = (*out)[i];
    }
    *count = kept;
    return code;
}

/* True: something of it is aside and cannot be settled just now. */
static bool rule_aside(struct pusher *p, const struct ruling *r)
{
    size_t *numbers, count;
    bool left = false;
    if (entries_of(p, r->c.position, r->c.uuid_hash, &numbers, &count) != ERR_OK)
        return true;
    for (size_t i = 0; i < count; i++) {
        struct aside_entry *entry = &p->aside.entries[numbers[i]];
        if (entry->out || entry->moving)
            left = true;
        else
            settle_entry_of(p, entry, ruling_outcome(r));
    }
    free(numbers);
    return left;
}

/* Rows of it are about to be set aside. */
static bool coming(const struct pusher *p, uint64_t position)
{
    const struct checkpoint *cp = p->writing;
    for (size_t i = 0; i < p->add_count; i++)
        if (p->adds[i].place.position == position)
            return true;
    for (size_t i = 0; i < p->set_count; i++)
        if (p->sets[i].from.position == position)
            return true;
    for (size_t i = 0; cp != NULL && i < cp->add_count; i++)
        if (cp->adds[i].place.position == position)
            return true;
    for (size_t i = 0; cp != NULL && i < cp->sweep_count; i++)
        if (cp->sweeps[i].set && cp->sweeps[i].from.position == position)
            return true;
    return false;
}

void pusher_carry_out(struct pusher *p)
{
    for (uint32_t i = 0; i < p->ruling_count;) {
        struct ruling *r = &p->rulings[i];
        bool before = ahead(p, r);
        if (before)
            rule_lane(p, r);
        bool left = rule_waiting(p, r) || coming(p, r->c.position);
        if (!before || !r->looked)
            left = rule_aside(p, r) || left;
        r->looked = before && !left;
        if (before || left) {
            i++;
            continue;
        }
        *r = p->rulings[--p->ruling_count];
        pusher_dirty(p, false);
    }
}

/* --- what operators say --- */

uint64_t pusher_written_by(const struct pusher *p)
{
    return p->sequence + (p->writing != NULL) + p->dirty;
}

static struct pusher_view view_of(const struct pusher *p, const struct chosen_set *set)
{
    struct pusher_view view;
    pusher_view(p, set->position, set->rows, set->uuid_hash, &view);
    return view;
}

uint32_t pusher_dead_rows(const struct pusher *p, const struct chosen_set *set)
{
    size_t *numbers, count;
    uint32_t dead = 0;
    if (entries_of((struct pusher *)(uintptr_t)p, set->position, set->uuid_hash, &numbers, &count) != ERR_OK)
        return 0;
    for (size_t i = 0; i < count; i++)
        dead += p->aside.entries[numbers[i]].state == ASIDE_DEAD;
    free(numbers);
    return dead;
}

static uint32_t at_most(uint32_t rows, const struct chosen_set *set)
{
    return rows < set->rows ? rows : set->rows;
}

uint32_t pusher_rulable(const struct pusher *p, const struct chosen_set *set, enum ruling_kind kind)
{
    const struct ruling *r = ruling_find(p, set->position, set->uuid_hash);
    struct pusher_view view = view_of(p, set);
    if (r != NULL && r->c.kind == kind)
        return 0;
    return at_most(view.pending + view.ruled + view.waiting + view.parked + pusher_dead_rows(p, set), set);
}

static bool note_add(struct pusher *p, const struct chosen_set *set, const char *json)
{
    struct journal_segment segment;
    if (p->ops->segment_at(p->ops->arg, set->position, &segment) != ERR_OK)
        return true; /* its segment is gone, and so is its receipt */
    struct note *grown = realloc(p->notes, (p->note_count + 1) * sizeof *grown);
    char *copy = strdup(json);
    if (grown != NULL)
        p->notes = grown;
    if (grown == NULL || copy == NULL) {
        free(copy);
        return false;
    }
    grown[p->note_count++] = (struct note){.segment = segment.base, .position = set->position, .json = copy};
    return true;
}

int pusher_rule(struct pusher *p, const struct chosen_set *set, enum ruling_kind kind, const char *note)
{
    struct ruling *r = ruling_find(p, set->position, set->uuid_hash);
    if (r == NULL && p->ruling_count == CURSOR_RULINGS)
        return ERR_LIMIT;
    if (!note_add(p, set, note))
        return ERR_NOMEM;
    if (r == NULL)
        r = &p->rulings[p->ruling_count++];
    pusher_dirty(p, true);
    *r = (struct ruling){.c = {.position = set->position, .uuid_hash = set->uuid_hash, .kind = (uint8_t)kind},
                         .sequence = pusher_written_by(p)};
    return ERR_OK;
}

uint32_t pusher_settled_rows(const struct pusher *p, const struct chosen_set *set)
{
    struct pusher_view view = view_of(p, set);
    bool ruled = ruling_find(p, set->position, set->uuid_hash) != NULL; /* perhaps not on disk yet */
    return set->rows - at_most((ruled ? 0 : view.pending) + view.waiting + view.parked, set);
}

/* --- sent again --- */

static struct aside_entry *aside_of(struct pusher *p, const struct chosen_set *set, uint32_t row)
{
    return aside_find(&p->aside, &set->epoch, (struct place){set->position, row});
}

static void dead_again(struct pusher *p, struct aside_entry *e, int64_t now)
{
    if (pusher_dead_retry(p, e, (struct slice){NULL, 0}, now) != ERR_OK)
        CHECK(false); /* it is not forgotten, and nothing is changed */
}

static bool settled(struct pusher *p, const struct chosen_set *set, uint32_t row)
{
    const struct place place = {set->position, row};
    return !pusher_unsettled(p, place, set->uuid_hash) && !pusher_sets_aside(p, place);
}

static void copy_again(struct pusher *p, const struct chosen_set *set, uint32_t row)
{
    struct aside_add *add = pusher_add_new(p);
    CHECK(add != NULL); /* there is room: pusher_adds_reserve */
    *add = (struct aside_add){
        .place = {set->position, row},
        .epoch = set->epoch,
        .uuid_hash = set->uuid_hash,
        .state = ASIDE_RETRYING,
        .reason = "sent again by an operator",
    };
}

/* Where the set is the unit it goes as one, and takes its dead letters with it; if some of it is on its way already,
 * they go after it. */
static void set_again(struct pusher *p, const struct chosen_set *set, int64_t now)
{
    bool whole = settled(p, set, 0);
    for (uint32_t row = 0; row < set->rows; row++) {
        const struct aside_entry *e = aside_of(p, set, row);
        whole = whole && (e == NULL || e->state == ASIDE_DEAD);
    }
    for (uint32_t row = 0; row < set->rows; row++) {
        struct aside_entry *e = aside_of(p, set, row);
        if (e != NULL && e->state == ASIDE_DEAD && whole)
            aside_move(&p->aside, e, ASIDE_GONE, clock_wall_us());
        else if (e != NULL && e->state == ASIDE_DEAD)
            dead_again(p, e, now);
    }
    if (whole)
        copy_again(p, set, PLACE_SET);
}

/* Which rows are to be copied is looked up first: each copy makes looking longer. */
static int rows_again(struct pusher *p, const struct chosen_set *set, int64_t now)
{
    bool *copied = calloc(set->rows + 1, sizeof *copied);
    if (copied == NULL)
        return ERR_NOMEM;
    for (uint32_t row = 0; row < set->rows; row++)
        copied[row] = settled(p, set, row) && aside_of(p, set, row) == NULL;
    for (uint32_t row = 0; row < set->rows; row++) {
        struct aside_entry *e = copied[row] ? NULL : aside_of(p, set, row);
        if (copied[row])
            copy_again(p, set, row);
        else if (e != NULL && e->state == ASIDE_DEAD)
            dead_again(p, e, now);
    }
    free(copied);
    return ERR_OK;
}

int pusher_send_again(struct pusher *p, const struct chosen_set *set, const char *note, int64_t now)
{
    if (p->forgotten)
        return ERR_BUSY;
    if (p->ops->aside_full(p->ops->arg, ASIDE_PARKED, set->bytes + (uint64_t)set->rows * ADD_OVERHEAD))
        return ERR_LIMIT;
    if (!pusher_adds_reserve(p, set->rows) || !note_add(p, set, note))
        return ERR_NOMEM;
    struct ruling *r = ruling_find(p, set->position, set->uuid_hash);
    if (r != NULL) /* what it did not come to yet is open again */
        *r = p->rulings[--p->ruling_count];
    for (size_t i = 0; r != NULL && i < p->waiting.count; i++)
        if (p->waiting.rows[i].c.place.position == set->position && p->waiting.rows[i].give_up != GIVE_DEAD)
            p->waiting.rows[i].give_up = GIVE_NO;
    p->aside_due_ms = now;
    pusher_dirty(p, true);
    if (!pusher_whole_sets(p))
        return rows_again(p, set, now);
    set_again(p, set, now);
    return ERR_OK;
}

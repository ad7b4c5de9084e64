/* How far a pusher is: what of the journal it still needs, how much that is, and where one row set stands.
 *
 * Rows that are about to be set aside stand in no list yet, only in what the next checkpoint, or the one that is being
 * written, carries; they count as parked from then on, so that none is missing in between. Nothing is changed here. */
#include "delivery/internal.h"

/* Rows that are still to be copied out of the journal. */
static uint64_t adds_low(const struct aside_add *adds, size_t count, uint64_t low)
{
    for (size_t i = 0; i < count; i++)
        if (adds[i].from_file == 0 && adds[i].place.position < low)
            low = adds[i].place.position;
    return low;
}

static size_t adds_parked(const struct aside_add *adds, size_t count)
{
    size_t parked = 0;
    for (size_t i = 0; i < count; i++)
        parked += adds[i].state != ASIDE_DEAD && !adds[i].moved;
    return parked;
}

/* Rows that are aside and still tried, or about to be. */
static size_t parked_rows(const struct pusher *p)
{
    size_t coming = p->writing == NULL ? 0 : adds_parked(p->writing->adds, p->writing->add_count);
    return p->aside.parked_count + coming + adds_parked(p->adds, p->add_count);
}

uint64_t pusher_low(const struct pusher *p)
{
    uint64_t low = UINT64_MAX;
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (p->lanes[i].next.position < low)
            low = p->lanes[i].next.position;
    if (p->waiting.count > 0 && p->waiting.rows[0].c.place.position < low)
        low = p->waiting.rows[0].c.place.position;
    return adds_low(p->adds, p->add_count,
                    p->writing == NULL ? low : adds_low(p->writing->adds, p->writing->add_count, low));
}

uint64_t pusher_passed(const struct pusher *p)
{
    uint64_t low = UINT64_MAX;
    for (uint32_t i = 0; !p->forgotten && i < p->lane_count; i++)
        if (p->lanes[i].next.position < low)
            low = p->lanes[i].next.position;
    return low;
}

bool pusher_drained(const struct pusher *p, uint64_t position)
{
    if (p->forgotten && p->give_up_to < position)
        position = p->give_up_to;
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (p->lanes[i].next.position < position)
            return false;
    return p->waiting.count == 0 && p->set_count == 0 && parked_rows(p) == 0;
}

void pusher_lag(const struct pusher *p, uint64_t *rows, uint64_t *bytes)
{
    struct journal_mark mark = pusher_end(p);
    uint64_t low = pusher_low(p), behind = 0;
    *bytes = low < mark.position ? mark.position - low : 0;
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (p->lanes[i].next.position < mark.position && p->lanes[i].row < mark.rows)
            behind += mark.rows - p->lanes[i].row;
    CHECK(p->lane_count > 0);
    *rows = behind / p->lane_count + p->waiting.count + parked_rows(p);
}

/* Rows of a row set that are about to be set aside. */
static uint32_t adds_at(const struct aside_add *adds, size_t count, uint64_t position, uint32_t rows)
{
    uint32_t parked = 0;
    for (size_t i = 0; i < count; i++) { /* not what only moves: that is counted where it lies */
        bool becomes = !adds[i].moved || adds[i].reason[0] != '\0';
        if (adds[i].place.position == position && becomes)
            parked += adds[i].place.row == PLACE_SET ? rows : 1;
    }
    return parked;
}

/* The same of a set that goes as a whole. */
static uint32_t sets_at(const struct sweep *sets, size_t count, uint64_t position, uint32_t rows)
{
    for (size_t i = 0; i < count; i++)
        if (sets[i].set && sets[i].from.position == position)
            return rows;
    return 0;
}

static bool is_parked(const struct aside_entry *entry, uint64_t position, uint64_t uuid_hash)
{
    return entry->place.position == position && entry->uuid_hash == uuid_hash &&
           (entry->state == ASIDE_PARKED || entry->state == ASIDE_RETRYING);
}

static uint32_t parked_at(const struct pusher *p, uint64_t position, uint64_t uuid_hash, uint32_t rows)
{
    uint32_t count = 0;
    const struct aside_entry *entry = p->aside.parked_count == 0 ? NULL : aside_active(&p->aside);
    for (; entry != NULL; entry = aside_active_next(&p->aside, entry))
        if (is_parked(entry, position, uuid_hash))
            count += entry->place.row == PLACE_SET ? rows : 1;
    return count;
}

void pusher_view(const struct pusher *p, uint64_t position, uint32_t rows, uint64_t uuid_hash, struct pusher_view *out)
{
    *out = (struct pusher_view){.attempts = 1};
    uint32_t lane = pusher_lane_of_row(p, uuid_hash, position);
    struct place next = p->lanes[lane].next;
    if (next.position < position)
        out->pending = rows;
    else if (next.position == position && next.row < rows)
        out->pending = rows - next.row;
    const struct ruling *ruling = out->pending == 0 ? NULL : pusher_ruled(p, position, uuid_hash);
    if (ruling != NULL) {
        out->ruled = out->pending;
        out->ruling = (enum ruling_kind)ruling->c.kind;
        out->pending = 0;
    }
    if (out->pending > 0 && p->lanes[lane].attempt + 1 > out->attempts)
        out->attempts = p->lanes[lane].attempt + 1;
    for (size_t i = 0; i < p->waiting.count; i++) {
        const struct waiting_row *row = &p->waiting.rows[i];
        if (row->c.place.position != position)
            continue;
        out->waiting += row->c.place.row == PLACE_SET ? rows : 1;
        if (row->c.attempts > out->attempts)
            out->attempts = row->c.attempts;
    }
    out->parked = parked_at(p, position, uuid_hash, rows);
    out->parked += adds_at(p->adds, p->add_count, position, rows) + sets_at(p->sets, p->set_count, position, rows);
    if (p->writing != NULL)
        out->parked += adds_at(p->writing->adds, p->writing->add_count, position, rows) +
                       sets_at(p->writing->sweeps, p->writing->sweep_count, position, rows);
    for (uint32_t i = 0; i < p->worker_top; i++) {
        const struct handed *h = &p->workers[i];
        if (h->busy && h->what == HANDED_RANGE && h->lane == lane && h->taken && h->first.position <= position &&
            position <= h->end.position)
            out->delivering = true;
    }
}

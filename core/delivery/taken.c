/* What a worker has: what it says it took, and the verdicts it tells, row by row, until the push is done.
 *
 * Nothing a host says is taken for granted: a range, a token, a row that was not handed out is ERR_SYNTAX, and ends the
 * host. Nothing takes effect here: a host that dies before its DONE has judged nothing. */
#include "delivery/internal.h"

#include <stdlib.h>
#include <string.h>

void judge_reset(struct handed *h)
{
    for (uint32_t i = 0; i < h->judged_count; i++)
        free(h->judged[i].reason);
    h->judged_count = 0;
}

void handed_fini(struct handed *h)
{
    judge_reset(h);
    free(h->judged);
    free(h->items);
    *h = (struct handed){0};
}

struct handed *handed_find(struct pusher *p, uint32_t worker, uint64_t token)
{
    if (worker >= CURSOR_LANES || !p->workers[worker].busy || p->workers[worker].token != token)
        return NULL;
    return &p->workers[worker];
}

bool handed_is_range(const struct handed *h)
{
    return h->what == HANDED_RANGE || h->what == HANDED_REPLAY;
}

/* --- taken --- */

bool handed_holds_sets(const struct handed *h)
{
    for (uint32_t i = 0; i < h->item_count; i++)
        if (h->items[i].place.row == PLACE_SET)
            return true;
    return false;
}

static void plan_range(struct pusher *p, struct handed *h)
{
    struct lane *lane = &p->lanes[h->lane];
    lane->plan = (struct cursor_plan){.from = h->from, .to = h->end, .there = true};
    h->go = GO_WANTED;
    pusher_dirty(p, true);
}

static void plan_rows(struct pusher *p, struct handed *h)
{
    uint32_t plan = p->next_plan++;
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct waiting_row *row = waiting_find(&p->waiting, h->items[i].place);
        if (row != NULL)
            row->c.plan = plan;
    }
    h->go = GO_WANTED;
    pusher_dirty(p, true);
}

int pusher_taken(struct pusher *p, uint32_t worker, uint64_t token, struct place first, struct place end, uint32_t rows,
                 uint64_t bytes, uint64_t first_hash, uint64_t end_row, int64_t now)
{
    struct handed *h = handed_find(p, worker, token);
    if (h == NULL || h->taken)
        return ERR_SYNTAX;
    if (handed_is_range(h)) {
        if (place_before(end, h->from) || end.position > h->limit || (end.position == h->limit && end.row != 0) ||
            (rows > 0 && (place_before(first, h->from) || !place_before(first, end))))
            return ERR_SYNTAX;
    } else if (rows > h->item_count && !handed_holds_sets(h)) {
        return ERR_SYNTAX;
    }
    h->taken = true;
    h->first = rows > 0 ? first : end;
    h->end = end;
    h->rows = rows;
    h->bytes = bytes;
    h->first_hash = first_hash;
    h->end_row = end_row;
    h->deadline_ms = now + p->settings.timeout_ms;
    if (h->cut)
        ahead_taken(&p->lanes[h->lane], h);
    if (rows == 0)
        return ERR_OK;
    struct lane *lane = &p->lanes[h->lane];
    if (h->what == HANDED_RANGE && lane->first_end.position == 0)
        lane->first_end = end;
    if (h->stable && h->what == HANDED_RANGE)
        plan_range(p, h);
    else if (h->stable && h->what == HANDED_ROWS)
        plan_rows(p, h);
    if (h->go == GO_NOT_NEEDED)
        h->first_push = p->pushes++ == 0;
    return ERR_OK;
}

/* --- one verdict --- */

static bool handed_holds(const struct handed *h, struct place place)
{
    if (handed_is_range(h))
        return !place_before(place, h->from) && place_before(place, h->end);
    for (uint32_t i = 0; i < h->item_count; i++)
        if (place_cmp(h->items[i].place, place) == 0 ||
            (h->items[i].place.row == PLACE_SET && h->items[i].place.position == place.position))
            return true;
    return false;
}

const struct judged *handed_judged(const struct handed *h, struct place place)
{
    for (uint32_t i = 0; i < h->judged_count; i++)
        if (place_cmp(h->judged[i].place, place) == 0)
            return &h->judged[i];
    return NULL;
}

/* Each row once: a range's in their order. */
static bool judged_once(const struct handed *h, struct place place)
{
    if (handed_is_range(h))
        return h->judged_count == 0 || place_before(h->judged[h->judged_count - 1].place, place);
    return handed_holds_sets(h) || handed_judged(h, place) == NULL;
}

static bool verdict_fits(const struct handed *h, const struct judged *row)
{
    uint32_t verdict = row->verdict;
    if (row->place.row >= PLACE_SET && verdict != HG_RETRY && verdict != VERDICT_LOST)
        return false; /* sets are judged by their rows; only one that was not read has none */
    if (verdict == VERDICT_HELD || verdict == VERDICT_CLIENT)
        return h->what == HANDED_RANGE;
    return verdict == VERDICT_LOST ? !handed_is_range(h) : verdict >= HG_OK && verdict <= HG_REJECT;
}

int pusher_judged(struct pusher *p, uint32_t worker, uint64_t token, const struct judged *row, struct slice reason)
{
    struct handed *h = handed_find(p, worker, token);
    if (h == NULL || !h->taken || !handed_holds(h, row->place) || !judged_once(h, row->place) || !verdict_fits(h, row))
        return ERR_SYNTAX;
    uint64_t most = (uint64_t)h->rows + (handed_is_range(h) ? h->max_rows + 1 : h->item_count);
    if (h->judged_count >= most)
        return ERR_SYNTAX;
    if (h->judged_count == h->judged_cap) {
        uint32_t cap = h->judged_cap == 0 ? 32 : h->judged_cap * 2;
        struct judged *grown = realloc(h->judged, cap * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        h->judged = grown;
        h->judged_cap = cap;
    }
    struct judged *to = &h->judged[h->judged_count];
    *to = *row;
    to->reason = NULL;
    if (reason.len > 0) {
        size_t len = reason.len < HG_REASON_MAX ? reason.len : HG_REASON_MAX;
        to->reason = strndup(reason.ptr, len);
        if (to->reason == NULL)
            return ERR_NOMEM;
    }
    h->judged_count++;
    return ERR_OK;
}

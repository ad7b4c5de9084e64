/* Lists that come back: waiting rows and sets, and rows that were set aside. Each row of a list has its own fate; what
 * is not listed of one that was pushed was delivered. */
#include "delivery/internal.h"

#include "base/sys.h"

static bool judge_waiting(struct pusher *p, struct waiting_row *row, const struct judged *j, bool some_delivered,
                          int64_t now)
{
    uint32_t attempts = row->c.attempts + 1;
    switch (j->verdict) {
    case HG_RETRY:
        row->c.attempts = attempts;
        row->c.plan = 0;
        row->crashes = 0;
        row->suspected = false;
        verdict_retry(p, j);
        verdict_wait(p, row, j, now);
        return false;
    case VERDICT_LOST:
        p->counts.lost++;
        waiting_remove(&p->waiting, row);
        return true;
    case HG_REJECT:
        if (!judge_breaker(p, some_delivered))
            return false;
        break;
    default: break;
    }
    if (!verdict_book(p, j, attempts))
        return false;
    waiting_remove(&p->waiting, row);
    return true;
}

/* How many rows of a set are refused; `again`: why it is to be tried again as a whole, or NULL. */
static uint32_t set_refusals(const struct handed *h, uint64_t position, const struct judged **again)
{
    uint32_t refused = 0;
    *again = NULL;
    for (uint32_t i = 0; i < h->judged_count; i++) {
        const struct judged *j = &h->judged[i];
        if (j->place.position != position)
            continue;
        refused += j->verdict == HG_REJECT;
        if (*again == NULL && (j->verdict == HG_RETRY || j->verdict == VERDICT_LOST))
            *again = j;
    }
    return refused;
}

/* The set as a whole: again, or settled row by row. Rows that are not listed were delivered. */
static uint64_t judge_set(struct pusher *p, struct waiting_row *row, const struct handed *h, const struct done *done,
                          int64_t now)
{
    uint32_t attempts = row->c.attempts + 1;
    uint64_t position = row->c.place.position, settled = 1;
    const struct judged *again;
    uint32_t refused = set_refusals(h, position, &again);
    if (again != NULL)
        return judge_waiting(p, row, again, done->delivered > 0, now);
    if (refused > 0 && (!judge_breaker(p, done->delivered > 0) || !pusher_dead_room(p, refused)))
        return 0; /* all of it, or nothing */
    for (uint32_t i = 0; i < h->judged_count; i++) {
        const struct judged *j = &h->judged[i];
        if (j->place.position != position)
            continue;
        if (!verdict_book(p, j, attempts))
            return 0;
        settled++;
    }
    if (attempts > 1)
        pusher_settle_all(p, (struct place){position, 0}, position + 1, attempts, OUTCOME_DELIVERED);
    waiting_remove(&p->waiting, row);
    return settled;
}

static bool set_judged(const struct handed *h, struct place set, bool pushed)
{
    for (uint32_t i = 0; i < h->judged_count; i++)
        if (h->judged[i].place.position == set.position)
            return !h->judged[i].unjudged || pushed;
    return pushed;
}

void judge_rows(struct pusher *p, struct handed *h, const struct done *done, int64_t now)
{
    bool pushed = done->result == HG_ALL_OK || done->result == HG_JUDGED;
    uint64_t settled = 0, ok_rows = 0;
    if (done->delivered > 0)
        p->rejects = 0;
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct waiting_row *row = waiting_find(&p->waiting, h->items[i].place);
        if (row == NULL)
            continue;
        row->out = false;
        if (pushed || h->judged_count > 0)
            row->c.plan = 0; /* it was judged, at least in part: what is left of it is a new plan */
        const struct judged *told = handed_judged(h, h->items[i].place);
        struct judged ok = {.place = row->c.place, .uuid_hash = row->c.uuid_hash, .verdict = HG_OK};
        bool set = row->c.place.row == PLACE_SET;
        if (told == NULL && pushed)
            told = &ok;
        if (set ? !set_judged(h, row->c.place, pushed) : told == NULL || (told->unjudged && !pushed)) {
            row->due_ms = p->not_now_until_ms;
        } else if (set) {
            settled += judge_set(p, row, h, done, now);
        } else {
            ok_rows += told->verdict == HG_OK;
            settled += judge_waiting(p, row, told, done->delivered > 0, now);
        }
    }
    if (handed_holds_sets(h) && done->delivered > ok_rows)
        p->totals[TOTAL_DELIVERED] += done->delivered - ok_rows;
    p->aside_due_ms = p->aside.parked_count > 0 ? now : p->aside_due_ms; /* one may have stood behind them */
    judge_passed(p, settled);
    pusher_dirty(p, false);
}

static bool refuse_aside(struct pusher *p, struct aside_entry *entry, const struct judged *j, bool some_delivered)
{
    bool parked = entry->state == ASIDE_PARKED; /* else it was a dead letter before */
    pusher_error(p, slice_of(verdict_reason(j, "refused without a reason")));
    return (!parked || judge_breaker(p, some_delivered)) &&
           pusher_aside_dead(p, entry, verdict_reason(j, "refused without a reason"));
}

/* A row that was aside is through. */
static void aside_book(struct pusher *p, struct place place, uint32_t attempts, uint32_t verdict)
{
    enum outcome outcome = OUTCOME_DELIVERED;
    if (verdict == HG_DUPLICATE)
        outcome = OUTCOME_DUPLICATE;
    else if (verdict == HG_SKIP)
        outcome = OUTCOME_SKIPPED;
    p->totals[outcome == OUTCOME_DUPLICATE ? TOTAL_DUPLICATE
              : outcome == OUTCOME_SKIPPED ? TOTAL_SKIPPED
                                           : TOTAL_DELIVERED]++;
    p->counts.skipped_plugin += outcome == OUTCOME_SKIPPED;
    pusher_settle_aside(p, place, 1, attempts, outcome);
}

static bool judge_aside(struct pusher *p, struct aside_entry *entry, const struct judged *j, bool some_delivered,
                        int64_t now)
{
    entry->attempts++;
    entry->changed = true;
    entry->crashes = 0;
    entry->suspected = false;
    switch (j->verdict) {
    case HG_RETRY: {
        int64_t delay = pusher_backoff(p, entry->attempts);
        verdict_retry(p, j);
        entry->due_ms = now + (j->after_ms > delay ? j->after_ms : delay);
        pusher_error(p, slice_of(verdict_reason(j, "to be tried again")));
        return false;
    }
    case HG_REJECT:
        if (refuse_aside(p, entry, j, some_delivered))
            return true;
        entry->due_ms = now + pusher_backoff(p, entry->attempts);
        return false;
    case VERDICT_LOST: p->counts.lost++; break;
    default: aside_book(p, entry->place, entry->attempts, j->verdict); break;
    }
    aside_move(&p->aside, entry, ASIDE_GONE, clock_wall_us());
    return true;
}

/* Those of a set that were not told of were delivered. Each is named: something else may have been said of it before a
 * crash. */
static void settle_unlisted(struct pusher *p, const struct aside_entry *set, const struct handed *h)
{
    uint32_t from = 0;
    for (uint32_t i = 0; i <= h->judged_count; i++) {
        bool end = i == h->judged_count;
        if (!end && h->judged[i].place.position != set->place.position)
            continue;
        uint32_t to = end || h->judged[i].place.row > set->rows ? set->rows : h->judged[i].place.row;
        if (to > from)
            pusher_settle_aside(p, (struct place){set->place.position, from}, to - from, set->attempts,
                                OUTCOME_DELIVERED);
        from = to + 1 > from ? to + 1 : from;
    }
}

/* The same of a set that is aside. Its rows are copied from there: the journal may have dropped it long ago. */
static uint64_t judge_aside_set(struct pusher *p, struct aside_entry *entry, const struct handed *h,
                                const struct done *done, int64_t now)
{
    const struct judged *again;
    uint32_t refused = set_refusals(h, entry->place.position, &again), listed = 0;
    if (again != NULL)
        return judge_aside(p, entry, again, done->delivered > 0, now);
    entry->attempts++;
    entry->changed = true;
    entry->crashes = 0;
    entry->suspected = false;
    if (refused > 0 && (!judge_breaker(p, done->delivered > 0) || !pusher_dead_room(p, refused))) {
        entry->due_ms = now + pusher_backoff(p, entry->attempts);
        return 0;
    }
    for (uint32_t i = 0; i < h->judged_count; i++) {
        const struct judged *j = &h->judged[i];
        if (j->place.position != entry->place.position || j->place.row >= entry->rows)
            continue;
        listed++;
        if (j->verdict == HG_REJECT) {
            pusher_error(p, slice_of(verdict_reason(j, "refused without a reason")));
            pusher_aside_row_dead(p, entry, j->place.row, verdict_reason(j, "refused without a reason"));
        } else {
            aside_book(p, j->place, entry->attempts, j->verdict);
        }
    }
    settle_unlisted(p, entry, h);
    p->totals[TOTAL_DELIVERED] += entry->rows > listed ? entry->rows - listed : 0;
    aside_move(&p->aside, entry, ASIDE_GONE, clock_wall_us());
    return entry->rows;
}

void judge_aside_rows(struct pusher *p, struct handed *h, const struct done *done, int64_t now)
{
    bool pushed = done->result == HG_ALL_OK || done->result == HG_JUDGED;
    uint64_t settled = 0;
    if (done->delivered > 0)
        p->rejects = 0;
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct aside_entry *entry = aside_at(&p->aside, h->items[i].file, h->items[i].offset);
        if (entry == NULL)
            continue;
        entry->out = false;
        const struct judged *told = handed_judged(h, h->items[i].place);
        struct judged ok = {.place = entry->place, .verdict = HG_OK};
        bool set = entry->place.row == PLACE_SET;
        if (told == NULL && pushed)
            told = &ok;
        if (set ? !set_judged(h, entry->place, pushed) : told == NULL || (told->unjudged && !pushed))
            entry->due_ms = p->not_now_until_ms;
        else if (set)
            settled += judge_aside_set(p, entry, h, done, now);
        else
            settled += judge_aside(p, entry, told, done->delivered > 0, now);
    }
    p->aside_due_ms = now;
    judge_passed(p, settled);
    pusher_dirty(p, false);
}

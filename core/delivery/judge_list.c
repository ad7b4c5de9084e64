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

/* The set as a whole: again, or settled row by row. Rows that are not listed were delivered. */
static uint64_t judge_set(struct pusher *p, struct waiting_row *row, const struct handed *h, const struct done *done,
                          int64_t now)
{
    uint32_t attempts = row->c.attempts + 1;
    uint64_t position = row->c.place.position, settled = 1;
    bool counted = false;
    for (uint32_t i = 0; i < h->judged_count; i++) {
        const struct judged *j = &h->judged[i];
        if (j->place.position == position && (j->verdict == HG_RETRY || j->verdict == VERDICT_LOST))
            return judge_waiting(p, row, j, done->delivered > 0, now);
    }
    for (uint32_t i = 0; i < h->judged_count; i++) {
        const struct judged *j = &h->judged[i];
        if (j->place.position != position)
            continue;
        if (j->verdict == HG_REJECT && !counted && !judge_breaker(p, done->delivered > 0))
            return 0;
        counted = counted || j->verdict == HG_REJECT;
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
    case HG_DUPLICATE:
        p->totals[TOTAL_DUPLICATE]++;
        pusher_settle(p, entry->place, 1, entry->attempts, OUTCOME_DUPLICATE);
        break;
    case HG_SKIP:
        p->totals[TOTAL_SKIPPED]++;
        p->counts.skipped_plugin++;
        pusher_settle(p, entry->place, 1, entry->attempts, OUTCOME_SKIPPED);
        break;
    default:
        p->totals[TOTAL_DELIVERED]++;
        pusher_settle(p, entry->place, 1, entry->attempts, OUTCOME_DELIVERED);
        break;
    }
    aside_move(&p->aside, entry, ASIDE_GONE, clock_wall_us());
    return true;
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
        if (told == NULL && pushed)
            told = &ok;
        if (told == NULL || (told->unjudged && !pushed))
            entry->due_ms = p->not_now_until_ms;
        else
            settled += judge_aside(p, entry, told, done->delivered > 0, now);
    }
    p->aside_due_ms = now;
    judge_passed(p, settled);
    pusher_dirty(p, false);
}

/* One verdict and what it means for the books: settled, a dead letter, or a row that waits. Which rows it is about, and
 * in which order they are judged, stands in judge.c (ranges) and judge_list.c. */
#include "delivery/internal.h"

#include <stdio.h>

const char *verdict_reason(const struct judged *j, const char *other)
{
    return j->reason != NULL ? j->reason : other;
}

void verdict_wait(struct pusher *p, struct waiting_row *row, const struct judged *j, int64_t now)
{
    int64_t delay = pusher_backoff(p, row->c.attempts);
    row->due_ms = now + (j->after_ms > delay ? j->after_ms : delay);
    row->c.kind = WAITING_RETRY;
    if (row->give_up == GIVE_NO) /* else the reason is why it was let go */
        snprintf(row->reason, sizeof row->reason, "%.150s", verdict_reason(j, "to be tried again"));
    pusher_error(p, slice_of(verdict_reason(j, "to be tried again")));
}

void verdict_retry(struct pusher *p, const struct judged *j)
{
    p->totals[TOTAL_RETRIES]++;
    p->counts.retries++;
    p->counts.unjudged += j->unjudged;
}

/* What a settled verdict means for the books. False: it could not be set aside, the row stays. */
bool verdict_book(struct pusher *p, const struct judged *j, uint32_t attempts)
{
    switch (j->verdict) {
    case HG_OK:
        p->totals[TOTAL_DELIVERED]++;
        if (attempts > 1)
            pusher_settle(p, j->place, 1, attempts, OUTCOME_DELIVERED);
        return true;
    case HG_DUPLICATE:
        p->totals[TOTAL_DUPLICATE]++;
        pusher_settle(p, j->place, 1, attempts, OUTCOME_DUPLICATE);
        return true;
    case HG_SKIP:
        p->totals[TOTAL_SKIPPED]++;
        p->counts.skipped_plugin++;
        pusher_settle(p, j->place, 1, attempts, OUTCOME_SKIPPED);
        return true;
    case VERDICT_CLIENT:
        p->counts.skipped_client += j->rows;
        pusher_settle(p, j->place, j->rows, attempts, OUTCOME_SKIPPED);
        return true;
    case HG_REJECT:
        pusher_error(p, slice_of(verdict_reason(j, "refused without a reason")));
        return pusher_set_aside(p, j->place, j->uuid_hash, attempts, ASIDE_DEAD,
                                verdict_reason(j, "refused without a reason"));
    default: return false;
    }
}

bool judge_breaker(struct pusher *p, bool some_delivered)
{
    if (some_delivered)
        return true;
    if (p->settings.reject_breaker > 0 && p->rejects >= p->settings.reject_breaker) {
        char text[240];
        snprintf(text, sizeof text,
                 "refused %u rows in a row and delivered none (REJECT_BREAKER); mend it, then resume: %.80s",
                 p->rejects, p->error);
        pusher_break(p, text);
        return false;
    }
    p->rejects++;
    return true;
}

void judge_passed(struct pusher *p, uint64_t rows)
{
    if (rows == 0)
        return;
    p->counts.delivered_rows += rows;
    p->deaths = 0;
    p->failed_starts = 0;
}

/* A row that cannot be settled now waits. Where there is no room for it, it is parked: with its set, which is asked for
 * once for each of its rows. */
bool verdict_waits(struct pusher *p, const struct judged *j, enum waiting_kind kind, uint32_t attempts, int64_t now)
{
    struct place unit = pusher_unit(p, j->place);
    struct waiting_row *row = waiting_add(&p->waiting, unit, j->uuid_hash, kind, now);
    if (row == NULL)
        return pusher_sets_aside(p, unit) || pusher_set_aside(p, unit, j->uuid_hash, attempts, ASIDE_PARKED,
                                                              verdict_reason(j, "there is no room for it to wait"));
    row->passed = p->counts.delivered_rows;
    if (kind == WAITING_RETRY) {
        row->c.attempts = attempts;
        verdict_wait(p, row, j, now);
    }
    const struct lane *lane = &p->lanes[pusher_lane_of_row(p, j->uuid_hash, j->place.position)];
    if (lane->give_up > j->place.position) { /* it was let go while it was out */
        row->give_up = lane->give_up_dead ? GIVE_DEAD : GIVE_SKIP;
        snprintf(row->reason, sizeof row->reason, "%s", lane->give_up_why);
    }
    return true;
}

/* What comes back from a push: which rows are settled, which wait, which are set aside; and when the far end, or the
 * plugin, is what is wrong.
 *
 * Nothing a host says is taken for granted: a range, a token, a row that was not handed out is ERR_SYNTAX, and ends the
 * host. Verdicts are gathered until DONE and take effect together, so a host that dies in between has judged nothing.
 */
#include "delivery/internal.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct handed *find_handed(struct pusher *p, uint32_t worker, uint64_t token)
{
    if (worker >= CURSOR_LANES || !p->workers[worker].busy || p->workers[worker].token != token)
        return NULL;
    return &p->workers[worker];
}

static bool is_range(const struct handed *h)
{
    return h->what == HANDED_RANGE || h->what == HANDED_REPLAY;
}

/* --- taken --- */

static bool holds_sets(const struct handed *h)
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
    struct handed *h = find_handed(p, worker, token);
    if (h == NULL || h->taken)
        return ERR_SYNTAX;
    if (is_range(h)) {
        if (place_before(end, h->from) || end.position > h->limit || (end.position == h->limit && end.row != 0) ||
            (rows > 0 && (place_before(first, h->from) || !place_before(first, end))))
            return ERR_SYNTAX;
    } else if (rows > h->item_count && !holds_sets(h)) {
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
    if (is_range(h))
        return !place_before(place, h->from) && place_before(place, h->end);
    for (uint32_t i = 0; i < h->item_count; i++)
        if (place_cmp(h->items[i].place, place) == 0 ||
            (h->items[i].place.row == PLACE_SET && h->items[i].place.position == place.position))
            return true;
    return false;
}

static const struct judged *judged_for(const struct handed *h, struct place place)
{
    for (uint32_t i = 0; i < h->judged_count; i++)
        if (place_cmp(h->judged[i].place, place) == 0)
            return &h->judged[i];
    return NULL;
}

/* Each row once: a range's in their order. */
static bool judged_once(const struct handed *h, struct place place)
{
    if (is_range(h))
        return h->judged_count == 0 || place_before(h->judged[h->judged_count - 1].place, place);
    return holds_sets(h) || judged_for(h, place) == NULL;
}

static bool verdict_fits(const struct handed *h, uint32_t verdict)
{
    if (verdict == VERDICT_HELD)
        return h->what == HANDED_RANGE;
    return verdict == VERDICT_LOST ? !is_range(h) : verdict >= HG_OK && verdict <= HG_REJECT;
}

int pusher_judged(struct pusher *p, uint32_t worker, uint64_t token, const struct judged *row, struct slice reason)
{
    struct handed *h = find_handed(p, worker, token);
    if (h == NULL || !h->taken || !handed_holds(h, row->place) || !judged_once(h, row->place) ||
        !verdict_fits(h, row->verdict))
        return ERR_SYNTAX;
    uint64_t most = (uint64_t)h->rows + (is_range(h) ? h->max_rows + 1 : h->item_count);
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

/* --- done --- */

static const char *reason_of(const struct judged *j, const char *other)
{
    return j->reason != NULL ? j->reason : other;
}

static void wait_for(struct pusher *p, struct waiting_row *row, const struct judged *j, int64_t now)
{
    int64_t delay = pusher_backoff(p, row->c.attempts);
    row->due_ms = now + (j->after_ms > delay ? j->after_ms : delay);
    row->c.kind = WAITING_RETRY;
    snprintf(row->reason, sizeof row->reason, "%.150s", reason_of(j, "to be tried again"));
    pusher_error(p, slice_of(row->reason));
}

static void count_retry(struct pusher *p, const struct judged *j)
{
    p->totals[TOTAL_RETRIES]++;
    p->counts.retries++;
    p->counts.unjudged += j->unjudged;
}

/* What a settled verdict means for the books. False: it could not be set aside, the row stays. */
static bool book(struct pusher *p, const struct judged *j, uint32_t attempts)
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
    case HG_REJECT:
        pusher_error(p, slice_of(reason_of(j, "refused without a reason")));
        return pusher_set_aside(p, j->place, j->uuid_hash, attempts, ASIDE_DEAD,
                                reason_of(j, "refused without a reason"));
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

static void passed(struct pusher *p, uint64_t rows)
{
    if (rows == 0)
        return;
    p->counts.delivered_rows += rows;
    p->deaths = 0;
    p->failed_starts = 0;
}

/* A row that cannot be settled now waits. Where there is no room for it, it is parked; a set is not, it keeps the lane
 * where it is. */
static bool row_waits(struct pusher *p, const struct judged *j, enum waiting_kind kind, uint32_t attempts, int64_t now)
{
    struct place unit = pusher_unit(p, j->place);
    struct waiting_row *row = waiting_add(&p->waiting, unit, j->uuid_hash, kind, now);
    if (row == NULL)
        return unit.row != PLACE_SET && pusher_set_aside(p, j->place, j->uuid_hash, attempts, ASIDE_PARKED,
                                                         reason_of(j, "there is no room for it to wait"));
    row->passed = p->counts.delivered_rows;
    if (kind == WAITING_RETRY) {
        row->c.attempts = attempts;
        wait_for(p, row, j, now);
    }
    const struct lane *lane = &p->lanes[pusher_lane_of_row(p, j->uuid_hash, j->place.position)];
    if (lane->give_up > j->place.position) { /* it was let go while it was out */
        row->give_up = lane->give_up_dead ? GIVE_DEAD : GIVE_SKIP;
        snprintf(row->reason, sizeof row->reason, "%s", lane->give_up_why);
    }
    return true;
}

/* One listed row of a range. False: stop here, the lane goes on with this row. */
static bool judge_range_row(struct pusher *p, const struct judged *j, uint32_t attempts, bool some_delivered,
                            int64_t now)
{
    switch (j->verdict) {
    case HG_RETRY: count_retry(p, j); return row_waits(p, j, WAITING_RETRY, attempts, now);
    case VERDICT_HELD: return row_waits(p, j, WAITING_HELD, attempts, now);
    case HG_REJECT:
        if (!judge_breaker(p, some_delivered))
            return false;
        break;
    default: break;
    }
    /* What cannot be set aside waits: rows behind it may have been delivered. */
    return book(p, j, attempts) || row_waits(p, j, WAITING_RETRY, attempts, now);
}

static bool stays(const struct judged *j)
{
    return j->verdict == VERDICT_HELD || j->verdict == HG_RETRY;
}

/* A set is not begun in its middle. */
static struct place lane_stop(const struct pusher *p, struct place place)
{
    return pusher_whole_sets(p) ? (struct place){place.position, 0} : place;
}

/* The range goes on where the first row stands that could not be booked: at the breaker, and then nothing behind it was
 * delivered; or where all room ran out, and then what was delivered comes twice. `*settled` counts the listed ones that
 * are through. */
static struct place judge_range(struct pusher *p, struct handed *h, const struct done *done, uint32_t attempts,
                                int64_t now, uint64_t *settled)
{
    bool some_delivered = done->delivered > 0;
    if (some_delivered)
        p->rejects = 0;
    for (uint32_t i = 0; i < h->judged_count; i++) {
        if (!judge_range_row(p, &h->judged[i], attempts, some_delivered, now))
            return lane_stop(p, h->judged[i].place);
        *settled += !stays(&h->judged[i]);
    }
    return done->end;
}

/* Delivered rows of a range are those that are not listed. */
static uint64_t range_delivered(const struct handed *h, const struct done *done)
{
    uint64_t listed = 0;
    for (uint32_t i = 0; i < h->judged_count; i++)
        listed += h->judged[i].verdict != VERDICT_HELD;
    return done->rows > listed ? done->rows - listed : 0;
}

static void lane_move(struct pusher *p, struct lane *lane, struct place to, int64_t now)
{
    if (place_before(lane->next, to)) {
        lane->attempt = 0;
        lane->first_try_ms = 0;
        lane->first_end = (struct place){0, 0};
        lane->crashes = lane->overdue = 0;
    }
    lane->next = to;
    lane->plan.there = false;
    lane->last_done_ms = now;
    if (lane->suspects_end.position != 0 && !place_before(to, lane->suspects_end))
        lane->suspects_end.position = 0;
    if (lane->max_rows < p->settings.batch_rows)
        lane->max_rows = lane->max_rows * 2 < p->settings.batch_rows ? lane->max_rows * 2 : p->settings.batch_rows;
    pusher_dirty(p, false);
}

/* A whole range that took more than one try is one entry. */
static void settle_attempts(struct pusher *p, const struct handed *h, uint32_t attempts)
{
    if (attempts > 1 && h->rows > 0)
        pusher_settle_all(p, h->first, h->end.position + (h->end.row > 0), attempts, OUTCOME_DELIVERED);
}

static void done_range(struct pusher *p, struct handed *h, const struct done *done, int64_t now)
{
    struct lane *lane = &p->lanes[h->lane];
    uint32_t attempts = lane->attempt + 1;
    uint64_t settled = range_delivered(h, done);
    p->totals[TOTAL_DELIVERED] += settled;
    settle_attempts(p, h, attempts);
    struct place to = judge_range(p, h, done, attempts, now, &settled);
    passed(p, settled);
    lane_move(p, lane, to, now);
    if (place_cmp(to, h->end) == 0 && h->end_row > 0)
        lane->row = h->end_row;
}

/* --- not now --- */

static bool settled_verdict(const struct judged *j)
{
    return !j->unjudged && j->verdict != VERDICT_HELD;
}

/* What has been tried for longer than RETRY_FOR is given up, as dead letters; what came later has its own time. */
static void expire_range(struct pusher *p, struct lane *lane, int64_t now)
{
    if (p->settings.retry_for_ms == 0 || lane->first_try_ms == 0 || lane->first_end.position == 0 ||
        now - lane->first_try_ms < p->settings.retry_for_ms)
        return;
    lane->give_up = lane->first_end.position + (lane->first_end.row > 0);
    lane->give_up_dead = true;
    snprintf(lane->give_up_why, sizeof lane->give_up_why,
             "expired: tried for longer than RETRY_FOR; last answer: %.80s", p->error);
    pusher_dirty(p, true);
}

/* An unjudged row among judged ones: it waits for the far end like the rest, but the lane passes it. */
static bool wait_unjudged(struct pusher *p, const struct judged *j, int64_t now)
{
    if (!row_waits(p, j, WAITING_HELD, 0, now))
        return false;
    struct waiting_row *row = waiting_find(&p->waiting, pusher_unit(p, j->place));
    if (row != NULL) {
        row->c.kind = WAITING_RETRY;
        row->due_ms = p->not_now_until_ms;
    }
    return true;
}

/* Under HG_NOT_NOW either nothing was judged (then nothing is listed, or only held rows), or every row is listed. What
 * stands before the unjudged rest is settled or waits; the lane goes on with the rest. */
static void not_now_range(struct pusher *p, struct handed *h, const struct done *done, int64_t now)
{
    struct lane *lane = &p->lanes[h->lane];
    uint32_t rest = h->judged_count;
    while (rest > 0 && !settled_verdict(&h->judged[rest - 1]))
        rest--;
    if (rest == 0) {
        lane->attempt++;
        lane->last_done_ms = now;
        expire_range(p, lane, now);
        return;
    }
    struct place to = rest < h->judged_count ? lane_stop(p, h->judged[rest].place) : h->end;
    uint64_t settled = 0;
    if (done->delivered > 0)
        p->rejects = 0;
    for (uint32_t i = 0; i < rest; i++) {
        const struct judged *j = &h->judged[i];
        bool done_with =
            j->unjudged ? wait_unjudged(p, j, now) : judge_range_row(p, j, lane->attempt + 1, done->delivered > 0, now);
        if (!done_with) {
            to = lane_stop(p, j->place);
            break;
        }
        settled += !j->unjudged && !stays(j);
    }
    passed(p, settled);
    lane_move(p, lane, to, now);
    if (place_cmp(to, h->end) == 0 && h->end_row > 0)
        lane->row = h->end_row;
}

static void far_end_down(struct pusher *p, const struct done *done, int64_t now)
{
    p->not_now++;
    int64_t delay = pusher_backoff(p, p->not_now);
    p->not_now_until_ms = now + (done->after_ms > delay ? done->after_ms : delay);
    p->totals[TOTAL_RETRIES]++;
    p->counts.retries++;
    char reason[400];
    snprintf(reason, sizeof reason, "%s" SLICE_FMT,
             done->bad_result ? "push() returned something that is no result; taken as not now. " : "",
             (int)(done->reason.len < 300 ? done->reason.len : 300), done->reason.ptr == NULL ? "" : done->reason.ptr);
    pusher_show(p, PUSHER_RETRYING, "pusher.retrying", reason);
    pusher_error(p, slice_of(reason));
}

/* --- lists --- */

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
        count_retry(p, j);
        wait_for(p, row, j, now);
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
    if (!book(p, j, attempts))
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
        if (!book(p, j, attempts))
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

static void done_rows(struct pusher *p, struct handed *h, const struct done *done, int64_t now)
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
        const struct judged *told = judged_for(h, h->items[i].place);
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
    if (holds_sets(h) && done->delivered > ok_rows)
        p->totals[TOTAL_DELIVERED] += done->delivered - ok_rows;
    p->aside_due_ms = p->aside.parked_count > 0 ? now : p->aside_due_ms; /* one may have stood behind them */
    passed(p, settled);
    pusher_dirty(p, false);
}

static bool refuse_aside(struct pusher *p, struct aside_entry *entry, const struct judged *j, bool some_delivered)
{
    bool parked = entry->state == ASIDE_PARKED; /* else it was a dead letter before */
    pusher_error(p, slice_of(reason_of(j, "refused without a reason")));
    return (!parked || judge_breaker(p, some_delivered)) &&
           pusher_aside_dead(p, entry, reason_of(j, "refused without a reason"));
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
        count_retry(p, j);
        entry->due_ms = now + (j->after_ms > delay ? j->after_ms : delay);
        pusher_error(p, slice_of(reason_of(j, "to be tried again")));
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

static void done_aside(struct pusher *p, struct handed *h, const struct done *done, int64_t now)
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
        const struct judged *told = judged_for(h, h->items[i].place);
        struct judged ok = {.place = entry->place, .verdict = HG_OK};
        if (told == NULL && pushed)
            told = &ok;
        if (told == NULL || (told->unjudged && !pushed))
            entry->due_ms = p->not_now_until_ms;
        else
            settled += judge_aside(p, entry, told, done->delivered > 0, now);
    }
    p->aside_due_ms = now;
    passed(p, settled);
    pusher_dirty(p, false);
}

static void count_push(struct pusher *p, int64_t push_us)
{
    double seconds = (double)push_us / 1e6;
    int bucket = 0;
    while (bucket < PUSH_BUCKETS && seconds > push_bounds[bucket])
        bucket++;
    p->push_counts[bucket]++;
    p->push_seconds += seconds;
}

static int done_check(const struct handed *h, const struct done *done)
{
    if (!h->taken || done->rows != h->rows || done->delivered > done->rows || done->listed != h->judged_count)
        return ERR_SYNTAX;
    if (done->has_state && done->state.len > CURSOR_STATE)
        return ERR_SYNTAX;
    return is_range(h) && place_cmp(done->end, h->end) != 0 ? ERR_SYNTAX : ERR_OK;
}

static void done_route(struct pusher *p, struct handed *h, const struct done *done, int64_t now)
{
    bool pushed = done->result == HG_ALL_OK || done->result == HG_JUDGED;
    switch (h->what) {
    case HANDED_RANGE:
        if (pushed)
            done_range(p, h, done, now);
        else
            not_now_range(p, h, done, now);
        break;
    case HANDED_ROWS: done_rows(p, h, done, now); break;
    case HANDED_ASIDE: done_aside(p, h, done, now); break;
    case HANDED_REPLAY: replay_done(p, h, done, now); break;
    }
}

int pusher_done(struct pusher *p, uint32_t worker, uint64_t token, const struct done *done, int64_t now)
{
    struct handed *h = find_handed(p, worker, token);
    if (h == NULL || done_check(h, done) != ERR_OK)
        return ERR_SYNTAX;
    h->busy = false;
    bool pushed = done->result == HG_ALL_OK || done->result == HG_JUDGED;
    if (done->has_state) {
        memcpy(p->plugin_state, done->state.ptr, done->state.len);
        p->plugin_state_len = done->state.len;
        pusher_dirty(p, false);
    }
    if (done->rows > 0) {
        count_push(p, done->push_us);
        p->row_bytes = h->bytes / done->rows;
    }
    if (!pushed)
        far_end_down(p, done, now);
    uint64_t before = p->counts.delivered_rows;
    done_route(p, h, done, now);
    if (pushed && done->rows > 0) {
        p->not_now = 0;
        p->not_now_until_ms = now;
        pusher_show(p, PUSHER_RUNNING, "pusher.running", NULL);
    }
    if (p->counts.delivered_rows > before)
        evidence_convict(p);
    judge_reset(h);
    return ERR_OK;
}

void pusher_damage(struct pusher *p, uint64_t from, uint64_t to)
{
    p->counts.damaged++;
    p->ops->damage(p->ops->arg, p, from, to);
}

/* What comes back from a push: which rows are settled, which wait, which are set aside; and when the far end, or the
 * plugin, is what is wrong. Here: DONE itself, and ranges; lists stand in judge_list.c, one verdict in verdict.c.
 *
 * Verdicts are gathered until DONE (taken.c) and take effect together. */
#include "delivery/internal.h"

#include <stdio.h>
#include <string.h>

/* A set that is the unit is refused once, however many rows it has: else one larger than the breaker would never be
 * through. */
static bool refused_before(const struct pusher *p, const struct handed *h, const struct judged *j)
{
    for (const struct judged *other = h->judged; pusher_whole_sets(p) && other < j; other++)
        if (other->place.position == j->place.position && other->verdict == HG_REJECT)
            return true;
    return false;
}

/* How many rows of its set are. */
static uint32_t set_refused(const struct handed *h, const struct judged *first)
{
    uint32_t refused = 0;
    for (const struct judged *j = first; j < h->judged + h->judged_count && j->place.position == first->place.position;
         j++)
        refused += j->verdict == HG_REJECT;
    return refused;
}

/* One listed row of a range. False: stop here, the lane goes on with this row. */
static bool judge_range_row(struct pusher *p, const struct handed *h, const struct judged *j, uint32_t attempts,
                            bool some_delivered, int64_t now)
{
    switch (j->verdict) {
    case HG_RETRY: verdict_retry(p, j); return verdict_waits(p, j, WAITING_RETRY, attempts, now);
    case VERDICT_HELD: return verdict_waits(p, j, WAITING_HELD, attempts, now);
    case HG_REJECT:
        if (refused_before(p, h, j))
            break;
        if (!judge_breaker(p, some_delivered))
            return false;
        if (pusher_whole_sets(p) && !pusher_dead_room(p, set_refused(h, j))) /* all of it, or nothing */
            return verdict_waits(p, j, WAITING_RETRY, attempts, now);
        break;
    default: break;
    }
    /* What cannot be set aside waits: rows behind it may have been delivered. */
    return verdict_book(p, j, attempts) || verdict_waits(p, j, WAITING_RETRY, attempts, now);
}

/* Told about, but never pushed. */
static bool passed_by(const struct judged *j)
{
    return j->verdict == VERDICT_HELD || j->verdict == VERDICT_CLIENT;
}

/* It says nothing about whether rows pass. */
static bool proves_nothing(const struct judged *j)
{
    return passed_by(j) || j->verdict == HG_RETRY;
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
        if (!judge_range_row(p, h, &h->judged[i], attempts, some_delivered, now))
            return lane_stop(p, h->judged[i].place);
        *settled += !proves_nothing(&h->judged[i]);
    }
    return done->end;
}

/* Delivered rows of a range are those that are not listed. */
static uint64_t range_delivered(const struct handed *h, const struct done *done)
{
    uint64_t listed = 0;
    for (uint32_t i = 0; i < h->judged_count; i++)
        listed += !passed_by(&h->judged[i]);
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
    judge_passed(p, settled);
    lane_move(p, lane, to, now);
    if (h->cut && place_cmp(h->end, h->from) == 0)
        ahead_barred(p, lane);
    if (place_cmp(to, h->end) == 0 && h->end_row > 0)
        lane->row = h->end_row;
}

/* --- not now --- */

static bool settled_verdict(const struct judged *j)
{
    return !j->unjudged && !passed_by(j);
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
    if (!verdict_waits(p, j, WAITING_HELD, 0, now))
        return false;
    struct waiting_row *row = waiting_find(&p->waiting, pusher_unit(p, j->place));
    if (row != NULL) {
        row->c.kind = WAITING_RETRY;
        row->due_ms = p->not_now_until_ms;
    }
    return true;
}

/* Under HG_NOT_NOW either nothing was judged (then nothing is listed, or only what was passed by), or every row is
 * listed. What stands before the unjudged rest is settled or waits; the lane goes on with the rest. */
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
        bool done_with = j->unjudged ? wait_unjudged(p, j, now)
                                     : judge_range_row(p, h, j, lane->attempt + 1, done->delivered > 0, now);
        if (!done_with) {
            to = lane_stop(p, j->place);
            break;
        }
        settled += !j->unjudged && !proves_nothing(j);
    }
    judge_passed(p, settled);
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

/* --- done --- */

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
    return handed_is_range(h) && place_cmp(done->end, h->end) != 0 ? ERR_SYNTAX : ERR_OK;
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
    case HANDED_ROWS: judge_rows(p, h, done, now); break;
    case HANDED_ASIDE: judge_aside_rows(p, h, done, now); break;
    case HANDED_REPLAY: replay_done(p, h, done, now); break;
    }
}

int pusher_done(struct pusher *p, uint32_t worker, uint64_t token, const struct done *done, int64_t now)
{
    struct handed *h = handed_find(p, worker, token);
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

/* Repeatable batches that are written down ahead.
 *
 * The plan of a batch must be durable before it is pushed, and a sync for each of them would be all that such a pusher
 * does. So what is written down is the rule by which the rows to come are cut into batches (struct cursor_ahead): it
 * holds for a whole segment, and a second stretch is written while the first one is pushed. What a host takes by the
 * rule becomes the lane's plan, as if it had been written down by itself; after a crash the rule cuts the same batches
 * again, from where the cursor stood. Only plugins to which it is all the same how many batches come again allow that
 * (HG_PLAN_AHEAD).
 *
 * The rule holds as long as each batch is settled as a whole and no uuid is held back. Else it is dropped: nothing
 * behind the lane was pushed by it. That is not so for a rule that an earlier life of the daemon left: there it is kept
 * until it is used up; a part of one of its batches that is left over goes alone. Where a row that is held back stands
 * in one of its batches it is dropped, and what may have been pushed then is counted as uncertain. */
#include "delivery/internal.h"

void ahead_restore(struct lane *lane, const struct cursor_ahead *ahead)
{
    lane->ahead = *ahead;
    lane->ahead_again = ahead->count > 0;
    lane->ahead_drawn = lane->ahead_durable = ahead->count;
}

void ahead_drop(struct lane *lane)
{
    lane->ahead = (struct cursor_ahead){.count = 0};
    lane->ahead_again = false;
    lane->ahead_drawn = lane->ahead_durable = 0;
}

void ahead_barred(struct pusher *p, struct lane *lane)
{
    if (lane->ahead_again)
        p->counts.uncertain += lane->ahead.rows;
    ahead_drop(lane);
    pusher_dirty(p, false);
}

/* Is all as simple as the rule takes it to be? */
static bool ahead_allowed(const struct pusher *p, const struct lane *lane)
{
    const uint32_t flags = HG_STABLE_BATCH | HG_PLAN_AHEAD;
    return (p->flags & flags) == flags && p->clients == NULL && p->waiting.count == 0 && p->ruling_count == 0 &&
           p->reshard_at == 0 && lane->give_up == 0 && !lane->sweeping && !pusher_suspects(lane) &&
           lane->max_rows == p->settings.batch_rows;
}

void ahead_extend(struct pusher *p, struct lane *lane)
{
    struct cursor_ahead *a = &lane->ahead;
    struct journal_segment segment;
    struct place tail = a->count > 0 ? (struct place){a->ends[a->count - 1], 0} : lane->plan.to;
    if (lane->ahead_again || a->count == CURSOR_ENDS || (a->count == 0 && !lane->plan.there) ||
        (a->count > 0 && (a->rows != p->settings.batch_rows || a->bytes != p->settings.batch_bytes)) ||
        !ahead_allowed(p, lane) || !pusher_segment(p, &tail, &segment) || !pusher_fills(p, tail.position, &segment))
        return;
    if (a->count == 0)
        *a = (struct cursor_ahead){
            .from = lane->plan.to, .rows = p->settings.batch_rows, .bytes = p->settings.batch_bytes};
    a->ends[a->count++] = segment.end;
    pusher_dirty(p, true);
}

/* Does it still say what comes next? What an operator has settled is left out of every batch. */
static bool ahead_holds(const struct pusher *p, const struct lane *lane)
{
    if (pusher_ruling_ahead(p, (uint32_t)(lane - p->lanes)) < lane->ahead.ends[lane->ahead.count - 1])
        return false;
    if (lane->ahead_again)
        return !place_before(lane->ahead.from, lane->next);
    return place_cmp(lane->next, lane->ahead.from) == 0 && p->waiting.count == 0 && !pusher_suspects(lane) &&
           lane->max_rows >= lane->ahead.rows;
}

bool ahead_shape(struct pusher *p, struct lane *lane, struct place stood, struct hand *hand)
{
    struct cursor_ahead *a = &lane->ahead;
    if (a->count == 0 || lane->plan.there)
        return true;
    if (place_cmp(a->from, stood) == 0)
        a->from = lane->next;
    if (!ahead_holds(p, lane)) {
        ahead_barred(p, lane);
        return true;
    }
    if (lane->ahead_durable == 0)
        return false;
    if (place_before(lane->next, a->from)) {
        hand->to = a->from;
        return true;
    }
    hand->cut = true;
    hand->stable = false;
    hand->max_rows = a->rows;
    hand->max_bytes = a->bytes;
    hand->limit = a->ends[0];
    return true;
}

/* One fewer of its ends. */
static void ahead_shift(struct lane *lane)
{
    struct cursor_ahead *a = &lane->ahead;
    for (uint32_t i = 1; i < a->count; i++)
        a->ends[i - 1] = a->ends[i];
    a->count--;
    lane->ahead_drawn -= lane->ahead_drawn > 0;
    lane->ahead_durable -= lane->ahead_durable > 0;
    if (a->count == 0)
        ahead_drop(lane);
}

void ahead_taken(struct lane *lane, const struct handed *h)
{
    if (h->rows > 0)
        lane->plan = (struct cursor_plan){.from = h->from, .to = h->end, .there = true};
    lane->ahead.from = h->end;
    if (lane->ahead.count > 0 && h->end.position >= lane->ahead.ends[0])
        ahead_shift(lane);
}

/* Handing out: what each free worker gets next. In this order: a plan that was not settled, waiting rows that are due,
 * rows set aside that are due, and then in turn a replay's rows and fresh ones.
 *
 * While suspects are tried, and after the far end said "not now", only one hand-out is under way: its outcome decides.
 */
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

static bool any_busy(const struct pusher *p)
{
    for (uint32_t i = 0; i < p->worker_count; i++)
        if (p->workers[i].busy)
            return true;
    return false;
}

static bool one_at_a_time(const struct pusher *p)
{
    if (p->not_now > 0 || p->suspect.position != 0)
        return true;
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (p->lanes[i].suspects_end.position != 0)
            return true;
    for (size_t i = 0; i < p->waiting.count; i++)
        if (p->waiting.rows[i].crashes > 0)
            return true;
    return false;
}

/* --- what is held back --- */

struct held {
    uint64_t hashes[HELD_MAX];
    uint32_t count;
    bool too_many;
};

static void held_add(struct held *held, uint64_t hash)
{
    for (uint32_t i = 0; i < held->count; i++)
        if (held->hashes[i] == hash)
            return;
    if (held->count == HELD_MAX)
        held->too_many = true;
    else
        held->hashes[held->count++] = hash;
}

static void held_adds(struct held *held, const struct aside_add *adds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (adds[i].state == ASIDE_PARKED)
            held_add(held, adds[i].uuid_hash);
}

static void held_gather(const struct pusher *p, struct held *held)
{
    held->count = 0;
    held->too_many = false;
    if (p->settings.order == ORDER_NONE)
        return;
    for (size_t i = 0; i < p->waiting.count; i++)
        held_add(held, p->waiting.rows[i].c.uuid_hash);
    held_adds(held, p->adds, p->add_count);
    if (p->writing != NULL)
        held_adds(held, p->writing->adds, p->writing->add_count);
    for (size_t i = 0; p->aside.parked_count > 0 && i < p->aside.count && !held->too_many; i++)
        if (p->aside.entries[i].state == ASIDE_PARKED)
            held_add(held, p->aside.entries[i].uuid_hash);
}

/* --- orders --- */

static void send(struct pusher *p, uint32_t worker, struct hand *hand, struct hand_item *items, int64_t now)
{
    struct handed *h = &p->workers[worker];
    CHECK(!h->busy);
    judge_reset(h);
    free(h->items);
    hand->token = p->next_token++;
    hand->worker = worker;
    hand->spread = p->settings.order == ORDER_NONE;
    h->items = items;
    h->item_count = hand->item_count;
    h->busy = true;
    h->taken = h->deadline_passed = false;
    h->go = GO_NOT_NEEDED;
    h->token = hand->token;
    h->what = hand->what;
    h->lane = hand->lane;
    h->from = h->first = h->end = hand->from;
    h->limit = hand->limit;
    h->rows = 0;
    h->bytes = 0;
    h->began_ms = now;
    h->deadline_ms = now + p->settings.timeout_ms + DEADLINE_GRACE_MS;
    p->ops->hand(p->ops->arg, p, hand);
}

static struct hand hand_new(const struct pusher *p, uint32_t lane, enum hand_what what)
{
    return (struct hand){
        .lane = lane,
        .what = what,
        .shard = lane,
        .shard_count = p->lane_count,
        .max_rows = p->settings.batch_rows,
        .max_bytes = p->settings.batch_bytes,
        .stable = (p->flags & 1u) != 0, /* HG_STABLE_BATCH */
        .attempt = 1,
    };
}

/* --- waiting rows --- */

static bool blocked(const struct pusher *p, const struct waiting_row *row)
{
    if (p->settings.order == ORDER_NONE)
        return false;
    for (const struct waiting_row *other = p->waiting.rows; other < row; other++)
        if (other->c.uuid_hash == row->c.uuid_hash && !other->out)
            return true;
    return pusher_parked(p, row->c.uuid_hash);
}

static void take_row(struct waiting_row *row, struct hand_item *items, uint32_t *count)
{
    row->out = true;
    items[(*count)++] = (struct hand_item){.place = row->c.place, .attempt = row->c.attempts + 1};
}

/* All rows of one plan, in their order: they go again as they went before. */
static uint32_t pick_plan(struct pusher *p, uint32_t plan, struct hand_item *items)
{
    uint32_t count = 0;
    for (size_t i = 0; i < p->waiting.count; i++)
        if (p->waiting.rows[i].c.plan == plan)
            take_row(&p->waiting.rows[i], items, &count);
    return count;
}

static uint32_t pick_waiting(struct pusher *p, uint32_t lane, struct hand_item *items, uint32_t max, int64_t now,
                             bool *repeated)
{
    uint32_t count = 0;
    *repeated = false;
    for (size_t i = 0; i < p->waiting.count && count < max; i++) {
        struct waiting_row *row = &p->waiting.rows[i];
        if (row->out || row->due_ms > now || row->c.kind == WAITING_SUSPECT ||
            pusher_lane_of_row(p, row->c.uuid_hash, row->c.place.position) != lane || blocked(p, row))
            continue;
        if (row->c.plan != 0 && count == 0) {
            *repeated = true;
            return pick_plan(p, row->c.plan, items);
        }
        if (row->c.plan != 0 || (row->solo && count > 0))
            continue;
        take_row(row, items, &count);
        if (row->solo)
            break;
    }
    return count;
}

static bool give_waiting(struct pusher *p, uint32_t worker, uint32_t lane, int64_t now)
{
    if (p->waiting.count == 0)
        return false;
    uint32_t max = p->settings.batch_rows < ASIDE_BATCH ? p->settings.batch_rows : ASIDE_BATCH;
    struct hand_item *items = calloc(CURSOR_WAITING, sizeof *items);
    if (items == NULL)
        return false;
    bool repeated;
    uint32_t count = pick_waiting(p, lane, items, max, now, &repeated);
    if (count == 0) {
        free(items);
        return false;
    }
    struct hand hand = hand_new(p, lane, HANDED_ROWS);
    hand.stable = hand.stable && !repeated;
    hand.items = items;
    hand.item_count = count;
    hand.from = items[0].place;
    send(p, worker, &hand, items, now);
    return true;
}

static bool give_aside(struct pusher *p, uint32_t worker, uint32_t lane, int64_t now)
{
    if (p->aside.parked_count == 0 || p->aside_due_ms > now)
        return false;
    struct hand_item *items = calloc(ASIDE_BATCH, sizeof *items);
    if (items == NULL)
        return false;
    uint32_t count = pusher_pick_aside(p, lane, items, one_at_a_time(p) ? 1 : ASIDE_BATCH, now);
    if (count == 0) {
        free(items);
        return false;
    }
    struct hand hand = hand_new(p, lane, HANDED_ASIDE);
    hand.stable = false;
    hand.items = items;
    hand.item_count = count;
    hand.from = items[0].place;
    send(p, worker, &hand, items, now);
    return true;
}

/* --- fresh rows --- */

/* Sets `segment` and moves `next` over gaps; false: nothing durable beyond `next`. */
static bool find_segment(struct pusher *p, struct place *next, struct journal_segment *segment)
{
    struct journal_mark mark = p->ops->durable(p->ops->arg);
    if (next->position >= mark.position || p->ops->segment_at(p->ops->arg, next->position, segment) != ERR_OK)
        return false;
    if (next->position < segment->first)
        *next = (struct place){segment->first, 0};
    return next->position < segment->end;
}

/* A pusher that is not idle waits up to BATCH_WAIT for a fuller batch. Returns when to look again, 0: go now. */
static int64_t batch_wait(const struct pusher *p, const struct lane *lane, const struct journal_segment *segment,
                          int64_t now)
{
    int64_t until = lane->last_done_ms + p->settings.batch_wait_ms;
    if (until <= now || p->stopping)
        return 0;
    struct journal_mark mark = p->ops->durable(p->ops->arg);
    uint64_t ready = segment->end - lane->next.position;
    if (!segment->head || ready >= p->settings.batch_bytes || mark.position <= segment->first)
        return 0;
    double rows_a_byte = (double)(mark.rows - segment->first_row) / (double)(mark.position - segment->first);
    return rows_a_byte * (double)ready >= (double)p->settings.batch_rows ? 0 : until;
}

static uint32_t fresh_rows(const struct pusher *p, const struct lane *lane)
{
    size_t room = waiting_room(&p->waiting);
    uint32_t rows = lane->max_rows < p->settings.batch_rows ? lane->max_rows : p->settings.batch_rows;
    if (lane->suspects_end.position != 0 && place_before(lane->next, lane->suspects_end))
        rows = 1;
    return rows <= room ? rows : (uint32_t)room;
}

static bool give_fresh(struct pusher *p, uint32_t worker, uint32_t index, int64_t now, int64_t *wake)
{
    static struct held held; /* loop thread only; too large for the stack */
    struct lane *lane = &p->lanes[index];
    struct journal_segment segment;
    if (lane->sweeping || lane->give_up > lane->next.position || !find_segment(p, &lane->next, &segment))
        return false;
    struct hand hand = hand_new(p, index, HANDED_RANGE);
    hand.limit = segment.end;
    if (p->reshard_at != 0 && hand.limit > p->reshard_at)
        hand.limit = p->reshard_at;
    if (hand.limit <= lane->next.position)
        return false;
    int64_t later = lane->plan.there || lane->attempt > 0 ? 0 : batch_wait(p, lane, &segment, now);
    if (later > 0) {
        *wake = later < *wake ? later : *wake;
        return false;
    }
    held_gather(p, &held);
    hand.max_rows = fresh_rows(p, lane);
    if (hand.max_rows == 0 || held.too_many)
        return false;
    hand.held = held.hashes;
    hand.held_count = held.count;
    hand.base = segment.base;
    hand.from = lane->next;
    hand.attempt = lane->attempt + 1;
    if (lane->plan.there) {
        hand.exact = true;
        hand.stable = false;
        hand.from = lane->plan.from;
        hand.to = lane->plan.to;
        hand.held_count = 0;
    }
    if (lane->first_try_ms == 0)
        lane->first_try_ms = now;
    send(p, worker, &hand, NULL, now);
    return true;
}

static bool give_replay(struct pusher *p, uint32_t worker, uint32_t lane, int64_t now, int64_t *wake)
{
    if (p->replay_count == 0 || lane != 0)
        return false;
    struct hand hand = hand_new(p, 0, HANDED_REPLAY);
    hand.shard = 0;
    hand.shard_count = 1;
    hand.stable = false;
    if (!replay_pick(p, &hand, now, wake))
        return false;
    send(p, worker, &hand, NULL, now);
    return true;
}

static bool give(struct pusher *p, uint32_t worker, uint32_t lane, int64_t now, int64_t *wake)
{
    if (p->lanes[lane].plan.there)
        return give_fresh(p, worker, lane, now, wake);
    if (give_waiting(p, worker, lane, now) || give_aside(p, worker, lane, now))
        return true;
    p->replay_turn = !p->replay_turn;
    if (p->replay_turn)
        return give_replay(p, worker, lane, now, wake) || give_fresh(p, worker, lane, now, wake);
    return give_fresh(p, worker, lane, now, wake) || give_replay(p, worker, lane, now, wake);
}

/* The number of lanes may change only where all lanes stand at one place. */
static void reshard(struct pusher *p)
{
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (p->lanes[i].next.position < p->reshard_at || p->lanes[i].plan.there)
            return;
    struct place at = p->lanes[0].next;
    uint64_t row = p->lanes[0].row;
    for (uint32_t i = 0; i < CURSOR_LANES; i++)
        p->lanes[i] = (struct lane){.next = at, .row = row, .max_rows = p->settings.batch_rows};
    p->lane_count = p->worker_count;
    p->reshard_at = 0;
    pusher_dirty(p, true);
}

int64_t pusher_pump(struct pusher *p, int64_t now)
{
    int64_t wake = INT64_MAX;
    if (p->host != HOST_READY || p->paused || p->broken || p->stopping || p->forgotten || p->kill_sent)
        return wake;
    if (p->reshard_at != 0 && !any_busy(p))
        reshard(p);
    if (p->not_now_until_ms > now)
        return p->not_now_until_ms;
    bool single = one_at_a_time(p);
    for (uint32_t lane = 0; lane < p->lane_count; lane++) {
        uint32_t worker = lane % p->worker_count;
        if (p->workers[worker].busy)
            continue;
        if (single && any_busy(p))
            break;
        (void)give(p, worker, lane, now, &wake);
    }
    return wake;
}

/* Handing out: what each free worker gets next. In this order: a plan that was not settled, waiting rows that are due,
 * rows set aside that are due, and then in turn a replay's rows and fresh ones.
 *
 * While suspects are tried, and after the far end said "not now", only one hand-out is under way: its outcome decides.
 */
#include "delivery/internal.h"

#include <stdlib.h>
#include <string.h>

bool pusher_any_busy(const struct pusher *p)
{
    for (uint32_t i = 0; i < p->worker_top; i++)
        if (p->workers[i].busy)
            return true;
    return false;
}

bool pusher_lane_busy(const struct pusher *p, uint32_t lane)
{
    for (uint32_t i = 0; i < p->worker_top; i++)
        if (p->workers[i].busy && p->workers[i].what == HANDED_RANGE && p->workers[i].lane == lane)
            return true;
    return false;
}

bool pusher_suspects(const struct lane *lane)
{
    return lane->suspects_end.position != 0 && place_before(lane->next, lane->suspects_end);
}

/* Is there anything that was in hand when the plugin crashed and has not been tried alone? */
static bool any_suspected(const struct pusher *p)
{
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (pusher_suspects(&p->lanes[i]))
            return true;
    for (size_t i = 0; i < p->waiting.count; i++)
        if (p->waiting.rows[i].suspected)
            return true;
    const struct aside_entry *entry = p->aside_suspected ? aside_active(&p->aside) : NULL;
    for (; entry != NULL; entry = aside_active_next(&p->aside, entry))
        if (entry->suspected && !entry->suspect)
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

static void held_visit(void *arg, uint64_t hash)
{
    held_add(arg, hash);
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
    aside_held(&p->aside, held_visit, held);
}

/* --- orders --- */

static void send(struct pusher *p, uint32_t worker, struct hand *hand, struct hand_item *items, int64_t now)
{
    struct handed *h = &p->workers[worker];
    CHECK(!h->busy);
    if (worker >= p->worker_top)
        p->worker_top = worker + 1;
    judge_reset(h);
    free(h->items);
    hand->token = p->next_token++;
    hand->worker = worker;
    hand->spread = p->spread;
    h->items = items;
    h->item_count = hand->item_count;
    h->busy = true;
    h->taken = h->deadline_passed = false;
    h->go = GO_NOT_NEEDED;
    h->stable = hand->stable;
    h->exact = hand->exact;
    h->cut = hand->cut;
    h->first_push = false;
    h->max_rows = hand->max_rows;
    h->replay = hand->replay;
    h->token = hand->token;
    h->what = hand->what;
    h->lane = hand->lane;
    h->from = h->first = h->end = hand->from;
    h->limit = hand->to.position != 0 && !hand->exact ? hand->to.position + (hand->to.row > 0) : hand->limit;
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
        .stable = (p->flags & HG_STABLE_BATCH) != 0,
        .attempt = 1,
    };
}

/* --- waiting rows --- */

/* Stands an unsettled row of its uuid before it? Not one that goes along in the same hand-out. */
static bool blocked(const struct pusher *p, const struct waiting_row *row)
{
    if (p->settings.order == ORDER_NONE)
        return false;
    for (const struct waiting_row *other = p->waiting.rows; other < row; other++)
        if (other->c.uuid_hash == row->c.uuid_hash && (!other->out || other->pick != p->next_token))
            return true;
    return pusher_parked_before(p, row->c.uuid_hash, row->c.place);
}

static void take_row(const struct pusher *p, struct waiting_row *row, struct hand_item *items, uint32_t *count)
{
    row->out = true;
    row->pick = p->next_token;
    items[(*count)++] =
        (struct hand_item){.place = row->c.place, .attempt = row->c.attempts + 1, .uuid_hash = row->c.uuid_hash};
}

/* All rows of one plan, in their order: they go again as they went before. */
static uint32_t pick_plan(struct pusher *p, uint32_t plan, struct hand_item *items)
{
    uint32_t count = 0;
    for (size_t i = 0; i < p->waiting.count; i++)
        if (p->waiting.rows[i].c.plan == plan)
            take_row(p, &p->waiting.rows[i], items, &count);
    return count;
}

static bool plan_ready(const struct pusher *p, uint32_t plan, int64_t now)
{
    for (size_t i = 0; i < p->waiting.count; i++) {
        const struct waiting_row *row = &p->waiting.rows[i];
        if (row->c.plan == plan && (row->out || row->due_ms > now))
            return false;
    }
    return true;
}

/* From the row `i` of those that wait on. It ends before what goes alone, which is then first in the next. */
static uint32_t pick_from(struct pusher *p, size_t i, uint32_t lane, struct hand_item *items, uint32_t max,
                          bool suspected, int64_t now, bool *repeated)
{
    uint32_t count = 0;
    for (; i < p->waiting.count && count < max; i++) {
        struct waiting_row *row = &p->waiting.rows[i];
        if (row->out || row->due_ms > now || row->c.kind == WAITING_SUSPECT || row->give_up != GIVE_NO ||
            (suspected && !row->suspected) || pusher_lane_of_row(p, row->c.uuid_hash, row->c.place.position) != lane ||
            blocked(p, row) || (row->c.plan != 0 && !plan_ready(p, row->c.plan, now)))
            continue;
        bool alone = row->solo || row->suspected;
        if ((row->c.plan != 0 || alone) && count > 0)
            break;
        *repeated = row->c.plan != 0;
        if (*repeated)
            return pick_plan(p, row->c.plan, items);
        take_row(p, row, items, &count);
        if (alone)
            break;
    }
    return count;
}

/* Each hand-out goes on where the lane's one before ended: rows that are soon due again do not keep back those behind
 * them. */
static uint32_t pick_waiting(struct pusher *p, uint32_t lane, struct hand_item *items, uint32_t max, bool suspected,
                             int64_t now, bool *repeated)
{
    struct place *turn = &p->lanes[lane].turn;
    *repeated = false;
    size_t from = waiting_bound(&p->waiting, *turn);
    uint32_t count = pick_from(p, from, lane, items, max, suspected, now, repeated);
    if (count == 0 && from > 0)
        count = pick_from(p, 0, lane, items, max, suspected, now, repeated);
    if (count > 0) {
        *turn = items[count - 1].place;
        turn->row++;
    }
    return count;
}

static bool give_waiting(struct pusher *p, uint32_t worker, uint32_t lane, bool suspected, int64_t now)
{
    if (p->waiting.count == 0)
        return false;
    uint32_t max = p->settings.batch_rows < ASIDE_BATCH ? p->settings.batch_rows : ASIDE_BATCH;
    struct hand_item *items = calloc(CURSOR_WAITING, sizeof *items);
    if (items == NULL)
        return false;
    bool repeated;
    uint32_t count = pick_waiting(p, lane, items, max, suspected, now, &repeated);
    if (count == 0) {
        free(items);
        return false;
    }
    struct hand hand = hand_new(p, lane, HANDED_ROWS);
    hand.stable = hand.stable && !repeated;
    hand.exact = repeated;
    hand.items = items;
    hand.item_count = count;
    hand.from = items[0].place;
    send(p, worker, &hand, items, now);
    return true;
}

static bool give_aside(struct pusher *p, uint32_t worker, uint32_t lane, bool suspected, int64_t now)
{
    if (p->aside.parked_count == 0 || p->aside_due_ms > now)
        return false;
    struct hand_item *items = calloc(ASIDE_BATCH, sizeof *items);
    if (items == NULL)
        return false;
    uint32_t count = pusher_pick_aside(p, lane, items, ASIDE_BATCH, suspected, now);
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

bool pusher_segment(struct pusher *p, struct place *next, struct journal_segment *segment)
{
    struct journal_mark mark = p->ops->durable(p->ops->arg);
    if (next->position >= mark.position || p->ops->segment_at(p->ops->arg, next->position, segment) != ERR_OK)
        return false;
    if (next->position < segment->first)
        *next = (struct place){segment->first, 0};
    return next->position < segment->end;
}

/* One that is not the head will hold no more than it does. */
bool pusher_fills(const struct pusher *p, uint64_t position, const struct journal_segment *segment)
{
    struct journal_mark mark = p->ops->durable(p->ops->arg);
    uint64_t ready = segment->end - position;
    if (!segment->head || ready >= p->settings.batch_bytes || mark.position <= segment->first)
        return true;
    double rows_a_byte = (double)(mark.rows - segment->first_row) / (double)(mark.position - segment->first);
    return rows_a_byte * (double)ready >= (double)p->settings.batch_rows;
}

/* A pusher that is not idle waits up to BATCH_WAIT for a fuller batch; before its first push it is idle, however young
 * the clock is. Returns when to look again, 0: go now. */
static int64_t batch_wait(const struct pusher *p, const struct lane *lane, const struct journal_segment *segment,
                          int64_t now)
{
    int64_t until = lane->last_done_ms + p->settings.batch_wait_ms;
    if (lane->last_done_ms == 0 || until <= now || p->stopping)
        return 0;
    return pusher_fills(p, lane->next.position, segment) ? 0 : until;
}

/* While rows wait, no more than there is room for should all of these have to wait, too, and as many be passed by
 * because their uuid is held. While none waits, rows are rarely told to: then as many as one push may have, and what
 * finds no room after all is parked. */
static uint32_t fresh_rows(const struct pusher *p, const struct lane *lane)
{
    size_t room = (waiting_room(&p->waiting) + 1) / 2;
    uint32_t rows = lane->max_rows < p->settings.batch_rows ? lane->max_rows : p->settings.batch_rows;
    if (pusher_suspects(lane))
        rows = 1;
    return p->waiting.count == 0 || rows <= room ? rows : (uint32_t)room;
}

static bool give_fresh(struct pusher *p, uint32_t worker, uint32_t index, int64_t now, int64_t *wake)
{
    static struct held held; /* loop thread only; too large for the stack */
    struct lane *lane = &p->lanes[index];
    struct journal_segment segment;
    struct place stood = lane->next;
    if (lane->sweeping || lane->give_up > lane->next.position || !pusher_segment(p, &lane->next, &segment))
        return false;
    struct hand hand = hand_new(p, index, HANDED_RANGE);
    hand.max_rows = fresh_rows(p, lane);
    hand.limit = segment.end;
    if (p->reshard_at != 0 && hand.limit > p->reshard_at)
        hand.limit = p->reshard_at;
    if (hand.limit <= lane->next.position || !ahead_shape(p, lane, stood, &hand))
        return false;
    uint64_t ruled = pusher_ruling_ahead(p, index);
    if (ruled <= lane->next.position) {
        if (pusher_ruling_here(p, index) != NULL)
            pusher_dirty(p, true); /* the checkpoint settles it */
        return false;
    }
    if (ruled < hand.limit && (hand.to.position == 0 || ruled < hand.to.position))
        hand.to = (struct place){ruled, 0};
    int64_t later = lane->plan.there || hand.cut || lane->attempt > 0 ? 0 : batch_wait(p, lane, &segment, now);
    if (later > 0) {
        *wake = later < *wake ? later : *wake;
        return false;
    }
    held_gather(p, &held);
    if (hand.max_rows == 0 || held.too_many)
        return false;
    hand.held = held.hashes;
    hand.held_count = held.count;
    hand.base = segment.base;
    hand.from = lane->next;
    hand.attempt = lane->attempt + 1;
    if (lane->plan.there) { /* no row of it was held when it was made, and what came later stands behind it */
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
    if (give_waiting(p, worker, lane, false, now) || give_aside(p, worker, lane, false, now))
        return true;
    p->replay_turn = !p->replay_turn;
    if (p->replay_turn)
        return give_replay(p, worker, lane, now, wake) || give_fresh(p, worker, lane, now, wake);
    return give_fresh(p, worker, lane, now, wake) || give_replay(p, worker, lane, now, wake);
}

/* What was there when the plugin crashed goes first, so that it is the first push of a fresh host. */
static bool give_suspected(struct pusher *p, uint32_t worker, uint32_t lane, int64_t now, int64_t *wake)
{
    if (give_waiting(p, worker, lane, true, now) || give_aside(p, worker, lane, true, now))
        return true;
    return pusher_suspects(&p->lanes[lane]) && give_fresh(p, worker, lane, now, wake);
}

/* The number of lanes, and how rows fall to them, may change only where all lanes stand at one place. Between that and
 * where a lane stands there are gaps at most. */
static void reshard(struct pusher *p)
{
    struct lane fresh = {.next = p->lanes[0].next, .row = p->lanes[0].row, .max_rows = p->settings.batch_rows};
    for (uint32_t i = 0; i < p->lane_count; i++) {
        const struct lane *lane = &p->lanes[i];
        if (lane->next.position < p->reshard_at || lane->plan.there || lane->sweeping)
            return;
        if (place_before(lane->next, fresh.next)) {
            fresh.next = lane->next;
            fresh.row = lane->row;
        }
        if (lane->give_up > fresh.give_up) {
            fresh.give_up = lane->give_up;
            fresh.give_up_dead = lane->give_up_dead;
            memcpy(fresh.give_up_why, lane->give_up_why, sizeof fresh.give_up_why);
        }
    }
    for (uint32_t i = 0; i < CURSOR_LANES; i++)
        p->lanes[i] = fresh;
    p->lane_count = p->worker_count;
    p->spread = p->settings.order == ORDER_NONE;
    p->reshard_at = 0;
    pusher_dirty(p, true);
}

typedef bool give_one(struct pusher *p, uint32_t worker, uint32_t lane, int64_t now, int64_t *wake);

/* Every free worker, in turn; with `single` only when nothing is under way. True: something was handed out. */
static bool give_all(struct pusher *p, give_one *one, bool single, int64_t now, int64_t *wake)
{
    bool given = false;
    CHECK(p->lane_count > 0 && p->worker_count > 0);
    p->turn = (p->turn + 1) % p->lane_count;
    for (uint32_t n = 0; n < p->lane_count; n++) {
        uint32_t lane = (p->turn + n) % p->lane_count, worker = lane % p->worker_count;
        if (p->workers[worker].busy || (single && pusher_any_busy(p)))
            continue;
        given = one(p, worker, lane, now, wake) || given;
    }
    return given;
}

int64_t pusher_pump(struct pusher *p, int64_t now)
{
    int64_t wake = INT64_MAX;
    if (p->reshard_at != 0 && !pusher_any_busy(p)) /* also of one that does not run: what it gives up stops there too */
        reshard(p);
    if (p->host != HOST_READY || p->paused || p->broken || p->stopping || p->forgotten || p->kill_sent)
        return wake;
    if (p->settle_count + p->add_count > BACKLOG_MAX)
        return wake; /* the disk does not take what has to be written: nothing more until it does */
    if (p->not_now_until_ms > now)
        return p->not_now_until_ms;
    for (uint32_t i = 0; i < p->lane_count; i++)
        ahead_extend(p, &p->lanes[i]);
    bool suspected = any_suspected(p);
    if (suspected && (pusher_any_busy(p) || give_all(p, give_suspected, true, now, &wake)))
        return wake;
    (void)give_all(p, give, suspected || p->suspect.position != 0 || p->not_now > 0, now, &wake);
    return wake;
}

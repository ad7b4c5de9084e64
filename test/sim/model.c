/* The model: a few facts about each row, and the rules.
 *
 * A row is *accounted for* when the plugin said of it what settles it, when it lies among the dead letters, or when the
 * operator let it go. The pusher may take a row for settled only then (model_check); and once a checkpoint that says so
 * is on the medium, the plugin must not see it again (model_pushing). */
#include "model.h"

#include "delivery/internal.h"
#include "intake.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLANS = 64, LONE_CRASHES = 3, ROWS_MAX = 600000 };

struct plan { /* rows that were pushed together and are not durably settled */
    uint64_t *rows;
    uint32_t count, worker, life;
    uint64_t token;
    bool heard; /* all of them are settled; else nothing is known of them */
    bool splits;
};

struct model model;
struct sim_row *model_rows;
static struct plan plans[PLANS];
static struct cursor_ahead written[CURSOR_LANES]; /* ahead, on the medium */
static uint32_t plan_count;

static void plan_drop(uint32_t i)
{
    free(plans[i].rows);
    plans[i] = plans[--plan_count];
}

void model_begin(void)
{
    model = (struct model){0};
    model_rows = calloc(ROWS_MAX, sizeof *model_rows);
    CHECK(model_rows != NULL);
    plan_count = 0;
}

void model_end(void)
{
    while (plan_count > 0)
        plan_drop(0);
    free(model_rows);
    model_rows = NULL;
}

struct sim_row *model_row(uint64_t n)
{
    CHECK(n < ROWS_MAX);
    return &model_rows[n];
}

/* --- as the pusher sees it --- */

/* Is `place` this row, or one of this set? */
static bool place_is(struct place that, struct place place)
{
    return that.row == PLACE_SET ? that.position == place.position : place_cmp(that, place) == 0;
}

static bool adds_open(const struct aside_add *adds, size_t count, struct place place)
{
    for (size_t i = 0; i < count; i++)
        if (place_is(adds[i].place, place) && adds[i].state != ASIDE_DEAD)
            return true;
    return false;
}

static bool adds_dead(const struct aside_add *adds, size_t count, struct place place)
{
    for (size_t i = 0; i < count; i++)
        if (place_cmp(adds[i].place, place) == 0 && adds[i].state == ASIDE_DEAD)
            return true;
    return false;
}

static bool sweeps_hold(const struct sweep *sweeps, size_t count, uint64_t position)
{
    for (size_t i = 0; i < count; i++)
        if (sweeps[i].set && sweeps[i].from.position == position)
            return true;
    return false;
}

static bool is_open(const struct sim_set *s, struct place place)
{
    struct pusher *p = model.p;
    uint32_t lane = pusher_lane_of_row(p, s->uuid_hash, place.position);
    bool reached = place_before(place, p->lanes[lane].next) || pusher_ruled(p, place.position, s->uuid_hash) != NULL;
    if (!reached || waiting_find(&p->waiting, place) != NULL ||
        waiting_find(&p->waiting, (struct place){place.position, PLACE_SET}) != NULL)
        return true;
    for (size_t i = 0; i < p->aside.count; i++)
        if (place_is(p->aside.entries[i].place, place) &&
            (p->aside.entries[i].state == ASIDE_PARKED || p->aside.entries[i].state == ASIDE_RETRYING))
            return true;
    return adds_open(p->adds, p->add_count, place) ||
           (p->writing != NULL && adds_open(p->writing->adds, p->writing->add_count, place));
}

static bool is_dead(struct place place)
{
    const struct pusher *p = model.p;
    for (size_t i = 0; i < p->aside.count; i++)
        if (place_cmp(p->aside.entries[i].place, place) == 0 && p->aside.entries[i].state == ASIDE_DEAD)
            return true;
    if (adds_dead(p->adds, p->add_count, place) || sweeps_hold(p->sets, p->set_count, place.position))
        return true;
    const struct checkpoint *cp = p->writing;
    return cp != NULL &&
           (adds_dead(cp->adds, cp->add_count, place) || sweeps_hold(cp->sweeps, cp->sweep_count, place.position));
}

static bool is_accounted(const struct sim_set *s, const struct sim_row *row, struct place place)
{
    return (row->said & (SAID_OK | SAID_DUPLICATE | SAID_SKIP)) != 0 || row->dropped || row->edited || s->lost ||
           place.position < model.gave_skip || is_dead(place);
}

/* --- pushes --- */

static struct sim_set *set_shown(const struct push_row *r)
{
    struct sim_set *s = set_of(r->n);
    SIM_CHECK(s != NULL && r->n - s->first == r->number, "row %" PRIu64 " is shown as number %u", r->n, r->number);
    SIM_CHECK(s->state == SET_ACKED || (s->state == SET_UNKNOWN && s->life < model.life),
              "row %" PRIu64 " is delivered, but was answered otherwise", r->n);
    SIM_CHECK(s->state != SET_ACKED || s->position == r->position, "row %" PRIu64 " is shown at %" PRIu64, r->n,
              r->position);
    return s;
}

static bool shown_before(const struct push *push, uint32_t end, uint64_t n)
{
    for (uint32_t i = 0; i < end; i++)
        if (push->rows[i].n == n)
            return true;
    return false;
}

/* Earlier rows of its uuid are settled, or go before it in this push. */
static void check_order(const struct push *push, uint32_t at)
{
    const struct push_row *r = &push->rows[at];
    const struct sim_set *mine = set_of(r->n);
    for (uint32_t i = 0; i < set_count; i++) {
        const struct sim_set *s = &sets[i];
        if (s->state != SET_ACKED || s->uuid != mine->uuid || s->position > r->position)
            continue;
        for (uint32_t k = 0; k < s->rows && s->first + k < r->n; k++) {
            const struct sim_row *row = model_row(s->first + k);
            struct place place = {s->position, k};
            SIM_CHECK(row->again || row->replayed || is_accounted(s, row, place) ||
                          shown_before(push, at, s->first + k),
                      "row %" PRIu64 " of %s overtakes row %" PRIu64, r->n, uuid_text(s->uuid), s->first + k);
        }
    }
}

static void check_whole(const struct push *push, uint32_t at, const struct sim_set *s)
{
    uint32_t there = 0;
    for (uint32_t i = 0; i < push->count; i++)
        there += push->rows[i].n >= s->first && push->rows[i].n < s->first + s->rows;
    SIM_CHECK(there == s->rows, "row %" PRIu64 " comes without its set", push->rows[at].n);
}

static bool plan_shares(const struct plan *plan, const struct push *push)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (shown_before(push, push->count, plan->rows[i]))
            return true;
    return false;
}

/* It is over with one of its rows: RETRY_FOR is through. */
static bool plan_expired(const struct plan *plan)
{
    for (uint32_t i = 0; model.may_expire && i < plan->count; i++) {
        const struct sim_set *s = set_of(plan->rows[i]);
        if (is_dead((struct place){s->position, (uint32_t)(plan->rows[i] - s->first)}))
            return true;
    }
    return false;
}

/* A batch that could not come again as it was: it is counted. */
static void plans_uncertain(void)
{
    for (uint32_t i = 0; i < plan_count && model.p->counts.uncertain != model.uncertain; i++)
        plans[i].splits = plans[i].splits || plans[i].life < model.life;
    model.uncertain = model.p->counts.uncertain;
}

static void check_plans(uint32_t worker, const struct push *push)
{
    plans_uncertain();
    for (uint32_t i = plan_count; i-- > 0;) {
        const struct plan *plan = &plans[i];
        if (!plan_shares(plan, push))
            continue;
        bool same = plan->count == push->count;
        for (uint32_t k = 0; same && k < plan->count; k++)
            same = plan->rows[k] == push->rows[k].n;
        SIM_CHECK(same || plan->splits || plan_expired(plan) || (plan->heard && model.damaged),
                  "a batch of %u rows from row %" PRIu64 " comes again as %u rows from %" PRIu64, plan->count,
                  plan->rows[0], push->count, push->rows[0].n);
        plan_drop(i);
    }
    for (uint32_t i = plan_count; i-- > 0 && plan_count == PLANS;)
        if (plans[i].splits || plans[i].heard) /* it has no more, or least, to say */
            plan_drop(i);
    CHECK(plan_count < PLANS);
    struct plan *plan = &plans[plan_count++];
    *plan = (struct plan){.count = push->count, .worker = worker, .life = model.life, .token = push->token};
    plan->rows = calloc(push->count, sizeof *plan->rows);
    CHECK(plan->rows != NULL);
    for (uint32_t i = 0; i < push->count; i++)
        plan->rows[i] = push->rows[i].n;
    for (uint32_t i = 0; i < push->count; i++) /* what is let go, or ruled on, while it is out */
        plan->splits |= push->rows[i].position < model.gave_dead || push->rows[i].position < model.gave_skip ||
                        model_row(push->rows[i].n)->dropped;
}

static void plans_split(uint64_t token)
{
    for (uint32_t i = 0; i < plan_count; i++)
        plans[i].splits = plans[i].splits || token == 0 || (plans[i].token == token && plans[i].life == model.life);
}

void model_split(void)
{
    plans_split(0);
}

void model_pushing(uint32_t worker, const struct push *push)
{
    bool ordered = !model.order_lifted && !model.damaged && model.p->settings.order == ORDER_UUID;
    bool replay = push->rows[0].origin == HG_REPLAY;
    for (uint32_t i = 0; i < push->count; i++) {
        const struct push_row *r = &push->rows[i];
        const struct sim_set *s = set_shown(r);
        struct sim_row *row = model_row(r->n);
        row->replayed |= replay;
        model.replayed |= replay; /* what it says then is of that time, and may bring it back */
        if (replay)
            continue;
        SIM_CHECK(!row->durable || model.damaged || row->again || row->replayed,
                  "row %" PRIu64 " comes again after it was settled", r->n);
        if (ordered && !row->again && !row->replayed)
            check_order(push, i);
        if (model.whole_sets && (!r->aside || r->set))
            check_whole(push, i, s);
    }
    if (model.stable && !replay && !push->rows[0].aside)
        check_plans(worker, push);
}

void model_cut(const struct hand *hand)
{
    const struct cursor_ahead *a = &written[hand->lane];
    bool there = false;
    for (uint32_t i = 0; i < a->count; i++)
        there = there || (a->ends[i] == hand->limit && a->rows == hand->max_rows && a->bytes == hand->max_bytes);
    SIM_CHECK(there && !place_before(hand->from, a->from), "a batch from %" PRIu64 ".%u is not written down ahead",
              hand->from.position, hand->from.row);
}

static void settle_row(const struct push_row *r, bool replay)
{
    struct sim_row *row = model_row(r->n);
    switch (r->verdict) {
    case HG_OK: row->said |= SAID_OK; break;
    case HG_DUPLICATE:
        row->said |= SAID_DUPLICATE;
        row->outcomes |= replay ? 0 : 1 << OUTCOME_DUPLICATE;
        break;
    case HG_SKIP:
        row->said |= SAID_SKIP;
        row->outcomes |= replay ? 0 : 1 << OUTCOME_SKIPPED;
        break;
    case HG_REJECT:
        row->said |= SAID_REJECT;
        row->outcomes |= 1 << OUTCOME_DEAD;
        break;
    default: return;
    }
    if (r->verdict == HG_OK)
        row->outcomes |= 1 << OUTCOME_DELIVERED;
    model.passed++;
    if (!replay) /* that proves nothing of what is handed out else */
        model.ends = 0;
}

static bool all_through(const struct push *push)
{
    for (uint32_t i = 0; i < push->count; i++)
        if (push->rows[i].verdict != HG_OK && push->rows[i].verdict != HG_DUPLICATE && push->rows[i].verdict != HG_SKIP)
            return false;
    return true;
}

void model_heard(uint32_t worker, const struct push *push)
{
    (void)worker;
    for (uint32_t i = 0; i < push->count; i++)
        settle_row(&push->rows[i], push->rows[i].origin == HG_REPLAY);
    for (uint32_t i = plan_count; i-- > 0;)
        if (plans[i].token == push->token && plans[i].life == model.life) {
            if (push->result == HG_NOT_NOW)
                plans[i].splits = true;
            else if (all_through(push))
                plans[i].heard = true;
            else
                plan_drop(i);
        }
}

/* Evidence: a row, or where that is the unit its set, alone in the first push of a fresh host. */
void model_crashed(const struct push *push)
{
    plans_split(push->token);
    const struct sim_set *s = set_of(push->rows[0].n);
    bool lone = push->count == 1 || (model.whole_sets && push->rows[push->count - 1].n < s->first + s->rows);
    lone = lone && push->first && push->rows[0].origin != HG_REPLAY;
    for (uint32_t i = 0; lone && i < push->count; i++) {
        struct sim_row *row = model_row(push->rows[i].n);
        row->lone++;
        row->stamp = model.passed;
    }
}

void model_blamed(struct place place)
{
    const struct sim_set *s = set_at(place.position);
    for (uint32_t k = 0; s != NULL && k < s->rows; k++) {
        struct sim_row *row = model_row(s->first + k);
        bool it = model.whole_sets || k == place.row;
        row->lone += it;
        row->stamp = it ? model.passed : row->stamp;
    }
}

void model_overdue(const struct push *push)
{
    plans_split(push->token);
}

/* --- checkpoints and starts --- */

static void rows_each(void (*each)(struct sim_set *s, struct sim_row *row, struct place place))
{
    for (uint32_t i = 0; i < set_count; i++)
        for (uint32_t k = 0; sets[i].state == SET_ACKED && pusher_takes(model.p, sets[i].position) && k < sets[i].rows;
             k++)
            each(&sets[i], model_row(sets[i].first + k), (struct place){sets[i].position, k});
}

static void row_drawn(struct sim_set *s, struct sim_row *row, struct place place)
{
    row->settling = !is_open(s, place);
}

/* Rows that may be given up by it: from now on a receipt may say so. */
static void sweep_drawn(const struct sweep *sweep)
{
    for (uint32_t i = 0; i < set_count; i++) {
        const struct sim_set *s = &sets[i];
        bool in = sweep->set ? s->position == sweep->from.position
                             : s->position >= sweep->from.position && s->position < sweep->to;
        for (uint32_t k = 0; s->state == SET_ACKED && in && k < s->rows; k++)
            model_row(s->first + k)->outcomes |= (uint8_t)(1 << sweep_outcome(sweep));
    }
}

void model_drawn(const struct checkpoint *cp)
{
    for (size_t i = 0; i < cp->add_count; i++) {
        const struct sim_set *s = set_at(cp->adds[i].place.position);
        if (s != NULL && cp->adds[i].state == ASIDE_DEAD) /* from now on a receipt may say so */
            model_row(s->first + cp->adds[i].place.row)->outcomes |= 1 << OUTCOME_DEAD;
    }
    for (size_t i = 0; i < cp->sweep_count; i++)
        sweep_drawn(&cp->sweeps[i]);
    model.oldest = cp->trim > model.oldest ? cp->trim : model.oldest;
    model_check();
    rows_each(row_drawn);
}

static void row_written(struct sim_set *s, struct sim_row *row, struct place place)
{
    if (row->settling && !row->durable && s->first + place.row == sim_row)
        sim_trace("row %" PRIu64 " is settled durably", sim_row);
    row->durable = row->durable || row->settling;
    if (row->settling)
        row->again = false;
}

static void check_reason(const struct aside_add *add, const struct sim_set *s)
{
    struct sim_row *row = model_row(s->first + add->place.row);
    uint64_t n = s->first + add->place.row;
    unsigned long long named;
    row->outcomes |= 1 << OUTCOME_DEAD;
    if (sscanf(add->reason, "row %llu is refused", &named) == 1)
        SIM_CHECK(named == n && (row->said & SAID_REJECT) != 0, "row %" PRIu64 " is dead for row %llu", n, named);
    else if (strncmp(add->reason, "the plugin crashed", 18) == 0)
        SIM_CHECK(row->lone >= LONE_CRASHES && model.passed > row->stamp,
                  "row %" PRIu64 " is dead for a crash, after %u of them", n, row->lone);
    else if (strncmp(add->reason, "expired", 7) == 0)
        SIM_CHECK(model.may_expire, "row %" PRIu64 " is expired without RETRY_FOR", n);
    else if (strncmp(add->reason, "given up", 8) == 0)
        SIM_CHECK(add->place.position < model.gave_dead, "row %" PRIu64 " is given up by nobody", n);
    else
        sim_fail("row %" PRIu64 " is dead: %s", n, add->reason);
}

static void adds_check(const struct aside_add *adds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct aside_add *add = &adds[i];
        const struct sim_set *s = set_at(add->place.position);
        if (add->state == ASIDE_DEAD && !add->lost && s != NULL && (add->reason[0] != '\0' || add->from_file == 0))
            check_reason(add, s);
        bool may = model.damaged || s == NULL ||
                   model_row(s->first + (add->place.row == PLACE_SET ? 0 : add->place.row))
                       ->replayed || /* that pins nothing */
                   add->state == ASIDE_RETRYING;
        SIM_CHECK(!add->lost || may, "row %u at %" PRIu64 " is lost while it is set aside", add->place.row,
                  add->place.position);
    }
}

static bool plan_durable(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (!model_row(plan->rows[i])->durable)
            return false;
    return true;
}

void model_written(const struct checkpoint *cp)
{
    memcpy(written, cp->cursor.aheads, sizeof written);
    rows_each(row_written);
    for (uint32_t i = plan_count; i-- > 0;)
        if (plans[i].heard && plan_durable(&plans[i]))
            plan_drop(i);
    adds_check(cp->adds, cp->add_count);
    adds_check(cp->swept, cp->swept_count);
}

void model_ended(void)
{
    plans_uncertain();
}

void model_restarted(struct pusher *p)
{
    model.p = p;
    model.uncertain = p->counts.uncertain;
    for (uint32_t i = 0; i < CURSOR_LANES; i++)
        written[i] = p->lanes[i].ahead;
    model.registered = model.life++ == 0 ? p->registered : model.registered;
    SIM_CHECK(p->registered == model.registered || model.damaged, "it was registered at %" PRIu64 ", now at %" PRIu64,
              model.registered, p->registered);
    for (uint64_t n = 0; n < row_count; n++)
        model_rows[n].lone = 0; /* crashes are counted in one life only */
}

/* --- checks --- */

static void row_check(struct sim_set *s, struct sim_row *row, struct place place)
{
    SIM_CHECK(is_accounted(s, row, place) || is_open(s, place),
              "row %" PRIu64 " (%" PRIu64 ".%u) is taken for settled, and nothing was said of it", s->first + place.row,
              place.position, place.row);
}

void model_check(void)
{
    const struct pusher *p = model.p;
    rows_each(row_check);
    SIM_CHECK(p->waiting.count <= CURSOR_WAITING, "%zu rows wait", p->waiting.count);
    for (size_t i = 1; i < p->waiting.count; i++)
        SIM_CHECK(place_before(p->waiting.rows[i - 1].c.place, p->waiting.rows[i].c.place),
                  "waiting rows out of order");
    SIM_CHECK(model.damaged || model.replayed || model.copied || p->counts.lost == 0,
              "%" PRIu64 " rows are counted as lost", p->counts.lost);
}

/* --- receipts, put together as the API does it --- */

struct receipt {
    const struct sim_set *set;
    uint8_t outcomes[SET_ROWS];
};

static void receipt_entry(void *arg, const struct settle_entry *e)
{
    struct receipt *r = arg;
    uint64_t position = r->set->position;
    bool all = e->rows == 0;
    if (sim_row >= r->set->first && sim_row < r->set->first + r->set->rows)
        sim_trace("entry %" PRIu64 ".%u, %u rows, to %" PRIu64 ": %s, %u attempts", e->place.position, e->place.row,
                  e->rows, e->end, outcome_word((enum outcome)e->outcome), e->attempts);
    if (e->place.position != position && !(all && e->place.position <= position && position < e->end))
        return;
    if (all && e->outcome == OUTCOME_DELIVERED)
        return;
    uint32_t from = e->place.position == position ? e->place.row : 0;
    uint32_t to = all ? r->set->rows : from + e->rows;
    for (uint32_t row = from; row < to && row < r->set->rows; row++)
        r->outcomes[row] = e->outcome;
}

static void receipt_check(const struct sim_set *s, const struct journal_segment *segment)
{
    static struct receipt r;
    struct pusher_view view;
    pusher_view(model.p, s->position, s->rows, s->uuid_hash, &view);
    uint32_t open = 0;
    for (uint32_t k = 0; k < s->rows; k++)
        open += is_open(s, (struct place){s->position, k});
    SIM_CHECK(view.pending + view.waiting + view.parked >= open, "the view of %" PRIu64 " forgets open rows",
              s->position);
    if (view.pending + view.waiting + view.parked + view.ruled > 0)
        return; /* what is ruled on has its entries when the lane has come by */
    r = (struct receipt){.set = s};
    if (settle_find(model.p->dir, segment->base, s->position, receipt_entry, &r) != ERR_OK)
        return; /* the disk is failing */
    pusher_settles(model.p, receipt_entry, &r);
    for (uint32_t k = 0; k < s->rows; k++) {
        const struct sim_row *row = model_row(s->first + k);
        uint32_t may = row->outcomes | (s->position < model.gave_skip ? 1u << OUTCOME_GIVEN_UP : 0);
        SIM_CHECK((may & (1u << r.outcomes[k])) != 0 || s->lost || model.damaged,
                  "the receipt of row %" PRIu64 " says %s, the plugin said %x (%x)", s->first + k,
                  outcome_word(r.outcomes[k]), row->said, row->outcomes);
    }
}

/* A row is aside once. */
static void aside_check(const struct aside *a)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < i && a->entries[i].state != ASIDE_GONE; k++)
            SIM_CHECK(a->entries[k].state == ASIDE_GONE || place_cmp(a->entries[k].place, a->entries[i].place) != 0 ||
                          memcmp(&a->entries[k].epoch, &a->entries[i].epoch, sizeof a->entries[i].epoch) != 0,
                      "%" PRIu64 ".%u is aside twice", a->entries[i].place.position, a->entries[i].place.row);
}

void model_check_receipts(void)
{
    struct journal_segment segment;
    model_check();
    aside_check(&model.p->aside);
    if (model.p->ops->segment_at(model.p->ops->arg, 0, &segment) == ERR_OK && segment.base > model.oldest)
        model.oldest = segment.base; /* an older one may come back after a power cut, but not its receipts */
    for (uint32_t i = 0; i < set_count; i++)
        if (sets[i].state == SET_ACKED && sets[i].rows <= SET_ROWS && sets[i].position >= model.p->registered &&
            sets[i].position >= model.oldest &&
            model.p->ops->segment_at(model.p->ops->arg, sets[i].position, &segment) == ERR_OK &&
            segment.first <= sets[i].position)
            receipt_check(&sets[i], &segment);
}

static void row_check_end(struct sim_set *s, struct sim_row *row, struct place place)
{
    SIM_CHECK(is_accounted(s, row, place), "row %" PRIu64 " is lost", s->first + place.row);
    SIM_CHECK(!is_open(s, place), "row %" PRIu64 " is still open", s->first + place.row);
}

void model_check_end(void)
{
    model_check();
    model_check_receipts();
    rows_each(row_check_end);
}

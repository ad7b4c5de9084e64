/* What core/api lets an operator do, with the same refusals. */
#include "operator.h"

#include "daemon.h"
#include "host.h"
#include "intake.h"
#include "journal_bench.h"
#include "model.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>

static struct aside_entry *dead_one(void)
{
    struct aside *a = &pusher->aside;
    if (a->count == 0)
        return NULL;
    struct aside_entry *e = &a->entries[sim_below((uint32_t)a->count)];
    return e->state == ASIDE_DEAD && !e->out ? e : NULL;
}

static struct sim_row *row_of(const struct aside_entry *e)
{
    const struct sim_set *s = set_at(e->place.position);
    return s == NULL ? NULL : model_row(s->first + e->place.row);
}

static void retry(void)
{
    struct aside_entry *e = dead_one();
    struct sim_row *row = e == NULL ? NULL : row_of(e);
    if (row == NULL)
        return;
    char text[64];
    bool edit = sim_chance(30);
    const struct sim_set *s = set_at(e->place.position);
    snprintf(text, sizeof text, "{\"n\":%" PRIu64 ",\"e\":1}", s->first + e->place.row);
    sim_trace("dead letter %" PRIu64 ".%u is sent again%s", e->place.position, e->place.row, edit ? ", edited" : "");
    if (pusher_dead_retry(pusher, e, edit ? slice_of(text) : (struct slice){NULL, 0}, sim_ms) != ERR_OK)
        return;
    row->again = true;
    row->durable = row->settling = false;
    row->edited = row->edited || edit;
}

static void drop(void)
{
    struct aside_entry *e = dead_one();
    struct sim_row *row = e == NULL ? NULL : row_of(e);
    if (row == NULL)
        return;
    sim_trace("dead letter %" PRIu64 ".%u is dropped", e->place.position, e->place.row);
    row->dropped = true;
    pusher_dead_drop(pusher, e);
}

static void replay(void)
{
    uint64_t id, end = journal_durable(journal).position;
    struct journal_segment oldest;
    if (journal_oldest(journal, &oldest) != ERR_OK || set_count == 0)
        return;
    const struct sim_set *from = &sets[sim_below(set_count)];
    if (from->state != SET_ACKED || from->position < oldest.base)
        return;
    struct cursor_replay r = {.next = {from->position, 0},
                              .to = end,
                              .only_uuid = sim_chance(30) ? from->uuid_hash : 0,
                              .rate = sim_chance(20) ? 5 + sim_below(100) : 0,
                              .new_ids = sim_chance(20)};
    int code = pusher_replay(pusher, &r, &id);
    sim_trace("replay from %" PRIu64 ": %s", r.next.position, code == ERR_OK ? "yes" : err_text(code));
    if (code == ERR_OK && sim_chance(15))
        pusher_replay_end(pusher, id);
}

static void give_up(void)
{
    uint64_t end = journal_durable(journal).position, low = pusher_low(pusher);
    bool dead = sim_chance(50);
    if (low >= end || end - low > UINT32_MAX)
        return;
    uint64_t to = low + 1 + sim_below((uint32_t)(end - low));
    sim_trace("rows before %" PRIu64 " are given up%s", to, dead ? " as dead letters" : "");
    if (dead && to > model.gave_dead)
        model.gave_dead = to;
    if (!dead && to > model.gave_skip)
        model.gave_skip = to;
    model_split();
    pusher_give_up(pusher, to, dead, "given up: by the operator");
}

/* The host must have ended first, as the daemon wants it. */
static void forget(void)
{
    if (pusher->wanted || pusher->forgotten || host_runs() || !pusher_quiet(pusher))
        return;
    struct journal_mark end = journal_durable(journal);
    struct err e;
    model.gave_dead = end.position;
    sim_trace("the pusher is forgotten");
    model_split();
    if (pusher_forget(pusher, end, &e) != ERR_OK)
        sim_trace("that cannot be written: %s", e.text);
}

/* A row set that is on disk and for this pusher. */
static const struct sim_set *set_any(struct chosen_set *out)
{
    struct journal_segment segment;
    const struct sim_set *s = set_count == 0 ? NULL : &sets[sim_below(set_count)];
    if (s == NULL || s->state != SET_ACKED || !pusher_takes(pusher, s->position) ||
        journal_segment_at(journal, s->position, &segment) != ERR_OK || s->position < segment.first)
        return NULL;
    *out = (struct chosen_set){.position = s->position,
                               .uuid_hash = s->uuid_hash,
                               .bytes = 64 * s->rows,
                               .epoch = segment.epoch,
                               .rows = s->rows};
    return s;
}

static void rule(void)
{
    enum ruling_kind kind = sim_chance(50) ? RULING_DELIVERED : RULING_GIVEN_UP;
    struct chosen_set set;
    const struct sim_set *s = set_any(&set);
    if (s == NULL || pusher_rulable(pusher, &set, kind) == 0 || pusher_rule(pusher, &set, kind, "{}") != ERR_OK)
        return;
    sim_trace("row set %" PRIu64 " is %s", s->position, kind == RULING_DELIVERED ? "taken for delivered" : "given up");
    for (uint32_t k = 0; k < s->rows; k++) {
        struct sim_row *row = model_row(s->first + k);
        row->dropped = true;
        row->outcomes |= 1 << OUTCOME_BY_HAND | 1 << OUTCOME_GIVEN_UP;
    }
    model_split();
}

static void send_again(void)
{
    struct chosen_set set;
    const struct sim_set *s = set_any(&set);
    if (s == NULL || pusher_send_again(pusher, &set, "{}", sim_ms) != ERR_OK)
        return;
    sim_trace("row set %" PRIu64 " is sent again", s->position);
    model.copied = true;
    for (uint32_t k = 0; k < s->rows; k++) {
        struct sim_row *row = model_row(s->first + k);
        row->again = true;
        row->durable = row->settling = false;
    }
}

void operator_acts(void)
{
    switch (sim_below(10)) {
    case 0: pusher_pause(pusher, true, sim_ms); break;
    case 1:
    case 2: pusher_pause(pusher, false, sim_ms); break;
    case 3:
    case 4: retry(); break;
    case 5: drop(); break;
    case 6: replay(); break;
    case 7:
        if (sim_chance(30))
            give_up();
        break;
    case 8:
        if (sim_chance(2))
            pusher_want(pusher, false, sim_ms);
        forget();
        break;
    case 9:
        if (sim_rules && sim_chance(50))
            rule();
        else if (sim_rules)
            send_again();
        break;
    default: break;
    }
    daemon_step();
}

void operator_mends(bool all)
{
    static uint32_t broken; /* how often since it was paused or broken for good */
    broken = pusher->broken ? broken + 1 : 0;
    model.mended = model.mended || all || (pusher->broken && broken > 0 && model.good && sim_chance(20));
    if (!pusher->wanted && !pusher->forgotten)
        pusher_want(pusher, true, sim_ms);
    if (!pusher->paused && !pusher->broken)
        return;
    pusher_pause(pusher, false, sim_ms);
    daemon_step();
}

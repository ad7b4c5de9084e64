/* The plugin, and the far end behind it. Rows have a nature (model.h); beside that it is moody: it says again, skips,
 * forgets rows, says not now, crashes and hangs, until the world is good again. */
#include "headgate.h"
#include "host.h"
#include "model.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>

static uint32_t mood(const struct sim_row *row)
{
    uint32_t draw = sim_below(100);
    if (model.good || draw < 84)
        return row->delivered && sim_chance(50) ? HG_DUPLICATE : HG_OK;
    if (draw < 93)
        return HG_RETRY;
    if (draw < 96)
        return HG_SKIP;
    return draw < 98 ? HG_OK : 0;
}

static void judge(struct push_row *r)
{
    const struct sim_row *row = model_row(r->n);
    r->reason[0] = '\0';
    if (row->kind == ROW_REFUSED && !r->edited) {
        snprintf(r->reason, sizeof r->reason, "row %" PRIu64 " is refused", r->n);
        r->verdict = HG_REJECT;
    } else if (row->kind == ROW_STUBBORN && !model.good) {
        r->verdict = HG_RETRY;
    } else {
        r->verdict = mood(row);
    }
}

static enum push_fate fate_of(const struct push *push)
{
    for (uint32_t i = 0; i < push->count; i++) {
        enum row_kind kind = (enum row_kind)model_row(push->rows[i].n)->kind;
        if (kind == ROW_CRASHES && !model.mended && !push->rows[i].edited)
            return PUSH_CRASHES;
        if (kind == ROW_HANGS && !model.good)
            return PUSH_HANGS;
    }
    uint32_t draw = model.good ? 100 : sim_below(100);
    return draw < 2 ? PUSH_CRASHES : draw < 3 ? PUSH_HANGS : PUSH_RETURNS;
}

/* What arrives, arrives, whether the daemon hears of it or not. */
static void deliver(const struct push *push)
{
    for (uint32_t i = 0; i < push->count; i++)
        if (push->rows[i].verdict == HG_OK || (push->rows[i].verdict == 0 && push->result == HG_ALL_OK))
            model_row(push->rows[i].n)->delivered = true;
}

void plugin_push(uint32_t worker, struct push *push)
{
    sim_trace("worker %u pushes %u rows, %" PRIu64 " to %" PRIu64 "%s%s", worker, push->count, push->rows[0].n,
              push->rows[push->count - 1].n,
              push->rows[0].aside ? ", aside"
              : push->range       ? ""
                                  : ", waiting",
              push->rows[0].origin == HG_REPLAY ? ", replay" : "");
    model_pushing(worker, push);
    push->fate = fate_of(push);
    uint32_t draw = model.good ? 100 : sim_below(100);
    push->result = draw < 8 ? HG_NOT_NOW : draw < 9 ? 0 : sim_chance(50) ? HG_ALL_OK : HG_JUDGED;
    push->after_ms = sim_chance(20) ? sim_below(300) : 0;
    bool silent = draw < 5; /* nothing was judged before the far end went */
    for (uint32_t i = 0; i < push->count; i++) {
        judge(&push->rows[i]);
        if (silent || (push->result == HG_NOT_NOW && i > 0 && sim_chance(30)))
            push->rows[i].verdict = 0;
        if (push->rows[i].n == sim_row)
            sim_trace("row %" PRIu64 ": attempt %u, verdict %u of a push that %s %u", sim_row, push->rows[i].attempt,
                      push->rows[i].verdict, push->fate == PUSH_RETURNS ? "returns" : "does not return", push->result);
    }
    if (push->fate != PUSH_RETURNS)
        sim_trace("worker %u %s", worker, push->fate == PUSH_CRASHES ? "crashes" : "hangs");
    if (push->fate != PUSH_CRASHES)
        deliver(push);
}

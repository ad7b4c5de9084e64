/* Sending one row set again now. Only delays are cut short: what waits for another try becomes due, and a pusher that
 * waits for its far end tries at once. Which rows go before which, how often they were tried, and what is on disk stay
 * as they are, so there is nothing to recover: after a crash every delay begins anew anyhow. */
#include "delivery/internal.h"

static uint32_t cut_waiting(struct pusher *p, uint64_t position, int64_t now)
{
    uint32_t cut = 0;
    for (size_t i = 0; i < p->waiting.count; i++) {
        struct waiting_row *row = &p->waiting.rows[i];
        if (row->c.place.position != position || row->c.kind != WAITING_RETRY || row->due_ms <= now)
            continue;
        row->due_ms = now;
        cut++;
    }
    return cut;
}

/* Parked rows, and dead letters that are being sent again. */
static uint32_t cut_aside(struct pusher *p, const struct epoch *epoch, uint64_t position, int64_t now)
{
    uint32_t cut = 0;
    for (struct aside_entry *e = aside_active(&p->aside); e != NULL; e = aside_active_next(&p->aside, e)) {
        if ((e->state != ASIDE_PARKED && e->state != ASIDE_RETRYING) || e->due_ms <= now ||
            e->place.position != position || memcmp(&e->epoch, epoch, sizeof *epoch) != 0)
            continue;
        e->due_ms = p->aside_due_ms = now;
        cut++;
    }
    return cut;
}

uint32_t pusher_expedite(struct pusher *p, const struct epoch *epoch, uint64_t position, int64_t now)
{
    uint32_t cut = cut_waiting(p, position, now) + cut_aside(p, epoch, position, now);
    if (p->not_now_until_ms > now)
        p->not_now_until_ms = now;
    return cut;
}

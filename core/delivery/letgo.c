/* Rows that are let go though they were not delivered, by a limit or an operator; and a pusher that is let go as a
 * whole.
 *
 * Nothing is dropped here: what is given up is marked, and becomes dead letters, or entries of the settle stream, with
 * the checkpoints that follow. A pusher that was forgotten with its rows kept stays, for the sake of its dead letters;
 * what comes after the moment of forgetting is not its own, so it pins nothing and nobody waits for it. */
#include "delivery/internal.h"

#include <stdio.h>

void pusher_give_up(struct pusher *p, uint64_t position, bool dead, const char *why)
{
    for (uint32_t i = 0; i < p->lane_count; i++) {
        struct lane *lane = &p->lanes[i];
        if (lane->give_up >= position || lane->next.position >= position)
            continue;
        lane->give_up = position;
        lane->give_up_dead = dead;
        snprintf(lane->give_up_why, sizeof lane->give_up_why, "%s", why);
    }
    for (size_t i = 0; i < p->waiting.count; i++) {
        struct waiting_row *row = &p->waiting.rows[i];
        if (row->c.place.position >= position || row->give_up != GIVE_NO)
            continue;
        row->give_up = dead ? GIVE_DEAD : GIVE_SKIP;
        snprintf(row->reason, sizeof row->reason, "%s", why);
    }
    pusher_let_rows_go(p); /* what is with a worker follows when it comes back */
    pusher_dirty(p, true);
}

static const char why_forgotten[] = "given up: its pusher was forgotten";

void pusher_forget_parked(struct pusher *p)
{
    for (struct aside_entry *entry = aside_active(&p->aside); entry != NULL;
         entry = aside_active_next(&p->aside, entry)) {
        bool parked = entry->state == ASIDE_PARKED || entry->state == ASIDE_RETRYING;
        if (parked && !entry->moving && !pusher_aside_dead(p, entry, why_forgotten))
            return; /* without room it stays parked, and waits for one */
    }
}

void pusher_forget_rows(struct pusher *p)
{
    pusher_forget_parked(p);
    pusher_give_up(p, p->give_up_to, true, why_forgotten);
}

int pusher_forget(struct pusher *p, struct journal_mark end, struct err *e)
{
    CHECK(pusher_quiet(p));
    p->forgotten = true;
    p->give_up_to = end.position;
    p->give_up_row = end.rows;
    int code = pusher_write_cursor(p, e);
    if (code == ERR_OK) {
        pusher_forget_rows(p);
    } else {
        p->forgotten = false;
        p->give_up_to = 0;
    }
    return code;
}

int pusher_register_again(struct pusher *p, uint64_t at, uint64_t row, struct err *e)
{
    CHECK(pusher_let_go(p));
    p->forgotten = false;
    pusher_register_at(p, at, row);
    int code = pusher_write_cursor(p, e);
    p->forgotten = code != ERR_OK; /* still let go, if that is what the disk says */
    return code;
}

bool pusher_takes(const struct pusher *p, uint64_t position)
{
    return position >= p->registered && (!p->forgotten || position < p->give_up_to);
}

struct journal_mark pusher_end(const struct pusher *p)
{
    struct journal_mark mark = p->ops->durable(p->ops->arg);
    if (p->forgotten && p->give_up_to < mark.position)
        mark = (struct journal_mark){p->give_up_to, p->give_up_row};
    return mark;
}

bool pusher_let_go(const struct pusher *p)
{
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (p->lanes[i].give_up != 0)
            return false;
    return p->forgotten && p->writing == NULL && !p->dirty && p->waiting.count == 0 && p->set_count == 0;
}

/* How far behind each pusher is, in time and in bytes, and what its limits say when that is too far.
 *
 * Time is what rows have really waited: now and then it is noted which position became durable when. What lies before
 * the first such mark is as old as its segment says, unless that would take rows away: nothing is given up by the wall
 * clock. */
#include "supervise/internal.h"

#include "base/sys.h"

#include <stdio.h>

void lag_mark(struct supervisor *s, uint64_t position)
{
    int64_t now = clock_ms();
    if (s->mark_count > 0) {
        const struct mark *last = &s->marks[(s->mark_first + s->mark_count - 1) % MARKS];
        if (position == last->position || now - last->ms < TICK_MS)
            return;
    }
    if (s->mark_count == MARKS) { /* every other one goes: far behind, a coarse answer will do */
        for (size_t i = 0; i < MARKS / 2; i++)
            s->marks[i] = s->marks[(s->mark_first + 2 * i) % MARKS];
        s->mark_first = 0;
        s->mark_count = MARKS / 2;
    }
    s->marks[(s->mark_first + s->mark_count++) % MARKS] = (struct mark){now, position};
}

/* How long what follows `low` has been waiting, as far as this process has seen. */
static int64_t waited_ms(const struct supervisor *s, uint64_t low)
{
    for (size_t i = 0; i < s->mark_count; i++) {
        const struct mark *m = &s->marks[(s->mark_first + i) % MARKS];
        if (m->position > low)
            return clock_ms() - m->ms;
    }
    return 0;
}

double supervisor_lag_seconds(struct supervisor *s, const struct runner *r)
{
    if (r->pusher == NULL)
        return 0;
    uint64_t low = pusher_low(r->pusher);
    if (low >= pusher_end(r->pusher).position)
        return 0;
    double waited = (double)waited_ms(s, low) / 1e3;
    const struct mark *first = &s->marks[s->mark_first];
    struct journal_segment segment; /* from before this process: by the segment's own time, unless the clock jumped */
    if (s->mark_count > 0 && first->position > low && journal_segment_at(s->options.journal, low, &segment) == ERR_OK &&
        segment.end <= first->position && segment.created_us > 0) {
        double age = (double)(clock_wall_us() - segment.created_us) / 1e6;
        return age > waited ? age : waited;
    }
    return waited;
}

/* --- limits --- */

static bool gives_way(struct supervisor *s, struct runner *r, uint64_t position, const char *why)
{
    uint64_t dead, parked;
    switch (r->instance.common.when_full) {
    case FULL_BLOCK: return false;
    case FULL_DEAD_LETTER:
        supervisor_aside_bytes(s, &dead, &parked);
        if (dead >= s->settings->dead_max_bytes)
            return false;
        pusher_give_up(r->pusher, position, true, why);
        return true;
    case FULL_SKIP: pusher_give_up(r->pusher, position, false, why); return true;
    }
    return false;
}

/* The budget is spent: those who pin the oldest segment do what their WHEN_FULL says. */
void lag_mind_budget(struct supervisor *s)
{
    struct journal_health health;
    struct journal_segment oldest;
    journal_health(s->options.journal, &health);
    if (health.intake != ERR_FULL || journal_oldest(s->options.journal, &oldest) != ERR_OK)
        return;
    LIST_EACH(&s->runners, it)
    {
        struct runner *r = runner_at(it);
        if (r->pusher != NULL && pusher_low(r->pusher) < oldest.end)
            (void)gives_way(s, r, oldest.end, "given up: the journal was full (WHEN_FULL)");
    }
}

static bool too_far(struct supervisor *s, const struct runner *r, uint64_t *until)
{
    const struct pusher_settings *c = &r->instance.common;
    struct journal_mark mark = journal_durable(s->options.journal);
    uint64_t low = pusher_low(r->pusher);
    if (c->max_lag_bytes > 0 && mark.position > low && mark.position - low > c->max_lag_bytes) {
        *until = mark.position - c->max_lag_bytes;
        return true;
    }
    /* Rows are given up for what was really waited, never because the wall clock jumped. */
    if (c->max_lag_ms == 0 || low >= pusher_end(r->pusher).position || waited_ms(s, low) <= c->max_lag_ms)
        return false;
    *until = low + 1;
    for (size_t i = 0; i < s->mark_count; i++) {
        const struct mark *m = &s->marks[(s->mark_first + i) % MARKS];
        if (clock_ms() - m->ms > c->max_lag_ms)
            *until = m->position;
    }
    return true;
}

void lag_mind(struct supervisor *s)
{
    s->blocked[0] = '\0';
    LIST_EACH(&s->runners, it)
    {
        struct runner *r = runner_at(it);
        uint64_t until;
        if (r->pusher == NULL || r->pusher->forgotten || !too_far(s, r, &until))
            continue;
        if (!gives_way(s, r, until, "given up: further behind than MAX_LAG"))
            snprintf(s->blocked, sizeof s->blocked, "pusher %s is further behind than its MAX_LAG", r->name);
    }
}

const char *supervisor_blocked(struct supervisor *s)
{
    return s->blocked[0] == '\0' ? NULL : s->blocked;
}

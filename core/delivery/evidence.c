/* What a host's death proves. Only a crash is evidence against a row, and only when the row was alone, three times, and
 * a neighbour then passes. A kill from outside, a deadline, too much memory: the rows are tried again.
 *
 * Suspects are exactly what the crashed worker had been handed; they go one at a time from then on. A plugin that
 * crashes on everything, at load, or between pushes is itself broken: its rows stay. */
#include "delivery/internal.h"

#include "base/sys.h"

#include <stdio.h>
#include <string.h>

/* One row, or one set where that is the unit; so the set of a batch that holds no other is tried once more. (A plan
 * that is repeated has as many sets as it had, whatever was asked for.) */
static bool alone(const struct pusher *p, const struct handed *h)
{
    if (!(h->what == HANDED_RANGE))
        return h->item_count == 1;
    return pusher_whole_sets(p) ? h->max_rows == 1 && !h->exact : h->rows == 1;
}

/* A second suspect before anything passed: it is the plugin. */
static void suspect_found(struct pusher *p, struct place place, int signal)
{
    if (p->suspect.position != 0 && place_cmp(p->suspect, place) != 0) {
        char text[160];
        snprintf(text, sizeof text, "the plugin crashes (%s) on every row it is given; mend it, then resume",
                 signal > 0 ? strsignal(signal) : "it ends");
        pusher_break(p, text);
        return;
    }
    p->suspect = place;
}

static void convict_reason(char *out, size_t size, int signal)
{
    snprintf(out, size, "the plugin crashed (%s) each time it was given this row alone, and not with its neighbour",
             signal > 0 ? strsignal(signal) : "it ended");
}

/* Suspects that are being parked: parked rows like others from now on. */
static void acquit_adds(struct aside_add *adds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        adds[i].suspect = false;
}

static void acquit_parked(struct pusher *p)
{
    acquit_adds(p->adds, p->add_count);
    if (p->writing != NULL)
        acquit_adds(p->writing->adds, p->writing->add_count);
}

void evidence_convict(struct pusher *p)
{
    char reason[160];
    if (p->suspect.position == 0)
        return;
    acquit_parked(p);
    for (size_t i = 0; i < p->waiting.count && !p->broken;) {
        struct waiting_row *row = &p->waiting.rows[i];
        convict_reason(reason, sizeof reason, row->signal);
        if (row->c.kind != WAITING_SUSPECT || !pusher_waiting_aside(p, row, ASIDE_DEAD, reason))
            i++;
    }
    bool left = false;
    for (struct aside_entry *entry = aside_active(&p->aside); entry != NULL && !p->broken;
         entry = aside_active_next(&p->aside, entry)) {
        convict_reason(reason, sizeof reason, 0);
        if (entry->suspect && !pusher_aside_dead(p, entry, reason))
            left = true;
    }
    for (size_t i = 0; i < p->waiting.count; i++)
        left = left || p->waiting.rows[i].c.kind == WAITING_SUSPECT;
    if (!left)
        p->suspect.position = 0;
}

void pusher_absolve(struct pusher *p, int64_t now)
{
    for (size_t i = 0; i < p->waiting.count; i++) {
        struct waiting_row *row = &p->waiting.rows[i];
        row->due_ms = now;
        row->crashes = 0;
        row->passed = p->counts.delivered_rows;
        if (row->c.kind == WAITING_SUSPECT) {
            row->c.kind = WAITING_RETRY;
            row->suspected = true;
        }
    }
    struct aside_entry *entry = p->aside_suspected ? aside_active(&p->aside) : NULL;
    for (; entry != NULL; entry = aside_active_next(&p->aside, entry)) {
        entry->crashes = 0;
        entry->suspect = false;
    }
    acquit_parked(p);
    p->aside_due_ms = p->aside_suspected ? now : p->aside_due_ms;
    for (uint32_t i = 0; i < p->lane_count; i++)
        p->lanes[i].crashes = p->lanes[i].overdue = 0;
    p->suspect.position = 0;
}

/* --- crashes --- */

/* Counts of the row that was handed out alone begin anew when it is another one. */
static void lane_alone(struct lane *lane, struct place place)
{
    if (place_cmp(lane->alone, place) != 0)
        lane->crashes = lane->overdue = 0;
    lane->alone = place;
}

/* The lane goes on behind the row that was alone, which waits on its own from now on. */
static struct waiting_row *lane_leaves(struct pusher *p, struct lane *lane, const struct handed *h,
                                       enum waiting_kind kind, int64_t now)
{
    struct waiting_row *row = waiting_add(&p->waiting, pusher_unit(p, h->first), h->first_hash, kind, now);
    if (row == NULL)
        return NULL;
    row->solo = true;
    row->passed = p->counts.delivered_rows;
    lane->next = h->end;
    if (h->end_row > 0)
        lane->row = h->end_row;
    lane->plan.there = false;
    lane->crashes = lane->overdue = 0;
    lane->attempt = 0;
    lane->first_try_ms = 0;
    lane->first_end = (struct place){0, 0};
    if (!place_before(lane->next, lane->suspects_end))
        lane->suspects_end.position = 0;
    pusher_dirty(p, true);
    return row;
}

/* A plan that is split: what became of its rows is not known. */
static void plan_split(struct pusher *p, struct lane *lane, const struct handed *h)
{
    if (!lane->plan.there)
        return;
    lane->plan.there = false;
    p->counts.uncertain += h->rows;
}

static void crash_range(struct pusher *p, struct handed *h, bool lone, int signal, int64_t now)
{
    struct lane *lane = &p->lanes[h->lane];
    lane->signal = signal;
    if (!alone(p, h))
        plan_split(p, lane, h);
    if (lane->suspects_end.position == 0 || place_before(lane->suspects_end, h->end))
        lane->suspects_end = h->end;
    if (!lone)
        return;
    lane_alone(lane, h->first);
    if (++lane->crashes < LONE_CRASHES_MAX)
        return;
    struct waiting_row *row = lane_leaves(p, lane, h, WAITING_SUSPECT, now);
    if (row == NULL)
        return;
    row->c.attempts = LONE_CRASHES_MAX;
    row->due_ms = now + p->settings.retry_max_ms;
    row->signal = signal;
    suspect_found(p, row->c.place, signal);
}

static void crash_rows(struct pusher *p, struct handed *h, bool lone, int signal, int64_t now)
{
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct waiting_row *row = waiting_find(&p->waiting, h->items[i].place);
        if (row == NULL)
            continue;
        row->c.plan = 0;
        row->suspected = true;
        row->signal = signal;
        if (!lone || ++row->crashes < LONE_CRASHES_MAX)
            continue;
        row->c.kind = WAITING_SUSPECT;
        row->due_ms = now + p->settings.retry_max_ms;
        row->c.attempts += LONE_CRASHES_MAX;
        row->crashes = 0;
        row->suspected = false;
        suspect_found(p, row->c.place, signal);
        pusher_dirty(p, true);
    }
}

static void crash_aside(struct pusher *p, struct handed *h, bool lone, int signal)
{
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct aside_entry *entry = aside_at(&p->aside, h->items[i].file, h->items[i].offset);
        if (entry == NULL)
            continue;
        entry->suspected = p->aside_suspected = true;
        if (!lone || ++entry->crashes < LONE_CRASHES_MAX)
            continue;
        entry->suspect = true;
        entry->crashes = 0;
        entry->attempts += LONE_CRASHES_MAX;
        entry->changed = true;
        suspect_found(p, entry->place, signal);
        pusher_dirty(p, false);
    }
}

/* --- deadlines --- */

static void overdue_range(struct pusher *p, struct handed *h, const struct host_down *down, int64_t now)
{
    struct lane *lane = &p->lanes[h->lane];
    if (!alone(p, h)) {
        plan_split(p, lane, h);
        lane->max_rows = h->rows > 1 ? h->rows / 2 : 1;
        return;
    }
    lane->max_rows = 1;
    lane_alone(lane, h->first);
    if (++lane->overdue < LONE_OVERDUE_MAX)
        return;
    plan_split(p, lane, h);
    struct waiting_row *row = lane_leaves(p, lane, h, WAITING_RETRY, now);
    if (row == NULL)
        return;
    row->c.attempts = PARK_ATTEMPTS;
    row->due_ms = now + pusher_backoff(p, row->c.attempts);
    snprintf(row->reason, sizeof row->reason, "three times with this row alone: %s", down->reason);
}

static void overdue_rows(struct pusher *p, struct handed *h, int64_t now)
{
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct waiting_row *row = waiting_find(&p->waiting, h->items[i].place);
        if (row == NULL)
            continue;
        row->c.plan = 0;
        row->solo = true;
        row->c.attempts++;
        row->due_ms = now + pusher_backoff(p, row->c.attempts);
    }
}

/* A set-aside row that hangs costs the others its whole TIMEOUT each time: it comes rarely, whatever RETRY_MAX says. */
static void overdue_aside(struct pusher *p, struct handed *h, int64_t now)
{
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct aside_entry *entry = aside_at(&p->aside, h->items[i].file, h->items[i].offset);
        if (entry == NULL)
            continue;
        entry->attempts++;
        entry->changed = true;
        entry->solo = true;
        entry->due_ms = now + pusher_backoff(p, entry->attempts);
        if (h->item_count == 1)
            entry->due_ms += OVERDUE_REST * p->settings.timeout_ms;
    }
    pusher_dirty(p, false);
}

static void range_back(struct pusher *p, const struct handed *h)
{
    struct lane *lane = &p->lanes[h->lane];
    if (h->go != GO_NOT_NEEDED) /* it was not pushed, so it need not come again as it is */
        lane->plan.there = false;
    else if (h->taken && h->rows > 0 && place_cmp(lane->next, h->from) == 0)
        lane->attempt++;
}

static void rows_back(struct pusher *p, const struct handed *h)
{
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct waiting_row *row = waiting_find(&p->waiting, h->items[i].place);
        if (row == NULL)
            continue;
        row->out = false;
        if (h->go != GO_NOT_NEEDED)
            row->c.plan = 0;
    }
}

/* Whatever was handed out comes back. */
static void take_back(struct pusher *p, struct handed *h, int64_t now)
{
    h->busy = false;
    judge_reset(h);
    switch (h->what) {
    case HANDED_RANGE: range_back(p, h); break;
    case HANDED_ROWS: rows_back(p, h); break;
    case HANDED_ASIDE:
        for (uint32_t i = 0; i < h->item_count; i++)
            pusher_aside_back(p, &h->items[i]);
        break;
    case HANDED_REPLAY: replay_back(p, h, h->taken && h->rows > 0, now); break;
    }
}

static void judge_crash(struct pusher *p, struct handed *h, int signal, int64_t now)
{
    bool lone = h->first_push && p->pushes == 1 && alone(p, h);
    switch (h->what) {
    case HANDED_RANGE: crash_range(p, h, lone, signal, now); break;
    case HANDED_ROWS: crash_rows(p, h, lone, signal, now); break;
    case HANDED_ASIDE: crash_aside(p, h, lone, signal); break;
    case HANDED_REPLAY: break; /* replay_back counts its tries */
    }
}

static void judge_deadline(struct pusher *p, struct handed *h, const struct host_down *down, int64_t now)
{
    if (!h->taken || h->rows == 0)
        return; /* nothing was pushed: the host, or the disk, hangs */
    switch (h->what) {
    case HANDED_RANGE: overdue_range(p, h, down, now); break;
    case HANDED_ROWS: overdue_rows(p, h, now); break;
    case HANDED_ASIDE: overdue_aside(p, h, now); break;
    case HANDED_REPLAY: break;
    }
}

/* Killed over and over with nothing passing, by the system that is out of memory, or by us for MEMORY_MAX: no evidence,
 * but what a row may bring about. As after a deadline, less is handed out each time until it is found and stands aside,
 * so that the others pass. */
static bool killed_again(const struct pusher *p, const struct host_down *down)
{
    return (down->end == HOST_KILLED || down->end == HOST_MEMORY) && p->deaths >= KILLS_MAX;
}

static bool pushing(const struct handed *h)
{
    return h->busy && h->taken && h->rows > 0 && h->go == GO_NOT_NEEDED;
}

static void crashed(struct pusher *p, const struct host_down *down, int64_t now)
{
    bool any = false;
    p->counts.crashes++;
    for (uint32_t i = 0; i < p->worker_top && !p->broken; i++) {
        struct handed *h = &p->workers[i];
        if (!pushing(h) || (down->lane >= 0 && (uint32_t)down->lane != i))
            continue;
        any = true;
        judge_crash(p, h, down->signal, now);
    }
    if (any || p->broken)
        return;
    if (++p->failed_starts >= FAILED_STARTS_MAX) {
        char text[300];
        snprintf(text, sizeof text,
                 "the plugin ended %u times in a row without a row in hand; mend it, then resume: %.200s",
                 p->failed_starts, down->reason);
        pusher_break(p, text);
    }
}

static void after_death(struct pusher *p, const struct host_down *down, int64_t now)
{
    bool evidence = down->end == HOST_CRASHED || down->end == HOST_PROTOCOL;
    bool suspects = p->suspect.position != 0;
    for (uint32_t i = 0; i < p->lane_count; i++)
        suspects = suspects || p->lanes[i].suspects_end.position != 0;
    p->deaths++;
    int64_t delay = pusher_backoff(p, p->deaths);
    if (evidence && suspects && delay > p->settings.retry_min_ms)
        delay = p->settings.retry_min_ms; /* suspects are tried without much delay: others wait for the judgement */
    p->restart_at_ms = now + delay;
}

void pusher_host_ready(struct pusher *p, int64_t now)
{
    if (p->host != HOST_STARTING)
        return;
    p->host = HOST_READY;
    p->end_by_ms = 0;
    p->down_since_ms = 0;
    p->not_now_until_ms = now;
    pusher_show(p, PUSHER_RUNNING, "pusher.running", NULL);
}

void pusher_host_down(struct pusher *p, const struct host_down *down, int64_t now)
{
    bool wanted_end = p->host == HOST_ENDING && down->end != HOST_CRASHED;
    bool was_starting = p->host == HOST_STARTING;
    p->host = HOST_NONE;
    p->kill_sent = false;
    p->end_by_ms = 0;
    p->counts.restarts += !wanted_end;
    if (down->end == HOST_CRASHED || down->end == HOST_PROTOCOL)
        crashed(p, down, now);
    if (down->end == HOST_NOT_NOW && p->down_since_ms == 0) {
        p->down_since_ms = now;
        p->down_position = p->ops->durable(p->ops->arg).position;
    }
    p->counts.memory_kills += down->end == HOST_MEMORY;
    p->counts.deadline_kills += down->end == HOST_DEADLINE;
    for (uint32_t i = 0; i < p->worker_top; i++) {
        struct handed *h = &p->workers[i];
        if (!h->busy)
            continue;
        if ((down->end == HOST_DEADLINE && h->deadline_passed) || killed_again(p, down))
            judge_deadline(p, h, down, now);
        take_back(p, h, now);
    }
    if (down->end == HOST_BROKEN && !p->broken)
        pusher_break(p, down->reason);
    if (p->broken || !p->wanted)
        return;
    after_death(p, down, now);
    if (wanted_end) { /* stopped as ordered and wanted again: new settings, a new file */
        p->restart_at_ms = now;
        p->deaths = 0;
        pusher_show(p, PUSHER_STARTING, "pusher.restarting", NULL);
        return;
    }
    p->totals[TOTAL_RETRIES] += !was_starting;
    pusher_show(p, PUSHER_RETRYING, "pusher.host_down", down->reason);
    pusher_error(p, slice_of(down->reason));
}

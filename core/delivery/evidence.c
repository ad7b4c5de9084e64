/* What a host's death proves. Only a crash is evidence against a row, and only when the row was alone, three times, and
 * a neighbour then passes. A kill from outside, a deadline, too much memory: the rows are tried again.
 *
 * Suspects are exactly what the crashed worker had been handed; they go one at a time from then on. A plugin that
 * crashes on everything, at load, or between pushes is itself broken: its rows stay. */
#include "delivery/internal.h"

#include "base/sys.h"

#include <stdio.h>
#include <string.h>

/* The row alone in hand has crashed the plugin again. True: that was the third time. */
static bool lone_crash(uint32_t *crashes)
{
    return ++*crashes >= LONE_CRASHES_MAX;
}

static void suspect_found(struct pusher *p, struct waiting_row *row, int signal)
{
    row->c.kind = WAITING_SUSPECT;
    row->signal = signal;
    row->crashes = 0;
    if (p->suspect.position != 0 && place_cmp(p->suspect, row->c.place) != 0) {
        char text[160];
        snprintf(text, sizeof text, "the plugin crashes (%s) on every row it is given; mend it, then resume",
                 signal > 0 ? strsignal(signal) : "it ends");
        pusher_break(p, text);
        return;
    }
    p->suspect = row->c.place;
}

static void crash_range(struct pusher *p, struct handed *h, int signal, int64_t now)
{
    struct lane *lane = &p->lanes[h->lane];
    lane->signal = signal;
    if (h->rows > 1) {
        lane->suspects_end = h->end;
        lane->crashes = 0;
        if (lane->plan.there) { /* the plan is split: what became of its rows is not known */
            lane->plan.there = false;
            p->counts.uncertain += h->rows;
        }
        return;
    }
    if (!lone_crash(&lane->crashes)) {
        if (lane->suspects_end.position == 0)
            lane->suspects_end = h->end;
        return;
    }
    struct waiting_row *row = waiting_add(&p->waiting, h->first, h->first_hash, WAITING_SUSPECT, now);
    if (row == NULL)
        return;
    lane->next = h->end;
    lane->row = h->end_row > 0 ? h->end_row : lane->row;
    lane->plan.there = false;
    lane->crashes = 0;
    lane->attempt = 0;
    if (!place_before(lane->next, lane->suspects_end))
        lane->suspects_end.position = 0;
    row->c.attempts = LONE_CRASHES_MAX;
    suspect_found(p, row, signal);
    pusher_dirty(p, true);
}

static void crash_rows(struct pusher *p, struct handed *h, int signal)
{
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct waiting_row *row = waiting_find(&p->waiting, h->items[i].place);
        if (row == NULL)
            continue;
        row->c.plan = 0;
        row->solo = true;
        uint32_t crashes = row->crashes;
        if (h->item_count > 1) {
            row->crashes = row->crashes == 0 ? 1 : row->crashes;
        } else if (lone_crash(&crashes)) {
            suspect_found(p, row, signal);
        } else {
            row->crashes = (uint8_t)crashes;
        }
    }
}

/* Aside rows are handed out again alone; one that crashed the plugin three times is dead, its neighbours have passed.
 */
static void crash_aside(struct pusher *p, struct handed *h, int64_t now)
{
    for (uint32_t i = 0; i < h->item_count; i++) {
        struct aside_entry *entry = aside_at(&p->aside, h->items[i].file, h->items[i].offset);
        if (entry == NULL)
            continue;
        entry->attempts++;
        entry->changed = true;
        if (h->item_count == 1 && entry->attempts >= LONE_CRASHES_MAX) {
            if (entry->state == ASIDE_RETRYING)
                entry->returned++;
            p->totals[TOTAL_DEAD]++;
            aside_move(&p->aside, entry, ASIDE_DEAD, clock_wall_us());
        }
        entry->due_ms = now + pusher_backoff(p, entry->attempts);
    }
    p->aside_due_ms = now;
    pusher_dirty(p, false);
}

static void overdue_range(struct pusher *p, struct handed *h, int64_t now)
{
    struct lane *lane = &p->lanes[h->lane];
    if (lane->plan.there) {
        lane->plan.there = false;
        p->counts.uncertain += h->rows;
    }
    if (h->rows > 1) {
        lane->max_rows = h->rows / 2;
        return;
    }
    lane->max_rows = 1;
    if (h->rows == 0 || ++lane->overdue < LONE_OVERDUE_MAX)
        return;
    struct waiting_row *row = waiting_add(&p->waiting, h->first, h->first_hash, WAITING_RETRY, now);
    if (row == NULL)
        return;
    row->solo = true;
    row->passed = p->counts.delivered_rows;
    row->c.attempts = PARK_ATTEMPTS;
    row->due_ms = now + pusher_backoff(p, row->c.attempts);
    snprintf(row->reason, sizeof row->reason, "push() took longer than TIMEOUT with this row alone, three times");
    lane->next = h->end;
    lane->row = h->end_row > 0 ? h->end_row : lane->row;
    lane->overdue = 0;
    lane->attempt = 0;
    pusher_dirty(p, true);
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
        entry->due_ms = now + pusher_backoff(p, entry->attempts) + OVERDUE_REST * p->settings.timeout_ms;
    }
    pusher_dirty(p, false);
}

/* Whatever was handed out comes back. */
static void take_back(struct pusher *p, struct handed *h, int64_t now)
{
    h->busy = false;
    judge_reset(h);
    switch (h->what) {
    case HANDED_RANGE:
        if (h->taken && h->rows > 0 && place_cmp(p->lanes[h->lane].next, h->from) == 0)
            p->lanes[h->lane].attempt++;
        break;
    case HANDED_ROWS:
        for (uint32_t i = 0; i < h->item_count; i++) {
            struct waiting_row *row = waiting_find(&p->waiting, h->items[i].place);
            if (row != NULL)
                row->out = false;
        }
        break;
    case HANDED_ASIDE:
        for (uint32_t i = 0; i < h->item_count; i++)
            pusher_aside_back(p, &h->items[i]);
        break;
    case HANDED_REPLAY: replay_back(p, h, now); break;
    }
}

static void judge_crash(struct pusher *p, struct handed *h, int signal, int64_t now)
{
    switch (h->what) {
    case HANDED_RANGE: crash_range(p, h, signal, now); break;
    case HANDED_ROWS: crash_rows(p, h, signal); break;
    case HANDED_ASIDE: crash_aside(p, h, now); break;
    case HANDED_REPLAY: break; /* replay_back counts its tries */
    }
}

static void judge_deadline(struct pusher *p, struct handed *h, int64_t now)
{
    switch (h->what) {
    case HANDED_RANGE: overdue_range(p, h, now); break;
    case HANDED_ROWS: overdue_rows(p, h, now); break;
    case HANDED_ASIDE: overdue_aside(p, h, now); break;
    case HANDED_REPLAY: break;
    }
}

static bool pushing(const struct handed *h)
{
    return h->busy && h->taken && h->rows > 0 && h->go == GO_NOT_NEEDED;
}

static void crashed(struct pusher *p, const struct host_down *down, int64_t now)
{
    bool any = false;
    p->counts.crashes++;
    for (uint32_t i = 0; i < p->worker_count && !p->broken; i++) {
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
    p->down_since_ms = 0;
    p->not_now_until_ms = now;
    if (!p->paused && !p->broken)
        pusher_set_state(p, PUSHER_RUNNING, "pusher.running", NULL);
}

void pusher_host_down(struct pusher *p, const struct host_down *down, int64_t now)
{
    bool wanted_end = p->host == HOST_ENDING && down->end != HOST_CRASHED;
    bool was_starting = p->host == HOST_STARTING;
    p->host = HOST_NONE;
    p->kill_sent = false;
    p->counts.restarts += !wanted_end;
    if (down->end == HOST_CRASHED || down->end == HOST_PROTOCOL)
        crashed(p, down, now);
    if (down->end == HOST_NOT_NOW && p->down_since_ms == 0) {
        p->down_since_ms = now;
        p->down_position = p->ops->durable(p->ops->arg).position;
    }
    p->counts.memory_kills += down->end == HOST_MEMORY;
    for (uint32_t i = 0; i < CURSOR_LANES; i++) {
        struct handed *h = &p->workers[i];
        if (!h->busy)
            continue;
        if (down->end == HOST_DEADLINE && h->deadline_passed)
            judge_deadline(p, h, now);
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
        if (!p->paused)
            pusher_set_state(p, PUSHER_STARTING, "pusher.restarting", NULL);
        return;
    }
    p->totals[TOTAL_RETRIES] += !was_starting;
    if (!p->paused)
        pusher_set_state(p, PUSHER_RETRYING, "pusher.host_down", down->reason);
    pusher_error(p, slice_of(down->reason));
}

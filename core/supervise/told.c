/* What a runner's host says, turned into delivery's events; and what it means when it says no more.
 *
 * Loop thread. Nothing a host says is believed beyond what delivery checks; anything that does not fit ends the host.
 */
#include "supervise/internal.h"

#include "base/sys.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct place place_of(struct wire_place p)
{
    return (struct place){p.position, p.row};
}

static int told_ready(struct runner *r, const struct wire_ready *m)
{
    r->confined = m->confined != 0;
    if (r->puller != NULL)
        puller_host_ready(r->puller, clock_ms(), clock_wall_us());
    else
        pusher_host_ready(r->pusher, clock_ms());
    return ERR_OK;
}

static int told_outcome(struct runner *r, const struct wire_outcome *m, size_t len)
{
    struct host_state *h = state_of(r);
    if (m->reason > len - sizeof *m)
        return ERR_SYNTAX;
    const char *reason = (const char *)(m + 1);
    if (m->head.type == WIRE_PROBED) {
        char text[512];
        snprintf(text, sizeof text, "%.*s", (int)m->reason, reason);
        if (h->probe != NULL)
            h->probe(h->probe_arg, m->result == HG_OPEN_OK ? ERR_OK : ERR_UNREACHABLE, text);
        h->probe = NULL;
        return ERR_OK;
    }
    h->open_failed = true;
    h->open_result = m->result;
    snprintf(h->reason, sizeof h->reason, "%.*s", (int)(m->reason < 500 ? m->reason : 500), reason);
    return ERR_OK;
}

static int told_taken(struct runner *r, const struct wire_taken *m)
{
    return pusher_taken(r->pusher, m->head.lane, m->head.token, place_of(m->first), place_of(m->end), m->rows, m->bytes,
                        m->first_hash, m->end_row, clock_ms());
}

/* Rows of an aside file are told by their offset, those of a set by their number too; delivery knows them by their
 * place. */
static int real_place(struct runner *r, uint32_t lane, struct wire_place told, struct place *out)
{
    if (lane >= CURSOR_LANES)
        return ERR_SYNTAX;
    const struct handed *h = &r->pusher->workers[lane];
    *out = place_of(told);
    if (!h->busy || h->what != HANDED_ASIDE)
        return ERR_OK;
    for (uint32_t i = 0; i < h->item_count; i++) {
        if (h->items[i].offset != told.position)
            continue;
        out->position = h->items[i].place.position;
        if (h->items[i].place.row != PLACE_SET)
            out->row = h->items[i].place.row;
        return ERR_OK;
    }
    return ERR_SYNTAX;
}

static int told_verdicts(struct runner *r, const struct wire_verdicts *m, size_t len)
{
    const char *at = (const char *)(m + 1);
    size_t left = len - sizeof *m;
    for (uint32_t i = 0; i < m->count; i++) {
        struct wire_row row;
        if (left < sizeof row)
            return ERR_SYNTAX;
        memcpy(&row, at, sizeof row);
        size_t padded = ((size_t)row.reason + 7) / 8 * 8;
        if (row.reason > HG_REASON_MAX || left - sizeof row < row.reason)
            return ERR_SYNTAX;
        struct judged judged = {
            .uuid_hash = row.uuid_hash,
            .after_ms = row.after_ms,
            .verdict = row.verdict,
            .rows = row.rows,
            .unjudged = row.unjudged != 0,
        };
        int code = real_place(r, m->head.lane, row.place, &judged.place);
        if (code == ERR_OK)
            code =
                pusher_judged(r->pusher, m->head.lane, m->head.token, &judged, slice_make(at + sizeof row, row.reason));
        if (code != ERR_OK)
            return code;
        if (row.verdict == HG_SKIP && row.step > 0 && row.step <= PROCESSORS_MAX)
            state_of(r)->told[m->head.lane].skipped[row.step - 1]++;
        size_t step = sizeof row + padded;
        step = step < left ? step : left;
        at += step;
        left -= step;
    }
    return ERR_OK;
}

static int told_done(struct runner *r, const struct wire_done *m, size_t len)
{
    size_t left = len - sizeof *m;
    if (m->state > left || m->reason > left - m->state)
        return ERR_SYNTAX;
    const char *at = (const char *)(m + 1);
    struct done done = {
        .result = m->result,
        .rows = m->rows,
        .delivered = m->delivered,
        .listed = m->listed,
        .end = place_of(m->end),
        .after_ms = m->after_ms,
        .push_us = m->push_us,
        .bytes = m->bytes,
        .has_state = m->has_state != 0,
        .bad_result = m->bad_result != 0,
        .state = slice_make(at, m->state),
        .reason = slice_make(at + m->state, m->reason),
    };
    int code = pusher_done(r->pusher, m->head.lane, m->head.token, &done, clock_ms());
    if (code == ERR_OK)
        runner_count_skips(r, m->head.lane);
    return code;
}

static int told_count(struct runner *r, const struct wire_count *m, size_t len)
{
    if (m->name == 0 || m->name > len - sizeof *m || m->name >= sizeof((struct counter *)NULL)->name)
        return ERR_SYNTAX;
    const char *name = (const char *)(m + 1);
    for (uint32_t i = 0; i < m->name; i++) /* a metric's name: others are dropped */
        if (!((name[i] >= 'a' && name[i] <= 'z') || name[i] == '_' || (i > 0 && name[i] >= '0' && name[i] <= '9')))
            return ERR_OK;
    counter_add(&r->counters, slice_make(name, m->name), m->add);
    return ERR_OK;
}

static int route(struct runner *r, const struct wire_head *head, size_t len)
{
    struct host_state *h = state_of(r);
    bool common = head->type == WIRE_READY || head->type == WIRE_OPEN_FAILED || head->type == WIRE_PROBED ||
                  head->type == WIRE_COUNT || head->type == WIRE_CRASH;
    if (r->puller != NULL && !common)
        return pullhost_message(r, head, len);
    switch (head->type) {
    case WIRE_READY: return told_ready(r, (const void *)head);
    case WIRE_OPEN_FAILED:
    case WIRE_PROBED: return told_outcome(r, (const void *)head, len);
    case WIRE_TAKEN: return told_taken(r, (const void *)head);
    case WIRE_VERDICTS: return told_verdicts(r, (const void *)head, len);
    case WIRE_DONE: return told_done(r, (const void *)head, len);
    case WIRE_COUNT: return told_count(r, (const void *)head, len);
    case WIRE_DAMAGE: {
        const struct wire_damage *m = (const void *)head;
        pusher_damage(r->pusher, m->from, m->to);
        return ERR_OK;
    }
    case WIRE_DROPPED: {
        const struct wire_drop *m = (const void *)head;
        lend_back(r, m->store, m->base);
        return ERR_OK;
    }
    case WIRE_CRASH: {
        const struct wire_crash *m = (const void *)head;
        h->crash_lane = head->lane == 0xFFFF ? -1 : head->lane;
        h->crash_signal = m->signal;
        return ERR_OK;
    }
    default: return ERR_SYNTAX;
    }
}

static int on_message(void *arg, const struct wire_head *head, size_t len)
{
    struct runner *r = arg;
    CHECK_MAGIC(r, RUNNER_MAGIC);
    int code = route(r, head, len);
    if (code != ERR_OK) {
        runner_log(r, LOG_ERROR, "host.nonsense", "the host sent what was not expected of it; it is ended");
        runner_end_host(r, HOST_PROTOCOL);
    }
    return code;
}

/* Once for all that a host has said meanwhile: mostly what it took, and that it is done with it. */
static void on_turn(void *arg)
{
    struct runner *r = arg;
    CHECK_MAGIC(r, RUNNER_MAGIC);
    runner_step(r);
    supervisor_look(r->owner);
}

static void on_log(void *arg, int level, struct slice text)
{
    struct runner *r = arg;
    struct host_state *h = state_of(r);
    int64_t second = clock_ms() / 1000;
    if (second != h->log_second) {
        if (h->log_lost > 0)
            LOG(LOG_WARN, "plugin.log_dropped", "the plugin logs too much; lines were left out",
                LOG_S(r->puller != NULL ? "puller" : "pusher", r->name), LOG_N("lines", h->log_lost));
        r->log_dropped += h->log_lost;
        h->log_lost = 0;
        h->log_second = second;
        h->log_left = LOG_BURST;
    }
    if (h->log_left == 0) {
        h->log_lost++;
        return;
    }
    h->log_left--;
    char line[4200];
    snprintf(line, sizeof line, SLICE_FMT, SLICE_ARG(text));
    runner_log(r, (enum log_level)level, "plugin.log", line);
}

static bool own_fault(int signal)
{
    return signal != 0 && signal != SIGKILL && signal != SIGTERM && signal != SIGINT && signal != SIGHUP;
}

static struct host_down judge_end(struct runner *r, int64_t status, int signal, char *text, size_t size)
{
    struct host_state *h = state_of(r);
    struct host_down down = {.signal = signal, .lane = h->crash_lane, .reason = text};
    if (h->killed) {
        down.end = h->why;
        static const char *const texts[] = {
            [HOST_DEADLINE] = "push() took longer than TIMEOUT; the host was ended",
            [HOST_MEMORY] = "the host used more than MEMORY_MAX; it was ended",
            [HOST_PROTOCOL] = "the host sent what was not expected of it; it was ended",
        };
        const char *why = (size_t)h->why < COUNT_OF(texts) ? texts[h->why] : NULL;
        snprintf(text, size, "%s", why == NULL ? "the host was ended" : why);
    } else if (h->open_failed) {
        down.end = h->open_result == HG_OPEN_NOT_NOW ? HOST_NOT_NOW : HOST_BROKEN;
        snprintf(text, size, "%s", h->reason);
    } else if (h->stop_sent && !own_fault(signal)) {
        down.end = HOST_STOPPED;
        snprintf(text, size, "stopped");
    } else if (signal == 0 || own_fault(signal)) {
        down.end = HOST_CRASHED;
        if (signal != 0)
            snprintf(text, size, "the plugin crashed: %s", strsignal(signal));
        else
            snprintf(text, size, "the plugin ended its process (exit status %d)", (int)status);
    } else {
        down.end = HOST_KILLED;
        snprintf(text, size, "the host was killed from outside: %s", strsignal(signal));
    }
    return down;
}

static void on_ended(void *arg, int64_t status, int signal)
{
    struct runner *r = arg;
    CHECK_MAGIC(r, RUNNER_MAGIC);
    struct host_state *h = state_of(r);
    char text[600];
    struct host_down down = judge_end(r, status, signal, text, sizeof text);
    lend_over(r);
    r->process = NULL;
    r->memory = 0;
    if (h->probe != NULL)
        h->probe(h->probe_arg, ERR_UNREACHABLE, "the plugin's host ended meanwhile");
    h->probe = NULL;
    runner_forget_steps(r);
    if (down.end != HOST_STOPPED)
        runner_log(r, LOG_WARN, "host.down", text);
    if (r->puller != NULL)
        pullhost_ended(r, down.end, text);
    else
        pusher_host_down(r->pusher, &down, clock_ms());
    runner_step(r);
}

const struct process_events runner_events = {.message = on_message, .turn = on_turn, .log = on_log, .ended = on_ended};

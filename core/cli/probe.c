/* One probe: start a host, wait until it has opened, ask, print what it says, stop it. Its lock is a file of its own,
 * so a running daemon's host of the same instance is not disturbed. */
#include "cli/probe.h"

#include "base/check.h"
#include "cli/cli.h"
#include "cli/say.h"
#include "headgate.h"
#include "host/setup.h"
#include "supervise/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROBE_MS = 60000 };

struct probe {
    uv_loop_t loop;
    uv_timer_t limit;
    struct process *process;
    bool trial, opened; /* only whether its processors open */
    bool answered, good;
    char text[600];
};

struct asked {
    const char *host, *name;
    const struct plugin_file *file;
    const struct instance *instance;
    const struct steps *steps;
};

static int on_message(void *arg, const struct wire_head *head, size_t len)
{
    struct probe *p = arg;
    const struct wire_outcome *m = (const void *)head;
    struct wire_head ask = {.type = WIRE_PROBE, .token = 1}, stop = {.type = WIRE_STOP};
    switch (head->type) {
    case WIRE_READY:
        p->opened = true;
        return p->trial ? process_send(p->process, &stop, sizeof stop, -1)
                        : process_send(p->process, &ask, sizeof ask, -1);
    case WIRE_OPEN_FAILED:
    case WIRE_PROBED:
        if (m->reason > len - sizeof *m)
            return ERR_SYNTAX;
        p->answered = true;
        p->good = head->type == WIRE_PROBED && m->result == HG_OPEN_OK;
        snprintf(p->text, sizeof p->text, "%.*s", (int)(m->reason < 500 ? m->reason : 500), (const char *)(m + 1));
        return head->type == WIRE_PROBED ? process_send(p->process, &stop, sizeof stop, -1) : ERR_OK;
    default: return ERR_OK;
    }
}

static void on_log(void *arg, int level, struct slice text)
{
    struct probe *p = arg;
    if (level == HG_LOG_ERROR && !p->answered)
        snprintf(p->text, sizeof p->text, SLICE_FMT, (int)(text.len < 500 ? text.len : 500), text.ptr);
}

static void on_ended(void *arg, int64_t status, int signal)
{
    struct probe *p = arg;
    (void)status;
    p->process = NULL;
    if (!p->answered && p->text[0] == '\0')
        snprintf(p->text, sizeof p->text, signal != 0 ? "the plugin crashed" : "the plugin ended without an answer");
    uv_close((uv_handle_t *)&p->limit, NULL);
}

static void on_limit(uv_timer_t *timer)
{
    struct probe *p = timer->data;
    snprintf(p->text, sizeof p->text, "no answer within a minute");
    if (p->process != NULL)
        process_kill(p->process);
}

static int setup_text(const struct asked *a, const char *lock, bool trial, struct buf *out)
{
    const struct instance *i = a->instance;
    struct setting *settings = calloc(i->count + 1, sizeof *settings);
    if (settings == NULL)
        return ERR_NOMEM;
    for (size_t k = 0; k < i->count; k++)
        settings[k] = (struct setting){i->values[k].name, i->values[k].value};
    struct setup setup = {
        .instance = (char *)(uintptr_t)a->name,
        .plugin = a->file->copy,
        .lock = (char *)(uintptr_t)lock,
        .workers = 1,
        .batch_rows = i->common.batch_rows,
        .batch_bytes = i->common.batch_bytes,
        .timeout_ms = i->common.timeout_ms,
        .confine = i->common.confine,
        .trial = trial,
        .settings = settings,
        .count = i->count,
    };
    int code = steps_setup(a->steps, &setup);
    if (code == ERR_OK)
        code = setup_write(&setup, out);
    steps_setup_fini(&setup);
    free(settings);
    return code;
}

static struct probe probe_run(const struct asked *a, bool trial)
{
    static const struct process_events events = {.message = on_message, .log = on_log, .ended = on_ended};
    struct probe p = {.trial = trial};
    struct buf text;
    struct err e = {0};
    char lock[4200];
    buf_init(&text, 16 << 20);
    snprintf(lock, sizeof lock, "%s.lock", a->file->copy);
    CHECK(uv_loop_init(&p.loop) == 0 && uv_timer_init(&p.loop, &p.limit) == 0);
    p.limit.data = &p;
    CHECK(uv_timer_start(&p.limit, on_limit, PROBE_MS, 0) == 0);
    int code = setup_text(a, lock, trial, &text);
    struct process_start start = {
        .loop = &p.loop, .host = a->host, .name = a->name, .setup = buf_slice(&text), .events = &events, .arg = &p};
    if (code == ERR_OK)
        code = process_start(&p.process, &start, &e);
    if (code != ERR_OK) {
        snprintf(p.text, sizeof p.text, "%.500s", e.text[0] != '\0' ? e.text : err_text(code));
        uv_close((uv_handle_t *)&p.limit, NULL);
    }
    (void)uv_run(&p.loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&p.loop) == 0);
    (void)unlink(lock);
    buf_free(&text);
    return p;
}

bool probe_steps(const char *host, const char *name, const struct plugin_file *file, const struct instance *instance,
                 const struct steps *steps, char *why, size_t size)
{
    const struct asked a = {host, name, file, instance, steps};
    struct probe p = probe_run(&a, true);
    say_clean(why, size, p.text, 500);
    return p.opened;
}

int probe_plugin(const char *host, const char *name, const struct plugin_file *file, const struct instance *instance,
                 const struct steps *steps)
{
    const struct asked a = {host, name, file, instance, steps};
    struct probe p = probe_run(&a, false);
    char clean[600];
    say_clean(clean, sizeof clean, p.text, 500);
    printf("%s: %s%s%s\n", name, p.good ? "the far end answers" : "the far end does not answer",
           clean[0] != '\0' ? ": " : "", clean);
    return p.good ? (int)EXIT_DONE : (int)EXIT_UNREACHABLE;
}

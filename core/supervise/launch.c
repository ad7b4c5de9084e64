/* What a runner sends off: a host process with its setup, and checkpoints to worker threads. Loop thread. */
#include "supervise/internal.h"

#include "base/log.h"
#include "base/sys.h"
#include "host/setup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { SETUP_MAX = 16 << 20 };

static int setup_text(struct runner *r, struct buf *out)
{
    const struct instance *i = &r->instance;
    char lock[PATH_MAX];
    const struct puller *in = r->puller;
    snprintf(lock, sizeof lock, "%s/lock", in != NULL ? in->dir : r->pusher->dir);
    struct setting *settings = calloc(i->count + 1, sizeof *settings);
    if (settings == NULL)
        return ERR_NOMEM;
    for (size_t k = 0; k < i->count; k++)
        settings[k] = (struct setting){i->values[k].name, i->values[k].value};
    struct setup setup = {
        .instance = r->name,
        .plugin = r->file->copy,
        .lock = lock,
        .workers = in != NULL ? 1 : r->pusher->worker_count,
        .batch_rows = i->common.batch_rows,
        .batch_bytes = i->common.batch_bytes,
        .timeout_ms = i->common.timeout_ms,
        .confine = i->common.confine,
        .clients = in != NULL ? NULL : r->pusher->clients,
        .state = in != NULL ? (char *)(uintptr_t)in->position.bytes : (char *)r->pusher->plugin_state,
        .state_len = in != NULL ? in->position.len : r->pusher->plugin_state_len,
        .settings = settings,
        .count = i->count,
    };
    int code = steps_setup(&r->steps, &setup);
    if (code == ERR_OK)
        code = setup_write(&setup, out);
    steps_setup_fini(&setup);
    free(settings);
    return code;
}

static void start_failed(struct runner *r, const struct err *e)
{
    struct host_down down = {.end = HOST_KILLED, .lane = -1, .reason = e->text};
    LOG(LOG_ERROR, "host.not_started", e->text, LOG_S("pusher", r->name));
    if (r->puller != NULL)
        puller_host_down(r->puller, down.end, down.reason, clock_ms());
    else
        pusher_host_down(r->pusher, &down, clock_ms());
}

void launch_host(struct runner *r)
{
    CHECK(r->process == NULL);
    struct err e = {.text = "the plugin's file is not there"};
    struct buf text;
    buf_init(&text, SETUP_MAX);
    runner_forget_steps(r);
    *state_of(r) = (struct host_state){.crash_lane = -1, .log_left = LOG_BURST};
    int code = r->file == NULL || r->file->copy == NULL ? ERR_NOTFOUND : setup_text(r, &text);
    if (code == ERR_OK)
        code = runner_note_steps(r);
    if (code == ERR_OK) {
        struct process_start start = {
            .loop = r->owner->options.loop,
            .host = r->owner->options.host,
            .name = r->name,
            .setup = buf_slice(&text),
            .events = &runner_events,
            .arg = r,
        };
        code = process_start(&r->process, &start, &e);
    } else if (code != ERR_NOTFOUND) {
        err_set(&e, code, "%s", err_text(code));
    }
    buf_free(&text);
    if (code != ERR_OK)
        start_failed(r, &e);
}

/* --- checkpoints --- */

struct checkpoint_work {
    uv_work_t work;
    struct supervisor *owner;
    struct pusher *pusher;
    struct checkpoint *checkpoint;
    struct err err;
    int status;
};

static void checkpoint_run(uv_work_t *work)
{
    struct checkpoint_work *w = work->data;
    w->status = checkpoint_write(w->checkpoint, &w->err);
}

static void checkpoint_done(uv_work_t *work, int status)
{
    struct checkpoint_work *w = work->data;
    (void)status;
    struct runner *r = w->pusher->owner;
    w->owner->works--;
    pusher_checkpointed(w->pusher, w->status, w->err.text, clock_ms());
    runner_step(r);
    supervisor_settled(w->owner);
    free(w);
}

void launch_checkpoint(struct supervisor *s, struct pusher *p, struct checkpoint *cp)
{
    struct checkpoint_work *w = calloc(1, sizeof *w);
    if (w == NULL) {
        p->write_failed = true; /* pusher_step gives it again */
        return;
    }
    w->work.data = w;
    w->owner = s;
    w->pusher = p;
    w->checkpoint = cp;
    s->works++;
    CHECK(uv_queue_work(s->options.loop, &w->work, checkpoint_run, checkpoint_done) == 0);
}

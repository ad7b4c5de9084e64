/* All pullers that have a position on disk: found at start, brought up to the journal's end, kept in their files so
 * that the journal need not be kept for them. A file is written at most once a second, on a worker thread; until then
 * the position is in the journal, and retention leaves it there. Loop thread. */
#include "supervise/internal.h"

#include "base/log.h"
#include "base/sys.h"
#include "journal/files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAVE_MS = 1000 };

static struct puller *puller_at(struct link *it)
{
    return container_of(it, struct puller, link);
}

struct puller *puller_named(struct supervisor *s, struct slice name)
{
    LIST_EACH(&s->pullers, it)
    if (slice_is(name, puller_at(it)->name))
        return puller_at(it);
    return NULL;
}

static struct puller *add(struct supervisor *s, const char *name, const char *dir, const struct position *position)
{
    uint64_t seed = 0;
    if (sys->random(&seed, sizeof seed) != sizeof seed)
        seed = (uint64_t)clock_ns();
    struct puller *p = puller_new(name, dir, position, seed);
    if (p == NULL)
        return NULL;
    p->ops = &s->puller_ops;
    p->saved = position->journal;
    list_push(&s->pullers, &p->link);
    return p;
}

/* --- at start --- */

struct loading {
    struct supervisor *s;
    uint64_t from;
    struct err *e;
};

static int load_one(void *arg, const char *name)
{
    struct loading *l = arg;
    char dir[PATH_MAX];
    struct position position = {.journal = 0};
    if (name[0] == '.')
        return ERR_OK;
    int code = path_join(l->s->pullers_dir, name, dir);
    if (code == ERR_OK)
        code = position_read(dir, &position, l->e);
    if (code == ERR_NOTFOUND) /* its making did not come to its end */
        return ERR_OK;
    if (code == ERR_DAMAGED) {
        LOG(LOG_ERROR, "puller.position_lost", "the file of its position is damaged; the journal is searched for it",
            LOG_S("puller", name));
        position = (struct position){.journal = 0};
        code = ERR_OK;
    }
    if (code != ERR_OK)
        return code;
    if (position.journal < l->from)
        l->from = position.journal;
    return add(l->s, name, dir, &position) == NULL ? err_set(l->e, ERR_NOMEM, "no memory for puller %s", name) : ERR_OK;
}

static struct position *find(void *arg, struct slice name)
{
    struct puller *p = puller_named(arg, name);
    if (p != NULL)
        p->changed = true;
    return p == NULL ? NULL : &p->position;
}

static void on_wake(void *arg)
{
    struct supervisor *s = arg;
    uv_async_send(&s->emitted_async); /* from the commit thread */
}

static void on_emitted(uv_async_t *async)
{
    emissions_collect(async->data);
}

int pullers_open(struct supervisor *s, const char *data_dir, struct err *e)
{
    char path[PATH_MAX];
    pullhost_ops(&s->puller_ops, s);
    snprintf(path, sizeof path, "%s/pullers", data_dir);
    s->pullers_dir = strdup(path);
    s->scan = scan_new();
    if (s->pullers_dir == NULL || s->scan == NULL || uv_async_init(s->options.loop, &s->emitted_async, on_emitted) != 0)
        return err_set(e, ERR_NOMEM, "no memory for pullers");
    s->emitted_async.data = s;
    s->closing++;
    s->emitted = (struct commit_queue){.wake = on_wake, .arg = s};
    if (dir_make(s->pullers_dir) != ERR_OK)
        return err_errno(e, errno, "cannot make %s", s->pullers_dir);
    struct loading l = {.s = s, .from = UINT64_MAX, .e = e};
    int code = sys->list(s->pullers_dir, load_one, &l);
    if (code < 0)
        return err_errno(e, errno, "cannot list %s", s->pullers_dir);
    if (code == ERR_OK && l.from != UINT64_MAX)
        code = position_search(s->options.journal, l.from, find, s, e);
    return code;
}

void pullers_free(struct supervisor *s)
{
    LIST_EACH_SAFE(&s->pullers, it)
    {
        struct puller *p = puller_at(it);
        link_remove(&p->link);
        puller_free(&p);
    }
    scan_free(&s->scan);
    free(s->pullers_dir);
}

int puller_attach(struct supervisor *s, struct runner *r, struct err *e)
{
    char dir[PATH_MAX];
    struct position fresh = {.journal = journal_durable(s->options.journal).position};
    struct puller *p = puller_named(s, slice_of(r->name));
    if (p == NULL) {
        int code = path_join(s->pullers_dir, r->name, dir);
        if (code == ERR_OK)
            code = dir_make(dir);
        if (code != ERR_OK)
            return err_set(e, code, "cannot make the folder of puller %s", r->name);
        code = position_write(dir, &fresh, e);
        if (code != ERR_OK)
            return code;
        p = add(s, r->name, dir, &fresh);
        if (p == NULL)
            return err_set(e, ERR_NOMEM, "no memory for puller %s", r->name);
    }
    p->owner = r;
    r->puller = p;
    return ERR_OK;
}

/* --- keeping the files --- */

struct save_work {
    uv_work_t work;
    struct supervisor *owner;
    struct puller *puller;
    struct position position;
    struct err err;
    int status;
};

static void save_run(uv_work_t *work)
{
    struct save_work *w = work->data;
    w->status = position_write(w->puller->dir, &w->position, &w->err);
}

static void save_done(uv_work_t *work, int status)
{
    struct save_work *w = work->data;
    struct supervisor *s = w->owner;
    (void)status;
    s->works--;
    w->puller->saving = false;
    if (w->status == ERR_OK) {
        w->puller->saved = w->position.journal;
        supervisor_settled(s);
    } else {
        LOG(LOG_ERROR, "puller.position_not_written", w->err.text, LOG_S("puller", w->puller->name));
        w->puller->changed = true;
    }
    free(w);
}

static void save(struct supervisor *s, struct puller *p)
{
    struct save_work *w = calloc(1, sizeof *w);
    p->save_ms = clock_ms() + SAVE_MS;
    if (w == NULL)
        return;
    w->work.data = w;
    w->owner = s;
    w->puller = p;
    w->position = p->position;
    p->saving = true;
    p->changed = false;
    s->works++;
    CHECK(uv_queue_work(s->options.loop, &w->work, save_run, save_done) == 0);
}

void pullers_tidy(struct supervisor *s)
{
    uint64_t durable = journal_durable(s->options.journal).position;
    LIST_EACH(&s->pullers, it)
    {
        struct puller *p = puller_at(it);
        if (!p->emitting && p->position.journal < durable) /* nothing of it can be on its way before that place */
            p->position.journal = durable;
        bool behind = p->position.journal - p->saved > s->settings->journal_segment / 4;
        if (!p->saving && (p->changed || behind) && (s->stopping || clock_ms() >= p->save_ms))
            save(s, p);
    }
}

uint64_t pullers_low(struct supervisor *s)
{
    uint64_t low = UINT64_MAX;
    LIST_EACH(&s->pullers, it)
    if (puller_at(it)->saved < low)
        low = puller_at(it)->saved;
    return low;
}

bool pullers_quiet(struct supervisor *s, bool in_flight_only)
{
    LIST_EACH(&s->pullers, it)
    {
        const struct puller *p = puller_at(it);
        if (p->emitting || p->saving || (!in_flight_only && p->changed))
            return false;
    }
    return true;
}

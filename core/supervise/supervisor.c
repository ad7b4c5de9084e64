/* The supervisor: brings up what is configured, passes on what is durable, keeps the clock for all pushers, lets
 * retention know what is settled, and brings everything to rest.
 *
 * One timer serves all pushers: it is armed for the earliest wake of any of them, or earlier, for a wake that was put
 * off meanwhile is left to ring. A slower tick looks at what has no event: memory, budgets, lag, folders. */
#include "supervise/internal.h"

#include "base/log.h"
#include "base/sys.h"
#include "journal/files.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the clock --- */

static void timer_due(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    int64_t now = clock_ms();
    s->armed_ms = INT64_MAX;
    LIST_EACH_SAFE(&s->runners, it)
    {
        struct runner *r = runner_at(it);
        if (r->wake_ms <= now)
            runner_step(r);
        else
            supervisor_arm(s, r->wake_ms);
    }
}

void supervisor_arm(struct supervisor *s, int64_t wake_ms)
{
    if (s->stopped || wake_ms >= s->armed_ms)
        return;
    int64_t now = clock_ms(), delay = wake_ms > now ? wake_ms - now : 0;
    s->armed_ms = wake_ms;
    uv_update_time(s->options.loop);
    CHECK(uv_timer_start(&s->timer, timer_due, (uint64_t)(delay < 3600000 ? delay : 3600000), 0) == 0);
}

/* --- what is durable, and what is settled --- */

/* Rows are for it, and what it has not settled must stay. */
static bool holds_rows(const struct runner *r)
{
    return r->pusher != NULL && !pusher_let_go(r->pusher);
}

void supervisor_durable(struct supervisor *s)
{
    CHECK_MAGIC(s, SUPERVISOR_MAGIC);
    lag_mark(s, journal_durable(s->options.journal).position);
    bool held = false;
    LIST_EACH_SAFE(&s->runners, it)
    {
        struct runner *r = runner_at(it);
        bool idle = false;
        held = held || holds_rows(r);
        for (uint32_t i = 0; r->pusher != NULL && i < r->pusher->worker_count; i++)
            idle = idle || !r->pusher->workers[i].busy;
        if (idle)
            runner_step(r);
    }
    if (!held) /* no cursor will move */
        supervisor_settled(s);
}

void supervisor_settled(struct supervisor *s)
{
    uint64_t low = UINT64_MAX;
    bool any = false;
    LIST_EACH(&s->runners, it)
    {
        const struct runner *r = runner_at(it);
        if (!holds_rows(r))
            continue;
        any = true;
        if (r->pusher->sequence == 0)
            low = 0; /* its registration is not durable yet */
        else if (r->pusher->durable_low < low)
            low = r->pusher->durable_low;
    }
    if (!any) /* nobody takes rows (plugins.none): they linger for whoever comes with FROM=start */
        low = journal_durable(s->options.journal).position;
    uint64_t pulled = pullers_low(s); /* beyond it their positions are in the journal only */
    low = pulled < low ? pulled : low;
    if (low > 0)
        journal_release(s->options.journal, low);
    supervisor_look(s);
}

void supervisor_look(struct supervisor *s)
{
    if (s->options.drained != NULL)
        s->options.drained(s->options.arg);
}

void supervisor_aside_bytes(struct supervisor *s, uint64_t *dead, uint64_t *parked)
{
    *dead = *parked = 0;
    LIST_EACH(&s->runners, it)
    {
        const struct runner *r = runner_at(it);
        if (r->pusher == NULL)
            continue;
        *dead += r->pusher->aside.dead_bytes;
        *parked += r->pusher->aside.parked_bytes;
    }
}

/* --- rest --- */

static bool all_quiet(struct supervisor *s)
{
    LIST_EACH(&s->runners, it)
    {
        const struct runner *r = runner_at(it);
        if (r->process != NULL || (r->pusher != NULL && !pusher_quiet(r->pusher)))
            return false;
    }
    return s->works == 0 && pullers_quiet(s, false);
}

static bool any_host(struct supervisor *s)
{
    LIST_EACH(&s->runners, it)
    if (runner_at(it)->process != NULL)
        return true;
    return false;
}

static void handle_closed(uv_handle_t *handle)
{
    struct supervisor *s = handle->data;
    s->closing--;
}

static void mind_stop(struct supervisor *s)
{
    if (!s->stopping || s->stopped)
        return;
    bool late = clock_ms() >= s->stop_by_ms;
    if (late && any_host(s))
        LIST_EACH(&s->runners, it)
    runner_kill_host(runner_at(it));
    /* What cannot be written (a full disk) must not keep it from ending: it comes again. */
    bool give_up = clock_ms() >= s->stop_by_ms + 2000 && !any_host(s) && s->works == 0 && pullers_quiet(s, true);
    if (!all_quiet(s) && !give_up)
        return;
    s->stopped = true;
    uv_close((uv_handle_t *)&s->timer, handle_closed);
    uv_close((uv_handle_t *)&s->tick, handle_closed);
    uv_close((uv_handle_t *)&s->emitted_async, handle_closed);
    for (size_t i = 0; i < s->watch_count; i++)
        uv_close((uv_handle_t *)&s->watches[i], handle_closed);
    s->stop_done(s->stop_arg);
}

/* A plugin that is there again while the pusher of its name was still being let go. */
static bool comes_back(struct supervisor *s)
{
    LIST_EACH(&s->runners, it)
    {
        const struct pusher *p = runner_at(it)->pusher;
        if (p != NULL && p->wanted && p->forgotten && pusher_let_go(p))
            return true;
    }
    return false;
}

static void tick_due(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    lag_mark(s, journal_durable(s->options.journal).position);
    LIST_EACH_SAFE(&s->runners, it)
    {
        runner_sample(runner_at(it));
        lend_tidy(runner_at(it));
        runner_step(runner_at(it));
    }
    pullers_tidy(s);
    if (!s->stopping) {
        lag_mind_budget(s);
        lag_mind(s);
        if (s->scan_again)
            instances_rescan(s);
        if (clock_ms() - s->secrets_ms >= SECRETS_MS) {
            s->secrets_ms = clock_ms();
            if (instances_renewed(s) || comes_back(s))
                instances_again(s);
        }
    }
    mind_stop(s);
}

void supervisor_stop(struct supervisor *s, int64_t limit_ms, void (*done)(void *arg), void *arg)
{
    s->stopping = true;
    s->stop_by_ms = clock_ms() + limit_ms;
    s->stop_done = done;
    s->stop_arg = arg;
    LIST_EACH(&s->runners, it)
    {
        struct runner *r = runner_at(it);
        if (r->puller != NULL) {
            puller_stop(r->puller);
            puller_want(r->puller, false, clock_ms());
            runner_step(r);
        }
        if (r->pusher == NULL)
            continue;
        pusher_stop(r->pusher);
        pusher_want(r->pusher, false, clock_ms());
        runner_step(r);
    }
    CHECK(uv_timer_start(&s->tick, tick_due, 0, 20) == 0);
}

/* --- life --- */

static int clean_copy(void *arg, const char *name)
{
    const char *dir = arg;
    char path[PATH_MAX];
    if (name[0] != '.' && snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path)
        (void)sys->unlink(path);
    return 0;
}

static int make_dirs(struct supervisor *s, const char *data_dir, struct err *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/plugins", data_dir);
    s->copies = strdup(path);
    snprintf(path, sizeof path, "%s/pushers", data_dir);
    s->pushers_dir = strdup(path);
    if (s->copies == NULL || s->pushers_dir == NULL)
        return err_set(e, ERR_NOMEM, "no memory");
    if (dir_make(s->pushers_dir) != ERR_OK)
        return err_errno(e, errno, "cannot make %s", s->pushers_dir);
    (void)sys->list(s->copies, clean_copy, s->copies); /* copies of plugins that an earlier daemon left */
    return ERR_OK;
}

static int copy_dirs(struct supervisor *s)
{
    size_t count = 0;
    while (s->settings->plugins_dir[count] != NULL)
        count++;
    s->dirs = calloc(count + 1, sizeof *s->dirs);
    if (s->dirs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        if ((s->dirs[i] = strdup(s->settings->plugins_dir[i])) == NULL)
            return ERR_NOMEM;
    return ERR_OK;
}

/* At start a file that is younger than a second, or cannot be looked at, is waited for. */
static int first_scan(struct supervisor *s, struct err *e)
{
    s->folder_options = (struct folder_options){.dirs = s->dirs, .copies = s->copies, .host = s->options.host};
    for (int tries = 0; tries < 3; tries++) {
        struct folder found;
        int code = folder_scan(&s->folder_options, &s->folder, &found, e);
        folder_fini(&s->folder);
        s->folder = found;
        if (code != ERR_OK || !found.again)
            return code;
        (void)poll(NULL, 0, 1000);
    }
    s->scan_again = true;
    return ERR_OK;
}

static void log_refused(const struct folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        char why[PATH_MAX + 300];
        if (folder_refused(&f->entries[i], why, sizeof why))
            LOG(LOG_WARN, "plugin.refused", why, LOG_S("file", f->entries[i].file->path));
    }
}

int supervisor_new(struct supervisor **out, const struct supervisor_options *options, const struct conf *conf,
                   struct buf *faults, uint32_t *running, struct err *e)
{
    struct supervisor *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(e, ERR_NOMEM, "no memory for the supervisor");
    s->magic = SUPERVISOR_MAGIC;
    s->options = *options;
    s->armed_ms = INT64_MAX;
    s->conf = conf;
    s->settings = conf_settings(conf);
    s->source = source_of(options->journal);
    link_init(&s->runners);
    link_init(&s->pullers);
    runner_pusher_ops(&s->ops, s);
    CHECK(uv_timer_init(options->loop, &s->timer) == 0 && uv_timer_init(options->loop, &s->tick) == 0);
    s->timer.data = s->tick.data = s;
    s->closing = 2;
    int code = make_dirs(s, options->data_dir, e);
    if (code == ERR_OK)
        code = pullers_open(s, options->data_dir, e);
    if (code == ERR_OK && (code = copy_dirs(s)) != ERR_OK)
        err_set(e, code, "no memory for the plugin folders");
    if (code == ERR_OK)
        code = first_scan(s, e);
    *out = s; /* also on failure: the caller stops and frees it */
    if (code != ERR_OK)
        return code;
    log_refused(&s->folder);
    code = instances_apply(s, conf, NULL, faults, running);
    if (code != ERR_OK)
        return err_set(e, code, "cannot set up the pushers: %s", err_text(code));
    instances_watch(s);
    CHECK(uv_timer_start(&s->tick, tick_due, TICK_MS, TICK_MS) == 0);
    return ERR_OK;
}

int supervisor_reload(struct supervisor *s, const struct conf *conf, struct buf *changed, struct buf *faults)
{
    uint32_t running;
    s->conf = conf;
    s->settings = conf_settings(conf);
    int code = instances_apply(s, conf, changed, faults, &running);
    s->scan_again = true;
    return code;
}

void supervisor_reopen(struct supervisor *s)
{
    LIST_EACH(&s->runners, it)
    runner_send_simple(runner_at(it), WIRE_REOPEN, 0);
}

void supervisor_free(struct supervisor **ss)
{
    struct supervisor *s = *ss;
    if (s == NULL)
        return;
    CHECK_MAGIC(s, SUPERVISOR_MAGIC);
    LIST_EACH_SAFE(&s->runners, it)
    {
        struct runner *r = runner_at(it);
        if (r->pusher != NULL)
            r->pusher->writing = r->pusher->write_failed ? r->pusher->writing : NULL;
        link_remove(&r->link);
        runner_free(&r);
    }
    pullers_free(s);
    steps_fini(&s->processors);
    folder_fini(&s->folder);
    for (size_t i = 0; s->dirs != NULL && s->dirs[i] != NULL; i++)
        free((char *)(uintptr_t)s->dirs[i]);
    free(s->dirs);
    free(s->watches);
    free(s->copies);
    free(s->pushers_dir);
    s->magic = 0;
    free(s);
    *ss = NULL;
}

/* --- for the api --- */

uint64_t supervisor_passed(struct supervisor *s)
{
    uint64_t low = UINT64_MAX;
    LIST_EACH(&s->runners, it)
    {
        const struct runner *r = runner_at(it);
        if (r->pusher != NULL && pusher_passed(r->pusher) < low)
            low = pusher_passed(r->pusher);
    }
    return low;
}

struct link *supervisor_runners(struct supervisor *s)
{
    CHECK_MAGIC(s, SUPERVISOR_MAGIC);
    return &s->runners;
}

struct runner *supervisor_find(struct supervisor *s, struct slice name)
{
    LIST_EACH(&s->runners, it)
    if (slice_is(name, runner_at(it)->name))
        return runner_at(it);
    return NULL;
}

const struct steps *supervisor_processors(const struct supervisor *s)
{
    return &s->processors;
}

const struct folder *supervisor_folder(const struct supervisor *s)
{
    return &s->folder;
}

void supervisor_step(struct supervisor *s, struct runner *r)
{
    runner_step(r);
    supervisor_settled(s);
}

bool supervisor_drained(struct supervisor *s)
{
    uint64_t end = journal_durable(s->options.journal).position;
    LIST_EACH(&s->runners, it)
    {
        const struct runner *r = runner_at(it);
        if (r->pusher != NULL && !pusher_drained(r->pusher, end))
            return false;
    }
    return true;
}

void supervisor_pause_puller(struct supervisor *s, struct runner *r, bool paused)
{
    puller_pause(r->puller, paused, clock_ms());
    r->puller->position.paused = r->puller->paused;
    r->puller->changed = true;
    r->puller->save_ms = clock_ms();
    supervisor_step(s, r);
}

static void remove_dir(char *path);

static int remove_entry(void *arg, const char *name)
{
    const char *dir = arg;
    char file[PATH_MAX];
    if (snprintf(file, sizeof file, "%s/%s", dir, name) < (int)sizeof file && sys->unlink(file) != 0)
        remove_dir(file);
    return 0;
}

static void remove_dir(char *path)
{
    (void)sys->list(path, remove_entry, path);
    (void)sys->rmdir(path);
}

int supervisor_forget_puller(struct supervisor *s, struct runner *r, struct err *e)
{
    struct puller *p = r->puller;
    if (p->wanted)
        return err_set(e, ERR_BUSY,
                       "%s is still configured; remove its plugin or set ENABLED=no, reload, then forget it", r->name);
    if (r->process != NULL || p->emitting || p->saving)
        return err_set(e, ERR_BUSY, "%s is just stopping; try again in a moment", r->name);
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", p->dir);
    link_remove(&p->link);
    puller_free(&r->puller);
    r->wake_ms = INT64_MAX;
    remove_dir(dir);
    if (r->file == NULL) {
        link_remove(&r->link);
        runner_free(&r);
    } else {
        runner_idle(r, PUSHER_UNCONFIGURED, "not configured");
    }
    supervisor_settled(s);
    return ERR_OK;
}

int supervisor_forget(struct supervisor *s, struct runner *r, bool dead_letter, struct err *e)
{
    if (r->pusher == NULL)
        return err_set(e, ERR_NOTFOUND, "%s has nothing to forget: it was never registered", r->name);
    if (r->pusher->wanted)
        return err_set(e, ERR_BUSY,
                       "%s is still configured; remove its plugin or set ENABLED=no, reload, then forget it", r->name);
    bool writing = r->pusher->writing != NULL && !r->pusher->write_failed;
    if (r->process != NULL || writing || (dead_letter && !pusher_quiet(r->pusher)))
        return err_set(e, ERR_BUSY, "%s is just stopping; try again in a moment", r->name);
    if (dead_letter) {
        int code = pusher_forget(r->pusher, journal_durable(s->options.journal), e);
        runner_step(r);
        return code;
    }
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", r->pusher->dir);
    runner_drop_pusher(r);
    r->wake_ms = INT64_MAX;
    remove_dir(dir);
    if (r->file == NULL) {
        link_remove(&r->link);
        runner_free(&r);
    } else {
        runner_idle(r, PUSHER_UNCONFIGURED, "not configured");
    }
    supervisor_settled(s);
    return ERR_OK;
}

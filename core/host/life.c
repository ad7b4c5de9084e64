/* From birth to end. The order matters: quiet the process, take the instance lock, confine, load, open. Nothing outside
 * is touched before the lock is held: a host of the same instance that has lost its daemon may still be in its last
 * push, and the lock, which ends with its process, is what keeps the two apart.
 *
 * The main thread then only reads the control channel and waits for workers. When the daemon is gone a push in progress
 * gets a moment to return, because what it delivers then need not be delivered again; then the process ends with it. */
#include "host/life.h"

#include "base/sys.h"
#include "host/chain.h"
#include "host/confine.h"
#include "host/crash.h"
#include "host/descriptor.h"
#include "host/fill.h"
#include "host/hostlog.h"
#include "host/inlet.h"
#include "host/look.h"
#include "host/tell.h"
#include "host/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SETUP_MAX = 1 << 20, LOCK_RETRY_MS = 20, ARENAS = 4, FAULTS_MAX_BYTES = HG_REASON_MAX };

/* The main thread's own view. */
struct life {
    struct host h;
    bool opened;   /* READY was told */
    bool gone;     /* the daemon is gone: the channel is not looked at any more */
    int64_t limit; /* clock_ms; then the process ends whatever its workers do */
    int status;    /* to exit with */
    int refusal;   /* enum hg_open_result: why there are no workers */
    struct err e;  /* what goes with it */
};

/* What the plugins of this host may touch. */
struct paths {
    const struct setup *pusher;
    struct confine_path *paths;
    size_t count;
};

/* --- shared with workers --- */

void life_wake(struct host *h)
{
    const uint64_t one = 1;
    while (sys->write(h->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void life_stop(struct host *h)
{
    pthread_mutex_lock(&h->mutex);
    atomic_store(&h->stopping, true);
    pthread_cond_broadcast(&h->self.changed);
    for (uint16_t i = 0; i < h->worker_count; i++)
        pthread_cond_broadcast(&h->workers[i].changed);
    pthread_mutex_unlock(&h->mutex);
    life_wake(h);
}

bool life_wait(struct hg_host *w, int64_t deadline)
{
    if (deadline == INT64_MAX)
        return pthread_cond_wait(&w->changed, &w->host->mutex) == 0;
    const struct timespec at = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
    return pthread_cond_timedwait(&w->changed, &w->host->mutex, &at) == 0;
}

bool life_pause(struct hg_host *w, int64_t ms)
{
    struct host *h = w->host;
    int64_t deadline = clock_ms() + (ms > 0 ? ms : 0);
    pthread_mutex_lock(&h->mutex);
    while (!atomic_load(&h->stopping) && life_wait(w, deadline))
        continue;
    pthread_mutex_unlock(&h->mutex);
    return !atomic_load(&h->stopping);
}

/* --- the process --- */

static int setup_text(struct buf *text)
{
    for (;;) {
        int code = buf_reserve(text, 4096);
        if (code != ERR_OK)
            return code;
        /* The daemon has just written the file: its place may be at the end. A pipe has no place. */
        ssize_t n = sys->pread(WIRE_SETUP_FD, text->ptr + text->len, 4096, (off_t)text->len);
        if (n < 0 && errno == ESPIPE)
            n = sys->read(WIRE_SETUP_FD, text->ptr + text->len, 4096);
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n == 0)
            return ERR_OK;
        text->len += n > 0 ? (size_t)n : 0;
    }
}

static int life_read_setup(struct life *l)
{
    struct buf text;
    buf_init(&text, SETUP_MAX);
    int code = setup_text(&text);
    code = code == ERR_OK ? setup_read(buf_slice(&text), &l->h.setup, &l->e)
                          : err_set(&l->e, code, "cannot read the setup: %s", err_text(code));
    if (text.ptr != NULL)
        explicit_bzero(text.ptr, text.cap); /* passwords */
    buf_free(&text);
    sys->close(WIRE_SETUP_FD);
    return code;
}

/* Ends with the daemon, gains no rights, leaves no core (rows and passwords would be in it). */
static void life_quiet(const struct setup *setup)
{
    char name[16];
    const struct rlimit none = {0, 0};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    snprintf(name, sizeof name, "hg-%.12s", setup->instance);
    (void)prctl(PR_SET_NAME, name);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)mallopt(M_ARENA_MAX, ARENAS);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        hostlog(HG_LOG_WARN, "cannot give up gaining rights");
}

/* --- the loop --- */

static void life_leave(struct life *l, int status)
{
    atomic_store(&l->h.outlet.gone, true);
    l->status = status;
    l->gone = true;
    l->limit = clock_ms() + ORPHAN_MS;
    life_stop(&l->h);
}

static void life_receive(struct life *l)
{
    struct err e;
    for (;;) {
        switch (inlet_receive(&l->h, &e)) {
        case INLET_MESSAGE: continue;
        case INLET_EMPTY: return;
        case INLET_CLOSED: life_leave(l, 0); return;
        case INLET_BAD:
            hostlog(HG_LOG_ERROR, "%s", e.text);
            life_leave(l, EXIT_PROTOCOL);
            return;
        }
    }
}

/* Wait for the channel, a worker, or `until` (clock_ms), and take in what came. */
static void life_turn(struct life *l, int64_t until)
{
    struct pollfd fds[] = {{.fd = l->h.wake, .events = POLLIN},
                           {.fd = l->gone ? -1 : l->h.outlet.fd, .events = POLLIN}};
    int64_t now = clock_ms();
    if (l->limit < until)
        until = l->limit;
    int64_t left = until > now ? until - now : 0;
    int n = poll(fds, COUNT_OF(fds), until == INT64_MAX ? -1 : left > 60000 ? 60000 : (int)left);
    uint64_t count;
    if (n > 0 && fds[0].revents != 0)
        (void)!sys->read(l->h.wake, &count, sizeof count);
    if (n > 0 && fds[1].revents != 0)
        life_receive(l);
    if (clock_ms() >= l->limit)
        _exit(l->status);
}

static bool life_stopping(struct life *l)
{
    return atomic_load(&l->h.stopping);
}

/* --- before there are workers --- */

/* ERR_CLOSED: told to stop meanwhile. */
static int life_lock(struct life *l)
{
    struct host *h = &l->h;
    h->lock = sys->open(h->setup.lock, O_RDWR | O_CREAT, 0600);
    if (h->lock < 0)
        return err_errno(&l->e, errno, "cannot open the lock file %s", h->setup.lock);
    bool told = false;
    while (sys->flock(h->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(&l->e, errno, "cannot lock %s", h->setup.lock);
        if (!told)
            hostlog(HG_LOG_INFO, "waiting for the former host of this instance to end");
        told = true;
        life_turn(l, clock_ms() + LOCK_RETRY_MS);
        if (life_stopping(l))
            return ERR_CLOSED;
    }
    return ERR_OK;
}

/* The paths that this plugin's options name, added to those there are. */
static int life_paths(const struct described *d, const struct setup *setup, struct paths *p, struct err *e)
{
    struct confine_path *more = realloc(p->paths, (p->count + d->count + 1) * sizeof *more);
    if (more == NULL)
        return err_set(e, ERR_NOMEM, "no memory for %zu paths", p->count + d->count);
    p->paths = more;
    for (size_t i = 0; i < d->count; i++) {
        const struct hg_option o = {.name = d->options[i].name, .fallback = d->options[i].fallback};
        const char *path = fill_value(&o, setup);
        if ((d->options[i].flags & (HG_READ | HG_WRITE)) != 0 && path != NULL && path[0] != '\0')
            p->paths[p->count++] = (struct confine_path){path, (d->options[i].flags & HG_WRITE) != 0,
                                                         (d->options[i].flags & HG_FOLDER) != 0};
    }
    if (setup != p->pusher) /* the pusher's own file is allowed anyway */
        p->paths[p->count++] = (struct confine_path){setup->plugin, false, false};
    return ERR_OK;
}

/* The same, asked of the plugin itself; `asked`: it could be. */
static int life_ask(struct life *l, const struct setup *setup, struct paths *p, bool *asked)
{
    struct described d = {0};
    if (look_ask(setup->plugin, l->h.outlet.fd, &d, &l->e) != ERR_OK) {
        hostlog(HG_LOG_DEBUG, "%s", l->e.text);
        *asked = false;
    }
    int code = life_paths(&d, setup, p, &l->e);
    described_fini(&d);
    return code;
}

static int life_confine_all(struct life *l, bool *asked)
{
    const struct setup *setup = &l->h.setup;
    struct paths p = {.pusher = setup};
    int code = life_ask(l, setup, &p, asked);
    for (size_t i = 0; code == ERR_OK && i < setup->processor_count; i++)
        code = life_ask(l, &setup->processors[i], &p, asked);
    if (code == ERR_OK)
        code = confine_files(setup->plugin, p.paths, p.count, &l->e);
    free(p.paths);
    return code == ERR_OK ? confine_calls(&l->e) : code;
}

/* Whether the plugins' paths are `asked` for. Goes on without confinement where the kernel cannot: READY says so. Where
 * it only cannot at this moment there is another try: a plugin is never let loose, nor shut out of its own files,
 * because memory or descriptors were short. */
static int life_confine(struct life *l, bool *asked)
{
    *asked = true;
    if (!l->h.setup.confine)
        return ERR_OK;
    int code = life_confine_all(l, asked);
    bool cannot = code == ERR_VERSION || code == ERR_DENIED;
    if (cannot)
        hostlog(HG_LOG_WARN, "not confined: %s", l->e.text);
    l->h.confined = code == ERR_OK;
    return cannot ? ERR_OK : code;
}

static int life_fill(struct life *l)
{
    struct buf faults;
    buf_init(&faults, FAULTS_MAX_BYTES);
    int code = fill_config(l->h.plugin.plugin, &l->h.setup, &l->h.config, &faults);
    if (code != ERR_OK) {
        while (faults.len > 0 && faults.ptr[faults.len - 1] == '\n')
            faults.len--;
        const char *text = buf_str(&faults);
        err_set(&l->e, code, "%s", text[0] != '\0' ? text : err_text(code));
    }
    buf_free(&faults);
    return code;
}

/* In a trial only the processors are called. */
static void life_calls(struct host *h)
{
    const struct hg_plugin *p = h->plugin.plugin;
    const struct hg_pusher *out = p->pusher;
    const struct hg_puller *in = h->puller = p->kind == HG_PULLER ? p->puller : NULL;
    if (h->setup.trial)
        return;
    h->calls = in != NULL ? (struct calls){in->start, in->stop, in->open, in->close, in->reopen, in->probe}
                          : (struct calls){out->start, out->stop, out->open, out->close, out->reopen, out->probe};
}

static int life_load(struct life *l)
{
    l->refusal = HG_OPEN_NOT_NOW;
    int code = life_lock(l);
    if (code != ERR_OK)
        return code;
    bool asked;
    code = life_confine(l, &asked);
    if (code != ERR_OK)
        return code;
    if (life_stopping(l))
        return ERR_CLOSED;
    l->refusal = HG_OPEN_BROKEN;
    code = loader_open(l->h.setup.plugin, &l->h.plugin, &l->e);
    if (code == ERR_OK && l->h.plugin.plugin->kind == HG_PROCESSOR)
        code = err_set(&l->e, ERR_DENIED, "it is a processor: it runs with a pusher, not alone");
    if (code == ERR_OK && !asked) /* it is a plugin: what stood in the way before is over */
        return err_set(&l->e, ERR_AGAIN, "the plugin could not be asked for its paths");
    if (code == ERR_OK)
        code = life_fill(l);
    if (code == ERR_OK)
        life_calls(&l->h);
    return code != ERR_OK ? code : chain_load(&l->h, &l->e);
}

/* --- workers --- */

static uint16_t life_worker_count(const struct host *h)
{
    uint32_t most = h->puller != NULL ? 1 : h->plugin.plugin->pusher->max_parallel;
    uint32_t count = h->setup.workers > 0 ? h->setup.workers : 1;
    if (most > 0 && count > most)
        count = most;
    return (uint16_t)(count > WORKERS_MAX ? WORKERS_MAX : count);
}

static int life_make_workers(struct life *l)
{
    struct host *h = &l->h;
    uint16_t count = life_worker_count(h);
    h->workers = calloc(count, sizeof *h->workers);
    if (h->workers == NULL)
        return err_set(&l->e, ERR_NOMEM, "no memory for %u workers", count);
    int code = worker_init(&h->self, h, CRASH_NO_LANE);
    for (uint16_t i = 0; i < count && code == ERR_OK; i++) {
        code = worker_init(&h->workers[i], h, i);
        h->worker_count++;
    }
    for (uint16_t i = 0; i < count && code == ERR_OK; i++)
        code = worker_start(&h->workers[i]);
    if (code != ERR_OK)
        err_set(&l->e, code, "no memory for %u workers", count);
    return code;
}

/* Whether every worker has come past `stage`. */
static bool life_all_past(struct host *h, enum worker_stage stage)
{
    bool all = true;
    pthread_mutex_lock(&h->mutex);
    for (uint16_t i = 0; i < h->worker_count; i++)
        all = all && (h->workers[i].stage > stage || !h->workers[i].running);
    pthread_mutex_unlock(&h->mutex);
    return all;
}

/* The first of the worst outcomes. */
static const struct hg_host *life_worst(struct host *h)
{
    const struct hg_host *worst = &h->workers[0];
    for (uint16_t i = 1; i < h->worker_count; i++)
        if (h->workers[i].outcome > worst->outcome)
            worst = &h->workers[i];
    return worst;
}

static void life_tell_opened(struct life *l)
{
    struct host *h = &l->h;
    l->opened = true;
    if (life_stopping(l))
        return;
    const struct hg_host *worst = life_worst(h);
    if (worst->outcome == HG_OPEN_OK) {
        tell_ready(h);
        return;
    }
    tell_outcome(h, WIRE_OPEN_FAILED, worst->lane, 0, worst->outcome, worst->reason);
    life_stop(h);
}

static void life_join_workers(struct host *h)
{
    for (uint16_t i = 0; i < h->worker_count; i++)
        if (h->workers[i].running)
            pthread_join(h->workers[i].thread, NULL);
    if (h->started == HG_OPEN_OK && h->calls.stop != NULL)
        h->calls.stop();
    chain_stop(h);
}

static void life_free_workers(struct host *h)
{
    for (uint16_t i = 0; i < h->worker_count; i++)
        worker_fini(&h->workers[i]);
    if (h->workers != NULL)
        worker_fini(&h->self);
    h->worker_count = 0;
    free(h->workers);
    h->workers = NULL;
}

static int life_work(struct life *l)
{
    int code = life_make_workers(l);
    if (code != ERR_OK)
        life_stop(&l->h);
    for (;;) {
        if (!l->opened && life_all_past(&l->h, WORKER_OPENING))
            life_tell_opened(l);
        if (life_all_past(&l->h, WORKER_FAILED))
            break;
        life_turn(l, INT64_MAX);
    }
    life_join_workers(&l->h);
    life_free_workers(&l->h);
    return code;
}

/* --- all of it --- */

static int life_init(struct life *l)
{
    struct host *h = &l->h;
    int flags = fcntl(WIRE_CHANNEL_FD, F_GETFL);
    (void)fcntl(WIRE_CHANNEL_FD, F_SETFL, flags & ~O_NONBLOCK);
    (void)fcntl(WIRE_CHANNEL_FD, F_SETFD, FD_CLOEXEC);
    l->limit = INT64_MAX;
    h->lock = -1;
    outlet_init(&h->outlet, WIRE_CHANNEL_FD);
    shelf_init(&h->shelf);
    tally_init(&h->tally);
    pthread_mutex_init(&h->mutex, NULL);
    atomic_init(&h->stopping, false);
    hostlog_setup();
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return h->wake < 0 ? err_errno(&l->e, errno, "no eventfd") : crash_install(WIRE_CHANNEL_FD);
}

static void life_fini(struct life *l)
{
    struct host *h = &l->h;
    tally_fini(&h->tally);
    shelf_fini(&h->shelf);
    outlet_fini(&h->outlet);
    pthread_mutex_destroy(&h->mutex);
    if (h->wake >= 0)
        sys->close(h->wake);
    setup_fini(&h->setup);
}

static int life_live(struct life *l)
{
    struct host *h = &l->h;
    l->refusal = HG_OPEN_BROKEN;
    int code = life_read_setup(l);
    if (code != ERR_OK)
        return code;
    life_quiet(&h->setup);
    h->state_len = h->setup.state_len < sizeof h->state ? h->setup.state_len : sizeof h->state;
    if (h->state_len > 0)
        memcpy(h->state, h->setup.state, h->state_len);
    code = life_load(l);
    if (code != ERR_OK)
        return code;
    l->refusal = HG_OPEN_NOT_NOW;
    return life_work(l);
}

int life_run(void)
{
    static struct life l; /* reachable to the end: plugins keep pointers into the configuration */
    int code = life_init(&l);
    if (code == ERR_OK)
        code = life_live(&l);
    if (err_passes(code))
        l.refusal = HG_OPEN_NOT_NOW; /* no fault of the plugin's */
    if (code != ERR_OK && code != ERR_CLOSED)
        tell_outcome(&l.h, WIRE_OPEN_FAILED, 0, 0, l.refusal == 0 ? HG_OPEN_NOT_NOW : l.refusal, l.e.text);
    life_fini(&l);
    return l.status;
}

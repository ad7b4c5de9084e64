/* The kit itself: a host in one struct. Rows live in it until it is freed, so pointers handed to a plugin hold longer
 * than a real host's do; to catch a plugin that keeps them, each push works on copies that are freed when it returns
 * (run the test under AddressSanitizer). */
#include "testkit.h"

#include "testkit_inner.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- the plugin --- */

int kit_fault(struct testkit *kit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(kit->host.fault, sizeof(kit->host.fault), format, args);
    va_end(args);
    return 0;
}

static const char *processor_refused(const struct hg_processor *p)
{
    if (!p || p->size != sizeof(*p))
        return "it is not a processor";
    return p->open && p->close && p->process ? NULL : "it lacks open, close or process";
}

static const char *puller_refused(const struct hg_puller *p)
{
    if (!p || p->size != sizeof(*p))
        return "it is not a puller";
    return p->open && p->close && p->pull ? NULL : "it lacks open, close or pull";
}

static const char *plugin_refused(const struct hg_plugin *p)
{
    if (!p)
        return "hg_plugin() returned nothing";
    if (p->abi_major != HG_ABI_MAJOR || p->abi_minor > HG_ABI_MINOR)
        return "it was built for another ABI";
    if (p->size != sizeof(*p) || p->option_size != sizeof(struct hg_option))
        return "its sizes are not those of this header";
    if (p->kind == HG_PROCESSOR)
        return processor_refused(p->processor);
    if (p->kind == HG_PULLER)
        return puller_refused(p->puller);
    if (p->kind != HG_PUSHER || !p->pusher || p->pusher->size != sizeof(*p->pusher))
        return "it is not a pusher, a processor or a puller";
    if (!p->pusher->open || !p->pusher->close || !p->pusher->push)
        return "it lacks open, close or push";
    return NULL;
}

struct testkit *testkit_link(const struct hg_plugin *(*entry)(void))
{
    const struct hg_plugin *plugin = entry();
    const char *refused = plugin_refused(plugin);
    struct testkit *kit = refused ? NULL : calloc(1, sizeof(*kit));
    if (!kit) {
        fprintf(stderr, "testkit: %s\n", refused ? refused : "no memory");
        return NULL;
    }
    kit->plugin = plugin;
    kit->received = 1769860800000000;
    kit->time_left = 30000;
    kit->origin = HG_LIVE;
    kit->attempt = 1;
    kit->emit_most = EMIT_MOST;
    kit->host.stop_at = -1;
    kit->host.kit = kit;
    pthread_mutex_init(&kit->host.lock, NULL);
    pthread_cond_init(&kit->host.settled_one, NULL);
    return kit;
}

struct testkit *testkit_load(const char *path)
{
    union { /* POSIX has them the same size; C has no conversion between them */
        void *object;
        const struct hg_plugin *(*entry)(void);
    } symbol;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    symbol.object = library ? dlsym(library, "hg_plugin") : NULL;
    if (!symbol.object) {
        fprintf(stderr, "testkit: %s\n", dlerror());
        if (library)
            dlclose(library);
        return NULL;
    }
    struct testkit *kit = testkit_link(symbol.entry);
    if (kit)
        kit->library = library;
    else
        dlclose(library);
    return kit;
}

void testkit_set(struct testkit *kit, const char *name, const char *value)
{
    size_t i = 0;
    while (i < kit->setting_count && strcmp(kit->settings[i].name, name) != 0)
        i++;
    if (i == SETTINGS_MAX)
        return;
    if (i == kit->setting_count)
        kit->settings[kit->setting_count++].name = strdup(name);
    free(kit->settings[i].value);
    kit->settings[i].value = strdup(value ? value : "");
}

static void logs_drop(struct hg_host *host)
{
    for (size_t i = 0; i < host->log_count; i++)
        free(host->logs[i]);
    for (size_t i = 0; i < host->counter_count; i++)
        free(host->counters[i]);
    host->log_count = host->counter_count = 0;
}

/* What the kinds have in common. */
struct callbacks {
    int (*start)(struct hg_host *host, const struct hg_api *api, const void *config);
    void (*stop)(void);
    int (*open)(struct hg_host *host, const struct hg_api *api, const void *config, void **state);
    void (*close)(void *state);
    void (*reopen)(void *state);
    int (*probe)(void *state);
};

static struct callbacks callbacks_of(const struct hg_plugin *p)
{
    const struct hg_processor *change = p->processor;
    const struct hg_puller *in = p->puller;
    const struct hg_pusher *out = p->pusher;
    if (p->kind == HG_PROCESSOR)
        return (struct callbacks){change->start, change->stop, change->open, change->close, NULL, NULL};
    if (p->kind == HG_PULLER)
        return (struct callbacks){in->start, in->stop, in->open, in->close, in->reopen, in->probe};
    return (struct callbacks){out->start, out->stop, out->open, out->close, out->reopen, out->probe};
}

int testkit_start(struct testkit *kit)
{
    const struct callbacks p = callbacks_of(kit->plugin);
    testkit_stop(kit);
    logs_drop(&kit->host);
    kit->host.fault[0] = '\0';
    kit->host.time_left = kit->time_left;
    kit->host.waited = 0;
    kit->notified = 0;
    int rc = HG_OPEN_BROKEN;
    if (kit_config_fill(&kit->config, kit->plugin, kit->settings, kit->setting_count, kit->host.fault,
                        sizeof(kit->host.fault)))
        rc = p.start ? p.start(&kit->host, &kit_api, kit->config.bytes) : HG_OPEN_OK;
    kit->started = rc == HG_OPEN_OK;
    if (kit->started)
        rc = p.open(&kit->host, &kit_api, kit->config.bytes, &kit->worker);
    kit->opened = kit->started && rc == HG_OPEN_OK;
    if (!kit->opened)
        testkit_stop(kit);
    else if (kit->plugin->kind == HG_PULLER)
        kit_notify(kit);
    return rc;
}

void testkit_stop(struct testkit *kit)
{
    const struct callbacks p = callbacks_of(kit->plugin);
    testkit_overdue(kit);
    if (kit->opened)
        p.close(kit->worker);
    if (kit->started && p.stop)
        p.stop();
    kit->opened = kit->started = 0;
    kit->worker = NULL;
    kit_config_fini(&kit->config);
}

/* --- pushes --- */

/* As the host takes it: what was not judged. */
static void verdicts_finish(struct testkit *kit, int result)
{
    pthread_mutex_lock(&kit->host.lock);
    kit->forgotten = 0;
    for (size_t i = 0; i < kit->count; i++) {
        struct verdict *v = &kit->verdicts[i];
        if (v->verdict != 0)
            continue;
        v->verdict = result == HG_ALL_OK ? HG_OK : result == HG_JUDGED ? HG_RETRY : 0;
        kit->forgotten += result == HG_JUDGED;
    }
    pthread_mutex_unlock(&kit->host.lock);
}

/* As the host: nothing more comes until the rest is settled. */
static void window_flush(struct testkit *kit)
{
    pthread_mutex_lock(&kit->host.lock);
    size_t later = kit_later(kit);
    uint64_t token = kit->token;
    pthread_mutex_unlock(&kit->host.lock);
    if (later > 0 && testkit_flush(kit) == HG_NOT_NOW)
        kit_api.settle_not_now(&kit->host, token, 0, kit->host.fault);
    if (later == 0)
        kit_window_close(kit, 0);
}

int testkit_await(struct testkit *kit, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&kit->host.lock);
    int waiting = 1;
    while (waiting && kit_later(kit) > 0)
        waiting = pthread_cond_timedwait(&kit->host.settled_one, &kit->host.lock, &until) == 0;
    size_t later = kit_later(kit);
    pthread_mutex_unlock(&kit->host.lock);
    if (later == 0)
        kit_window_close(kit, 0);
    return later == 0;
}

void testkit_overdue(struct testkit *kit)
{
    kit_window_close(kit, HG_RETRY);
}

int testkit_push(struct testkit *kit, size_t first, size_t count)
{
    if (!kit->opened || !kit->plugin->pusher || first > kit->row_count || count > kit->row_count - first)
        return kit_fault(kit, "not started, no pusher, or no such rows");
    testkit_overdue(kit);
    free(kit->verdicts);
    kit->verdicts = calloc(count + 1, sizeof(*kit->verdicts));
    struct hg_rows rows = {kit, calloc(count + 1, sizeof(struct hg_row)), 0, kit->verdicts};
    int ok = rows.rows && rows.verdicts;
    kit->first = first;
    kit->count = ok ? count : 0;
    kit->push_reason[0] = '\0';
    kit->push_after = 0;
    kit->host.time_left = kit->time_left;
    while (ok && rows.count < count) {
        ok = kit_row_copy(kit, &kit->rows[first + rows.count], &rows.rows[rows.count]);
        rows.count++;
    }
    int result = ok ? kit->plugin->pusher->push(kit->worker, &rows) : kit_fault(kit, "no memory");
    verdicts_finish(kit, result);
    window_flush(kit);
    for (size_t i = 0; i < rows.count; i++)
        kit_row_fini(&rows.rows[i]);
    free(rows.rows);
    return result;
}

int testkit_flush(struct testkit *kit)
{
    return kit->opened && kit->plugin->pusher && kit->plugin->pusher->flush ? kit->plugin->pusher->flush(kit->worker)
                                                                            : 0;
}

int testkit_probe(struct testkit *kit)
{
    const struct callbacks p = callbacks_of(kit->plugin);
    kit->host.fault[0] = '\0';
    return kit->opened && p.probe ? p.probe(kit->worker) : 0;
}

int testkit_reopen(struct testkit *kit)
{
    const struct callbacks p = callbacks_of(kit->plugin);
    if (!kit->opened || !p.reopen)
        return 0;
    p.reopen(kit->worker);
    return 1;
}

/* --- looking and setting --- */

static const struct verdict *verdict_of(const struct testkit *kit, size_t row)
{
    static const struct verdict none;
    return row >= kit->first && row - kit->first < kit->count ? &kit->verdicts[row - kit->first] : &none;
}

uint32_t testkit_verdict(const struct testkit *kit, size_t row)
{
    struct hg_host *host = (struct hg_host *)(uintptr_t)&kit->host; /* its lock is not part of what is looked at */
    pthread_mutex_lock(&host->lock);
    uint32_t verdict = verdict_of(kit, row)->verdict;
    pthread_mutex_unlock(&host->lock);
    return verdict;
}

const char *testkit_reason(const struct testkit *kit, size_t row)
{
    return verdict_of(kit, row)->reason;
}

int64_t testkit_after(const struct testkit *kit, size_t row)
{
    return verdict_of(kit, row)->after;
}

const char *testkit_push_reason(const struct testkit *kit)
{
    return kit->push_reason;
}

int64_t testkit_push_after(const struct testkit *kit)
{
    return kit->push_after;
}

size_t testkit_forgotten(const struct testkit *kit)
{
    return kit->forgotten;
}

const char *testkit_fault(const struct testkit *kit)
{
    return kit->host.fault;
}

size_t testkit_row_count(const struct testkit *kit)
{
    return kit->row_count;
}

const char *testkit_row_id(const struct testkit *kit, size_t row)
{
    return row < kit->row_count ? kit->rows[row].id : "";
}

void testkit_received(struct testkit *kit, int64_t microseconds)
{
    kit->received = microseconds;
}

void testkit_client(struct testkit *kit, const char *client)
{
    snprintf(kit->client, sizeof(kit->client), "%s", client);
}

void testkit_origin(struct testkit *kit, uint32_t origin)
{
    kit->origin = origin;
}

void testkit_attempt(struct testkit *kit, uint32_t attempt)
{
    kit->attempt = attempt;
}

const void *testkit_state(const struct testkit *kit, size_t *len)
{
    *len = kit->host.state_len;
    return *len ? kit->host.state : NULL;
}

void testkit_state_put(struct testkit *kit, const void *state, size_t len)
{
    kit->host.state_len = 0;
    if (len > 0)
        kit_state_put(&kit->host, state, len);
}

void testkit_settle(struct testkit *kit, size_t row)
{
    memset(kit->host.settled, 0, sizeof(kit->host.settled));
    if (row > 0 && row <= kit->row_count) /* just behind the row before it, which need not be of the same set */
        snprintf(kit->host.settled, sizeof(kit->host.settled), "%s+", kit->rows[row - 1].id);
}

void testkit_time_left(struct testkit *kit, int64_t ms)
{
    kit->time_left = ms;
}

int64_t testkit_waited(const struct testkit *kit)
{
    return kit->host.waited;
}

void testkit_stopping(struct testkit *kit, int stopping)
{
    pthread_mutex_lock(&kit->host.lock);
    kit->host.stopping = stopping;
    kit->host.stop_at = -1;
    pthread_mutex_unlock(&kit->host.lock);
}

void testkit_stop_after(struct testkit *kit, int64_t ms)
{
    pthread_mutex_lock(&kit->host.lock);
    kit->host.stop_at = kit->host.waited + ms;
    kit_stop_check(&kit->host);
    pthread_mutex_unlock(&kit->host.lock);
}

const char *testkit_log(const struct testkit *kit, size_t n, uint32_t *level)
{
    if (n >= kit->host.log_count)
        return NULL;
    if (level)
        *level = kit->host.levels[n];
    return kit->host.logs[n];
}

uint64_t testkit_counter(const struct testkit *kit, const char *name)
{
    size_t i = kit_counter_find(&kit->host, name);
    return i < kit->host.counter_count ? kit->host.counted[i] : 0;
}

void testkit_free(struct testkit **kit)
{
    struct testkit *k = *kit;
    if (!k)
        return;
    testkit_stop(k);
    kit_made_drop(k);
    kit_rows_cut(k, 0);
    for (size_t i = 0; i < k->setting_count; i++) {
        free(k->settings[i].name);
        free(k->settings[i].value);
    }
    logs_drop(&k->host);
    free(k->rows);
    free(k->verdicts);
    pthread_cond_destroy(&k->host.settled_one);
    pthread_mutex_destroy(&k->host.lock);
    if (k->library)
        dlclose(k->library);
    free(k);
    *kit = NULL;
}

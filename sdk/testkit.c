/* The kit itself: a host in one struct. Rows live in it until it is freed, so pointers handed to a plugin hold longer
 * than a real host's do; to catch a plugin that keeps them, each push works on copies that are freed when it returns
 * (run the test under AddressSanitizer). */
#include "testkit.h"

#include "testkit_inner.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTINGS_MAX = 256, TAGS_MAX = 16, LOGS_MAX = 1000, COUNTERS_MAX = 100, TEXT_SIZE = 1024 };

struct hg_row {
    char id[HG_ROW_ID_SIZE];
    char batch[HG_BATCH_ID_SIZE];
    char *uuid, *data, *client;
    char *tags[TAGS_MAX], *values[TAGS_MAX];
    size_t tag_count;
    uint32_t number;
    int last;
    int64_t index, received;
    uint32_t attempt, origin;
};

struct verdict {
    uint32_t verdict;
    int64_t after;
    char reason[HG_REASON_MAX];
};

struct hg_rows {
    struct testkit *kit;
    struct hg_row *rows; /* copies */
    size_t count;
    struct verdict *verdicts;
};

struct hg_host {
    char state[HG_STATE_MAX];
    size_t state_len;
    char settled[HG_ROW_ID_SIZE + 2]; /* rows with a lower id are settled */
    int64_t time_left;
    int stopping;
    char fault[TEXT_SIZE];
    char *logs[LOGS_MAX];
    uint32_t levels[LOGS_MAX];
    size_t log_count;
    char *counters[COUNTERS_MAX];
    uint64_t counted[COUNTERS_MAX];
    size_t counter_count;
    pthread_mutex_t lock; /* of all that a plugin's other threads may reach */
};

struct testkit {
    struct hg_host host;
    void *library;
    const struct hg_plugin *plugin;
    struct kit_setting settings[SETTINGS_MAX];
    size_t setting_count;
    struct kit_config config;
    int started, opened;
    void *worker;
    struct hg_row *rows;
    size_t row_count, set_count;
    int64_t received, time_left;
    char client[TEXT_SIZE];
    uint32_t origin, attempt;
    struct verdict *verdicts; /* of the last push */
    size_t first, count, forgotten;
    char push_reason[HG_REASON_MAX];
    int64_t push_after;
};

/* --- the table that a plugin is given ------------------------------------------------------------------------------
 */

static struct hg_text text_of(const char *text)
{
    return (struct hg_text){text, text ? strlen(text) : 0};
}

static size_t api_row_count(const struct hg_rows *rows)
{
    return rows->count;
}

static const struct hg_row *api_row(const struct hg_rows *rows, size_t n)
{
    return n < rows->count ? &rows->rows[n] : NULL;
}

static void api_row_id(const struct hg_row *row, char out[HG_ROW_ID_SIZE])
{
    memcpy(out, row->id, HG_ROW_ID_SIZE);
}

static void api_batch_id(const struct hg_row *row, char out[HG_BATCH_ID_SIZE])
{
    memcpy(out, row->batch, HG_BATCH_ID_SIZE);
}

static struct hg_text api_uuid(const struct hg_row *row)
{
    return text_of(row->uuid);
}

static uint32_t api_number(const struct hg_row *row)
{
    return row->number;
}

static int api_last(const struct hg_row *row)
{
    return row->last;
}

static int64_t api_index(const struct hg_row *row)
{
    return row->index;
}

static struct hg_text api_client(const struct hg_row *row)
{
    return text_of(row->client);
}

static int64_t api_received(const struct hg_row *row)
{
    return row->received;
}

static uint32_t api_attempt(const struct hg_row *row)
{
    return row->attempt;
}

static uint32_t api_origin(const struct hg_row *row)
{
    return row->origin;
}

static struct hg_text api_data(const struct hg_row *row)
{
    return text_of(row->data);
}

static struct hg_text api_tag(const struct hg_row *row, const char *name)
{
    for (size_t i = 0; i < row->tag_count; i++)
        if (strcmp(row->tags[i], name) == 0)
            return text_of(row->values[i]);
    return (struct hg_text){NULL, 0};
}

static int api_tag_at(const struct hg_row *row, size_t n, struct hg_text *name, struct hg_text *value)
{
    if (n >= row->tag_count)
        return 0;
    *name = text_of(row->tags[n]);
    *value = text_of(row->values[n]);
    return 1;
}

static int api_field(const struct hg_row *row, const char *key, struct hg_value *out)
{
    return kit_json_field(text_of(row->data), key, out);
}

static void api_judge(struct hg_rows *rows, size_t n, uint32_t verdict, int64_t after_ms, const char *reason)
{
    if (n >= rows->count || verdict < HG_OK || verdict > HG_REJECT || rows->verdicts[n].verdict != 0)
        return; /* the first verdict counts */
    struct verdict *v = &rows->verdicts[n];
    v->verdict = verdict;
    v->after = after_ms;
    snprintf(v->reason, sizeof(v->reason), "%s", reason ? reason : "");
}

static int api_not_now(struct hg_rows *rows, int64_t after_ms, const char *reason)
{
    struct testkit *kit = rows->kit;
    kit->push_after = after_ms;
    snprintf(kit->push_reason, sizeof(kit->push_reason), "%s", reason ? reason : "");
    return HG_NOT_NOW;
}

static const char *api_instance(const struct hg_host *host)
{
    (void)host;
    return "test";
}

static void api_fail(struct hg_host *host, const char *reason)
{
    snprintf(host->fault, sizeof(host->fault), "%s", reason);
}

static void api_log(struct hg_host *host, uint32_t level, const char *text)
{
    pthread_mutex_lock(&host->lock);
    if (host->log_count < LOGS_MAX && (host->logs[host->log_count] = strdup(text)))
        host->levels[host->log_count++] = level;
    pthread_mutex_unlock(&host->lock);
}

static size_t counter_find(const struct hg_host *host, const char *name)
{
    size_t i = 0;
    while (i < host->counter_count && strcmp(host->counters[i], name) != 0)
        i++;
    return i;
}

static void api_count(struct hg_host *host, const char *name, uint64_t add)
{
    pthread_mutex_lock(&host->lock);
    size_t i = counter_find(host, name);
    if (i == host->counter_count && i < COUNTERS_MAX && (host->counters[i] = strdup(name))) {
        host->counted[i] = 0;
        host->counter_count++;
    }
    if (i < host->counter_count)
        host->counted[i] += add;
    pthread_mutex_unlock(&host->lock);
}

/* The lock is not part of what a plugin sees as constant. */
static struct hg_host *host_locked(const struct hg_host *host)
{
    struct hg_host *h = (struct hg_host *)(uintptr_t)host;
    pthread_mutex_lock(&h->lock);
    return h;
}

static int64_t api_time_left(const struct hg_host *host)
{
    struct hg_host *h = host_locked(host);
    int64_t left = h->time_left;
    pthread_mutex_unlock(&h->lock);
    return left;
}

static int api_stopping(const struct hg_host *host)
{
    struct hg_host *h = host_locked(host);
    int stopping = h->stopping;
    pthread_mutex_unlock(&h->lock);
    return stopping;
}

static int api_wait(struct hg_host *host, int64_t ms)
{
    struct hg_host *h = host_locked(host);
    h->time_left -= ms;
    int over = !h->stopping;
    pthread_mutex_unlock(&h->lock);
    return over;
}

static size_t api_state_get(const struct hg_host *host, void *out, size_t size)
{
    size_t len = host->state_len < size ? host->state_len : size;
    memcpy(out, host->state, len);
    return host->state_len;
}

static int api_state_set(struct hg_host *host, const void *state, size_t len)
{
    if (len > HG_STATE_MAX)
        return 0;
    memcpy(host->state, state, len);
    host->state_len = len;
    return 1;
}

static int api_settled(const struct hg_host *host, const char *row_id)
{
    return strcmp(row_id, host->settled) < 0;
}

static const struct hg_api api = {
    .size = sizeof(struct hg_api),
    .abi_minor = HG_ABI_MINOR,
    .row_count = api_row_count,
    .row = api_row,
    .row_id = api_row_id,
    .batch_id = api_batch_id,
    .uuid = api_uuid,
    .number = api_number,
    .last = api_last,
    .index = api_index,
    .client = api_client,
    .received = api_received,
    .attempt = api_attempt,
    .origin = api_origin,
    .data = api_data,
    .tag = api_tag,
    .tag_at = api_tag_at,
    .field = api_field,
    .next = kit_json_next,
    .text = kit_json_text,
    .judge = api_judge,
    .not_now = api_not_now,
    .instance = api_instance,
    .fail = api_fail,
    .log = api_log,
    .count = api_count,
    .time_left = api_time_left,
    .stopping = api_stopping,
    .wait = api_wait,
    .state_get = api_state_get,
    .state_set = api_state_set,
    .settled = api_settled,
};

/* --- the plugin ----------------------------------------------------------------------------------------------------
 */

static int fault(struct testkit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fault(struct testkit *kit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(kit->host.fault, sizeof(kit->host.fault), format, args);
    va_end(args);
    return 0;
}

static const char *plugin_refused(const struct hg_plugin *p)
{
    if (!p)
        return "hg_plugin() returned nothing";
    if (p->abi_major != HG_ABI_MAJOR || p->abi_minor > HG_ABI_MINOR)
        return "it was built for another ABI";
    if (p->size != sizeof(*p) || p->option_size != sizeof(struct hg_option))
        return "its sizes are not those of this header";
    if (p->kind != HG_PUSHER || !p->pusher || p->pusher->size != sizeof(*p->pusher))
        return "it is not a pusher";
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
    pthread_mutex_init(&kit->host.lock, NULL);
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

int testkit_start(struct testkit *kit)
{
    const struct hg_pusher *p = kit->plugin->pusher;
    testkit_stop(kit);
    logs_drop(&kit->host);
    kit->host.fault[0] = '\0';
    kit->host.time_left = kit->time_left;
    int rc = HG_OPEN_BROKEN;
    if (kit_config_fill(&kit->config, kit->plugin, kit->settings, kit->setting_count, kit->host.fault,
                        sizeof(kit->host.fault)))
        rc = p->start ? p->start(&kit->host, &api, kit->config.bytes) : HG_OPEN_OK;
    kit->started = rc == HG_OPEN_OK;
    if (kit->started)
        rc = p->open(&kit->host, &api, kit->config.bytes, &kit->worker);
    kit->opened = kit->started && rc == HG_OPEN_OK;
    if (!kit->opened)
        testkit_stop(kit);
    return rc;
}

void testkit_stop(struct testkit *kit)
{
    const struct hg_pusher *p = kit->plugin->pusher;
    if (kit->opened)
        p->close(kit->worker);
    if (kit->started && p->stop)
        p->stop();
    kit->opened = kit->started = 0;
    kit->worker = NULL;
    kit_config_fini(&kit->config);
}

/* --- rows ----------------------------------------------------------------------------------------------------------
 */

static void row_fini(struct hg_row *row)
{
    free(row->uuid);
    free(row->data);
    free(row->client);
    for (size_t i = 0; i < row->tag_count; i++) {
        free(row->tags[i]);
        free(row->values[i]);
    }
    row->tag_count = 0;
}

static char *span_copy(struct hg_text text)
{
    return strndup(text.ptr, text.len);
}

/* The characters of a JSON string, NULL when it is none. */
static char *string_copy(struct hg_value value)
{
    char *out = value.type == HG_STR ? malloc(value.json.len) : NULL;
    if (out && kit_json_text(value.json, out, value.json.len) < 0) {
        free(out);
        out = NULL;
    }
    return out;
}

static int tags_read(struct hg_row *row, struct hg_text tags)
{
    size_t at = 0;
    struct hg_text key;
    struct hg_value value;
    while (kit_json_next(tags, &at, &key, &value)) {
        if (row->tag_count == TAGS_MAX)
            return 0;
        char *text = string_copy(value);
        if (!text)
            return 0;
        row->values[row->tag_count] = text;
        row->tags[row->tag_count++] = span_copy(key);
    }
    return 1;
}

/* Base 32 in the digits that keep the order, as the gateway's ids. */
static void digits_put(char *out, uint64_t value, int count)
{
    for (int i = count - 1; i >= 0; i--, value >>= 5)
        out[i] = "0123456789abcdefghijklmnopqrstuv"[value & 31];
}

static void ids_put(struct hg_row *row, uint64_t set)
{
    memset(row->batch, 0, sizeof(row->batch));
    memset(row->id, 0, sizeof(row->id));
    snprintf(row->batch, sizeof(row->batch), "01testkit00000000000000000-");
    digits_put(row->batch + 27, (set + 1) * 4096, 13);
    snprintf(row->id, sizeof(row->id), "%.40s-", row->batch);
    digits_put(row->id + 41, row->number, 5);
}

static int row_read(struct testkit *kit, struct hg_row *row, struct hg_text set, struct hg_text object)
{
    struct hg_value uuid, tags, data, index;
    if (!kit_json_field(set, "uuid", &uuid) || !(row->uuid = string_copy(uuid)))
        return fault(kit, "uuid is missing or no string");
    if (kit_json_field(set, "tags", &tags) && !tags_read(row, tags.json))
        return fault(kit, "tags are not at most %d strings", TAGS_MAX);
    if (!kit_json_field(object, "data", &data) || data.type != HG_OBJECT)
        return fault(kit, "data is missing or no object");
    int has_index = kit_json_field(object, "index", &index) && index.type == HG_NUM;
    row->index = has_index ? strtoll(index.json.ptr, NULL, 10) : -1;
    row->data = span_copy(data.json);
    row->client = strdup(kit->client);
    row->received = kit->received;
    ids_put(row, kit->set_count);
    return 1;
}

static int row_add(struct testkit *kit, struct hg_text set, struct hg_text object, uint32_t number)
{
    if ((kit->row_count & (kit->row_count - 1)) == 0) { /* full at powers of two */
        size_t cap = kit->row_count ? kit->row_count * 2 : 1;
        struct hg_row *rows = realloc(kit->rows, cap * sizeof(*rows));
        if (!rows)
            return fault(kit, "no memory");
        kit->rows = rows;
    }
    struct hg_row *row = &kit->rows[kit->row_count];
    *row = (struct hg_row){.number = number};
    if (!row_read(kit, row, set, object)) {
        row_fini(row);
        return 0;
    }
    kit->row_count++;
    return 1;
}

size_t testkit_rows(struct testkit *kit, const char *json)
{
    struct hg_value set, rows, row;
    size_t before = kit->row_count, at = 0;
    uint32_t number = 0;
    struct hg_text key;
    int ok = kit_json_only(text_of(json), &set) && set.type == HG_OBJECT;
    if (ok && kit_json_field(set.json, "rows", &rows) && rows.type == HG_ARRAY)
        while (ok && kit_json_next(rows.json, &at, &key, &row))
            ok = row_add(kit, set.json, row.json, number++);
    else if (ok && kit_json_field(set.json, "row", &row))
        ok = row_add(kit, set.json, row.json, 0);
    else
        ok = fault(kit, "neither {\"uuid\",\"row\"} nor {\"uuid\",\"rows\"}");
    while (!ok && kit->row_count > before)
        row_fini(&kit->rows[--kit->row_count]);
    if (kit->row_count == before)
        return 0;
    kit->rows[kit->row_count - 1].last = 1;
    kit->set_count++;
    return kit->row_count - before;
}

static int row_copy(const struct testkit *kit, const struct hg_row *from, struct hg_row *to)
{
    *to = *from;
    to->uuid = strdup(from->uuid);
    to->data = strdup(from->data);
    to->client = strdup(from->client);
    to->origin = kit->origin;
    to->attempt = kit->attempt;
    int ok = to->uuid && to->data && to->client;
    for (size_t i = 0; i < from->tag_count; i++) {
        to->tags[i] = strdup(from->tags[i]);
        to->values[i] = strdup(from->values[i]);
        ok &= to->tags[i] && to->values[i];
    }
    return ok;
}

/* --- pushes --------------------------------------------------------------------------------------------------------
 */

/* As the host takes it: what was not judged. */
static void verdicts_finish(struct testkit *kit, int result)
{
    kit->forgotten = 0;
    for (size_t i = 0; i < kit->count; i++) {
        struct verdict *v = &kit->verdicts[i];
        if (v->verdict != 0)
            continue;
        v->verdict = result == HG_ALL_OK ? HG_OK : result == HG_JUDGED ? HG_RETRY : 0;
        kit->forgotten += result == HG_JUDGED;
    }
}

int testkit_push(struct testkit *kit, size_t first, size_t count)
{
    if (!kit->opened || first > kit->row_count || count > kit->row_count - first)
        return fault(kit, "not started, or no such rows");
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
        ok = row_copy(kit, &kit->rows[first + rows.count], &rows.rows[rows.count]);
        rows.count++;
    }
    int result = ok ? kit->plugin->pusher->push(kit->worker, &rows) : fault(kit, "no memory");
    verdicts_finish(kit, result);
    for (size_t i = 0; i < rows.count; i++)
        row_fini(&rows.rows[i]);
    free(rows.rows);
    return result;
}

int testkit_flush(struct testkit *kit)
{
    return kit->opened && kit->plugin->pusher->flush ? kit->plugin->pusher->flush(kit->worker) : 0;
}

int testkit_probe(struct testkit *kit)
{
    kit->host.fault[0] = '\0';
    return kit->opened && kit->plugin->pusher->probe ? kit->plugin->pusher->probe(kit->worker) : 0;
}

int testkit_reopen(struct testkit *kit)
{
    if (!kit->opened || !kit->plugin->pusher->reopen)
        return 0;
    kit->plugin->pusher->reopen(kit->worker);
    return 1;
}

/* --- looking and setting -------------------------------------------------------------------------------------------
 */

static const struct verdict *verdict_of(const struct testkit *kit, size_t row)
{
    static const struct verdict none;
    return row >= kit->first && row - kit->first < kit->count ? &kit->verdicts[row - kit->first] : &none;
}

uint32_t testkit_verdict(const struct testkit *kit, size_t row)
{
    return verdict_of(kit, row)->verdict;
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
        api_state_set(&kit->host, state, len);
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

void testkit_stopping(struct testkit *kit, int stopping)
{
    pthread_mutex_lock(&kit->host.lock);
    kit->host.stopping = stopping;
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
    size_t i = counter_find(&kit->host, name);
    return i < kit->host.counter_count ? kit->host.counted[i] : 0;
}

void testkit_free(struct testkit **kit)
{
    struct testkit *k = *kit;
    if (!k)
        return;
    testkit_stop(k);
    for (size_t i = 0; i < k->row_count; i++)
        row_fini(&k->rows[i]);
    for (size_t i = 0; i < k->setting_count; i++) {
        free(k->settings[i].name);
        free(k->settings[i].value);
    }
    logs_drop(&k->host);
    free(k->rows);
    free(k->verdicts);
    pthread_mutex_destroy(&k->host.lock);
    if (k->library)
        dlclose(k->library);
    free(k);
    *kit = NULL;
}

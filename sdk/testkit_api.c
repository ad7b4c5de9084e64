/* Every function of struct hg_api, on a host that is one struct in memory. What a plugin may call from threads of its
 * own takes the lock. */
#include "testkit_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    return kit_text(row->uuid);
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
    return kit_text(row->client);
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
    return kit_text(row->data);
}

static struct hg_text api_tag(const struct hg_row *row, const char *name)
{
    for (size_t i = 0; i < row->tag_count; i++)
        if (strcmp(row->tags[i], name) == 0)
            return kit_text(row->values[i]);
    return (struct hg_text){NULL, 0};
}

static int api_tag_at(const struct hg_row *row, size_t n, struct hg_text *name, struct hg_text *value)
{
    if (n >= row->tag_count)
        return 0;
    *name = kit_text(row->tags[n]);
    *value = kit_text(row->values[n]);
    return 1;
}

static int api_field(const struct hg_row *row, const char *key, struct hg_value *out)
{
    return kit_json_field(kit_text(row->data), key, out);
}

/* The first verdict counts, and HG_LATER is none yet. With the lock held. */
static int verdict_put(struct verdict *v, uint32_t verdict, int64_t after_ms, const char *reason)
{
    if (v->verdict != 0 && (v->verdict != HG_LATER || verdict == HG_LATER))
        return 0;
    v->verdict = verdict;
    v->after = after_ms;
    snprintf(v->reason, sizeof(v->reason), "%s", reason ? reason : "");
    return 1;
}

static void api_judge(struct hg_rows *rows, size_t n, uint32_t verdict, int64_t after_ms, const char *reason)
{
    struct testkit *kit = rows->kit;
    pthread_mutex_lock(&kit->host.lock);
    uint32_t most = kit->token != 0 ? HG_LATER : HG_REJECT;
    if (n < rows->count && verdict >= HG_OK && verdict <= most)
        verdict_put(&rows->verdicts[n], verdict, after_ms, reason);
    pthread_mutex_unlock(&kit->host.lock);
}

static int api_not_now(struct hg_rows *rows, int64_t after_ms, const char *reason)
{
    struct testkit *kit = rows->kit;
    kit->push_after = after_ms;
    snprintf(kit->push_reason, sizeof(kit->push_reason), "%s", reason ? reason : "");
    return HG_NOT_NOW;
}

/* --- later --- */

size_t kit_later(const struct testkit *kit)
{
    size_t later = 0;
    for (size_t i = 0; i < kit->count; i++)
        later += kit->verdicts[i].verdict == HG_LATER;
    return later;
}

void kit_window_close(struct testkit *kit, uint32_t rest)
{
    pthread_mutex_lock(&kit->host.lock);
    for (size_t i = 0; kit->token != 0 && i < kit->count; i++) {
        struct verdict *v = &kit->verdicts[i];
        if (v->verdict == HG_LATER)
            v->verdict = rest;
    }
    kit->token = 0;
    pthread_mutex_unlock(&kit->host.lock);
}

static uint64_t api_later(struct hg_rows *rows)
{
    struct testkit *kit = rows->kit;
    pthread_mutex_lock(&kit->host.lock);
    if (kit->token == 0)
        kit->token = ++kit->last_token;
    uint64_t token = kit->token;
    pthread_mutex_unlock(&kit->host.lock);
    return token;
}

static int api_settle(struct hg_host *host, uint64_t token, size_t n, uint32_t verdict, int64_t after_ms,
                      const char *reason)
{
    struct testkit *kit = host->kit;
    pthread_mutex_lock(&host->lock);
    int counts = token != 0 && token == kit->token && n < kit->count && verdict >= HG_OK && verdict <= HG_REJECT &&
                 verdict_put(&kit->verdicts[n], verdict, after_ms, reason);
    pthread_cond_broadcast(&host->settled_one);
    pthread_mutex_unlock(&host->lock);
    return counts;
}

static int api_settle_not_now(struct hg_host *host, uint64_t token, int64_t after_ms, const char *reason)
{
    struct testkit *kit = host->kit;
    pthread_mutex_lock(&host->lock);
    int counts = token != 0 && token == kit->token;
    if (counts) {
        kit->push_after = after_ms;
        snprintf(kit->push_reason, sizeof(kit->push_reason), "%s", reason ? reason : "");
    }
    pthread_mutex_unlock(&host->lock);
    if (counts)
        kit_window_close(kit, 0);
    pthread_cond_broadcast(&host->settled_one);
    return counts;
}

/* --- the host --- */

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

size_t kit_counter_find(const struct hg_host *host, const char *name)
{
    size_t i = 0;
    while (i < host->counter_count && strcmp(host->counters[i], name) != 0)
        i++;
    return i;
}

static void api_count(struct hg_host *host, const char *name, uint64_t add)
{
    pthread_mutex_lock(&host->lock);
    size_t i = kit_counter_find(host, name);
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

void kit_stop_check(struct hg_host *host)
{
    if (host->stop_at < 0 || host->waited < host->stop_at)
        return;
    host->time_left += host->waited - host->stop_at; /* the wait was cut short */
    host->waited = host->stop_at;
    host->stop_at = -1;
    host->stopping = 1;
}

static int api_wait(struct hg_host *host, int64_t ms)
{
    struct hg_host *h = host_locked(host);
    h->time_left -= ms;
    h->waited += ms;
    kit_stop_check(h);
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

int kit_state_put(struct hg_host *host, const void *state, size_t len)
{
    if (len > HG_STATE_MAX)
        return 0;
    memcpy(host->state, state, len);
    host->state_len = len;
    return 1;
}

static int api_state_set(struct hg_host *host, const void *state, size_t len)
{
    return host->kit->plugin->kind == HG_PUSHER && kit_state_put(host, state, len);
}

static int api_settled(const struct hg_host *host, const char *row_id)
{
    return strcmp(row_id, host->settled) < 0;
}

const struct hg_api kit_api = {
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
    .later = api_later,
    .settle = api_settle,
    .settle_not_now = api_settle_not_now,
    .set_data = kit_set_data,
    .set_tag = kit_set_tag,
    .emit = kit_emit,
};

/* batch: posts all rows of a push as one request of NDJSON. When the far end refuses the lot without saying which row
 * it was, the lot is sent again in halves, until the guilty one stands alone.
 *
 * Order: rows are sent from the front, and nothing is sent behind one that the far end could not take now. */
#include "common/curlhandle.h"
#include "common/http_client.h"
#include "common/http_status.h"
#include "common/rowline.h"

#include <headgate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *url, *token;
    int64_t timeout;
};

struct worker {
    struct hg_host *host;
    const struct hg_api *api;
    struct http_client *client;
    struct http_answer answer;
    struct strbuf body;
};

enum { ANSWER_MAX = 64 << 10 };

static const size_t body_max = (size_t)256 << 20;

static int batch_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (curlhandle_global_start() == 0)
        return HG_OPEN_OK;
    api->fail(host, "no memory for HTTP");
    return HG_OPEN_NOT_NOW;
}

static int batch_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    const struct http_settings settings = {
        .url = c->url, .token = c->token, .verify = 1, .connect_ms = c->timeout, .request_ms = c->timeout};
    char why[256] = "no memory";
    int broken = 0;
    struct worker *w = calloc(1, sizeof *w);
    if (w != NULL)
        w->client = http_client_new(&settings, host, api, why, sizeof why, &broken);
    if (w == NULL || w->client == NULL) {
        free(w);
        api->fail(host, why);
        return broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
    }
    w->host = host;
    w->api = api;
    strbuf_init(&w->body, body_max);
    http_answer_init(&w->answer, ANSWER_MAX);
    *state = w;
    return HG_OPEN_OK;
}

static void batch_close(void *state)
{
    struct worker *w = state;
    http_client_free(&w->client);
    http_answer_fini(&w->answer);
    strbuf_fini(&w->body);
    free(w);
}

/* Rows `first` to `end` in one request; what its answer means. */
static enum http_meaning post(struct worker *w, struct hg_rows *rows, size_t first, size_t end)
{
    char key[HG_ROW_ID_SIZE], line[HG_ROW_ID_SIZE + 64];
    const char *fields[] = {"Content-Type: application/x-ndjson", line};
    strbuf_clear(&w->body);
    for (size_t n = first; n < end; n++) {
        rowline_add(&w->body, w->api, w->api->row(rows, n));
        strbuf_addc(&w->body, '\n');
    }
    w->api->row_id(w->api->row(rows, first), key);
    snprintf(line, sizeof line, "Idempotency-Key: %s.%zu", key, end - first);
    const struct http_request request = {
        .method = "POST", .body = w->body.ptr, .len = w->body.len, .fields = fields, .field_count = 2};
    if (w->body.failed || http_client_send(w->client, &request, &w->answer) != 0)
        return HTTP_NOT_NOW;
    return http_status_meaning(w->answer.status);
}

static void explain(struct worker *w, char out[400])
{
    const char *body = strbuf_str(&w->answer.body);
    if (w->answer.status != 0)
        snprintf(out, 400, "%ld %s: %.300s", w->answer.status, http_status_text(w->answer.status), body);
    else
        snprintf(out, 400, "%.300s", w->answer.error);
}

/* 1: every one of these rows has its verdict; 0: not now. */
static int deliver(struct worker *w, struct hg_rows *rows, size_t first, size_t end)
{
    char why[400];
    switch (post(w, rows, first, end)) {
    case HTTP_DELIVERED:
        for (size_t n = first; n < end; n++)
            w->api->judge(rows, n, HG_OK, 0, NULL);
        return 1;
    case HTTP_GUILTY:
        if (end - first > 1)
            return deliver(w, rows, first, first + (end - first) / 2) &&
                   deliver(w, rows, first + (end - first) / 2, end);
        explain(w, why);
        w->api->judge(rows, first, HG_REJECT, 0, why);
        return 1;
    case HTTP_NOT_NOW: break;
    }
    return 0;
}

static int batch_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    char why[400];
    if (deliver(w, rows, 0, w->api->row_count(rows)))
        return HG_JUDGED;
    explain(w, why);
    return w->api->not_now(rows, w->answer.retry_after, why);
}

static int batch_probe(void *state)
{
    struct worker *w = state;
    const struct http_request request = {.method = "OPTIONS"};
    if (http_client_send(w->client, &request, &w->answer) == 0)
        return HG_OPEN_OK; /* somebody is there */
    w->api->fail(w->host, w->answer.error);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_option options[] = {
    {.name = "URL",
     .type = HG_URL,
     .flags = HG_REQUIRED,
     .text = "Where rows are posted.",
     .offset = offsetof(struct config, url)},
    {.name = "TOKEN",
     .type = HG_STRING,
     .flags = HG_SECRET,
     .text = "Bearer token of each request.",
     .offset = offsetof(struct config, token)},
    {.name = "REQUEST_TIMEOUT",
     .type = HG_DURATION,
     .fallback = "10s",
     .limits = "100ms..10m",
     .text = "How long a request may take.",
     .offset = offsetof(struct config, timeout)},
};

static const struct hg_pusher pusher = {
    .size = sizeof pusher,
    .start = batch_start,
    .stop = curlhandle_global_stop,
    .open = batch_open,
    .close = batch_close,
    .push = batch_push,
    .probe = batch_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof plugin,
    .kind = HG_PUSHER,
    .name = "batch",
    .version = "1.0",
    .summary = "Posts rows to an address, many in one request.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .option_size = sizeof *options,
    .config_size = sizeof(struct config),
    .pusher = &pusher,
};

const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

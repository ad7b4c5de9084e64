/* elasticsearch: rows as documents into Elasticsearch or OpenSearch.
 *
 * A push goes in _bulk requests of some rows each. Each row is judged by its own item of the answer. A request that is
 * refused as a whole (too large, or not understood) is halved until the guilty row stands alone. */
#include "headgate.h"

#include "bulk.h"
#include "place.h"

#include "common/curlhandle.h"
#include "common/gzip.h"
#include "common/http_status.h"
#include "common/oauth.h"
#include "common/pushtime.h"

#include <stdio.h>
#include <stdlib.h>

struct config {
    const char *url, *index, *mapping, *user, *password, *api_key, *token, *ca, *cert, *key, *proxy;
    struct hg_map headers;
    int32_t verify, compress;
    int64_t connect_timeout, request_timeout;
    struct oauth_settings oauth;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"URL", HG_URL, HG_REQUIRED, NULL, NULL, "Address of the server.", NULL, AT(url)},
    {"INDEX", HG_STRING, 0, "rows", NULL, "Name of the index; a template.", NULL, AT(index)},
    {"MAPPING", HG_PATH, HG_READ, NULL, NULL,
     "File with a mapping (JSON), of which an index template for INDEX is made once.", NULL, AT(mapping)},
    {"USER", HG_STRING, 0, NULL, NULL, "User name for basic authentication.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password for basic authentication.", NULL, AT(password)},
    {"API_KEY", HG_STRING, HG_SECRET, NULL, NULL, "Sent as Authorization: ApiKey.", NULL, AT(api_key)},
    {"TOKEN", HG_STRING, HG_SECRET, NULL, NULL, "Sent as Authorization: Bearer.", NULL, AT(token)},
    {"HEADERS", HG_MAP, HG_SECRET, NULL, NULL, "More header fields, as name=value with commas between.", NULL,
     AT(headers)},
    {"COMPRESS", HG_CHOICE, 0, "none", "none|gzip", "Packs the requests.", NULL, AT(compress)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the server's certificate is checked.", NULL, AT(verify)},
    {"PROXY", HG_STRING, 0, NULL, NULL, "Proxy to go through; none is taken from the environment.", NULL, AT(proxy)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting may take.", NULL, AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long one request may take; never longer than the pusher's TIMEOUT allows.", NULL, AT(request_timeout)},
    OAUTH_OPTIONS(struct config),
};

enum {
    WHY_SIZE = 1000,
    ROWS_MOST = 5000,
    BYTES_MOST = 10 << 20, /* the servers advise 5 to 15 MB */
    ANSWER_MOST = 16 << 20,
    TEXT_MOST = 1 << 30,
    REQUEST_MIN_MS = 200,
    FIELDS_MOST = 4,
};

struct elastic {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    struct http_client *client;
    struct oauth *oauth; /* NULL: no tokens */
    struct template *index;
    char *bulk_url, *key_line; /* Authorization: ApiKey …, or NULL */
    struct strbuf text, packed;
    struct http_answer answer;
};

/* --- requests --- */

static int bulk_send(struct elastic *e, const struct strbuf *body, int packed)
{
    const char *fields[FIELDS_MOST] = {"Content-Type: application/x-ndjson", "Accept: application/json"};
    struct http_request request = {"POST", body->ptr, body->len, fields, 2, e->bulk_url};
    if (packed)
        fields[request.field_count++] = "Content-Encoding: gzip";
    if (e->key_line)
        fields[request.field_count++] = e->key_line;
    return http_client_send(e->client, &request, &e->answer);
}

static int range_send(struct elastic *e, const struct hg_rows *rows, struct range r)
{
    int pack = e->config->compress;
    bulk_build(&e->text, e->index, e->api, rows, r);
    if (e->text.failed || (pack && gzip_pack(&e->packed, &e->text) != 0)) {
        snprintf(e->answer.error, sizeof(e->answer.error), "no memory for the rows");
        return -1;
    }
    return bulk_send(e, pack ? &e->packed : &e->text, pack);
}

/* The answer to the rows of a range. HG_JUDGED: go on. */
static int range_judge(struct elastic *e, struct hg_rows *rows, struct ranges *ranges, struct range r)
{
    char reason[BULK_REASON_SIZE];
    http_answer_reason(&e->answer, reason, sizeof(reason));
    switch (http_status_meaning(e->answer.status)) {
    case HTTP_NOT_NOW: break;
    case HTTP_GUILTY:
        if (bulk_stranger(&e->answer))
            break;
        if (!ranges_halve(ranges, r))
            e->api->judge(rows, r.from, HG_REJECT, 0, reason);
        return HG_JUDGED;
    case HTTP_DELIVERED:
        switch (bulk_judge(&e->answer, e->api, rows, r, reason)) {
        case BULK_JUDGED: return HG_JUDGED;
        case BULK_WAITS: break;
        case BULK_UNREADABLE: return e->api->not_now(rows, 0, "the answer is not that of a _bulk request");
        }
    }
    return e->api->not_now(rows, e->answer.retry_after, reason);
}

/* How many rows from `from` on make one request. */
static size_t slice_end(const struct elastic *e, const struct hg_rows *rows, size_t from, size_t count)
{
    size_t bytes = 0, to = from;
    while (to < count && to - from < ROWS_MOST) {
        bytes += e->api->data(e->api->row(rows, to)).len + HG_ROW_ID_SIZE;
        if (bytes > BYTES_MOST && to > from)
            break;
        to++;
    }
    return to;
}

static int slice_deliver(struct elastic *e, struct hg_rows *rows, size_t from, size_t to)
{
    struct ranges ranges;
    struct range r;
    int result = HG_JUDGED;
    ranges_start(&ranges, from, to);
    while (result == HG_JUDGED && ranges_next(&ranges, &r)) {
        if (pushtime_over(e->api, e->host, rows, REQUEST_MIN_MS))
            return HG_NOT_NOW;
        if (range_send(e, rows, r) != 0)
            return e->api->not_now(rows, 0, e->answer.error);
        result = range_judge(e, rows, &ranges, r);
    }
    return result;
}

static int elastic_push(void *state, struct hg_rows *rows)
{
    struct elastic *e = state;
    size_t count = e->api->row_count(rows);
    int result = HG_JUDGED;
    for (size_t from = 0, to; result == HG_JUDGED && from < count; from = to) {
        to = slice_end(e, rows, from, count);
        result = slice_deliver(e, rows, from, to);
    }
    return result;
}

/* --- open and close --- */

static void elastic_close(void *state)
{
    struct elastic *e = state;
    http_client_free(&e->client);
    oauth_close(&e->oauth);
    template_free(&e->index);
    http_answer_fini(&e->answer);
    strbuf_fini(&e->text);
    strbuf_fini(&e->packed);
    free(e->bulk_url);
    free(e->key_line);
    free(e);
}

static int elastic_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (curlhandle_global_start() == 0)
        return HG_OPEN_OK;
    api->fail(host, "libcurl cannot be started");
    return HG_OPEN_NOT_NOW;
}

static int key_fault(const struct config *c)
{
    if (!c->api_key)
        return 0;
    for (const char *p = c->api_key; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return 1;
    return c->user || c->token || c->oauth.url;
}

static int client_make(struct elastic *e, char *why)
{
    const struct config *c = e->config;
    struct http_settings settings = {.url = c->url,
                                     .ca = c->ca,
                                     .cert = c->cert,
                                     .key = c->key,
                                     .verify = c->verify,
                                     .proxy = c->proxy,
                                     .user = c->user,
                                     .password = c->password,
                                     .token = c->token,
                                     .fields = &c->headers,
                                     .connect_ms = c->connect_timeout,
                                     .request_ms = c->request_timeout};
    int broken = 0;
    if (oauth_open(&e->oauth, &c->oauth, &settings, e->host, e->api, why, WHY_SIZE, &broken) == 0) {
        settings.bearer = oauth_bearer(e->oauth);
        e->client = http_client_new(&settings, e->host, e->api, why, WHY_SIZE, &broken);
    }
    return e->client ? HG_OPEN_OK : broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
}

static int elastic_fill(struct elastic *e, char *why)
{
    static const char bulk[] =
        "_bulk?filter_path=items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by";
    const struct config *c = e->config;
    char template_why[WHY_SIZE / 2];
    if (key_fault(c)) {
        snprintf(why, WHY_SIZE, "either an API_KEY (without spaces), or a USER, or a TOKEN, or OAUTH_URL");
        return HG_OPEN_BROKEN;
    }
    if (place_check(c->index, template_why, sizeof(template_why)) == 0)
        e->index = template_new(c->index, template_why, sizeof(template_why));
    if (!e->index) {
        snprintf(why, WHY_SIZE, "INDEX %s", template_why);
        return HG_OPEN_BROKEN;
    }
    e->bulk_url = place_url(c->url, bulk);
    if (!e->bulk_url || (c->api_key && asprintf(&e->key_line, "Authorization: ApiKey %s", c->api_key) < 0)) {
        e->key_line = NULL;
        return HG_OPEN_NOT_NOW;
    }
    int result = client_make(e, why);
    const struct place place = {c->url, e->api->instance(e->host), c->index, c->mapping, e->key_line};
    if (result == HG_OPEN_OK && c->mapping)
        result = place_mapping(e->client, &place, why, WHY_SIZE);
    return result;
}

static int elastic_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    char why[WHY_SIZE] = "no memory";
    struct elastic *e = calloc(1, sizeof(*e));
    int result = HG_OPEN_NOT_NOW;
    if (e) {
        e->api = api;
        e->host = host;
        e->config = config;
        strbuf_init(&e->text, TEXT_MOST);
        strbuf_init(&e->packed, TEXT_MOST);
        http_answer_init(&e->answer, ANSWER_MOST);
        result = elastic_fill(e, why);
    }
    if (result != HG_OPEN_OK) {
        api->fail(host, why);
        if (e)
            elastic_close(e);
        return result;
    }
    if (!e->config->verify)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can read and change the rows");
    *state = e;
    return HG_OPEN_OK;
}

/* A bulk of nothing: who may write gets a 400 that says so. */
static int elastic_probe(void *state)
{
    static char nothing[] = "\n";
    struct elastic *e = state;
    const struct strbuf body = {.ptr = nothing, .len = 1};
    char why[WHY_SIZE];
    if (bulk_send(e, &body, 0) != 0)
        snprintf(why, sizeof(why), "%s", e->answer.error);
    else if ((e->answer.status == 400 && !bulk_stranger(&e->answer)) || e->answer.status == 200)
        return HG_OPEN_OK;
    else
        http_answer_reason(&e->answer, why, sizeof(why));
    e->api->fail(e->host, why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .max_parallel = 0,
    .start = elastic_start,
    .stop = curlhandle_global_stop,
    .open = elastic_open,
    .close = elastic_close,
    .push = elastic_push,
    .probe = elastic_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "elasticsearch",
    .version = "1.0",
    .summary = "Writes rows as documents into Elasticsearch or OpenSearch.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .option_size = sizeof(struct hg_option),
    .config_size = sizeof(struct config),
    .pusher = &pusher,
};

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

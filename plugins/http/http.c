/* http: sends rows to a web address (a webhook) with libcurl.
 *
 * One handle and one connection for each worker. A repeat after a crash carries the same rows in the same batch
 * (HG_STABLE_BATCH) and so the same Idempotency-Key, by which the far end can tell it. Only 400, 413 and 422 are ever
 * held against a row, and only when it stands alone; all else is the far end's state and waits. */
#include "headgate.h"

#include "deliver.h"

#include "common/curlhandle.h"
#include "common/http_client.h"
#include "common/oauth.h"

#include <stdio.h>
#include <stdlib.h>

struct config {
    const char *url;
    int32_t method, body, verify, compress;
    struct hg_map headers;
    const char *token, *hmac_secret, *user, *password, *ca, *cert, *key, *proxy;
    int64_t connect_timeout, request_timeout;
    struct oauth_settings oauth;
};

static const char *const methods[] = {"POST", "PUT"};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"URL", HG_URL, HG_REQUIRED, NULL, NULL, "Where rows are sent to.", NULL, AT(url)},
    {"METHOD", HG_CHOICE, 0, "POST", "POST|PUT", "Method of the requests.", NULL, AT(method)},
    {"BODY", HG_CHOICE, 0, "array", "single|array|ndjson",
     "One request for each row, or all rows of a batch as a JSON array, or one a line.", NULL, AT(body)},
    {"HEADERS", HG_MAP, HG_SECRET, NULL, NULL, "More header fields, as name=value with commas between.", NULL,
     AT(headers)},
    {"TOKEN", HG_STRING, HG_SECRET, NULL, NULL, "Sent as Authorization: Bearer.", NULL, AT(token)},
    {"USER", HG_STRING, 0, NULL, NULL, "User name for basic authentication.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password for basic authentication.", NULL, AT(password)},
    {"HMAC_SECRET", HG_STRING, HG_SECRET, NULL, NULL,
     "Signs each request with HMAC-SHA256 in X-Headgate-Signature and X-Headgate-Timestamp.", NULL, AT(hmac_secret)},
    {"COMPRESS", HG_CHOICE, 0, "none", "none|gzip", "Packs the body.", NULL, AT(compress)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the far end's certificate is checked.", NULL, AT(verify)},
    {"PROXY", HG_STRING, 0, NULL, NULL, "Proxy to go through; none is taken from the environment.", NULL, AT(proxy)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting may take.", NULL, AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long one request may take; never longer than the pusher's TIMEOUT allows.", NULL, AT(request_timeout)},
    OAUTH_OPTIONS(struct config),
};

enum { WHY_SIZE = 512, PROBE_WHY_SIZE = 800, ANSWER_MAX = 4 * 1024 * 1024 };
static const size_t text_max = (size_t)1 << 30;

static int http_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (curlhandle_global_start() == 0)
        return HG_OPEN_OK;
    api->fail(host, "libcurl cannot be started");
    return HG_OPEN_NOT_NOW;
}

static void http_close(void *state)
{
    struct deliver *d = state;
    http_client_free(&d->client);
    oauth_close(&d->oauth);
    http_answer_fini(&d->answer);
    strbuf_fini(&d->text);
    strbuf_fini(&d->packed);
    free(d);
}

static struct http_settings settings_of(const struct config *c)
{
    return (struct http_settings){
        .url = c->url,
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
        .request_ms = c->request_timeout,
    };
}

static int http_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    struct http_settings settings = settings_of(c);
    char why[WHY_SIZE] = "no memory";
    int broken = 0;
    struct deliver *d = calloc(1, sizeof(*d));
    if (d) {
        d->api = api;
        d->host = host;
        d->method = methods[c->method];
        d->shape = (enum body_shape)c->body;
        d->pack = c->compress;
        d->secret = c->hmac_secret;
        strbuf_init(&d->text, text_max);
        strbuf_init(&d->packed, text_max);
        http_answer_init(&d->answer, ANSWER_MAX);
        if (oauth_open(&d->oauth, &c->oauth, &settings, host, api, why, sizeof(why), &broken) == 0) {
            settings.bearer = oauth_bearer(d->oauth);
            d->client = http_client_new(&settings, host, api, why, sizeof(why), &broken);
        }
    }
    if (!d || !d->client) {
        api->fail(host, why);
        if (d)
            http_close(d);
        return broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
    }
    if (!c->verify)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can read and change the rows");
    *state = d;
    return HG_OPEN_OK;
}

static int http_push(void *state, struct hg_rows *rows)
{
    return deliver_rows(state, rows);
}

static int http_probe(void *state)
{
    struct deliver *d = state;
    char why[PROBE_WHY_SIZE];
    if (deliver_probe(d, why, sizeof(why)))
        return HG_OPEN_OK;
    d->api->fail(d->host, why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_STABLE_BATCH | HG_PLAN_AHEAD,
    .max_parallel = 0,
    .start = http_start,
    .stop = curlhandle_global_stop,
    .open = http_open,
    .close = http_close,
    .push = http_push,
    .probe = http_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 1, /* HG_PLAN_AHEAD */
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "http",
    .version = "1.0",
    .summary = "Sends rows to a web address, signed and repeatable.",
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

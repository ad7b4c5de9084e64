/* riffyn: the rows of a trigger as measurements of the runs that it was for.
 *
 * A row set's uuid is that of a trigger of the control tower, which says where the work came from and, if it was
 * Riffyn, which run of which experiment the rows belong to. The rows of a run are folded into one document and posted.
 * A set is never torn apart (HG_WHOLE_SETS), and a repeat carries the same key. */
#include "headgate.h"

#include "fold.h"
#include "place.h"

#include "common/batch_key.h"
#include "common/curlhandle.h"
#include "common/http_client.h"
#include "common/http_status.h"
#include "common/oauth.h"
#include "common/pushtime.h"
#include "common/ranges.h"
#include "common/trigger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *tower, *url, *api_key, *source, *ca, *cert, *key, *proxy;
    int32_t unknown, verify;
    int64_t keep, connect_timeout, request_timeout;
    struct oauth_settings oauth;
};

#define AT(member) offsetof(struct config, member)

enum { UNKNOWN_RETRY, UNKNOWN_SKIP };

static const struct hg_option options[] = {
    {"CONTROL_TOWER_URL", HG_URL, HG_REQUIRED, NULL, NULL, "Address of the control tower; /triggers/{uuid} follows.",
     NULL, AT(tower)},
    {"URL", HG_URL, HG_REQUIRED, NULL, NULL,
     "Where the rows of a run are posted to; {experimentId}, {activityId} and {runId} stand for those of the run.",
     NULL, AT(url)},
    {"API_KEY", HG_STRING, HG_SECRET, NULL, NULL, "Sent to URL in the header field api-key.", NULL, AT(api_key)},
    {"SOURCE", HG_STRING, 0, "riffyn", NULL, "Triggers whose metadata.source is another one are skipped.", NULL,
     AT(source)},
    {"UNKNOWN", HG_CHOICE, 0, "retry", "retry|skip|reject",
     "What becomes of rows whose trigger the control tower does not know.", NULL, AT(unknown)},
    {"KEEP", HG_DURATION, 0, "5m", "0s..24h", "How long a trigger is not asked for again.", NULL, AT(keep)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether certificates are checked.", NULL, AT(verify)},
    {"PROXY", HG_STRING, 0, NULL, NULL, "Proxy to go through; none is taken from the environment.", NULL, AT(proxy)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting may take.", NULL, AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long one request may take; never longer than the pusher's TIMEOUT allows.", NULL, AT(request_timeout)},
    OAUTH_OPTIONS(struct config),
};

enum {
    WHY_SIZE = 1000,
    ANSWER_MAX = 1 << 20,
    TEXT_MAX = 1 << 30,
    URL_MAX = 65536,
    REQUEST_MIN_MS = 200,
    HELD_MAX = 256
};

struct riffyn {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    struct oauth *oauth; /* for the control tower */
    struct triggers *triggers;
    struct http_client *client; /* of Riffyn */
    struct http_answer answer;
    struct places places;
    struct fold *fold;
    struct strbuf text, address;
    const char *key_name; /* what client.fields points to */
    struct hg_map fields;
    size_t held[HELD_MAX], held_count; /* first rows of the sets of this push that come again */
    char why[WHY_SIZE];
};

/* --- the rows of one run --- */

static int key_make(const struct riffyn *r, const struct hg_rows *rows, struct range range, char out[BATCH_KEY_SIZE])
{
    struct batch_key key;
    batch_key_start(&key);
    for (size_t i = range.from; i < range.to; i++)
        batch_key_add(&key, r->api, r->api->row(rows, r->places.members[i].row));
    return batch_key_end(&key, out);
}

static enum fold_result body_make(struct riffyn *r, const struct hg_rows *rows, struct range range)
{
    enum fold_result result = FOLD_OK;
    fold_clear(r->fold);
    for (size_t i = range.from; result == FOLD_OK && i < range.to; i++)
        result = fold_add(r->fold, r->api, r->api->row(rows, r->places.members[i].row));
    strbuf_clear(&r->text);
    if (result == FOLD_OK)
        fold_write(r->fold, &r->text);
    return r->text.failed ? FOLD_NO_MEMORY : result;
}

/* 0: an answer came. -1: none did, why says why not. */
static int body_post(struct riffyn *r, const struct hg_rows *rows, struct range range)
{
    char key[BATCH_KEY_SIZE], line[BATCH_KEY_SIZE + 32];
    const char *const fields[] = {"Content-Type: application/json", "Accept: application/json", line};
    strbuf_clear(&r->address);
    run_address(r->config->url, &r->places.members[range.from].run, &r->address);
    snprintf(r->why, sizeof(r->why), "no memory for the rows");
    if (r->address.failed || key_make(r, rows, range, key) != 0)
        return -1;
    snprintf(line, sizeof(line), "Idempotency-Key: %s", key);
    struct http_request request = {"POST", r->text.ptr, r->text.len, fields, 3, strbuf_str(&r->address)};
    if (http_client_send(r->client, &request, &r->answer) != 0) {
        snprintf(r->why, sizeof(r->why), "%s", r->answer.error);
        return -1;
    }
    http_answer_reason(&r->answer, r->why, sizeof(r->why));
    return 0;
}

static void range_judge(struct riffyn *r, struct hg_rows *rows, struct range range, uint32_t verdict, const char *why)
{
    for (size_t i = range.from; i < range.to; i++)
        r->api->judge(rows, r->places.members[i].row, verdict, 0, why);
}

/* What is refused is halved until the guilty row stands alone. HG_JUDGED: go on. */
static int range_deliver(struct riffyn *r, struct hg_rows *rows, struct ranges *ranges, struct range range)
{
    enum fold_result folded = body_make(r, rows, range);
    if (folded == FOLD_NO_MEMORY)
        return r->api->not_now(rows, 0, "no memory for the rows");
    if (folded == FOLD_TOO_WIDE)
        snprintf(r->why, sizeof(r->why), "it has more than %d keys", FOLD_KEYS_MAX);
    else if (body_post(r, rows, range) != 0)
        return r->api->not_now(rows, 0, r->why);
    switch (folded == FOLD_TOO_WIDE ? HTTP_GUILTY : http_status_meaning(r->answer.status)) {
    case HTTP_DELIVERED: range_judge(r, rows, range, HG_OK, NULL); break;
    case HTTP_GUILTY:
        if (!ranges_halve(ranges, range))
            range_judge(r, rows, range, HG_REJECT, r->why);
        break;
    case HTTP_NOT_NOW: return r->api->not_now(rows, r->answer.retry_after, r->why);
    }
    return HG_JUDGED;
}

static int run_deliver(struct riffyn *r, struct hg_rows *rows, size_t from, size_t to)
{
    struct ranges ranges;
    struct range range;
    int result = HG_JUDGED;
    ranges_start(&ranges, from, to);
    while (result == HG_JUDGED && ranges_next(&ranges, &range)) {
        if (pushtime_over(r->api, r->host, rows, REQUEST_MIN_MS))
            return HG_NOT_NOW;
        result = range_deliver(r, rows, &ranges, range);
    }
    return result;
}

/* --- a row set --- */

static int set_judge(struct riffyn *r, struct hg_rows *rows, struct rowset set, uint32_t verdict, const char *why)
{
    for (size_t n = set.from; n < set.to; n++)
        r->api->judge(rows, n, verdict, 0, why);
    return HG_JUDGED;
}

/* All of the set comes again, and with it what else this push has of its uuid. */
static int set_hold(struct riffyn *r, struct hg_rows *rows, struct rowset set, const char *why)
{
    if (r->held_count == HELD_MAX)
        return r->api->not_now(rows, 0, why);
    r->held[r->held_count++] = set.from;
    return set_judge(r, rows, set, HG_RETRY, why);
}

static int uuid_held(const struct riffyn *r, const struct hg_rows *rows, struct hg_text uuid)
{
    for (size_t i = 0; i < r->held_count; i++) {
        struct hg_text held = r->api->uuid(r->api->row(rows, r->held[i]));
        if (held.len == uuid.len && memcmp(held.ptr, uuid.ptr, uuid.len) == 0)
            return 1;
    }
    return 0;
}

static int set_place(struct riffyn *r, struct hg_rows *rows, struct rowset set, const json_t *metadata)
{
    const char *source = json_string_value(json_object_get(metadata, "source"));
    const json_t *spec = json_object_get(metadata, "spec");
    if (!source)
        return set_hold(r, rows, set, "the trigger's metadata.source is no text");
    if (strcmp(source, r->config->source) != 0)
        return set_judge(r, rows, set, HG_SKIP, NULL);
    const char *fault = run_spec_fault(spec);
    if (fault)
        return set_hold(r, rows, set, fault);
    if (places_make(&r->places, spec, r->api, rows, set) != 0)
        return r->api->not_now(rows, 0, "no memory");
    int result = HG_JUDGED;
    for (size_t from = 0, to; result == HG_JUDGED && from < r->places.count; from = to) {
        to = places_run_end(&r->places, from);
        result = run_deliver(r, rows, from, to);
    }
    return result;
}

static int set_deliver(struct riffyn *r, struct hg_rows *rows, struct rowset set)
{
    const json_t *metadata = NULL;
    int64_t after;
    struct hg_text uuid = r->api->uuid(r->api->row(rows, set.from));
    if (uuid_held(r, rows, uuid))
        return set_hold(r, rows, set, "rows of its uuid before it wait for their trigger");
    switch (triggers_find(r->triggers, uuid, &metadata, r->why, sizeof(r->why), &after)) {
    case TRIGGER_HERE: return set_place(r, rows, set, metadata);
    case TRIGGER_UNKNOWN:
        if (r->config->unknown != UNKNOWN_RETRY)
            return set_judge(r, rows, set, r->config->unknown == UNKNOWN_SKIP ? HG_SKIP : HG_REJECT, r->why);
        return set_hold(r, rows, set, r->why);
    case TRIGGER_UNCLEAR: return set_hold(r, rows, set, r->why);
    case TRIGGER_NOT_NOW: break;
    }
    return r->api->not_now(rows, after, r->why);
}

static int riffyn_push(void *state, struct hg_rows *rows)
{
    struct riffyn *r = state;
    size_t count = r->api->row_count(rows);
    int result = HG_JUDGED;
    r->held_count = 0;
    for (size_t at = 0; result == HG_JUDGED && at < count;) {
        struct rowset set = rowset_at(r->api, rows, at);
        result = set_deliver(r, rows, set);
        at = set.to;
    }
    return result;
}

/* --- open and close --- */

static void riffyn_close(void *state)
{
    struct riffyn *r = state;
    triggers_free(&r->triggers);
    http_client_free(&r->client);
    oauth_close(&r->oauth);
    http_answer_fini(&r->answer);
    places_fini(&r->places);
    fold_free(&r->fold);
    strbuf_fini(&r->text);
    strbuf_fini(&r->address);
    free(r);
}

static int riffyn_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (curlhandle_global_start() == 0)
        return HG_OPEN_OK;
    api->fail(host, "libcurl cannot be started");
    return HG_OPEN_NOT_NOW;
}

/* -1 with a sentence in why. */
static int clients_make(struct riffyn *r, int *broken)
{
    const struct config *c = r->config;
    struct http_settings http = {.url = c->tower,
                                 .ca = c->ca,
                                 .cert = c->cert,
                                 .key = c->key,
                                 .verify = c->verify,
                                 .proxy = c->proxy,
                                 .connect_ms = c->connect_timeout,
                                 .request_ms = c->request_timeout};
    if (oauth_open(&r->oauth, &c->oauth, &http, r->host, r->api, r->why, sizeof(r->why), broken) != 0)
        return -1;
    http.bearer = oauth_bearer(r->oauth);
    r->triggers = triggers_new(&http, c->keep, r->host, r->api, r->why, sizeof(r->why), broken);
    if (!r->triggers)
        return -1;
    http.url = c->url;
    http.bearer = NULL;
    http.fields = c->api_key ? &r->fields : NULL;
    r->client = http_client_new(&http, r->host, r->api, r->why, sizeof(r->why), broken);
    return r->client ? 0 : -1;
}

static int riffyn_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    int broken = 0;
    struct riffyn *r = calloc(1, sizeof(*r));
    if (!r) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    r->api = api;
    r->host = host;
    r->config = config;
    r->key_name = "api-key";
    r->fields = (struct hg_map){&r->key_name, &r->config->api_key, 1};
    strbuf_init(&r->text, TEXT_MAX);
    strbuf_init(&r->address, URL_MAX);
    http_answer_init(&r->answer, ANSWER_MAX);
    snprintf(r->why, sizeof(r->why), "no memory");
    r->fold = fold_new(TEXT_MAX);
    if (!r->fold || clients_make(r, &broken) != 0) {
        api->fail(host, r->why);
        riffyn_close(r);
        return broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
    }
    if (!r->config->verify)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can read and change the rows");
    *state = r;
    return HG_OPEN_OK;
}

/* A run that nobody has: whatever is said of it, the address is there and the key is taken. */
static int riffyn_probe(void *state)
{
    static const struct run nobody = {"probe", "probe", "probe"};
    struct riffyn *r = state;
    if (triggers_probe(r->triggers, r->why, sizeof(r->why))) {
        strbuf_clear(&r->address);
        run_address(r->config->url, &nobody, &r->address);
        struct http_request request = {"HEAD", NULL, 0, NULL, 0, strbuf_str(&r->address)};
        if (http_client_send(r->client, &request, &r->answer) != 0)
            snprintf(r->why, sizeof(r->why), "%s", r->answer.error);
        else if (http_status_reachable(r->answer.status))
            return HG_OPEN_OK;
        else
            http_answer_reason(&r->answer, r->why, sizeof(r->why));
    }
    r->api->fail(r->host, r->why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_WHOLE_SETS,
    .max_parallel = 0,
    .start = riffyn_start,
    .stop = curlhandle_global_stop,
    .open = riffyn_open,
    .close = riffyn_close,
    .push = riffyn_push,
    .probe = riffyn_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "riffyn",
    .version = "1.0",
    .summary = "Posts the rows of a trigger to the runs of the experiment that it was for.",
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

/* redis: rows into Redis streams, lists, hashes or channels.
 *
 * Row and id are written by one script, so that a row that comes again is known (script.c). Each worker has a
 * connection of its own, which is made again by itself. Only a row that is too large for the server is ever held
 * against the row. */
#include "headgate.h"

#include "deliver.h"

#include "common/opened.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *host, *socket, *user, *password, *ca, *cert, *key_file, *key;
    int64_t port, database, max_length, remember, connect_timeout, request_timeout;
    int32_t mode, form, tls, verify;
    const char *ids_key;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"HOST", HG_STRING, 0, NULL, NULL, "Name or address of the server.", "address", AT(host)},
    {"SOCKET", HG_PATH, 0, NULL, NULL, "Unix socket of the server.", "address", AT(socket)},
    {"PORT", HG_INTEGER, 0, "6379", "1..65535", "Port of the server.", NULL, AT(port)},
    {"DATABASE", HG_INTEGER, 0, "0", "0..1000000", "Number of the database.", NULL, AT(database)},
    {"MODE", HG_CHOICE, 0, "stream", "stream|list|hash|publish",
     "XADD to a stream, RPUSH to a list, HSET of a hash, or PUBLISH to a channel.", NULL, AT(mode)},
    {"KEY_NAME", HG_STRING, 0, "rows", NULL, "Key of the stream, list or hash, or the channel; a template.", NULL,
     AT(key)},
    {"FORM", HG_CHOICE, 0, "json", "json|fields",
     "In streams and hashes: the data as one field of JSON, or a field for each of its keys.", NULL, AT(form)},
    {"MAX_LENGTH", HG_INTEGER, 0, "0", "0..",
     "Entries that a stream is cut back to, approximately; 0: it is never cut.", NULL, AT(max_length)},
    {"REMEMBER", HG_INTEGER, 0, "100000", "1000..100000000", "How many of the last ids are kept, at least.", NULL,
     AT(remember)},
    {"IDS_KEY", HG_STRING, 0, NULL, NULL, "Key of the ids; headgate:<instance>:ids unless set.", NULL, AT(ids_key)},
    {"USER", HG_STRING, 0, NULL, NULL, "User name; without one the server's default user.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password.", NULL, AT(password)},
    {"TLS", HG_BOOLEAN, 0, "no", NULL, "Whether the connection is encrypted.", NULL, AT(tls)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key_file)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the server's certificate is checked.", NULL, AT(verify)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting and logging in may take.", NULL,
     AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long one command may take; never longer than the pusher's TIMEOUT allows.", NULL, AT(request_timeout)},
};

enum { WHY_SIZE = 512 };

struct redis {
    struct deliver deliver;
    struct template *key;
    char *ids;
};

static void redis_close(void *state)
{
    struct redis *r = state;
    deliver_fini(&r->deliver);
    template_free(&r->key);
    free(r->ids);
    free(r);
}

/* What the table of options cannot say. */
static const char *config_fault(const struct config *c)
{
    if (c->form == FORM_FIELDS && (c->mode == MODE_LIST || c->mode == MODE_PUBLISH))
        return "FORM=fields is for MODE=stream and MODE=hash";
    if (c->max_length > 0 && c->mode != MODE_STREAM)
        return "MAX_LENGTH is for MODE=stream";
    if (c->user && !c->password)
        return "a USER needs a PASSWORD";
    return NULL;
}

static struct server_settings server_of(const struct config *c)
{
    return (struct server_settings){
        .peer = {.host = c->host,
                 .socket = c->socket,
                 .port = c->port,
                 .tls = c->tls,
                 .ca = c->ca,
                 .cert = c->cert,
                 .key = c->key_file,
                 .verify = c->verify},
        .user = c->user,
        .password = c->password,
        .database = c->database,
        .connect_ms = c->connect_timeout,
        .request_ms = c->request_timeout,
    };
}

/* 0, or -1 with a sentence. */
static int redis_fill(struct redis *r, struct hg_host *host, const struct hg_api *api, const struct config *c,
                      char *why)
{
    const char *fault = config_fault(c);
    char template_why[WHY_SIZE / 2];
    struct server_settings settings = server_of(c);
    deliver_init(&r->deliver);
    r->deliver.api = api;
    r->deliver.host = host;
    server_init(&r->deliver.server, &settings, host, api);
    r->key = template_new(c->key, template_why, sizeof(template_why));
    if (fault)
        snprintf(why, WHY_SIZE, "%s", fault);
    else if (!r->key)
        snprintf(why, WHY_SIZE, "KEY_NAME %s", template_why);
    else if (c->ids_key ? !(r->ids = strdup(c->ids_key))
                        : asprintf(&r->ids, "headgate:%s:ids", api->instance(host)) < 0)
        snprintf(why, WHY_SIZE, "no memory");
    else {
        r->deliver.plan = (struct script_plan){.mode = (enum script_mode)c->mode,
                                               .form = (enum script_form)c->form,
                                               .key = r->key,
                                               .max_length = c->max_length,
                                               .remember = c->remember,
                                               .ids = r->ids};
        return 0;
    }
    return -1;
}

static int redis_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    char why[WHY_SIZE] = "no memory";
    struct redis *r = calloc(1, sizeof(*r));
    int result = r ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
    if (r && redis_fill(r, host, api, c, why) == 0) {
        struct server *s = &r->deliver.server;
        result = server_connect(s) == 0 ? HG_OPEN_OK : s->broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
        snprintf(why, sizeof(why), "%s", s->error);
    }
    if (opened(host, api, result, why, c->tls && !c->verify) == HG_OPEN_OK)
        *state = r;
    else if (r)
        redis_close(r);
    return result;
}

static int redis_push(void *state, struct hg_rows *rows)
{
    struct redis *r = state;
    return deliver_rows(&r->deliver, rows);
}

/* Asked anew: a connection that nobody reads from may be one that the server ended meanwhile. */
static int redis_probe(void *state)
{
    struct redis *r = state;
    char why[WHY_SIZE];
    server_drop(&r->deliver.server);
    if (deliver_probe(&r->deliver, why, sizeof(why)))
        return HG_OPEN_OK;
    r->deliver.api->fail(r->deliver.host, why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .max_parallel = 0,
    .open = redis_open,
    .close = redis_close,
    .push = redis_push,
    .probe = redis_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "redis",
    .version = "1.0",
    .summary = "Writes rows to Redis streams, lists, hashes or channels.",
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

/* s3: rows as objects of NDJSON or CSV in a bucket.
 *
 * An object holds the rows of one push that belong together by the template; its name comes from their ids. Each worker
 * has a connection of its own. */
#include "headgate.h"

#include "bucket.h"

#include "common/curlhandle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *url, *bucket, *region, *access_key, *secret_key, *session_token, *prefix, *ca, *cert, *key, *proxy;
    int32_t style, form, compress, verify;
    int64_t part_size, connect_timeout, request_timeout;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"URL", HG_URL, HG_REQUIRED, NULL, NULL, "Address of the server, without the bucket.", NULL, AT(url)},
    {"BUCKET", HG_STRING, HG_REQUIRED, NULL, NULL, "The bucket; it has to be there.", NULL, AT(bucket)},
    {"ACCESS_KEY", HG_STRING, HG_REQUIRED, NULL, NULL, "Id of the key that signs requests.", NULL, AT(access_key)},
    {"SECRET_KEY", HG_STRING, HG_REQUIRED | HG_SECRET, NULL, NULL, "The key itself.", NULL, AT(secret_key)},
    {"SESSION_TOKEN", HG_STRING, HG_SECRET, NULL, NULL, "Goes with a temporary key.", NULL, AT(session_token)},
    {"REGION", HG_STRING, 0, "us-east-1", NULL, "Region of the bucket, which is part of the signature.", NULL,
     AT(region)},
    {"STYLE", HG_CHOICE, 0, "path", "path|virtual", "The bucket's name in the path, or in front of the server's name.",
     NULL, AT(style)},
    {"PREFIX", HG_STRING, 0, "%Y/%m/%d/", NULL, "How the names of objects begin; a template.", NULL, AT(prefix)},
    {"FORM", HG_CHOICE, 0, "ndjson", "ndjson|csv", "What is in an object.", NULL, AT(form)},
    {"COMPRESS", HG_CHOICE, 0, "none", "none|gzip|zstd", "Packs the objects.", NULL, AT(compress)},
    {"PART_SIZE", HG_SIZE, 0, "16MiB", "5MiB..1GiB", "Larger objects are sent in parts of this size.", NULL,
     AT(part_size)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the server's certificate is checked.", NULL, AT(verify)},
    {"PROXY", HG_STRING, 0, NULL, NULL, "Proxy to go through; none is taken from the environment.", NULL, AT(proxy)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting may take.", NULL, AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long one request may take; never longer than the pusher's TIMEOUT allows.", NULL, AT(request_timeout)},
};

enum { WHY_SIZE = 1000, PROBE_NAME_SIZE = 600 };

struct s3 {
    struct objects objects;
    struct bucket *bucket;
    const struct config *config;
};

static int s3_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (curlhandle_global_start() == 0)
        return HG_OPEN_OK;
    api->fail(host, "libcurl cannot be started");
    return HG_OPEN_NOT_NOW;
}

static void s3_close(void *state)
{
    struct s3 *s = state;
    bucket_free(&s->bucket);
    objects_fini(&s->objects);
    free(s);
}

static struct bucket_settings settings_of(const struct config *c)
{
    return (struct bucket_settings){
        .http = {.url = c->url,
                 .ca = c->ca,
                 .cert = c->cert,
                 .key = c->key,
                 .verify = c->verify,
                 .proxy = c->proxy,
                 .connect_ms = c->connect_timeout,
                 .request_ms = c->request_timeout},
        .keys = {"s3", c->region, c->access_key, c->secret_key, c->session_token},
        .name = c->bucket,
        .virtual_host = c->style,
        .part_size = (size_t)c->part_size,
    };
}

static int s3_fill(struct s3 *s, char *why)
{
    const struct config *c = s->config;
    struct objects *d = &s->objects;
    struct bucket_settings settings = settings_of(c);
    char template_why[WHY_SIZE / 2];
    int broken = 0;
    d->form = (enum object_form)c->form;
    d->pack = (enum object_pack)c->compress;
    d->prefix = template_new(c->prefix, template_why, sizeof(template_why));
    if (!d->prefix) {
        snprintf(why, WHY_SIZE, "PREFIX %s", template_why);
        return HG_OPEN_BROKEN;
    }
    s->bucket = bucket_new(&settings, d->host, d->api, why, WHY_SIZE, &broken);
    d->store = &bucket_store;
    d->far = s->bucket;
    return s->bucket ? HG_OPEN_OK : broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
}

static int s3_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    char why[WHY_SIZE] = "no memory";
    struct s3 *s = calloc(1, sizeof(*s));
    int result = HG_OPEN_NOT_NOW;
    if (s) {
        objects_init(&s->objects);
        s->config = config;
        s->objects.api = api;
        s->objects.host = host;
        result = s3_fill(s, why);
    }
    if (result != HG_OPEN_OK) {
        api->fail(host, why);
        if (s)
            s3_close(s);
        return result;
    }
    if (!s->config->verify)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can read and change the rows");
    *state = s;
    return HG_OPEN_OK;
}

static int s3_push(void *state, struct hg_rows *rows)
{
    struct s3 *s = state;
    return objects_push(&s->objects, rows);
}

/* An object's name as far as it is the same for all rows. */
static int s3_probe(void *state)
{
    struct s3 *s = state;
    char name[PROBE_NAME_SIZE];
    snprintf(name, sizeof(name), "%.*sheadgate-probe", (int)strcspn(s->config->prefix, "%{"), s->config->prefix);
    if (bucket_try(s->bucket, name) == OBJECT_STORED)
        return HG_OPEN_OK;
    s->objects.api->fail(s->objects.host, bucket_reason(s->bucket));
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_STABLE_BATCH | HG_PLAN_AHEAD,
    .max_parallel = 0,
    .start = s3_start,
    .stop = curlhandle_global_stop,
    .open = s3_open,
    .close = s3_close,
    .push = s3_push,
    .probe = s3_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 1, /* HG_PLAN_AHEAD */
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "s3",
    .version = "1.0",
    .summary = "Writes rows as objects into a bucket of S3 or a server like it.",
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

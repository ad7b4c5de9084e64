/* ftp: rows as files of NDJSON or CSV on a server of FTP (plain or with TLS) or SFTP.
 *
 * A file holds the rows of one push that belong together by the template; its name comes from their ids. Each worker
 * has a connection of its own. */
#include "headgate.h"

#include "place.h"

#include "common/curlhandle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *url, *user, *password, *prefix, *ca, *cert, *key, *key_password, *known_hosts;
    int32_t tls, form, compress, verify;
    int64_t connect_timeout, request_timeout;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"URL", HG_STRING, HG_REQUIRED, NULL, NULL,
     "The server: ftp://, ftps:// (TLS from the first byte) or sftp://, a host and perhaps a port.", NULL, AT(url)},
    {"USER", HG_STRING, 0, NULL, NULL, "Who logs in; without it ftp and ftps are anonymous.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password of the user.", NULL, AT(password)},
    {"TLS", HG_BOOLEAN, 0, "no", NULL, "With ftp://: the connection becomes TLS before the user is named (AUTH TLS).",
     NULL, AT(tls)},
    {"PREFIX", HG_STRING, 0, "%Y/%m/%d/", NULL, "How the names of files begin; a template.", NULL, AT(prefix)},
    {"FORM", HG_CHOICE, 0, "ndjson", "ndjson|csv", "What is in a file.", NULL, AT(form)},
    {"COMPRESS", HG_CHOICE, 0, "none", "none|gzip|zstd", "Packs the files.", NULL, AT(compress)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate, or of the user with sftp.", NULL,
     AT(key)},
    {"KEY_PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "What the private key is locked with (sftp).", NULL,
     AT(key_password)},
    {"KNOWN_HOSTS", HG_PATH, HG_READ, NULL, NULL, "File of hosts and their keys, as ssh keeps it (sftp).", NULL,
     AT(known_hosts)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the server's certificate or key is checked.", NULL, AT(verify)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting may take.", NULL, AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long one file may take; never longer than the pusher's TIMEOUT allows.", NULL, AT(request_timeout)},
};

enum { WHY_SIZE = 1000, PROBE_NAME_SIZE = 600 };

struct ftp {
    struct objects objects;
    struct place *place;
    const struct config *config;
};

static int ftp_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (curlhandle_global_start() == 0)
        return HG_OPEN_OK;
    api->fail(host, "libcurl cannot be started");
    return HG_OPEN_NOT_NOW;
}

static void ftp_close(void *state)
{
    struct ftp *f = state;
    place_free(&f->place);
    objects_fini(&f->objects);
    free(f);
}

static struct place_settings settings_of(const struct config *c)
{
    return (struct place_settings){
        .url = c->url,
        .transfer = {.user = c->user,
                     .password = c->password,
                     .ca = c->ca,
                     .cert = c->cert,
                     .key = c->key,
                     .verify = c->verify,
                     .starttls = c->tls,
                     .connect_ms = c->connect_timeout,
                     .request_ms = c->request_timeout},
        .known_hosts = c->known_hosts,
        .key = c->key,
        .key_password = c->key_password,
    };
}

static int ftp_fill(struct ftp *f, char *why)
{
    const struct config *c = f->config;
    struct objects *o = &f->objects;
    struct place_settings settings = settings_of(c);
    char template_why[WHY_SIZE / 2];
    int broken = 0;
    o->form = (enum object_form)c->form;
    o->pack = (enum object_pack)c->compress;
    o->prefix = template_new(c->prefix, template_why, sizeof(template_why));
    if (!o->prefix) {
        snprintf(why, WHY_SIZE, "PREFIX %s", template_why);
        return HG_OPEN_BROKEN;
    }
    f->place = place_new(&settings, o->host, o->api, why, WHY_SIZE, &broken);
    o->store = &place_store;
    o->far = f->place;
    return f->place ? HG_OPEN_OK : broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
}

static int ftp_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    char why[WHY_SIZE] = "no memory";
    struct ftp *f = calloc(1, sizeof(*f));
    int result = HG_OPEN_NOT_NOW;
    if (f) {
        objects_init(&f->objects);
        f->config = config;
        f->objects.api = api;
        f->objects.host = host;
        result = ftp_fill(f, why);
    }
    if (result != HG_OPEN_OK) {
        api->fail(host, why);
        if (f)
            ftp_close(f);
        return result;
    }
    if (!f->config->verify)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can read and change the rows");
    *state = f;
    return HG_OPEN_OK;
}

static int ftp_push(void *state, struct hg_rows *rows)
{
    struct ftp *f = state;
    return objects_push(&f->objects, rows);
}

/* A file's name as far as it is the same for all rows. */
static int ftp_probe(void *state)
{
    struct ftp *f = state;
    char name[PROBE_NAME_SIZE];
    snprintf(name, sizeof(name), "%.*sheadgate-probe", (int)strcspn(f->config->prefix, "%{"), f->config->prefix);
    if (place_try(f->place, name) == OBJECT_STORED)
        return HG_OPEN_OK;
    f->objects.api->fail(f->objects.host, place_reason(f->place));
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_STABLE_BATCH | HG_PLAN_AHEAD,
    .max_parallel = 0,
    .start = ftp_start,
    .stop = curlhandle_global_stop,
    .open = ftp_open,
    .close = ftp_close,
    .push = ftp_push,
    .probe = ftp_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 1, /* HG_PLAN_AHEAD */
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "ftp",
    .version = "1.0",
    .summary = "Uploads rows as files to a server of FTP, FTPS or SFTP.",
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

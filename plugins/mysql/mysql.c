/* mysql: rows into a table of MariaDB or MySQL, each once in effect, through libmariadb.
 *
 * One session for each worker. A row's id is the table's primary key, so a repeat changes nothing and is told as what
 * it is. Only what the server says about a row's own content is ever held against it (myconn.c, myconn_fault());
 * everything else waits. mypush.c is the push, myvalues.c its values, mytable.c the table; columns stand in
 * common/sqltable.h. */
#include "headgate.h"

#include "mypush.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    struct mysettings server;
    const char *table;
    int32_t mode, create, alter, verify;
    struct hg_list times;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"HOST", HG_STRING, 0, NULL, NULL, "Name or address of the server.", "address", AT(server.host)},
    {"SOCKET", HG_PATH, HG_READ, NULL, NULL, "Socket of a server on this machine.", "address", AT(server.socket)},
    {"PORT", HG_INTEGER, 0, "3306", "1..65535", "Port of the server.", NULL, AT(server.port)},
    {"USER", HG_STRING, HG_REQUIRED, NULL, NULL, "User name.", NULL, AT(server.user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password.", NULL, AT(server.password)},
    {"DATABASE", HG_STRING, HG_REQUIRED, NULL, NULL, "Database of the table.", NULL, AT(server.database)},
    {"TABLE", HG_STRING, 0, "rows", NULL, "Table that rows go to.", NULL, AT(table)},
    {"MODE", HG_CHOICE, 0, "columns", "columns|json",
     "A column for each key, or the whole row as JSON in the column data.", NULL, AT(mode)},
    {"CREATE", HG_BOOLEAN, 0, "yes", NULL, "Whether a table that is not there is made.", NULL, AT(create)},
    {"ALTER", HG_BOOLEAN, 0, "yes", NULL, "Whether columns are added, and widened for values that do not fit.", NULL,
     AT(alter)},
    {"TIMES", HG_LIST, 0, NULL, NULL, "Keys whose new columns are datetime(6), in UTC.", NULL, AT(times)},
    {"TLS", HG_CHOICE, 0, "auto", "auto|yes|no",
     "auto: where the server offers it, without checking who it is (yes, when CA is set).", NULL, AT(server.tls)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "With TLS=yes: whether the server's certificate and name are checked.", NULL,
     AT(verify)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(server.ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(server.cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(server.key)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1s..10m", "How long connecting may take, in whole seconds.", NULL,
     AT(server.connect_ms)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1s..1h",
     "How long the server may take for one answer, in whole seconds; keep it below the pusher's TIMEOUT.", NULL,
     AT(server.request_ms)},
};

struct worker {
    struct mypush push;
    struct mysettings settings;
};

static int mysql_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (mysql_library_init(0, NULL, NULL) == 0)
        return HG_OPEN_OK;
    api->fail(host, "libmariadb cannot be started");
    return HG_OPEN_NOT_NOW;
}

static void mysql_stop(void)
{
    mysql_library_end();
}

static void mysql_plugin_close(void *state)
{
    struct worker *w = state;
    mypush_fini(&w->push);
    free(w);
}

static struct worker *worker_new(struct hg_host *host, const struct hg_api *api, const struct config *c)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    struct mypush *p = &w->push;
    w->settings = c->server;
    w->settings.verify = c->verify;
    if (c->server.ca && c->server.tls == MYTLS_AUTO)
        w->settings.tls = MYTLS_YES;
    p->conn = (struct myconn){.api = api, .host = host, .settings = &w->settings};
    p->table.table = c->table;
    p->table.json = c->mode;
    p->table.may_create = c->create;
    mypush_init(p);
    if (mytable_init(&p->table, c->alter, &c->times) == 0)
        return w;
    mysql_plugin_close(w);
    return NULL;
}

static int mysql_plugin_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    if (strlen(c->table) > SQLNAME_MAX) {
        api->fail(host, "TABLE has more than 63 bytes");
        return HG_OPEN_BROKEN;
    }
    struct worker *w = worker_new(host, api, c);
    if (!w) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    if (myconn_open(&w->push.conn) != MY_FINE) {
        api->fail(host, w->push.conn.why);
        mysql_plugin_close(w);
        return HG_OPEN_NOT_NOW;
    }
    if (w->settings.tls == MYTLS_YES && !w->settings.verify)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can pass for the server");
    *state = w;
    return HG_OPEN_OK;
}

static int mysql_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    return mypush_rows(&w->push, rows);
}

/* Asked anew: a connection that nobody reads from may be one that the server ended meanwhile. */
static int mysql_probe(void *state)
{
    struct worker *w = state;
    struct myconn *c = &w->push.conn;
    char why[MY_WHY] = "";
    mypush_drop(&w->push);
    enum myend end = myconn_open(c);
    if (end == MY_FINE)
        end = mytable_probe(&w->push.table, c, why, sizeof(why));
    else
        snprintf(why, sizeof(why), "%s", c->why);
    if (end == MY_FINE)
        return HG_OPEN_OK;
    c->api->fail(c->host, why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = 0,
    .max_parallel = 0,
    .start = mysql_start,
    .stop = mysql_stop,
    .open = mysql_plugin_open,
    .close = mysql_plugin_close,
    .push = mysql_push,
    .probe = mysql_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "mysql",
    .version = "1.0",
    .summary = "Writes rows into a table of MariaDB or MySQL, each once in effect.",
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

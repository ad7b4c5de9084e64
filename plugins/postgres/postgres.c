/* postgres: rows into a table of PostgreSQL, each once in effect, through libpq.
 *
 * One session for each worker. A row's id is the table's primary key, so a repeat changes nothing and is told as what
 * it is. Only what the server says about a row's own content is ever held against it (pgconn.c, meaning()); everything
 * else waits. pgpush.c is the push, pgtable.c the table, pgconn.c the session; columns and values stand in
 * common/sqltable.h. */
#include "headgate.h"

#include "pgpush.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    struct pgsettings server;
    const char *schema, *table;
    int32_t mode, create, alter, verify;
    struct hg_list times;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"HOST", HG_STRING, HG_REQUIRED, NULL, NULL,
     "Name or address of the server, or the folder of its socket; several with commas between: the first that can be "
     "written "
     "to is taken.",
     NULL, AT(server.host)},
    {"PORT", HG_INTEGER, 0, "5432", "1..65535", "Port of the server.", NULL, AT(server.port)},
    {"USER", HG_STRING, 0, NULL, NULL, "User name; that of the gateway's own user when unset.", NULL, AT(server.user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password.", NULL, AT(server.password)},
    {"DATABASE", HG_STRING, 0, NULL, NULL, "Database; the one named like the user when unset.", NULL,
     AT(server.database)},
    {"SCHEMA", HG_STRING, 0, NULL, NULL, "Schema of the table; the user's search path when unset.", NULL, AT(schema)},
    {"TABLE", HG_STRING, 0, "rows", NULL, "Table that rows go to.", NULL, AT(table)},
    {"MODE", HG_CHOICE, 0, "columns", "columns|json",
     "A column for each key, or the whole row in the column data of type jsonb.", NULL, AT(mode)},
    {"CREATE", HG_BOOLEAN, 0, "yes", NULL, "Whether a table that is not there is made.", NULL, AT(create)},
    {"ALTER", HG_BOOLEAN, 0, "yes", NULL, "Whether columns are added, and widened for values that do not fit.", NULL,
     AT(alter)},
    {"TIMES", HG_LIST, 0, NULL, NULL, "Keys whose new columns are timestamptz.", NULL, AT(times)},
    {"TLS", HG_CHOICE, 0, "auto", "auto|yes|no",
     "auto: where the server offers it, without checking who it is (yes, when CA is set).", NULL, AT(server.tls)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "With TLS=yes: whether the server's certificate and name are checked.", NULL,
     AT(verify)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(server.ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(server.cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM), readable by its owner alone.",
     NULL, AT(server.key)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting may take.", NULL, AT(server.connect_ms)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "100ms..1h",
     "How long the server may take for one statement; never longer than the pusher's TIMEOUT allows.", NULL,
     AT(server.request_ms)},
};

static const size_t text_max = (size_t)1 << 30;

struct worker {
    struct pgpush push;
    struct pgsettings settings;
};

static void postgres_close(void *state)
{
    struct worker *w = state;
    pgconn_close(&w->push.conn);
    pgtable_fini(&w->push.table);
    sqlbatch_fini(&w->push.batch);
    strbuf_fini(&w->push.copy);
    strbuf_fini(&w->push.columns);
    strbuf_fini(&w->push.scratch);
    free((void *)w->push.cells);
    sqlverdicts_fini(&w->push.verdicts);
    free(w);
}

static struct worker *worker_new(struct hg_host *host, const struct hg_api *api, const struct config *c)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    struct pgpush *p = &w->push;
    w->settings = c->server;
    w->settings.verify = c->verify;
    if (c->server.ca && c->server.tls == PGTLS_AUTO)
        w->settings.tls = PGTLS_YES;
    p->conn = (struct pgconn){.api = api, .host = host, .settings = &w->settings};
    p->table.schema = c->schema;
    p->table.table = c->table;
    p->table.json = c->mode;
    p->table.may_create = c->create;
    sqlbatch_init(&p->batch);
    strbuf_init(&p->copy, text_max);
    strbuf_init(&p->columns, text_max);
    strbuf_init(&p->scratch, text_max);
    if (pgtable_init(&p->table, c->alter, &c->times) == 0)
        return w;
    postgres_close(w);
    return NULL;
}

static int postgres_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    if (strlen(c->table) > SQLNAME_MAX || (c->schema && strlen(c->schema) > SQLNAME_MAX)) {
        api->fail(host, "TABLE or SCHEMA has more than 63 bytes");
        return HG_OPEN_BROKEN;
    }
    struct worker *w = worker_new(host, api, c);
    if (!w) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    if (pgconn_open(&w->push.conn) != PG_FINE) {
        api->fail(host, w->push.conn.why);
        postgres_close(w);
        return HG_OPEN_NOT_NOW;
    }
    if (w->settings.tls == PGTLS_YES && !w->settings.verify)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can pass for the server");
    *state = w;
    return HG_OPEN_OK;
}

static int postgres_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    return pgpush_rows(&w->push, rows);
}

/* Asked anew: a connection that nobody reads from may be one that the server ended meanwhile. */
static int postgres_probe(void *state)
{
    struct worker *w = state;
    struct pgconn *c = &w->push.conn;
    char why[PG_WHY] = "";
    pgpush_drop(&w->push);
    enum pgend end = pgconn_open(c);
    if (end == PG_FINE)
        end = pgtable_probe(&w->push.table, c, why, sizeof(why));
    else
        snprintf(why, sizeof(why), "%s", c->why);
    if (end == PG_FINE)
        return HG_OPEN_OK;
    c->api->fail(c->host, why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = 0,
    .max_parallel = 0,
    .open = postgres_open,
    .close = postgres_close,
    .push = postgres_push,
    .probe = postgres_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "postgres",
    .version = "1.0",
    .summary = "Writes rows into a table of PostgreSQL, each once in effect.",
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

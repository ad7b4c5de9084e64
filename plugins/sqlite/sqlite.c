/* sqlite: rows into a table of a local SQLite file, each once in effect: the database for those who have none.
 *
 * One worker, for a file has one writer at a time. litepush.c is the push, litefile.c the file and its table; columns
 * stand in common/sqltable.h. */
#include "headgate.h"

#include "litepush.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *path, *table;
    int32_t mode, create, alter, journal;
    int64_t busy_timeout;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"PATH", HG_PATH, HG_REQUIRED | HG_WRITE, NULL, NULL, "The file, on a local disk; made when it is not there.", NULL,
     AT(path)},
    {"TABLE", HG_STRING, 0, "rows", NULL, "Table that rows go to.", NULL, AT(table)},
    {"MODE", HG_CHOICE, 0, "columns", "columns|json",
     "A column for each key, or the whole row as JSON in the column data.", NULL, AT(mode)},
    {"CREATE", HG_BOOLEAN, 0, "yes", NULL, "Whether a table that is not there is made.", NULL, AT(create)},
    {"ALTER", HG_BOOLEAN, 0, "yes", NULL, "Whether columns are added.", NULL, AT(alter)},
    {"JOURNAL", HG_CHOICE, 0, "wal", "wal|delete",
     "How SQLite keeps its journal; wal lets others read while rows are written.", NULL, AT(journal)},
    {"BUSY_TIMEOUT", HG_DURATION, 0, "5s", "0..10m", "How long to wait for somebody else who writes to the file.", NULL,
     AT(busy_timeout)},
};

static const size_t text_max = (size_t)1 << 30;

static void sqlite_plugin_close(void *state)
{
    struct litepush *p = state;
    litefile_fini(&p->file);
    sqlbatch_fini(&p->batch);
    strbuf_fini(&p->scratch);
    sqlverdicts_fini(&p->verdicts);
    free(p);
}

static struct litepush *worker_new(struct hg_host *host, const struct hg_api *api, const struct config *c)
{
    struct litepush *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->api = api;
    p->host = host;
    p->file.path = c->path;
    p->file.table = c->table;
    p->file.json = c->mode;
    p->file.may_create = c->create;
    p->file.wal = c->journal == 0;
    p->file.busy_ms = c->busy_timeout;
    sqlbatch_init(&p->batch);
    strbuf_init(&p->scratch, text_max);
    if (litefile_init(&p->file, c->alter) == 0)
        return p;
    sqlite_plugin_close(p);
    return NULL;
}

static int sqlite_plugin_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    struct litepush *p = worker_new(host, api, c);
    if (!p) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    if (litefile_open(&p->file) != LITE_FINE) {
        api->fail(host, p->file.why);
        sqlite_plugin_close(p);
        return HG_OPEN_NOT_NOW;
    }
    *state = p;
    return HG_OPEN_OK;
}

static int sqlite_push(void *state, struct hg_rows *rows)
{
    return litepush_rows(state, rows);
}

static int sqlite_probe(void *state)
{
    struct litepush *p = state;
    char why[LITE_WHY];
    if (litepush_probe(p, why, sizeof(why)) == LITE_FINE)
        return HG_OPEN_OK;
    p->api->fail(p->host, why);
    return HG_OPEN_NOT_NOW;
}

static void sqlite_reopen(void *state)
{
    struct litepush *p = state;
    litefile_close(&p->file);
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = 0,
    .max_parallel = 1,
    .open = sqlite_plugin_open,
    .close = sqlite_plugin_close,
    .push = sqlite_push,
    .reopen = sqlite_reopen,
    .probe = sqlite_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "sqlite",
    .version = "1.0",
    .summary = "Writes rows into a table of a local SQLite file, each once in effect.",
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

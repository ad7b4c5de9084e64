/* ledger: each row into a table of an SQLite database, its id the primary key. So a row that comes a second time is
 * found there (HG_DUPLICATE), whatever crashed in between. A push is a transaction: it is all there, or nothing of it
 * is.
 *
 * The connection is opened by the push that needs it and closed when something fails, so that a database that was away,
 * moved or replaced is simply opened again. */
#include <headgate.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct config {
    const char *path;
};

struct worker {
    struct hg_host *host;
    const struct hg_api *api;
    const struct config *config;
    sqlite3 *db; /* NULL: not open */
    sqlite3_stmt *insert;
};

static const char table[] =
    "create table if not exists rows(id text primary key, uuid text not null, number integer not "
    "null, received integer not null, data text not null)";
static const char insert[] = "insert or ignore into rows values(?, ?, ?, ?, ?)";

static void database_close(struct worker *w)
{
    sqlite3_finalize(w->insert);
    sqlite3_close(w->db);
    w->insert = NULL;
    w->db = NULL;
}

/* What SQLite says, for a sentence; the connection is given up with it. */
static void why(struct worker *w, char out[300])
{
    snprintf(out, 300, "%.200s: %s", w->config->path, w->db == NULL ? "no memory" : sqlite3_errmsg(w->db));
    database_close(w);
}

static int database_open(struct worker *w)
{
    if (w->db != NULL)
        return 1;
    if (sqlite3_open(w->config->path, &w->db) != SQLITE_OK)
        return 0;
    sqlite3_busy_timeout(w->db, 1000);
    return sqlite3_exec(w->db, "pragma journal_mode=wal; pragma synchronous=full", NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_exec(w->db, table, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(w->db, insert, -1, &w->insert, NULL) == SQLITE_OK;
}

static int ledger_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return HG_OPEN_NOT_NOW;
    *w = (struct worker){.host = host, .api = api, .config = config};
    *state = w;
    return HG_OPEN_OK;
}

static void ledger_close(void *state)
{
    database_close(state);
    free(state);
}

/* 1 inserted, 0 was there already, -1 the database says no. */
static int put(struct worker *w, const struct hg_row *row)
{
    char id[HG_ROW_ID_SIZE];
    struct hg_text uuid = w->api->uuid(row), data = w->api->data(row);
    w->api->row_id(row, id);
    sqlite3_bind_text(w->insert, 1, id, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(w->insert, 2, uuid.ptr, (int)uuid.len, SQLITE_STATIC);
    sqlite3_bind_int64(w->insert, 3, w->api->number(row));
    sqlite3_bind_int64(w->insert, 4, w->api->received(row));
    sqlite3_bind_text(w->insert, 5, data.ptr, (int)data.len, SQLITE_STATIC);
    int result = sqlite3_step(w->insert);
    sqlite3_reset(w->insert);
    return result != SQLITE_DONE ? -1 : sqlite3_changes(w->db) > 0;
}

static int ledger_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    size_t count = w->api->row_count(rows);
    char text[300];
    int good = database_open(w) && sqlite3_exec(w->db, "begin immediate", NULL, NULL, NULL) == SQLITE_OK;
    /* A verdict stands from the moment it is given: so those that were there are told only after the commit. */
    unsigned char *there = calloc(count, 1);
    for (size_t n = 0; good && there != NULL && n < count; n++) {
        int result = put(w, w->api->row(rows, n));
        good = result >= 0;
        there[n] = result == 0;
    }
    good = good && there != NULL && sqlite3_exec(w->db, "commit", NULL, NULL, NULL) == SQLITE_OK;
    for (size_t n = 0; good && n < count; n++)
        if (there[n])
            w->api->judge(rows, n, HG_DUPLICATE, 0, NULL);
    free(there);
    if (good)
        return HG_ALL_OK;
    why(w, text);
    return w->api->not_now(rows, 0, text);
}

static int ledger_probe(void *state)
{
    struct worker *w = state;
    char text[300];
    database_close(w);
    if (database_open(w) && sqlite3_exec(w->db, "begin immediate; rollback", NULL, NULL, NULL) == SQLITE_OK)
        return HG_OPEN_OK;
    why(w, text);
    w->api->fail(w->host, text);
    return HG_OPEN_NOT_NOW;
}

static void ledger_reopen(void *state)
{
    database_close(state);
}

static const struct hg_option options[] = {{
    .name = "PATH",
    .type = HG_PATH,
    .flags = HG_REQUIRED | HG_WRITE, /* and its folder: SQLite keeps files beside it */
    .text = "The database file.",
    .offset = offsetof(struct config, path),
}};

static const struct hg_pusher pusher = {
    .size = sizeof pusher,
    .max_parallel = 1,
    .open = ledger_open,
    .close = ledger_close,
    .push = ledger_push,
    .reopen = ledger_reopen,
    .probe = ledger_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof plugin,
    .kind = HG_PUSHER,
    .name = "ledger",
    .version = "1.0",
    .summary = "Keeps rows in a table of an SQLite database.",
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

/* file: appends every row as one line of NDJSON to files whose names may depend on time, uuid and tags.
 *
 * One worker. A push gathers the lines of its rows for each file, writes each file once, syncs, and only then says
 * delivered. The durable state tells how far each file is settled, so after any crash a row that is there already is
 * recognised and not written again (recover.c), and a torn line is cut. Nothing here ever refuses a row: what goes
 * wrong is the disk's fault, so it is HG_NOT_NOW, with the files as they were before the push. */
#include "headgate.h"

#include "store.h"

#include "common/paths.h"
#include "common/template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *path;
    int32_t sync;
    int64_t rotate_size;
    const char *mode;
};

static const struct hg_option options[] = {
    {"PATH", HG_PATH, HG_REQUIRED | HG_WRITE, NULL, NULL,
     "Where rows are written: conversions such as %Y-%m-%d are the time a row was received in UTC, {uuid} and {name} "
     "of a "
     "tag stand for its values.",
     NULL, offsetof(struct config, path)},
    {"SYNC", HG_BOOLEAN, 0, "yes", NULL,
     "Whether a row counts as delivered only after fdatasync; with no, after write.", NULL,
     offsetof(struct config, sync)},
    {"ROTATE_SIZE", HG_SIZE, 0, "0", NULL,
     "A file of at least this size is renamed to the next number (name-0001.ndjson) before the next push; 0 never.",
     NULL, offsetof(struct config, rotate_size)},
    {"MODE", HG_STRING, 0, "0640", NULL, "Permissions of new files, in octal.", NULL, offsetof(struct config, mode)},
};

/* The path of a row; rows that follow each other mostly share it. */
struct namer {
    struct template *template;
    int values;
    struct strbuf raw, path, uuid;
    int64_t second;
    int valid;
};

struct worker {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    struct namer namer;
    struct store store;
};

static int namer_same(const struct namer *n, int64_t second, struct hg_text uuid)
{
    if (!n->valid || n->second != second || n->values & TEMPLATE_TAGS)
        return 0;
    return !(n->values & TEMPLATE_UUID) ||
           (n->uuid.len == uuid.len && memcmp(n->uuid.ptr ? n->uuid.ptr : "", uuid.ptr, uuid.len) == 0);
}

/* NULL when it is too long or memory is short. */
static const char *namer_path(struct namer *n, const struct hg_api *api, const struct hg_row *row)
{
    struct hg_text uuid = api->uuid(row);
    int64_t second = api->received(row) / 1000000;
    if (namer_same(n, second, uuid))
        return strbuf_str(&n->path);
    n->valid = 0;
    strbuf_clear(&n->raw);
    strbuf_clear(&n->path);
    strbuf_clear(&n->uuid);
    strbuf_add(&n->uuid, uuid.ptr, uuid.len);
    template_expand(n->template, api, row, &n->raw);
    path_shorten(strbuf_str(&n->raw), &n->path);
    if (n->raw.failed || n->path.failed || n->uuid.failed)
        return NULL;
    n->second = second;
    n->valid = 1;
    return strbuf_str(&n->path);
}

static void namer_fini(struct namer *n)
{
    template_free(&n->template);
    strbuf_fini(&n->raw);
    strbuf_fini(&n->path);
    strbuf_fini(&n->uuid);
}

static void file_close(void *state)
{
    struct worker *w = state;
    store_fini(&w->store);
    namer_fini(&w->namer);
    free(w);
}

static int worker_setup(struct worker *w, char *why, size_t size)
{
    const struct config *c = w->config;
    size_t len = strlen(c->path);
    int used = snprintf(why, size, "PATH: ");
    if (len == 0 || c->path[len - 1] == '/') {
        snprintf(why, size, "PATH: names a folder, not a file");
        return -1;
    }
    w->namer.template = template_new(c->path, why + used, size - (size_t)used);
    if (!w->namer.template)
        return -1;
    w->namer.values = template_values(w->namer.template);
    if (path_mode(c->mode, &w->store.mode) != 0) {
        snprintf(why, size, "MODE: is not an octal number from 0 to 0777");
        return -1;
    }
    w->store.sync = c->sync;
    w->store.rotate_size = (uint64_t)c->rotate_size;
    return 0;
}

static int file_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    char why[STORE_WHY], stored[HG_STATE_MAX];
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    w->api = api;
    w->host = host;
    w->config = config;
    strbuf_init(&w->namer.raw, 4 * STORE_PATH_MAX);
    strbuf_init(&w->namer.path, STORE_PATH_MAX);
    strbuf_init(&w->namer.uuid, STORE_PATH_MAX);
    store_init(&w->store, api, host);
    errno = 0;
    if (worker_setup(w, why, sizeof(why)) != 0) {
        int result = errno == ENOMEM ? HG_OPEN_NOT_NOW : HG_OPEN_BROKEN;
        api->fail(host, why);
        file_close(w);
        return result;
    }
    marks_load(&w->store.marks, stored, api->state_get(host, stored, sizeof(stored)));
    memcpy(w->store.host.frontier, w->store.marks.frontier, sizeof(w->store.host.frontier));
    *state = w;
    return HG_OPEN_OK;
}

static void push_done(struct worker *w, const struct hg_rows *rows, size_t from, size_t to)
{
    char id[HG_ROW_ID_SIZE];
    for (size_t n = from; n < to && w->store.seen.left > 0; n++) {
        const struct hg_row *row = w->api->row(rows, n);
        w->api->row_id(row, id);
        store_done(&w->store, row, id);
    }
    for (size_t n = to; n > from; n--) {
        const struct hg_row *row = w->api->row(rows, n - 1);
        if (w->api->origin(row) != HG_LIVE)
            continue;
        w->api->row_id(row, w->store.marks.frontier);
        return;
    }
}

static enum store_result push_row(struct worker *w, const struct hg_row *row, uint64_t *already)
{
    char id[HG_ROW_ID_SIZE];
    struct outfile *f;
    const char *path = namer_path(&w->namer, w->api, row);
    if (!path)
        return store_fail(&w->store, w->config->path, "the name of a row's file is too long", ENAMETOOLONG);
    enum store_result rc = store_file(&w->store, path, &f);
    if (rc != STORE_OK)
        return rc;
    w->api->row_id(row, id);
    if (store_has(&w->store, row, id)) {
        ++*already;
        return STORE_OK;
    }
    return store_add(&w->store, f, row, id);
}

static enum store_result push_commit(struct worker *w, const struct hg_rows *rows, size_t *done, size_t to)
{
    enum store_result rc = store_commit(&w->store);
    if (rc == STORE_OK) {
        push_done(w, rows, *done, to);
        *done = to;
    }
    return rc;
}

/* Everything into its file; `*done` rows of it for good. */
static enum store_result push_all(struct worker *w, const struct hg_rows *rows, size_t *done, uint64_t *already)
{
    size_t count = w->api->row_count(rows);
    enum store_result rc = store_begin(&w->store);
    for (size_t n = 0; rc == STORE_OK && n < count; n++) {
        const struct hg_row *row = w->api->row(rows, n);
        rc = push_row(w, row, already);
        if (rc == STORE_FULL && (rc = push_commit(w, rows, done, n)) == STORE_OK)
            rc = push_row(w, row, already);
    }
    return rc == STORE_OK ? push_commit(w, rows, done, count) : rc;
}

static int file_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    size_t done = 0;
    uint64_t already = 0;
    enum store_result rc = push_all(w, rows, &done, &already);
    if (rc != STORE_OK)
        store_rollback(&w->store);
    if (rc == STORE_OK || done > 0)
        store_save(&w->store);
    if (already > 0)
        w->api->count(w->host, "rows_already_there", already);
    if (rc == STORE_OK)
        return HG_ALL_OK;
    for (size_t n = 0; n < done; n++)
        w->api->judge(rows, n, HG_OK, 0, NULL);
    return w->api->not_now(rows, 0, w->store.why);
}

static void file_reopen(void *state)
{
    struct worker *w = state;
    store_close_files(&w->store);
}

static int file_probe(void *state)
{
    struct worker *w = state;
    char why[STORE_WHY];
    int rc = path_writable(w->config->path);
    if (rc == 0)
        return HG_OPEN_OK;
    snprintf(why, sizeof(why), "%.300s: its folder cannot be written to: %s", w->config->path, strerror(rc));
    w->api->fail(w->host, why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .max_parallel = 1,
    .open = file_open,
    .close = file_close,
    .push = file_push,
    .reopen = file_reopen,
    .probe = file_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "file",
    .version = "1.0",
    .summary = "Appends each row as a line of NDJSON to files, once after any crash.",
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

/* archive: keeps every row set as a file of its own, with its tags in a file beside it.
 *
 * A file's name ends with the id of its row set, and its bytes depend on nothing but the row set: what is written again
 * after a crash has the same name and the same content. It gets its name (rename) only when it is whole and synced, the
 * tags first; so a file that is there is whole, and a repeat of it is told as a duplicate. No row is ever refused: what
 * goes wrong is the disk's fault and comes again. */
#include "headgate.h"

#include "document.h"

#include "common/paths.h"
#include "common/template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct config {
    const char *path;
    int32_t format, sync;
    const char *mode;
};

enum { FORMAT_JSON, FORMAT_NDJSON };

static const struct hg_option options[] = {
    {"PATH", HG_PATH, HG_REQUIRED | HG_WRITE, NULL, NULL,
     "Folder and beginning of the files' names: conversions such as %Y-%m-%d are the time a row set was received in "
     "UTC, {uuid} and {name} of a tag stand for its values; the id of the row set follows.",
     NULL, offsetof(struct config, path)},
    {"FORMAT", HG_CHOICE, 0, "json", "json|ndjson",
     "One JSON document that can be posted again, or one row a line as the file pusher writes them.", NULL,
     offsetof(struct config, format)},
    {"SYNC", HG_BOOLEAN, 0, "yes", NULL,
     "Whether a row set counts as delivered only when its files and folder are synced; with no, after write.", NULL,
     offsetof(struct config, sync)},
    {"MODE", HG_STRING, 0, "0640", NULL, "Permissions of new files, in octal.", NULL, offsetof(struct config, mode)},
};

enum { PATH_BYTES_MAX = 4000, WHY_SIZE = 800 };
static const size_t text_max = (size_t)1 << 30;

struct worker {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    struct template *template;
    unsigned mode;
    struct strbuf raw, stem, path, part, text;
    char why[WHY_SIZE];
};

static void archive_close(void *state)
{
    struct worker *w = state;
    template_free(&w->template);
    strbuf_fini(&w->raw);
    strbuf_fini(&w->stem);
    strbuf_fini(&w->path);
    strbuf_fini(&w->part);
    strbuf_fini(&w->text);
    free(w);
}

static int worker_setup(struct worker *w)
{
    int used = snprintf(w->why, sizeof(w->why), "PATH: ");
    w->template = template_new(w->config->path, w->why + used, sizeof(w->why) - (size_t)used);
    if (!w->template)
        return -1;
    if (path_mode(w->config->mode, &w->mode) == 0)
        return 0;
    snprintf(w->why, sizeof(w->why), "MODE: is not an octal number from 0 to 0777");
    return -1;
}

static int archive_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    *w = (struct worker){.api = api, .host = host, .config = config};
    strbuf_init(&w->raw, (size_t)4 * PATH_BYTES_MAX);
    strbuf_init(&w->stem, PATH_BYTES_MAX);
    strbuf_init(&w->path, PATH_BYTES_MAX);
    strbuf_init(&w->part, PATH_BYTES_MAX);
    strbuf_init(&w->text, text_max);
    if (worker_setup(w) != 0) {
        api->fail(host, w->why);
        archive_close(w);
        return HG_OPEN_BROKEN;
    }
    *state = w;
    return HG_OPEN_OK;
}

static int failed(struct worker *w, const char *what, int error)
{
    snprintf(w->why, sizeof(w->why), "%.400s: %s: %s", strbuf_str(&w->path), what, strerror(error));
    return -1;
}

/* --- names --- */

/* Rows of a set that come without the others are a file of their own, named after the first and the last of them, and
 * where some between these are left out, after which they are. */
static int stem_make(struct worker *w, const struct hg_rows *rows, struct rowset set)
{
    const struct hg_row *first = w->api->row(rows, set.from), *last = w->api->row(rows, set.to - 1);
    char id[HG_BATCH_ID_SIZE];
    size_t len = strlen(w->config->path);
    strbuf_clear(&w->raw);
    strbuf_clear(&w->stem);
    template_expand(w->template, w->api, first, &w->raw);
    w->api->batch_id(first, id);
    strbuf_addf(&w->raw, "%s%s", len == 0 || w->config->path[len - 1] == '/' ? "" : "-", id);
    if (!set.whole)
        strbuf_addf(&w->raw, "-%u-%u", (unsigned)w->api->number(first), (unsigned)w->api->number(last));
    if (set.gaps)
        strbuf_addf(&w->raw, "-%08x", (unsigned)set.mark);
    path_shorten(strbuf_str(&w->raw), &w->stem);
    if (!w->raw.failed && !w->stem.failed)
        return 0;
    snprintf(w->why, sizeof(w->why), "the name of a file is too long, or there is no memory for it");
    return -1;
}

static int path_make(struct worker *w, const char *suffix)
{
    strbuf_clear(&w->path);
    strbuf_clear(&w->part);
    strbuf_addf(&w->path, "%s%s", strbuf_str(&w->stem), suffix);
    strbuf_addf(&w->part, "%s%s.part", strbuf_str(&w->stem), suffix);
    if (!w->path.failed && !w->part.failed)
        return 0;
    snprintf(w->why, sizeof(w->why), "the name of a file is too long");
    return -1;
}

/* --- files --- */

static int write_all(int fd, const char *ptr, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, ptr, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        ptr += n;
        len -= (size_t)n;
    }
    return 0;
}

static int part_write(struct worker *w, int fd)
{
    int rc = fchmod(fd, w->mode) == 0 ? 0 : errno;
    if (rc == 0)
        rc = write_all(fd, strbuf_str(&w->text), w->text.len);
    if (rc == 0 && w->config->sync && fdatasync(fd) != 0)
        rc = errno;
    if (close(fd) != 0 && rc == 0)
        rc = errno;
    return rc;
}

static int part_open(struct worker *w, int *fd)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    const char *part = strbuf_str(&w->part);
    *fd = open(part, flags, 0600);
    if (*fd >= 0 || errno != ENOENT)
        return *fd >= 0 ? 0 : errno;
    int rc = path_make_folders(part, w->config->sync);
    if (rc != 0)
        return rc;
    *fd = open(part, flags, 0600);
    return *fd >= 0 ? 0 : errno;
}

/* `text` as the file stem + suffix: whole, or not there. */
static int file_put(struct worker *w, const char *suffix)
{
    int fd, rc;
    if (path_make(w, suffix) != 0)
        return -1;
    if (w->text.failed) {
        snprintf(w->why, sizeof(w->why), "no memory for a row set");
        return -1;
    }
    if ((rc = part_open(w, &fd)) != 0)
        return failed(w, "cannot be made", rc);
    if ((rc = part_write(w, fd)) != 0) {
        unlink(strbuf_str(&w->part));
        return failed(w, "cannot be written", rc);
    }
    if (rename(strbuf_str(&w->part), strbuf_str(&w->path)) != 0)
        return failed(w, "cannot be renamed to its name", errno);
    if (w->config->sync && (rc = path_sync_folder(strbuf_str(&w->path))) != 0)
        return failed(w, "its folder cannot be synced", rc);
    return 0;
}

static const char *suffix_of(const struct worker *w)
{
    return w->config->format == FORMAT_JSON ? ".json" : ".ndjson";
}

static int set_put(struct worker *w, const struct hg_rows *rows, struct rowset set)
{
    strbuf_clear(&w->text);
    document_tags(&w->text, w->api, w->api->row(rows, set.from));
    if (file_put(w, ".tags") != 0)
        return -1;
    strbuf_clear(&w->text);
    if (w->config->format == FORMAT_JSON)
        document_json(&w->text, w->api, rows, set);
    else
        document_lines(&w->text, w->api, rows, set);
    return file_put(w, suffix_of(w));
}

/* 1: it was there, 0: it is now, -1: it cannot be written. */
static int set_keep(struct worker *w, const struct hg_rows *rows, struct rowset set)
{
    struct stat st;
    if (stem_make(w, rows, set) != 0 || path_make(w, suffix_of(w)) != 0)
        return -1;
    if (lstat(strbuf_str(&w->path), &st) != 0)
        return set_put(w, rows, set);
    /* Whoever gave it its name may have died before the folder was synced. */
    int rc = w->config->sync ? path_sync_folder(strbuf_str(&w->path)) : 0;
    return rc == 0 ? 1 : failed(w, "its folder cannot be synced", rc);
}

static int archive_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    size_t count = w->api->row_count(rows);
    for (size_t at = 0; at < count;) {
        struct rowset set = rowset_at(w->api, rows, at);
        int kept = set_keep(w, rows, set);
        if (kept < 0)
            return w->api->not_now(rows, 0, w->why);
        for (; at < set.to; at++)
            w->api->judge(rows, at, kept == 1 ? HG_DUPLICATE : HG_OK, 0, NULL);
    }
    return HG_JUDGED;
}

static int archive_probe(void *state)
{
    struct worker *w = state;
    int rc = path_writable(w->config->path);
    if (rc == 0)
        return HG_OPEN_OK;
    snprintf(w->why, sizeof(w->why), "%.300s: its folder cannot be written to: %s", w->config->path, strerror(rc));
    w->api->fail(w->host, w->why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_WHOLE_SETS,
    .open = archive_open,
    .close = archive_close,
    .push = archive_push,
    .probe = archive_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "archive",
    .version = "1.0",
    .summary = "Keeps each row set as a file of its own, with a file of its tags beside it.",
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

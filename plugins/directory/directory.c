/* directory: takes in the rows of files that are put into a folder.
 *
 * One file at a time, the oldest first. Its rows are emitted in batches, each together with the place behind it, so
 * after a crash the file goes on exactly where the durable rows end: none is lost and none comes twice. When the last
 * batch is durable the place says "whole"; only then is the file put away, and only when that is durable too is the
 * place given up. A file with a bad row is put aside with a text that says which, and how far it was taken in.
 *
 * pull() does one step of this and returns; without a file it waits for word from the kernel. */
#include "headgate.h"

#include "items.h"
#include "lookout.h"
#include "place.h"
#include "putaway.h"

#include "common/rowbatch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config {
    const char *path;
    int32_t after;
    const char *done, *failed;
    const char *uuid;
    int32_t watch;
    const char *delimiter, *types, *index;
    int32_t decimal, quotes, encoding;
    int64_t skip;
};

enum { AFTER_MOVE, AFTER_REMOVE };

static const struct hg_option options[] = {
    {"PATH", HG_PATH, HG_REQUIRED | HG_READ | HG_WRITE | HG_FOLDER, NULL, NULL,
     "Folder whose files are taken in: .ndjson, .jsonl, .json, .csv, .tsv.", NULL, offsetof(struct config, path)},
    {"AFTER", HG_CHOICE, 0, "move", "move|remove", "What becomes of a file when its rows are durable.", NULL,
     offsetof(struct config, after)},
    {"DONE", HG_PATH, HG_READ | HG_WRITE | HG_FOLDER, NULL, NULL,
     "Where files are moved then; on the same file system. Unset: the folder done in PATH.", NULL,
     offsetof(struct config, done)},
    {"FAILED", HG_PATH, HG_READ | HG_WRITE | HG_FOLDER, NULL, NULL,
     "Where a file with a bad row is moved, with the reason beside it. Unset: the folder failed in PATH.", NULL,
     offsetof(struct config, failed)},
    {"UUID", HG_STRING, 0, NULL, NULL, "The uuid of rows that bring none. Unset: the file's name.", NULL,
     offsetof(struct config, uuid)},
    {"WATCH", HG_BOOLEAN, 0, "yes", NULL,
     "Wait for files. With no a run ends when there is no file left: for use with EVERY.", NULL,
     offsetof(struct config, watch)},
    {"DELIMITER", HG_STRING, 0, NULL, NULL,
     "What separates CSV cells: one character, or tab. Unset: a comma, in .tsv files a tab.", NULL,
     offsetof(struct config, delimiter)},
    {"DECIMAL", HG_CHOICE, 0, ".", ".|,", "The decimal sign of CSV numbers.", NULL, offsetof(struct config, decimal)},
    {"QUOTES", HG_CHOICE, 0, "double", CSVFORM_QUOTES, "What CSV cells with a delimiter in them are quoted with.", NULL,
     offsetof(struct config, quotes)},
    {"ENCODING", HG_CHOICE, 0, "utf-8", CSVFORM_ENCODINGS, "Of CSV files.", NULL, offsetof(struct config, encoding)},
    {"SKIP", HG_INTEGER, 0, "0", "0..10000", "Lines of a CSV file before the one with the column names.", NULL,
     offsetof(struct config, skip)},
    {"TYPES", HG_STRING, 0, NULL, NULL,
     "Types of CSV columns: column=text, integer, number, boolean or auto, commas between; * for all others.", NULL,
     offsetof(struct config, types)},
    {"INDEX", HG_STRING, 0, NULL, NULL, "The CSV column that becomes the row's index.", NULL,
     offsetof(struct config, index)},
};

struct state {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    char done[PATH_MAX], failed[PATH_MAX];
    struct csvform form;
    struct lookout lookout;
    struct rowbatch batch;
    struct place place; /* as it is durable, or about to be; no name: no file */
    struct items items; /* of that file; fd -1: not open */
};

static int not_now(struct state *s, const char *what, const char *name, int number)
{
    char why[HG_REASON_MAX];
    snprintf(why, sizeof(why), "%s %s: %s", what, name, strerror(number));
    s->api->fail(s->host, why);
    return HG_PULL_NOT_NOW;
}

static void say(struct state *s, uint32_t level, const char *what, const char *name)
{
    char text[2 * HG_REASON_MAX + NAME_MAX];
    snprintf(text, sizeof(text), "%s: %s", name, what);
    s->api->log(s->host, level, text);
}

/* --- life --- */

static void directory_close(void *state)
{
    struct state *s = state;
    items_close(&s->items);
    lookout_close(&s->lookout);
    rowbatch_fini(&s->batch);
    free(s);
}

/* A folder that exists, on the same file system as PATH. 0, or an errno. */
static int folder_ready(const struct state *s, const char *folder)
{
    struct stat in, out;
    if (mkdir(folder, 0750) != 0 && errno != EEXIST)
        return errno;
    if (stat(s->config->path, &in) != 0 || stat(folder, &out) != 0)
        return errno;
    return !S_ISDIR(out.st_mode) ? ENOTDIR : in.st_dev != out.st_dev ? EXDEV : 0;
}

static int folders_open(struct state *s)
{
    const struct config *c = s->config;
    if (snprintf(s->done, sizeof(s->done), "%s%s", c->done ? c->done : c->path, c->done ? "" : "/done") >= PATH_MAX ||
        snprintf(s->failed, sizeof(s->failed), "%s%s", c->failed ? c->failed : c->path, c->failed ? "" : "/failed") >=
            PATH_MAX)
        return ENAMETOOLONG;
    (void)mkdir(c->path, 0750); /* what stands in the way of it is said by the next step */
    int number = lookout_open(&s->lookout, c->path, c->watch);
    if (number == 0 && c->after == AFTER_MOVE)
        number = folder_ready(s, s->done);
    return number == 0 ? folder_ready(s, s->failed) : number;
}

/* NULL, or what is wrong with the options for CSV. */
static const char *form_read(struct state *s)
{
    const struct config *c = s->config;
    s->form = (struct csvform){.delimiter = ',',
                               .decimal = ".,"[c->decimal],
                               .quotes = (enum csvform_quotes)c->quotes,
                               .encoding = (enum csvform_encoding)c->encoding,
                               .skip = (uint32_t)c->skip,
                               .types = c->types,
                               .index = c->index};
    if (c->delimiter && csvform_delimiter(c->delimiter, &s->form.delimiter) != 0)
        return "DELIMITER must be one character, no quote and no letter beyond ASCII, or tab";
    return csvform_wrong(&s->form);
}

static int directory_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    char bytes[HG_STATE_MAX];
    struct state *s = calloc(1, sizeof(*s));
    if (!s) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    s->api = api;
    s->host = host;
    s->config = config;
    s->items.fd = -1;
    s->lookout.notify = -1;
    const char *wrong = form_read(s);
    int number = rowbatch_init(&s->batch) == 0 ? folders_open(s) : ENOMEM;
    size_t len = api->state_get(host, bytes, sizeof(bytes));
    int strange = place_read(bytes, len, &s->place) != 0;
    if (number == 0 && !strange && !wrong) {
        *state = s;
        return HG_OPEN_OK;
    }
    char why[HG_REASON_MAX];
    if (wrong)
        snprintf(why, sizeof(why), "%s", wrong);
    else if (number == EXDEV)
        snprintf(why, sizeof(why), "DONE and FAILED must be on the file system of PATH");
    else
        snprintf(why, sizeof(why), "%s: %s", s->config->path,
                 strange ? "its position is not one of this plugin" : strerror(number));
    api->fail(host, why);
    directory_close(s);
    return wrong || number == EXDEV || (strange && number == 0) ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
}

/* --- a file's end --- */

/* Only the place moves on. */
static int place_emit(struct state *s, const struct place *place)
{
    char bytes[PLACE_SIZE];
    size_t len = place_write(place, bytes);
    const struct hg_emit emit = {.size = sizeof(emit),
                                 .set_size = sizeof(struct hg_set),
                                 .position = bytes,
                                 .position_size = len,
                                 .wait_ms = -1};
    struct hg_emitted told = {.size = sizeof(told)};
    if (s->api->emit(s->host, &emit, &told) == HG_EMITTED) {
        s->place = *place;
        return HG_PULLED;
    }
    s->api->fail(s->host, told.reason);
    return HG_PULL_NOT_NOW;
}

static int put_away(struct state *s)
{
    const struct place none = {.line = 1};
    const char *folder = s->config->path, *name = s->place.name;
    items_close(&s->items);
    int number, fd = lookout_again(&s->lookout, &s->place, &number);
    if (fd >= 0) {
        close(fd);
        number =
            s->config->after == AFTER_MOVE ? putaway_move(folder, name, s->done, NULL) : putaway_remove(folder, name);
    }
    if (number != 0)
        return not_now(s, "cannot put away", name, number);
    if (fd >= 0)
        s->api->count(s->host, "files_done", 1);
    return place_emit(s, &none);
}

/* The file is not what it should be: `line`, as far as it is known. */
static int put_aside(struct state *s, uint64_t line, const char *why)
{
    const struct place none = {.line = 1};
    char text[HG_REASON_MAX + 400];
    char where[64] = "";
    if (line > 0)
        snprintf(where, sizeof(where), "line %" PRIu64 ": ", line);
    snprintf(text, sizeof(text),
             "%s%s\n%" PRIu64 " rows before it were taken in; what follows byte %" PRIu64 " (line %" PRIu64
             ") was not.\n",
             where, why, s->place.rows, s->place.offset, s->place.line);
    items_close(&s->items);
    int number, fd = lookout_again(&s->lookout, &s->place, &number);
    if (fd >= 0) {
        close(fd);
        number = putaway_move(s->config->path, s->place.name, s->failed, text);
    }
    if (number != 0)
        return not_now(s, "cannot put aside", s->place.name, number);
    text[strcspn(text, "\n")] = '\0';
    say(s, HG_LOG_ERROR, text, s->place.name);
    s->api->count(s->host, "files_failed", 1);
    return place_emit(s, &none);
}

/* --- a batch --- */

/* Rows until the batch is full. ITEM_ROW: there may be more. `*line`: of the last row, or of what is bad. */
static enum item_result fill(struct state *s, uint64_t *line)
{
    *line = s->items.line;
    rowbatch_clear(&s->batch);
    while (!rowbatch_full(&s->batch)) {
        struct item item;
        enum item_result result = items_next(&s->items, &item);
        *line = result == ITEM_ROW ? item.line : s->items.line;
        if (result != ITEM_ROW)
            return result;
        if ((item.data ? rowbatch_add_data(&s->batch, item.ptr, item.len, item.line, item.index)
                       : rowbatch_add(&s->batch, item.ptr, item.len, item.line)) != 0) {
            errno = ENOMEM;
            return ITEM_FAILED;
        }
    }
    return ITEM_ROW;
}

static int refused(struct state *s, const struct rowbatch_fault *fault)
{
    if (fault->item == s->batch.count && rowbatch_shrink(&s->batch)) {
        items_close(&s->items); /* it is read again from the place that is durable */
        return HG_PULLED;
    }
    uint64_t line = fault->item < s->batch.count ? s->batch.items[fault->item].line : s->place.line;
    return put_aside(s, line, fault->reason);
}

static int emit_batch(struct state *s, int whole)
{
    char bytes[PLACE_SIZE];
    struct rowbatch_fault fault;
    struct place next = s->place;
    next.offset = s->items.offset;
    next.line = s->items.line;
    next.rows += s->batch.count;
    next.whole = whole;
    const char *uuid = s->config->uuid ? s->config->uuid : s->place.name;
    size_t len = place_write(&next, bytes);
    switch (rowbatch_emit(&s->batch, s->batch.count, s->api, s->host, uuid, bytes, len, &fault)) {
    case HG_EMITTED:
        s->place = next;
        rowbatch_grow(&s->batch);
        return HG_PULLED;
    case HG_EMIT_REFUSED: return refused(s, &fault);
    }
    items_close(&s->items);
    s->api->fail(s->host, fault.reason);
    return HG_PULL_NOT_NOW;
}

static int go_on(struct state *s)
{
    uint64_t line;
    switch (fill(s, &line)) {
    case ITEM_ROW: return emit_batch(s, 0);
    case ITEM_END: return emit_batch(s, 1);
    case ITEM_BAD: return put_aside(s, line, s->items.why);
    case ITEM_FAILED: break;
    }
    int number = errno;
    items_close(&s->items);
    return not_now(s, "cannot read", s->place.name, number);
}

static int begin(struct state *s, int fd)
{
    int tabs;
    enum items_kind kind = items_kind_of(s->place.name, &tabs);
    struct csvform form = s->form;
    if (tabs && !s->config->delimiter)
        form.delimiter = '\t';
    switch (items_open(&s->items, fd, kind, &form, s->place.offset, s->place.line)) {
    case ITEM_BAD: return put_aside(s, s->items.line, s->items.why);
    case ITEM_FAILED: {
        int number = errno;
        items_close(&s->items);
        return not_now(s, "cannot read", s->place.name, number);
    }
    default: return go_on(s);
    }
}

/* --- the next step --- */

static int next_file(struct state *s)
{
    int number, fd = lookout_next(&s->lookout, &s->place, &number);
    if (fd >= 0)
        return begin(s, fd);
    if (number != 0)
        return not_now(s, "cannot look into", s->config->path, number);
    if (!s->config->watch)
        return HG_PULL_NOTHING;
    (void)lookout_wait(&s->lookout, s->host, s->api);
    return HG_PULLED;
}

/* The file of the durable place: it goes on, or it was taken away by somebody. */
static int same_file(struct state *s)
{
    const struct place none = {.line = 1};
    int number, fd = lookout_again(&s->lookout, &s->place, &number);
    if (fd >= 0)
        return begin(s, fd);
    if (number != 0)
        return not_now(s, "cannot open", s->place.name, number);
    say(s, HG_LOG_WARN, "it is not there any more; what was not taken in of it is not", s->place.name);
    return place_emit(s, &none);
}

static int directory_pull(void *state)
{
    struct state *s = state;
    if (s->place.name[0] == '\0')
        return next_file(s);
    if (s->place.whole)
        return put_away(s);
    return s->items.fd >= 0 ? go_on(s) : same_file(s);
}

static int directory_probe(void *state)
{
    struct state *s = state;
    if (access(s->config->path, R_OK | W_OK | X_OK) == 0)
        return HG_OPEN_OK;
    s->api->fail(s->host, strerror(errno));
    return HG_OPEN_NOT_NOW;
}

static const struct hg_puller puller = {
    .size = sizeof(puller),
    .open = directory_open,
    .close = directory_close,
    .pull = directory_pull,
    .probe = directory_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(plugin),
    .kind = HG_PULLER,
    .name = "directory",
    .version = "0.1.0",
    .summary = "Takes in the rows of files that are put into a folder.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .option_size = sizeof(options[0]),
    .config_size = sizeof(struct config),
    .puller = &puller,
};

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

/* The window moves forward only. An item that is not whole in it makes it larger, up to ITEM_MAX: what is longer is no
 * row that headgate would take. Only where items begin and end is judged here; what is in them the daemon judges. */
#include "items.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { WINDOW_MIN = 256 << 10 };

static int ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), e = strlen(end);
    return n > e && strcasecmp(name + n - e, end) == 0;
}

enum items_kind items_kind_of(const char *name, int *tabs)
{
    *tabs = ends_with(name, ".tsv");
    if (ends_with(name, ".ndjson") || ends_with(name, ".jsonl"))
        return ITEMS_NDJSON;
    if (ends_with(name, ".json"))
        return ITEMS_JSON;
    return ends_with(name, ".csv") || *tabs ? ITEMS_CSV : ITEMS_NONE;
}

/* --- the window --- */

static const char *at(const struct items *s)
{
    return s->window + s->used;
}

static size_t left(const struct items *s)
{
    return s->filled - s->used;
}

/* More of the file behind what is there: 0, or -1: errno. EFBIG: the window is as large as it may be. */
static int more(struct items *s)
{
    if (s->used > 0) {
        memmove(s->window, at(s), left(s));
        s->filled -= s->used;
        s->used = 0;
    }
    if (s->filled == s->cap) {
        size_t cap = s->cap == 0 ? WINDOW_MIN : s->cap * 2;
        char *grown = cap > 2 * (size_t)ITEM_MAX ? NULL : realloc(s->window, cap);
        if (!grown) {
            errno = cap > 2 * (size_t)ITEM_MAX ? EFBIG : ENOMEM;
            return -1;
        }
        s->window = grown;
        s->cap = cap;
    }
    ssize_t n;
    do
        n = pread(s->fd, s->window + s->filled, s->cap - s->filled, (off_t)(s->offset + s->filled));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    s->filled += (size_t)n;
    s->end = n == 0;
    return 0;
}

static void take(struct items *s, size_t len, uint64_t lines)
{
    s->used += len;
    s->offset += len;
    s->line += lines;
}

static enum item_result bad(struct items *s, const char *why)
{
    snprintf(s->why, sizeof(s->why), "%s", why);
    return ITEM_BAD;
}

static enum item_result failed(struct items *s)
{
    return errno == EFBIG ? bad(s, "a row of more than 16 MiB") : ITEM_FAILED;
}

static int blank(const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", ptr[i]) || ptr[i] == '\0')
            return 0;
    return 1;
}

/* --- lines --- */

/* One line: its bytes without the line end in `out`, all that was taken in `taken`. */
static enum item_result next_line(struct items *s, struct item *out, size_t *taken)
{
    for (;;) {
        const char *feed = left(s) > 0 ? memchr(at(s), '\n', left(s)) : NULL;
        size_t end = feed ? (size_t)(feed - at(s)) : left(s);
        if (!feed && !s->end) {
            if (more(s) != 0)
                return failed(s);
            continue;
        }
        if (!feed && end == 0)
            return ITEM_END;
        *out = (struct item){.ptr = at(s), .len = end, .line = s->line, .index = -1};
        if (out->len > 0 && out->ptr[out->len - 1] == '\r')
            out->len--;
        *taken = end + (feed != NULL);
        return ITEM_ROW;
    }
}

static enum item_result next_row_line(struct items *s, struct item *out)
{
    for (;;) {
        size_t taken = 0;
        enum item_result result = next_line(s, out, &taken);
        if (result != ITEM_ROW)
            return result;
        take(s, taken, 1);
        if (!blank(out->ptr, out->len))
            return ITEM_ROW;
    }
}

/* --- records of a CSV file --- */

/* The next record into the table's reader, which keeps it: the window need not. */
static enum item_result next_record(struct items *s)
{
    struct csvread *csv = &s->table.csv;
    for (;;) {
        size_t used = 0;
        if (left(s) == 0 && !s->end) {
            if (more(s) != 0)
                return failed(s);
            continue;
        }
        int end = left(s) == 0;
        enum csvread_result got = end ? csvread_finish(csv) : csvread_feed(csv, at(s), left(s), &used);
        take(s, used, 0);
        s->line = csv->line;
        if (got == CSVREAD_FAULT)
            return bad(s, csv->why);
        if (got == CSVREAD_RECORD)
            return ITEM_ROW;
        if (end)
            return ITEM_END;
    }
}

static enum item_result next_row_record(struct items *s, struct item *out)
{
    int64_t index;
    enum item_result result = next_record(s);
    if (result != ITEM_ROW)
        return result;
    if (csvtable_row(&s->table, &index) != 0) {
        s->line = s->table.csv.began;
        return bad(s, s->table.why);
    }
    *out = (struct item){s->table.row.ptr, s->table.row.len, s->table.csv.began, index, 1};
    return ITEM_ROW;
}

static int know_columns(struct csvtable *t)
{
    const struct csvform *form = &t->form;
    return csvtable_header(t) != 0 || (form->types && csvtable_types(t, form->types) != 0) ||
                   (form->index && csvtable_index(t, form->index) != 0)
               ? -1
               : 0;
}

static enum item_result read_header(struct items *s)
{
    enum item_result result = next_record(s);
    if (result == ITEM_END)
        return bad(s, "a line of column names is needed, and the file ends before it");
    if (result == ITEM_ROW && know_columns(&s->table) != 0) {
        s->line = s->table.csv.began;
        return bad(s, s->table.why);
    }
    return result == ITEM_ROW ? ITEM_END : result;
}

/* --- objects of a JSON file --- */

/* Behind the object that begins at ptr[0]; 0: it does not end here. */
static size_t object_end(const char *ptr, size_t len, uint64_t *lines)
{
    size_t depth = 0;
    int text = 0;
    *lines = 0;
    for (size_t i = 0; i < len; i++) {
        char c = ptr[i];
        *lines += c == '\n';
        if (text) {
            i += c == '\\';
            text = c != '"';
            continue;
        }
        text = c == '"';
        depth += c == '{' || c == '[';
        if ((c == '}' || c == ']') && --depth == 0)
            return i + 1;
    }
    return 0;
}

static enum item_result json_end(struct items *s)
{
    return s->array && !s->ended ? bad(s, "the array does not end") : ITEM_END;
}

static enum item_result next_object(struct items *s, struct item *out)
{
    for (;;) {
        if (left(s) == 0) {
            if (s->end)
                return json_end(s);
            if (more(s) != 0)
                return failed(s);
            continue;
        }
        char c = at(s)[0];
        uint64_t lines;
        if (strchr(" \t\r\n", c) && c != '\0') {
            take(s, 1, c == '\n');
        } else if (s->ended) {
            return bad(s, "something follows the array");
        } else if (s->array && (c == ',' || c == ']' || (c == '[' && !s->begun))) {
            s->begun = 1;
            s->ended = c == ']';
            take(s, 1, 0);
        } else if (c != '{') {
            return bad(s, "an object, or an array of objects, is needed");
        } else {
            size_t end = object_end(at(s), left(s), &lines);
            if (end == 0 && s->end)
                return bad(s, "the object does not end");
            if (end == 0 && more(s) != 0)
                return failed(s);
            if (end == 0)
                continue;
            *out = (struct item){.ptr = at(s), .len = end, .line = s->line, .index = -1};
            take(s, end, lines);
            return ITEM_ROW;
        }
    }
}

/* --- open --- */

/* A JSON file's bracket decides how the rest is read. */
static enum item_result read_bracket(struct items *s)
{
    while (!s->end && blank(at(s), left(s)))
        if (more(s) != 0)
            return failed(s);
    size_t i = 0;
    while (i < left(s) && strchr(" \t\r\n", at(s)[i]))
        i++;
    s->array = i < left(s) && at(s)[i] == '[';
    return ITEM_END;
}

/* As spreadsheets and other systems write it, at the very beginning of a file of any kind. */
static enum item_result read_mark(struct items *s)
{
    while (!s->end && s->filled < 3)
        if (more(s) != 0)
            return failed(s);
    if (s->filled >= 2 && (memcmp(s->window, "\xFF\xFE", 2) == 0 || memcmp(s->window, "\xFE\xFF", 2) == 0))
        return bad(s, "the file is UTF-16: convert it first (iconv -f utf-16 -t utf-8)");
    if (s->filled >= 3 && memcmp(s->window, "\xEF\xBB\xBF", 3) == 0) {
        s->table.form.encoding = CSVFORM_UTF8; /* it says so itself */
        take(s, 3, 0);
    }
    return ITEM_END;
}

static void go_to(struct items *s, uint64_t offset, uint64_t line)
{
    s->filled = s->used = 0;
    s->end = 0;
    s->begun = 1;
    s->offset = offset;
    s->line = line;
    csvtable_rewind(&s->table);
    csvread_go_on(&s->table.csv, line);
}

enum item_result items_open(struct items *s, int fd, enum items_kind kind, const struct csvform *form, uint64_t offset,
                            uint64_t line)
{
    *s = (struct items){.fd = fd, .kind = kind, .line = 1};
    csvtable_init(&s->table, form);
    enum item_result result = read_mark(s);
    if (result == ITEM_END && kind == ITEMS_JSON)
        result = read_bracket(s);
    if (result == ITEM_END && kind == ITEMS_CSV)
        result = read_header(s);
    if (result == ITEM_END && offset > s->offset)
        go_to(s, offset, line);
    return result;
}

void items_close(struct items *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->window);
    csvtable_fini(&s->table);
    *s = (struct items){.fd = -1};
}

enum item_result items_next(struct items *s, struct item *out)
{
    return s->kind == ITEMS_JSON  ? next_object(s, out)
           : s->kind == ITEMS_CSV ? next_row_record(s, out)
                                  : next_row_line(s, out);
}

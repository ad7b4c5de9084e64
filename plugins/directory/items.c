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

enum items_kind items_kind_of(const char *name, char *delimiter)
{
    *delimiter = ends_with(name, ".tsv") ? '\t' : ',';
    if (ends_with(name, ".ndjson") || ends_with(name, ".jsonl"))
        return ITEMS_NDJSON;
    if (ends_with(name, ".json"))
        return ITEMS_JSON;
    return ends_with(name, ".csv") || ends_with(name, ".tsv") ? ITEMS_CSV : ITEMS_NONE;
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

/* One line or record: its bytes without the line end in `out`. */
static enum item_result next_line(struct items *s, struct item *out, size_t *taken, uint64_t *lines)
{
    for (;;) {
        size_t end;
        *lines = 0;
        if (s->kind == ITEMS_CSV) {
            end = csv_record_end(at(s), left(s), lines);
        } else {
            const char *feed = left(s) > 0 ? memchr(at(s), '\n', left(s)) : NULL;
            end = feed ? (size_t)(feed - at(s)) : left(s);
        }
        int whole = end < left(s);
        if (!whole && !s->end) {
            if (more(s) != 0)
                return failed(s);
            continue;
        }
        if (!whole && end == 0)
            return ITEM_END;
        *out = (struct item){at(s), end, s->line};
        if (out->len > 0 && out->ptr[out->len - 1] == '\r')
            out->len--;
        *taken = end + (size_t)whole;
        *lines += (uint64_t)whole;
        return ITEM_ROW;
    }
}

static enum item_result next_row_line(struct items *s, struct item *out)
{
    for (;;) {
        size_t taken;
        uint64_t lines;
        enum item_result result = next_line(s, out, &taken, &lines);
        if (result != ITEM_ROW)
            return result;
        int empty = blank(out->ptr, out->len);
        if (!empty && s->kind == ITEMS_CSV) {
            if (csv_row(s, out->ptr, out->len) != 0)
                return ITEM_BAD;
            out->ptr = s->row.ptr;
            out->len = s->row.len;
        }
        take(s, taken, lines);
        if (!empty)
            return ITEM_ROW;
    }
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
            *out = (struct item){at(s), end, s->line};
            take(s, end, lines);
            return ITEM_ROW;
        }
    }
}

/* --- open --- */

/* What stands at the beginning decides how the rest is read: a CSV's header, a JSON file's bracket. */
static enum item_result read_beginning(struct items *s)
{
    struct item first;
    size_t taken;
    uint64_t lines;
    while (s->kind == ITEMS_JSON && !s->end && blank(s->window, s->filled))
        if (more(s) != 0)
            return failed(s);
    if (s->kind == ITEMS_JSON) {
        size_t i = 0;
        while (i < s->filled && strchr(" \t\r\n", s->window[i]))
            i++;
        s->array = i < s->filled && s->window[i] == '[';
        return ITEM_END;
    }
    enum item_result result = next_line(s, &first, &taken, &lines);
    if (result != ITEM_ROW)
        return result == ITEM_END ? bad(s, "the file is empty: a line of column names is needed") : result;
    if (csv_columns(s, first.ptr, first.len) != 0)
        return ITEM_BAD;
    take(s, taken, lines);
    return ITEM_END;
}

enum item_result items_open(struct items *s, int fd, enum items_kind kind, char delimiter, uint64_t offset,
                            uint64_t line)
{
    *s = (struct items){.fd = fd, .kind = kind, .delimiter = delimiter, .line = 1};
    strbuf_init(&s->row, ITEM_MAX);
    if (kind == ITEMS_CSV || kind == ITEMS_JSON) {
        enum item_result result = read_beginning(s);
        if (result != ITEM_END)
            return result;
    }
    if (offset > s->offset) {
        s->filled = s->used = 0;
        s->end = 0;
        s->begun = 1;
        s->offset = offset;
        s->line = line;
    }
    return ITEM_END;
}

void items_close(struct items *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->window);
    csv_columns_free(s);
    strbuf_fini(&s->row);
    *s = (struct items){.fd = -1};
}

enum item_result items_next(struct items *s, struct item *out)
{
    return s->kind == ITEMS_JSON ? next_object(s, out) : next_row_line(s, out);
}

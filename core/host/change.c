/* What processors do to lent rows: other data, other tags, out of sight.
 *
 * What was posted stays where it is; a row only points to other bytes, in the same loft, so everything is as it was
 * when the rows are read again. New data has to be what a client could have posted: it is put into a row set and
 * scanned by the code that judges posted ones (keys and depth at their widest), so that nothing a pusher relies on
 * depends on how careful a processor is. */
#include "host/lent.h"

#include <stdlib.h>

enum { DEPTH_MAX = 256 };

#define SET_BEFORE "{\"uuid\":\"u\",\"row\":{\"data\":"
#define SET_AFTER  "}}"

/* --- sight --- */

size_t lent_seen_count(const struct hg_rows *l)
{
    return l->seen == NULL ? l->count : l->seen_count;
}

struct hg_row *lent_seen(const struct hg_rows *l, size_t n)
{
    if (n >= lent_seen_count(l))
        return NULL;
    return &l->rows[l->seen == NULL ? n : l->seen[n]];
}

int lent_narrow(struct hg_rows *l)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < l->count; i++)
        left += l->rows[i].verdict == 0;
    if (left == lent_seen_count(l))
        return HG_ALL_OK;
    uint32_t *seen = loft_take(&l->copies, (size_t)left * sizeof *seen + 1);
    if (seen == NULL) {
        lent_not_now(l, 0, "no memory for what processors left of the rows");
        return HG_NOT_NOW;
    }
    left = 0;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->rows[i].verdict == 0)
            seen[left++] = i;
    l->seen = seen;
    l->seen_count = left;
    return HG_ALL_OK;
}

void lent_change(struct hg_rows *l, const char *processor)
{
    l->changing = processor;
}

/* The n-th row, if a processor may change it now. */
static struct hg_row *row_to_change(struct hg_rows *l, size_t n)
{
    struct hg_row *row = l->changing == NULL ? NULL : lent_seen(l, n);
    if (row == NULL)
        l->misuse++;
    return row;
}

/* --- data --- */

static struct slice trimmed(struct slice s)
{
    static const char blanks[] = " \t\r\n";
    while (s.len > 0 && memchr(blanks, s.ptr[0], sizeof blanks - 1) != NULL)
        s = slice_make(s.ptr + 1, s.len - 1);
    while (s.len > 0 && memchr(blanks, s.ptr[s.len - 1], sizeof blanks - 1) != NULL)
        s.len--;
    return s;
}

/* Is it the whole of a row's data, and nothing that only begins so? */
static bool data_valid(struct hg_rows *l, struct slice json)
{
    static const struct scan_rules rules = {.max_rows = 1, .max_depth = DEPTH_MAX, .any_keys = true};
    uint32_t count;
    if (l->scan == NULL && (l->scan = scan_new()) == NULL)
        return false;
    buf_clear(&l->made);
    if (buf_adds(&l->made, SET_BEFORE) != ERR_OK || buf_add(&l->made, json.ptr, json.len) != ERR_OK ||
        buf_adds(&l->made, SET_AFTER) != ERR_OK || scan_body(l->scan, &rules, buf_slice(&l->made)) != ERR_OK)
        return false;
    const struct row_set *sets = scan_sets(l->scan, &count);
    return count == 1 && sets[0].rows == 1 && sets[0].spans[0].length == json.len;
}

bool lent_set_data(struct hg_rows *l, size_t n, struct slice json)
{
    struct hg_row *row = row_to_change(l, n);
    if (row == NULL)
        return false;
    json = trimmed(json);
    char *copy = json.len > 0 && json.len <= UINT32_MAX && data_valid(l, json) ? loft_take(&l->copies, json.len) : NULL;
    if (copy == NULL) {
        row->spoilt = true;
        return false;
    }
    memcpy(copy, json.ptr, json.len);
    row->data = copy;
    row->length = (uint32_t)json.len;
    return true;
}

/* --- tags --- */

/* A tag entry: u8 name length, name, value. */
bool lent_tag_next(struct slice context, size_t *at, struct slice *name, struct slice *value)
{
    uint16_t tag;
    struct slice entry;
    while (context_next(context, at, &tag, &entry)) {
        if (tag != CONTEXT_TAG || entry.len == 0)
            continue;
        size_t len = (unsigned char)entry.ptr[0];
        if (len > entry.len - 1)
            continue;
        *name = slice_make(entry.ptr + 1, len);
        *value = slice_make(entry.ptr + 1 + len, entry.len - 1 - len);
        return true;
    }
    return false;
}

struct slice lent_tags(const struct hg_row *row)
{
    return row->tags == NULL ? row->record->context : *row->tags;
}

static bool tag_valid(const char *name, const char *value)
{
    static const char small[] = "abcdefghijklmnopqrstuvwxyz";
    if (name == NULL || name[0] == '\0' || strchr(small, name[0]) == NULL || strlen(name) > TAG_VALUE_MAX - 1)
        return false;
    bool named = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
    return named && (value == NULL || strlen(value) <= TAG_VALUE_MAX);
}

/* The row's tags with this one in its place, or without it. */
static int tags_write(const struct hg_row *row, const char *name, const char *value, struct buf *out)
{
    size_t at = 0, count = 0;
    struct slice had, was;
    bool placed = value == NULL;
    int code = ERR_OK;
    while (code == ERR_OK && lent_tag_next(lent_tags(row), &at, &had, &was)) {
        bool same = slice_is(had, name);
        if (same && placed)
            continue;
        placed = placed || same;
        count++;
        code = context_add_tag(out, had, same ? slice_of(value) : was);
    }
    if (code == ERR_OK && !placed)
        code = ++count > TAGS_MAX ? ERR_LIMIT : context_add_tag(out, slice_of(name), slice_of(value));
    return code == ERR_OK ? context_finish(out) : code;
}

bool lent_set_tag(struct hg_rows *l, size_t n, const char *name, const char *value)
{
    struct hg_row *row = row_to_change(l, n);
    if (row == NULL)
        return false;
    buf_clear(&l->made);
    bool made = tag_valid(name, value) && tags_write(row, name, value, &l->made) == ERR_OK;
    struct slice *tags = made ? loft_take(&l->copies, sizeof *tags + l->made.len) : NULL;
    if (tags == NULL) {
        row->spoilt = true;
        return false;
    }
    char *bytes = (char *)(tags + 1);
    if (l->made.len > 0)
        memcpy(bytes, l->made.ptr, l->made.len);
    *tags = slice_make(bytes, l->made.len);
    row->tags = tags;
    return true;
}

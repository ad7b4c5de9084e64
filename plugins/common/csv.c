/* Two passes: the names, then the lines. Rows of a batch mostly have the same keys in the same order, so a name is
 * looked for where the one before it was found. */
#include "common/csv.h"

#include "common/own_keys.h"
#include "common/stamp.h"

#include <stdlib.h>
#include <string.h>

/* Keys as they stand in the rows, without their quotes; escapes are not resolved, so a key written in two ways is two
 * columns. */
struct columns {
    struct hg_text *names;
    size_t count, room;
};

static size_t columns_find(const struct columns *c, struct hg_text key, size_t hint)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t at = (hint + i) % c->count;
        if (c->names[at].len == key.len && memcmp(c->names[at].ptr, key.ptr, key.len) == 0)
            return at;
    }
    return c->count;
}

static int columns_add(struct columns *c, struct hg_text key)
{
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 64;
        struct hg_text *names = realloc(c->names, room * sizeof(*names));
        if (!names)
            return -1;
        c->names = names;
        c->room = room;
    }
    c->names[c->count++] = key;
    return 0;
}

static int columns_fill(struct columns *c, const struct hg_api *api, const struct hg_row *row)
{
    struct hg_text key;
    struct hg_value value;
    size_t found = 0;
    for (size_t at = 0; api->next(api->data(row), &at, &key, &value);) {
        found = columns_find(c, key, found);
        if (found == c->count && columns_add(c, key) != 0)
            return -1;
        found++;
    }
    return 0;
}

/* The text that begins at `from` as a cell: in quotes where it needs them. */
static void cell_quote(struct strbuf *out, size_t from)
{
    size_t len = out->len - from, quotes = 0;
    int needs = len == 0 || out->ptr[from] == ' ' || out->ptr[out->len - 1] == ' ';
    for (size_t i = from; i < out->len; i++) {
        quotes += out->ptr[i] == '"';
        needs |= strchr("\",\r\n", out->ptr[i]) != NULL;
    }
    if (!needs || !strbuf_room(out, quotes + 2))
        return;
    char *read = out->ptr + out->len, *write = read + quotes + 1;
    out->len += quotes + 2;
    *write = '"';
    while (read-- > out->ptr + from) {
        *--write = *read;
        if (*read == '"')
            *--write = '"';
    }
    out->ptr[from] = '"';
}

static void cell_add(struct strbuf *out, const char *ptr, size_t len)
{
    size_t from = out->len;
    strbuf_add(out, ptr, len);
    if (!out->failed)
        cell_quote(out, from);
}

static void cell_string(struct strbuf *out, const struct hg_api *api, struct hg_text json)
{
    size_t from = out->len;
    char *room = strbuf_room(out, json.len + 1);
    long len = room ? api->text(json, room, json.len + 1) : -1;
    if (len < 0) {
        out->failed = 1;
        return;
    }
    out->len += (size_t)len;
    cell_quote(out, from);
}

static void cell_value(struct strbuf *out, const struct hg_api *api, const struct hg_value *value)
{
    if (value->type == HG_STR)
        cell_string(out, api, value->json);
    else if (value->type != HG_NULL && value->type != 0)
        cell_add(out, value->json.ptr, value->json.len);
}

static void head_add(struct strbuf *out, const struct hg_api *api, const struct columns *c)
{
    for (size_t i = 0; i < OWN_KEYS; i++)
        strbuf_addf(out, "%s%s", i ? "," : "", own_keys[i]);
    for (size_t i = 0; i < c->count; i++) {
        strbuf_addc(out, ',');
        cell_string(out, api, (struct hg_text){c->names[i].ptr - 1, c->names[i].len + 2}); /* with its quotes */
    }
    strbuf_addc(out, '\n');
}

/* `cells` has a place for each column. */
static void line_add(struct strbuf *out, const struct hg_api *api, const struct hg_row *row, const struct columns *c,
                     struct hg_value *cells)
{
    char id[HG_ROW_ID_SIZE], stamp[STAMP_LEN + 1];
    struct hg_text uuid = api->uuid(row), key;
    struct hg_value value;
    size_t found = 0;
    memset(cells, 0, (c->count + 1) * sizeof(*cells));
    for (size_t at = 0; api->next(api->data(row), &at, &key, &value);) {
        found = columns_find(c, key, found);
        cells[found++] = value;
    }
    api->row_id(row, id);
    stamp_text(api->received(row), stamp);
    strbuf_addf(out, "%s,", id);
    cell_add(out, uuid.ptr, uuid.len);
    if (api->index(row) >= 0)
        strbuf_addf(out, ",%lld,%s", (long long)api->index(row), stamp);
    else
        strbuf_addf(out, ",,%s", stamp);
    for (size_t i = 0; i < c->count; i++) {
        strbuf_addc(out, ',');
        cell_value(out, api, &cells[i]);
    }
    strbuf_addc(out, '\n');
}

void csv_build(struct strbuf *out, const struct hg_api *api, const struct hg_rows *rows, const size_t *numbers,
               size_t count)
{
    struct columns columns = {.count = 0};
    int rc = 0;
    strbuf_clear(out);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = columns_fill(&columns, api, api->row(rows, numbers[i]));
    struct hg_value *cells = rc == 0 ? calloc(columns.count + 1, sizeof(*cells)) : NULL;
    if (cells) {
        head_add(out, api, &columns);
        for (size_t i = 0; i < count; i++)
            line_add(out, api, api->row(rows, numbers[i]), &columns, cells);
    } else {
        out->failed = 1;
    }
    free(cells);
    free(columns.names);
}

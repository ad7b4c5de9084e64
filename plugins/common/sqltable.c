/* Columns are found by key through a small table with one place for each hash (a collision only costs a search),
 * because the same few keys come for every row. A name longer than SQLNAME_MAX is never a column, so a key has room for
 * as much.
 *
 * Two keys of one row that would share a column are refused; whether a row can be written must not depend on which rows
 * came before, so keys of different rows are not compared. */
#include "common/sqltable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 48 /* bytes of a long name in a reason */ };

const char *const sqltable_metadata[4] = {"_id", "_uuid", "_index", "_received"};

int sqltable_init(struct sqltable *t, struct sql_digits numeric, int may_alter, const struct hg_list *times)
{
    *t = (struct sqltable){.numeric = numeric, .may_alter = may_alter, .times = times};
    t->keys = calloc(SQLTABLE_KEYS, sizeof(*t->keys));
    t->refusals = calloc(SQLTABLE_REFUSALS, sizeof(*t->refusals));
    if (t->keys && t->refusals)
        return 0;
    sqltable_fini(t);
    return -1;
}

void sqltable_fini(struct sqltable *t)
{
    free(t->columns);
    free(t->keys);
    free(t->refusals);
    *t = (struct sqltable){.count = 0};
}

void sqltable_clear(struct sqltable *t)
{
    t->count = 0;
    memset(t->keys, 0, SQLTABLE_KEYS * sizeof(*t->keys));
}

void sqltable_forgive(struct sqltable *t)
{
    t->refused = 0;
}

int sqltable_put(struct sqltable *t, const char *name, enum sql_kind kind)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 32;
        struct sqlcolumn *columns = t->count < SQLTABLE_COLUMNS ? realloc(t->columns, cap * sizeof(*columns)) : NULL;
        if (!columns)
            return -1;
        t->columns = columns;
        t->cap = cap;
    }
    struct sqlcolumn *c = &t->columns[t->count++];
    *c = (struct sqlcolumn){.kind = kind, .wanted = kind};
    snprintf(c->name, sizeof(c->name), "%s", name);
    return 0;
}

static struct sqlrefusal *find_refusal(const struct sqltable *t, const struct sqlcolumn *c)
{
    for (size_t i = 0; i < t->refused; i++)
        if (t->refusals[i].wanted == c->wanted && strcmp(t->refusals[i].name, c->name) == 0)
            return &t->refusals[i];
    return NULL;
}

void sqltable_refuse(struct sqltable *t, const struct sqlcolumn *c, const char *why)
{
    if (find_refusal(t, c))
        return;
    if (t->refused == SQLTABLE_REFUSALS)
        t->refused = 0; /* asked again: no harm but a question to the server */
    struct sqlrefusal *r = &t->refusals[t->refused++];
    r->wanted = c->wanted;
    snprintf(r->name, sizeof(r->name), "%s", c->name);
    snprintf(r->why, sizeof(r->why), "%s", why);
}

/* --- keys */

static uint64_t hash_of(const char *key, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)key[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static int is_metadata(const char *name)
{
    for (size_t i = 0; i < sizeof(sqltable_metadata) / sizeof(sqltable_metadata[0]); i++)
        if (strcmp(name, sqltable_metadata[i]) == 0)
            return 1;
    return 0;
}

static int is_time(const struct sqltable *t, const char *key, size_t len)
{
    for (size_t i = 0; t->times && i < t->times->count; i++)
        if (strlen(t->times->items[i]) == len && memcmp(t->times->items[i], key, len) == 0)
            return 1;
    return 0;
}

/* Without the torn character at the end. */
static int whole_len(const char *text)
{
    size_t len = strlen(text), at = len;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
        at--;
    return (int)(at > 0 && ((unsigned char)text[at - 1] & 0x80) ? at - 1 : len);
}

static struct sqlcolumn *find_column(struct sqltable *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

/* The column of a key whose characters are resolved. NULL with a reason. */
static struct sqlcolumn *column_named(struct sqltable *t, const char *key, size_t len, char *why)
{
    char name[SQLNAME_MAX + 1];
    if (sqlname_of(key, len, name) != 0) {
        name[SHOWN] = '\0';
        snprintf(why, SQLTABLE_WHY, "the column name \"%.*s%s\" of a key has %s", whole_len(name), name, len ? "…" : "",
                 len ? "more than 63 bytes" : "no characters");
        return NULL;
    }
    if (is_metadata(name)) {
        snprintf(why, SQLTABLE_WHY, "the key \"%.*s\" would be the column %s, which holds the row's own", (int)len, key,
                 name);
        return NULL;
    }
    struct sqlcolumn *c = find_column(t, name);
    if (c)
        return c;
    if (!t->may_alter) {
        snprintf(why, SQLTABLE_WHY, "the table has no column %s, and ALTER=no", name);
        return NULL;
    }
    if (sqltable_put(t, name, SQL_NONE) != 0) {
        snprintf(why, SQLTABLE_WHY, "more than %d columns", SQLTABLE_COLUMNS);
        return NULL;
    }
    c = &t->columns[t->count - 1];
    if (is_time(t, key, len))
        c->wanted = SQL_TIME;
    return c;
}

/* The key lies between its quotes in the row, so with them it is a JSON string. */
static struct sqlcolumn *column_of(struct sqltable *t, const struct hg_api *api, struct hg_text key, char *why)
{
    char plain[SQLNAME_MAX + 1];
    if (memchr(key.ptr, '\\', key.len)) {
        struct hg_text json = {key.ptr - 1, key.len + 2};
        long len = api->text(json, plain, sizeof(plain));
        if (len < 0) {
            snprintf(why, SQLTABLE_WHY, "the column name of a key has more than 63 bytes");
            return NULL;
        }
        return column_named(t, plain, (size_t)len, why);
    }
    if (key.len > SQLNAME_MAX || key.len == 0)
        return column_named(t, key.ptr, key.len, why);
    struct sqlkey *place = &t->keys[hash_of(key.ptr, key.len) % SQLTABLE_KEYS];
    if (place->len == key.len && memcmp(place->key, key.ptr, key.len) == 0)
        return &t->columns[place->column];
    struct sqlcolumn *c = column_named(t, key.ptr, key.len, why);
    if (c) {
        memcpy(place->key, key.ptr, key.len);
        place->len = key.len;
        place->column = (uint32_t)(c - t->columns);
    }
    return c;
}

/* --- batches */

void sqlbatch_init(struct sqlbatch *b)
{
    *b = (struct sqlbatch){.row_count = 0};
    strbuf_init(&b->reasons, (size_t)64 << 20);
}

void sqlbatch_fini(struct sqlbatch *b)
{
    free(b->cells);
    free(b->rows);
    strbuf_fini(&b->reasons);
    sqlbatch_init(b);
}

static int cell_add(struct sqlbatch *b, uint32_t column, const struct hg_value *value)
{
    if (b->cell_count == b->cell_cap) {
        size_t cap = b->cell_cap ? b->cell_cap * 2 : 1024;
        struct sqlcell *cells = realloc(b->cells, cap * sizeof(*cells));
        if (!cells)
            return -1;
        b->cells = cells;
        b->cell_cap = cap;
    }
    b->cells[b->cell_count++] = (struct sqlcell){column, *value};
    return 0;
}

void sqlbatch_refuse(struct sqlbatch *b, size_t row, const char *why)
{
    size_t at = b->reasons.len;
    strbuf_add(&b->reasons, why, strlen(why) + 1);
    b->rows[row].fault = b->reasons.failed ? b->rows[row].fault : at + 1;
}

/* What the value asks of the column, beside what others ask. 0, or -1 with a reason. */
static int cell_fit(const struct sqltable *t, struct sqlcolumn *c, const struct hg_value *value, char *why)
{
    struct sqlcolumn want = *c;
    want.wanted = sql_kind_for(c->wanted, value, t->numeric);
    int no_time = want.wanted == SQL_NONE && value->type != HG_NULL; /* also where the column is not there yet */
    if (want.wanted == c->kind && !no_time)
        return 0;
    if (no_time || !t->may_alter) {
        snprintf(why, SQLTABLE_WHY, "%s does not fit the column %s%s", sql_value_word(value), c->name,
                 no_time ? ", which is a time" : " without loss, and ALTER=no");
        return -1;
    }
    const struct sqlrefusal *refusal = find_refusal(t, &want);
    if (refusal) {
        snprintf(why, SQLTABLE_WHY, "%s", refusal->why);
        return -1;
    }
    return 0;
}

/* Takes back the columns that a row would have added. */
static void columns_cut(struct sqltable *t, size_t count)
{
    if (t->count == count)
        return;
    t->count = count;
    for (size_t i = 0; i < SQLTABLE_KEYS; i++)
        if (t->keys[i].column >= count)
            t->keys[i].len = 0;
}

/* The cells of one row. A row that cannot be written leaves no trace in the columns. */
static int row_read(struct sqlbatch *b, struct sqltable *t, const struct hg_api *api, const struct hg_row *source)
{
    struct sqlrow *row = &b->rows[b->row_count++];
    struct hg_text data = api->data(source), key;
    struct hg_value value;
    char why[SQLTABLE_WHY] = "";
    size_t before = t->count;
    *row = (struct sqlrow){.first = b->cell_count};
    for (size_t at = 0; !why[0] && api->next(data, &at, &key, &value);) {
        struct sqlcolumn *c = column_of(t, api, key, why);
        if (!c || cell_fit(t, c, &value, why) != 0)
            break;
        if (c->row == b->row_count)
            snprintf(why, sizeof(why), "two keys of the row (one is \"%.*s\") would be the column %s", (int)key.len,
                     key.ptr, c->name);
        else if (t->count - before > SQLTABLE_NEW)
            snprintf(why, sizeof(why), "the row would add more than %d columns", SQLTABLE_NEW);
        c->row = b->row_count;
        if (cell_add(b, (uint32_t)(c - t->columns), &value) != 0)
            return -1;
    }
    if (why[0]) {
        b->cell_count = row->first;
        columns_cut(t, before);
        sqlbatch_refuse(b, b->row_count - 1, why);
    }
    row->count = b->cell_count - row->first;
    for (size_t i = row->first; i < b->cell_count; i++) {
        struct sqlcolumn *c = &t->columns[b->cells[i].column];
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): where there is a cell there is its column */
        c->wanted = sql_kind_for(c->wanted, &b->cells[i].value, t->numeric);
        c->used |= b->cells[i].value.type != HG_NULL;
    }
    return 0;
}

static int begin(struct sqlbatch *b, size_t count)
{
    b->cell_count = b->row_count = 0;
    strbuf_clear(&b->reasons);
    if (count <= b->row_cap)
        return 0;
    struct sqlrow *grown = realloc(b->rows, count * sizeof(*grown));
    if (!grown)
        return -1;
    b->rows = grown;
    b->row_cap = count;
    return 0;
}

int sqlbatch_blank(struct sqlbatch *b, size_t count)
{
    if (begin(b, count) != 0)
        return -1;
    for (; b->row_count < count; b->row_count++)
        b->rows[b->row_count] = (struct sqlrow){.count = 0};
    return 0;
}

int sqlbatch_read(struct sqlbatch *b, struct sqltable *t, const struct hg_api *api, const struct hg_rows *rows)
{
    size_t count = api->row_count(rows);
    if (begin(b, count) != 0)
        return -1;
    for (size_t i = 0; i < t->count; i++) {
        struct sqlcolumn *c = &t->columns[i];
        c->row = 0;
        c->used = 0;
        if (c->kind != SQL_NONE || c->wanted != SQL_TIME)
            c->wanted = c->kind;
    }
    for (size_t i = 0; i < count; i++)
        if (row_read(b, t, api, api->row(rows, i)) != 0)
            return -1;
    return b->reasons.failed ? -1 : 0;
}

int sqlbatch_wants(const struct sqltable *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->columns[i].used && t->columns[i].wanted != t->columns[i].kind)
            return 1;
    return 0;
}

const char *sqlbatch_fault(struct sqlbatch *b, size_t row)
{
    return b->rows[row].fault ? b->reasons.ptr + b->rows[row].fault - 1 : NULL;
}

/* --- texts */

int sql_value_text(struct strbuf *out, const struct hg_api *api, const struct hg_value *value)
{
    struct hg_text json = value->json;
    if (value->type != HG_STR) {
        strbuf_add(out, json.ptr, json.len);
    } else if (!memchr(json.ptr, '\\', json.len)) {
        strbuf_add(out, json.ptr + 1, json.len - 2);
    } else {
        char *at = strbuf_room(out, json.len);
        long len = at ? api->text(json, at, json.len) : -1;
        if (len < 0)
            return -1;
        out->len += (size_t)len;
    }
    return out->failed ? -1 : 0;
}

void sql_whole_text(struct strbuf *out, struct hg_text json)
{
    struct sql_number n;
    if (memchr(json.ptr, '.', json.len) || memchr(json.ptr, 'e', json.len) || memchr(json.ptr, 'E', json.len)) {
        sql_number_read(json, &n);
        if (n.integer) {
            strbuf_addf(out, "%lld", (long long)n.value);
            return;
        }
    }
    strbuf_add(out, json.ptr, json.len);
}

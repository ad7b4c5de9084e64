/* Rows of one instrument mostly have the same keys in the same order, so the column of a value is looked for behind
 * that of the value before it; no row is parsed twice. */
#include "fold.h"

#include "common/jsontext.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 1024, FIRST_COLUMNS = 32 };

struct column {
    char *key; /* its escapes resolved */
    struct strbuf values;
    size_t count;
};

struct fold {
    struct column *columns;
    size_t count, cap, rows, text_max;
};

struct fold *fold_new(size_t text_max)
{
    struct fold *f = calloc(1, sizeof(*f));
    if (f)
        f->text_max = text_max;
    return f;
}

void fold_clear(struct fold *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->columns[i].key);
        strbuf_fini(&f->columns[i].values);
    }
    f->count = f->rows = 0;
}

void fold_free(struct fold **f)
{
    if (!*f)
        return;
    fold_clear(*f);
    free((*f)->columns);
    free(*f);
    *f = NULL;
}

/* --- columns --- */

static struct column *column_new(struct fold *f, const char *key)
{
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : FIRST_COLUMNS;
        struct column *more = realloc(f->columns, cap * sizeof(*more));
        if (!more)
            return NULL;
        f->columns = more;
        f->cap = cap;
    }
    struct column *c = &f->columns[f->count];
    *c = (struct column){.key = strdup(key)};
    if (!c->key)
        return NULL;
    strbuf_init(&c->values, f->text_max);
    f->count++;
    return c;
}

/* `*at`: where it is looked for first; moves behind it. */
static struct column *column_of(struct fold *f, const char *key, size_t *at)
{
    for (size_t i = 0; i < f->count; i++) {
        size_t place = (*at + i) % f->count;
        if (strcmp(f->columns[place].key, key) == 0) {
            *at = place + 1;
            return &f->columns[place];
        }
    }
    *at = f->count + 1;
    return f->count < FOLD_KEYS_MAX ? column_new(f, key) : NULL;
}

/* Up to `count` elements. */
static void column_pad(struct column *c, size_t count)
{
    for (; c->count < count; c->count++)
        strbuf_adds(&c->values, c->count ? ",null" : "null");
}

/* --- rows --- */

enum fold_result fold_add(struct fold *f, const struct hg_api *api, const struct hg_row *row)
{
    size_t at = 0, place = 0;
    struct hg_text key;
    struct hg_value value;
    char name[KEY_SIZE];
    while (api->next(api->data(row), &at, &key, &value)) {
        const struct hg_text quoted = {key.ptr - 1, key.len + 2};
        struct column *c = api->text(quoted, name, sizeof(name)) < 0 ? NULL : column_of(f, name, &place);
        if (!c)
            return f->count == FOLD_KEYS_MAX ? FOLD_TOO_WIDE : FOLD_NO_MEMORY;
        column_pad(c, f->rows);
        if (c->count)
            strbuf_addc(&c->values, ',');
        strbuf_add(&c->values, value.json.ptr, value.json.len);
        c->count++;
        if (c->values.failed)
            return FOLD_NO_MEMORY;
    }
    f->rows++;
    return FOLD_OK;
}

void fold_write(struct fold *f, struct strbuf *out)
{
    strbuf_addc(out, '{');
    for (size_t i = 0; i < f->count; i++) {
        struct column *c = &f->columns[i];
        column_pad(c, f->rows);
        if (i > 0)
            strbuf_addc(out, ',');
        jsontext_add(out, (struct hg_text){c->key, strlen(c->key)});
        strbuf_adds(out, ":[");
        strbuf_add(out, c->values.ptr, c->values.len);
        strbuf_addc(out, ']');
        out->failed |= c->values.failed;
    }
    strbuf_addc(out, '}');
}

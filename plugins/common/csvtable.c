/* Two columns with one name would be one key twice, and which value is meant cannot be guessed: that is a fault, as is
 * a record that has more or fewer cells than the header. */
#include "common/csvtable.h"

#include "common/camel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fault(struct csvtable *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fault(struct csvtable *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(t->why, sizeof(t->why), format, args);
    va_end(args);
    return -1;
}

static void columns_free(struct csvtable *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->columns[i].title);
        free(t->columns[i].key);
    }
    free(t->columns);
    t->columns = NULL;
    t->count = 0;
}

void csvtable_init(struct csvtable *t, const struct csvform *form)
{
    *t = (struct csvtable){.form = *form};
    csvread_init(&t->csv, form);
    strbuf_init(&t->row, (size_t)2 * CSVREAD_RECORD_MAX);
    strbuf_init(&t->cell, (size_t)3 * CSVREAD_RECORD_MAX);
}

void csvtable_fini(struct csvtable *t)
{
    columns_free(t);
    csvread_fini(&t->csv);
    strbuf_fini(&t->row);
    strbuf_fini(&t->cell);
}

void csvtable_rewind(struct csvtable *t)
{
    csvread_fini(&t->csv);
    csvread_init(&t->csv, &t->form);
}

/* A cell of the record, in UTF-8; until the next. */
static struct hg_text cell_at(struct csvtable *t, size_t i)
{
    return csvform_utf8(&t->form, csvread_field(&t->csv, i), &t->cell);
}

/* --- the header --- */

static int column_read(struct csvtable *t, struct csvtable_column *c, struct hg_text title, size_t number)
{
    struct strbuf key;
    strbuf_init(&key, (size_t)16 * CAMEL_MAX);
    *c = (struct csvtable_column){.title = strndup(title.ptr, title.len), .number = number};
    const char *why = camel_name(title, &key);
    if (!why && !(c->key = strdup(strbuf_str(&key))))
        why = "out of memory";
    strbuf_fini(&key);
    return why ? fault(t, "column %zu (`%.60s`): %s", number, c->title ? c->title : "", why)
               : (c->title ? 0 : fault(t, "out of memory"));
}

static int by_key(const void *a, const void *b)
{
    const struct csvtable_column *const *left = a, *const *right = b;
    int order = strcmp((*left)->key, (*right)->key);
    return order != 0 ? order : (*left)->number < (*right)->number ? -1 : 1;
}

static int columns_collide(struct csvtable *t)
{
    const struct csvtable_column **sorted = calloc(t->count, sizeof(*sorted));
    if (!sorted)
        return fault(t, "out of memory");
    for (size_t i = 0; i < t->count; i++)
        sorted[i] = &t->columns[i];
    qsort(sorted, t->count, sizeof(*sorted), by_key);
    int result = 0;
    for (size_t i = 1; result == 0 && i < t->count; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            result =
                fault(t, "columns %zu (`%.60s`) and %zu (`%.60s`) both become `%s`: rename one", sorted[i - 1]->number,
                      sorted[i - 1]->title, sorted[i]->number, sorted[i]->title, sorted[i]->key);
    free(sorted);
    return result;
}

int csvtable_header(struct csvtable *t)
{
    columns_free(t);
    t->columns = calloc(t->csv.count, sizeof(*t->columns));
    if (!t->columns)
        return fault(t, "out of memory");
    for (size_t i = 0; i < t->csv.count; i++) {
        t->count = i + 1;
        if (column_read(t, &t->columns[i], cell_at(t, i), i + 1) != 0)
            return -1;
    }
    return columns_collide(t);
}

/* --- types and index --- */

static int text_is(struct hg_text text, const char *other)
{
    return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

static struct csvtable_column *column_named(struct csvtable *t, struct hg_text name)
{
    for (size_t i = 0; i < t->count; i++)
        if (text_is(name, t->columns[i].title) || text_is(name, t->columns[i].key))
            return &t->columns[i];
    return NULL;
}

static int column_type(struct csvtable *t, struct hg_text item)
{
    size_t at = item.len;
    while (at > 0 && item.ptr[at - 1] != '=')
        at--;
    if (at == 0)
        return fault(t, "`%.60s` must be column=type", item.ptr);
    struct hg_text name = {item.ptr, at - 1}, type = {item.ptr + at, item.len - at};
    enum csvcell_type parsed;
    if (csvcell_type_parse(type, &parsed) != 0)
        return fault(t, "`%.*s` is no type: text, integer, number, boolean or auto", (int)type.len, type.ptr);
    if (text_is(name, "*")) {
        for (size_t i = 0; i < t->count; i++)
            if (!t->columns[i].typed)
                t->columns[i].type = parsed;
        return 0;
    }
    struct csvtable_column *column = column_named(t, name);
    if (!column)
        return fault(t, "there is no column `%.*s`", (int)name.len, name.ptr);
    column->type = parsed;
    column->typed = 1;
    return 0;
}

int csvtable_types(struct csvtable *t, const char *types)
{
    while (*types != '\0') {
        size_t len = strcspn(types, ",");
        if (column_type(t, (struct hg_text){types, len}) != 0)
            return -1;
        types += len + (types[len] == ',');
    }
    return 0;
}

int csvtable_index(struct csvtable *t, const char *column)
{
    struct csvtable_column *found = column_named(t, (struct hg_text){column, strlen(column)});
    if (!found)
        return fault(t, "there is no column `%.200s`", column);
    found->index = 1;
    return 0;
}

/* --- a record --- */

static int cell_add(struct csvtable *t, size_t i, int64_t *index, char why[CSVCELL_WHY_MAX])
{
    const struct csvtable_column *column = &t->columns[i];
    struct hg_text cell = cell_at(t, i);
    if (column->index)
        return csvcell_index(cell, index, why);
    if (t->row.len > 1)
        strbuf_addc(&t->row, ',');
    strbuf_addc(&t->row, '"');
    strbuf_adds(&t->row, column->key);
    strbuf_adds(&t->row, "\":");
    return csvcell_write(&t->row, cell, column->type, t->form.decimal, why);
}

int csvtable_row(struct csvtable *t, int64_t *index)
{
    char why[CSVCELL_WHY_MAX];
    if (t->csv.count != t->count)
        return fault(t, "%zu cells, but the header has %zu columns", t->csv.count, t->count);
    *index = -1;
    strbuf_clear(&t->row);
    strbuf_addc(&t->row, '{');
    for (size_t i = 0; i < t->count; i++)
        if (cell_add(t, i, index, why) != 0)
            return fault(t, "column `%.60s`: %s", t->columns[i].title, why);
    strbuf_addc(&t->row, '}');
    return t->row.failed || t->cell.failed ? fault(t, "out of memory, or the row is too large") : 0;
}

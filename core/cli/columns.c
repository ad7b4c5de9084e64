/* The columns of a CSV file: names turned camelCase, types and index column as the options say, and a record made into
 * a data object. */
#include "cli/rowfile.h"

#include "cli/camel.h"
#include "rows/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BUF = 16 * KEY_MAX_BYTES };

void columns_free(struct rowfile *f)
{
    for (size_t i = 0; i < f->column_count; i++) {
        free(f->columns[i].title);
        free(f->columns[i].key);
    }
    free(f->columns);
    f->columns = NULL;
    f->column_count = 0;
}

static int column_read(struct rowfile_column *c, struct slice title, size_t number, struct err *e)
{
    struct buf key;
    struct err why;
    buf_init(&key, NAME_BUF);
    c->number = number;
    c->title = strndup(title.ptr, title.len);
    int code = camel_name(title, &key, &why);
    if (code != ERR_OK)
        code = err_set(e, code, "line 1: column %zu (`%.60s`): %s", number, c->title == NULL ? "" : c->title, why.text);
    else if ((c->key = strdup(buf_str(&key))) == NULL || c->title == NULL)
        code = err_set(e, ERR_NOMEM, "out of memory");
    buf_free(&key);
    return code;
}

static int by_key(const void *a, const void *b)
{
    const struct rowfile_column *const *left = a, *const *right = b;
    int order = strcmp((*left)->key, (*right)->key);
    return order != 0 ? order : (*left)->number < (*right)->number ? -1 : 1;
}

/* Two columns with one name would be one key twice: which value is meant cannot be guessed. */
static int columns_collide(const struct rowfile *f, struct err *e)
{
    const struct rowfile_column **sorted = calloc(f->column_count, sizeof *sorted);
    if (sorted == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < f->column_count; i++)
        sorted[i] = &f->columns[i];
    qsort(sorted, f->column_count, sizeof *sorted, by_key);
    int code = ERR_OK;
    for (size_t i = 1; code == ERR_OK && i < f->column_count; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            code = err_set(
                e, ERR_EXISTS, "line 1: columns %zu (`%.60s`) and %zu (`%.60s`) both become `%s`: rename one",
                sorted[i - 1]->number, sorted[i - 1]->title, sorted[i]->number, sorted[i]->title, sorted[i]->key);
    free(sorted);
    return code;
}

static struct rowfile_column *column_named(struct rowfile *f, struct slice name)
{
    for (size_t i = 0; i < f->column_count; i++)
        if (slice_is(name, f->columns[i].title) || slice_is(name, f->columns[i].key))
            return &f->columns[i];
    return NULL;
}

static int column_type(struct rowfile *f, struct slice item, struct err *e)
{
    size_t at = item.len;
    while (at > 0 && item.ptr[at - 1] != '=')
        at--;
    if (at == 0)
        return err_set(e, ERR_USAGE, "--types: `%.60s` must be column=type", item.ptr);
    struct slice name = slice_make(item.ptr, at - 1), type = slice_make(item.ptr + at, item.len - at);
    struct rowfile_column *column = column_named(f, name);
    if (column == NULL)
        return err_set(e, ERR_USAGE, "--types: there is no column `" SLICE_FMT "`", SLICE_ARG(name));
    if (cell_type_parse(type, &column->type) != ERR_OK)
        return err_set(e, ERR_USAGE, "--types: `" SLICE_FMT "` is no type: text, integer, number, boolean or auto",
                       SLICE_ARG(type));
    return ERR_OK;
}

static int columns_options(struct rowfile *f, struct err *e)
{
    const char *types = f->options.types == NULL ? "" : f->options.types;
    while (*types != '\0') {
        size_t len = strcspn(types, ",");
        int code = column_type(f, slice_make(types, len), e);
        if (code != ERR_OK)
            return code;
        types += len + (types[len] == ',');
    }
    if (f->options.index == NULL)
        return ERR_OK;
    struct rowfile_column *column = column_named(f, slice_of(f->options.index));
    if (column == NULL)
        return err_set(e, ERR_USAGE, "--index: there is no column `%s`", f->options.index);
    column->index = true;
    return ERR_OK;
}

int columns_read(struct rowfile *f, struct err *e)
{
    columns_free(f);
    f->columns = calloc(f->csv.count, sizeof *f->columns);
    if (f->columns == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < f->csv.count; i++) {
        f->column_count = i + 1;
        int code = column_read(&f->columns[i], csv_field(&f->csv, i), i + 1, e);
        if (code != ERR_OK)
            return code;
    }
    int code = columns_collide(f, e);
    return code == ERR_OK ? columns_options(f, e) : code;
}

static int column_cell(struct rowfile *f, size_t i, struct row *out, struct err *why)
{
    const struct rowfile_column *column = &f->columns[i];
    struct slice cell = csv_field(&f->csv, i);
    if (column->index)
        return cell_index(cell, &out->index, why);
    int code = buf_addf(&f->text, "%s\"%s\":", f->text.len > 1 ? "," : "", column->key);
    return code == ERR_OK ? cell_write(&f->text, cell, column->type, f->options.decimal, why) : code;
}

int columns_row(struct rowfile *f, struct row *out, struct err *e)
{
    uint64_t line = f->csv.began;
    if (f->csv.count != f->column_count)
        return err_set(e, ERR_SYNTAX, "line %" PRIu64 ": %zu cells, but the header has %zu columns", line, f->csv.count,
                       f->column_count);
    *out = (struct row){.line = line, .index = INDEX_NONE};
    buf_clear(&f->text);
    int code = buf_addc(&f->text, '{');
    for (size_t i = 0; code == ERR_OK && i < f->column_count; i++) {
        struct err why = {.text = ""};
        code = column_cell(f, i, out, &why);
        if (code != ERR_OK)
            return err_set(e, code, "line %" PRIu64 ": column `%.60s`: %s", line, f->columns[i].title,
                           why.text[0] != '\0' ? why.text : err_text(code));
    }
    if (code == ERR_OK)
        code = buf_addc(&f->text, '}');
    out->text = buf_slice(&f->text);
    return code == ERR_OK ? code : err_set(e, code, "line %" PRIu64 ": %s", line, err_text(code));
}

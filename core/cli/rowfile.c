/* Reading rows from a file in any of the formats.
 *
 * The input hands out chunks; what a chunk holds beyond the row at hand stays in `rest` for the next call. A whole
 * document is told from a data object by the first row of the file: {"uuid": text, "row": {…} or "rows": […]}. */
#include "cli/rowfile.h"

#include "cli/js.h"
#include "common/camel.h"
#include "rows/rows.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

static_assert((int)CAMEL_MAX == (int)KEY_MAX_BYTES, "a name that fits a column fits a row");

static const struct {
    const char *name;
    enum rowfile_format format;
    char delimiter;
} endings[] = {
    {"ndjson", ROWFILE_NDJSON, 0}, {"jsonl", ROWFILE_NDJSON, 0}, {"json", ROWFILE_JSON, 0},
    {"csv", ROWFILE_CSV, ','},     {"tsv", ROWFILE_CSV, '\t'},   {"tab", ROWFILE_CSV, '\t'},
};

int rowfile_format(const char *text, struct rowfile_options *options)
{
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        if (strcasecmp(text, endings[i].name) != 0)
            continue;
        options->format = endings[i].format;
        if (options->csv.delimiter == 0)
            options->csv.delimiter = endings[i].delimiter;
        return ERR_OK;
    }
    return ERR_UNKNOWN;
}

/* The next piece of the input, without a byte order mark at its very beginning; empty at the end. */
static int rowfile_fill(struct rowfile *f, struct err *e)
{
    if (f->rest.len > 0)
        return ERR_OK;
    bool first = f->input->read == 0;
    int code = input_next(f->input, &f->rest, e);
    if (code != ERR_OK || !first)
        return code;
    if (f->rest.len >= 2 && (memcmp(f->rest.ptr, "\xFF\xFE", 2) == 0 || memcmp(f->rest.ptr, "\xFE\xFF", 2) == 0))
        return err_set(e, ERR_SYNTAX, "line 1: the file is UTF-16: convert it first (iconv -f utf-16 -t utf-8)");
    if (f->rest.len >= 3 && memcmp(f->rest.ptr, "\xEF\xBB\xBF", 3) == 0) {
        f->table.form.encoding = CSVFORM_UTF8; /* it says so itself */
        f->rest = slice_make(f->rest.ptr + 3, f->rest.len - 3);
    }
    return ERR_OK;
}

static void rowfile_used(struct rowfile *f, size_t used)
{
    f->rest = slice_make(f->rest.ptr + used, f->rest.len - used);
}

/* `[` at the beginning: an array; `{`: objects one a line, or one over many lines, which the JSON reader takes both. */
static int rowfile_sniff(struct rowfile *f, struct err *e)
{
    int code = rowfile_fill(f, e);
    if (code != ERR_OK)
        return code;
    size_t at = 0;
    while (at < f->rest.len && strchr(" \t\r\n", f->rest.ptr[at]) != NULL)
        at++;
    if (at == f->rest.len || f->rest.ptr[at] == '[' || f->rest.ptr[at] == '{')
        f->options.format = ROWFILE_JSON;
    else
        return err_set(e, ERR_USAGE, "the format cannot be told from the name: give --format ndjson, json, csv or tsv");
    return rowfile_begin(f, e);
}

int rowfile_open(struct rowfile *f, struct input *input, const struct rowfile_options *options, struct err *e)
{
    *f = (struct rowfile){.input = input, .options = *options};
    const char *dot = strrchr(input->name, '.');
    csvtable_init(&f->table, &options->csv);
    jsplit_init(&f->split);
    buf_init(&f->text, JSPLIT_VALUE_MAX);
    if (f->options.format == ROWFILE_UNKNOWN && dot != NULL && rowfile_format(dot + 1, &f->options) != ERR_OK)
        f->options.format = ROWFILE_UNKNOWN;
    if (f->options.csv.delimiter == 0)
        f->options.csv.delimiter = ',';
    const char *wrong = csvform_wrong(&f->options.csv);
    if (wrong != NULL)
        return err_set(e, ERR_USAGE, "%s", wrong);
    int code = rowfile_begin(f, e);
    if (code == ERR_OK && f->options.format == ROWFILE_UNKNOWN)
        code = rowfile_sniff(f, e);
    if (code == ERR_OK && f->options.format != ROWFILE_CSV && options->csv_only)
        return err_set(
            e, ERR_USAGE,
            "--delimiter, --decimal, --quotes, --encoding, --skip, --types and --index are for CSV and TSV only");
    return code;
}

void rowfile_close(struct rowfile *f)
{
    csvtable_fini(&f->table);
    jsplit_fini(&f->split);
    buf_free(&f->text);
}

int rowfile_begin(struct rowfile *f, struct err *e)
{
    f->table.form = f->options.csv;
    csvtable_rewind(&f->table);
    jsplit_fini(&f->split);
    jsplit_init(&f->split);
    f->rest = (struct slice){0};
    f->line = 0;
    f->blank = 0;
    f->began = false;
    return input_rewind(f->input, e);
}

/* Is this object a whole row set? */
static bool is_document(struct slice text)
{
    json_t *object = js_parse(text);
    const json_t *row = json_object_get(object, "row"), *rows = json_object_get(object, "rows");
    bool well = json_is_string(json_object_get(object, "uuid")) && (json_is_object(row) != json_is_array(rows));
    if (well && row != NULL)
        well = rows == NULL && json_object_get(row, "data") != NULL;
    else if (well && json_array_size(rows) > 0)
        well = json_object_get(json_array_get(rows, 0), "data") != NULL;
    json_decref(object);
    return well;
}

static int rowfile_judge(struct rowfile *f, struct row *out, struct err *e)
{
    if (!f->judged)
        f->documents = is_document(out->text);
    f->judged = true;
    if (f->documents && f->split.array)
        return err_set(e, ERR_SYNTAX,
                       "line %" PRIu64 ": an array of whole documents: write them one a line, without the array",
                       out->line);
    return ERR_OK;
}

/* --- CSV --- */

/* What the table says of it. */
static int table_fault(const struct rowfile *f, uint64_t line, struct err *e)
{
    return err_set(e, ERR_SYNTAX, "line %" PRIu64 ": %s", line, f->table.why);
}

static int csv_record(struct rowfile *f, struct err *e)
{
    struct csvread *csv = &f->table.csv;
    for (;;) {
        int code = rowfile_fill(f, e);
        if (code != ERR_OK)
            return code;
        bool end = f->rest.len == 0;
        size_t used = 0;
        enum csvread_result got = end ? csvread_finish(csv) : csvread_feed(csv, f->rest.ptr, f->rest.len, &used);
        rowfile_used(f, used);
        f->blank = csv->blank;
        if (got == CSVREAD_FAULT)
            return err_set(e, ERR_SYNTAX, "line %" PRIu64 ": %s", csv->line, csv->why);
        if (got == CSVREAD_RECORD)
            return ERR_OK;
        if (end)
            return ERR_NOTFOUND;
    }
}

static int csv_header(struct rowfile *f, struct err *e)
{
    const struct csvform *o = &f->options.csv;
    int code = csv_record(f, e);
    if (code != ERR_OK)
        return code;
    if (csvtable_header(&f->table) != 0)
        return table_fault(f, f->table.csv.began, e);
    if (o->types != NULL && csvtable_types(&f->table, o->types) != 0)
        return err_set(e, ERR_USAGE, "--types: %s", f->table.why);
    if (o->index != NULL && csvtable_index(&f->table, o->index) != 0)
        return err_set(e, ERR_USAGE, "--index: %s", f->table.why);
    return ERR_OK;
}

static int csv_row(struct rowfile *f, struct row *out, struct err *e)
{
    int code = f->began ? ERR_OK : csv_header(f, e);
    int64_t index;
    f->began = true;
    if (code == ERR_OK)
        code = csv_record(f, e);
    if (code != ERR_OK)
        return code;
    uint64_t line = f->table.csv.began;
    if (csvtable_row(&f->table, &index) != 0)
        return table_fault(f, line, e);
    *out = (struct row){slice_make(f->table.row.ptr, f->table.row.len), line, index < 0 ? INDEX_NONE : (uint64_t)index};
    return ERR_OK;
}

/* --- JSON --- */

static int json_row(struct rowfile *f, struct row *out, struct err *e)
{
    for (;;) {
        int code = rowfile_fill(f, e);
        if (code != ERR_OK)
            return code;
        if (f->rest.len == 0)
            return jsplit_finish(&f->split, e) == ERR_OK ? ERR_NOTFOUND : ERR_SYNTAX;
        size_t used = 0;
        enum jsplit_result got = jsplit_feed(&f->split, f->rest.ptr, f->rest.len, &used, e);
        rowfile_used(f, used);
        if (got == JSPLIT_FAULT)
            return ERR_SYNTAX;
        if (got == JSPLIT_MORE)
            continue;
        *out = (struct row){buf_slice(&f->split.value), f->split.began, INDEX_NONE};
        return rowfile_judge(f, out, e);
    }
}

/* --- NDJSON --- */

/* The next line without its end into f->text. */
static int read_line(struct rowfile *f, struct err *e)
{
    buf_clear(&f->text);
    f->line++;
    for (;;) {
        int code = rowfile_fill(f, e);
        if (code != ERR_OK)
            return code;
        if (f->rest.len == 0)
            return f->text.len == 0 ? ERR_NOTFOUND : ERR_OK;
        const char *end = memchr(f->rest.ptr, '\n', f->rest.len);
        size_t take = end == NULL ? f->rest.len : (size_t)(end - f->rest.ptr);
        code = buf_add(&f->text, f->rest.ptr, take);
        if (code != ERR_OK)
            return err_set(e, code, "line %" PRIu64 ": %s", f->line, err_text(code));
        rowfile_used(f, take + (end != NULL));
        if (end != NULL)
            return ERR_OK;
    }
}

static struct slice line_object(const struct rowfile *f)
{
    struct slice s = buf_slice(&f->text);
    while (s.len > 0 && strchr(" \t\r", s.ptr[0]) != NULL)
        s = slice_make(s.ptr + 1, s.len - 1);
    while (s.len > 0 && strchr(" \t\r", s.ptr[s.len - 1]) != NULL)
        s.len--;
    return s;
}

/* Exactly one object, so that it cannot reach out of its place in the request. */
static int line_check(struct rowfile *f, struct slice object, struct err *e)
{
    size_t used = 0;
    jsplit_fini(&f->split);
    jsplit_init(&f->split);
    f->split.line = f->line;
    enum jsplit_result got = jsplit_feed(&f->split, object.ptr, object.len, &used, e);
    if (got == JSPLIT_FAULT)
        return ERR_SYNTAX;
    if (f->split.array)
        return err_set(e, ERR_SYNTAX, "line %" PRIu64 ": a row must be a JSON object, not an array", f->line);
    if (got == JSPLIT_MORE)
        return err_set(e, ERR_SYNTAX, "line %" PRIu64 ": the object does not end on its line", f->line);
    if (used < object.len)
        return err_set(e, ERR_SYNTAX, "line %" PRIu64 ": text behind the object", f->line);
    return ERR_OK;
}

static int ndjson_row(struct rowfile *f, struct row *out, struct err *e)
{
    for (;;) {
        int code = read_line(f, e);
        if (code != ERR_OK)
            return code;
        struct slice object = line_object(f);
        if (object.len == 0) {
            f->blank++;
            continue;
        }
        code = line_check(f, object, e);
        if (code != ERR_OK)
            return code;
        *out = (struct row){object, f->line, INDEX_NONE};
        return rowfile_judge(f, out, e);
    }
}

int rowfile_next(struct rowfile *f, struct row *out, struct err *e)
{
    switch (f->options.format) {
    case ROWFILE_CSV: return csv_row(f, out, e);
    case ROWFILE_JSON: return json_row(f, out, e);
    case ROWFILE_NDJSON: return ndjson_row(f, out, e);
    case ROWFILE_UNKNOWN: break;
    }
    return err_set(e, ERR_USAGE, "the format is not known");
}

/* The CSV reader: a state machine over bytes, so that a file is read in pieces of any size and a record may be cut
 * anywhere. Delimiters, quotes and line ends are ASCII, so UTF-8 passes through untouched. Pure; fuzzed by
 * test/fuzz/fuzz_csv.c. */
#include "cli/csv.h"

#include <inttypes.h>
#include <stdlib.h>

enum { FIELDS_FIRST = 32 };

void csv_init(struct csv *c, char delimiter)
{
    *c = (struct csv){.delimiter = delimiter, .line = 1, .began = 1};
    buf_init(&c->text, CSV_RECORD_MAX);
}

void csv_fini(struct csv *c)
{
    buf_free(&c->text);
    free(c->ends);
    c->ends = NULL;
    c->count = c->cap = 0;
}

struct slice csv_field(const struct csv *c, size_t field)
{
    CHECK(field < c->count);
    uint32_t from = field == 0 ? 0 : c->ends[field - 1];
    return slice_make(c->text.ptr == NULL ? "" : c->text.ptr + from, c->ends[field] - from);
}

static enum csv_result csv_fault(const struct csv *c, struct err *e, const char *what)
{
    err_set(e, ERR_SYNTAX, "line %" PRIu64 ": %s", c->line, what);
    return CSV_FAULT;
}

static int csv_close_field(struct csv *c)
{
    if (c->count == CSV_FIELDS_MAX)
        return ERR_LIMIT;
    if (c->count == c->cap) {
        size_t cap = c->cap == 0 ? FIELDS_FIRST : c->cap * 2;
        uint32_t *ends = realloc(c->ends, cap * sizeof *ends);
        if (ends == NULL)
            return ERR_NOMEM;
        c->ends = ends;
        c->cap = cap;
    }
    c->ends[c->count++] = (uint32_t)c->text.len;
    return ERR_OK;
}

static void csv_begin(struct csv *c)
{
    buf_clear(&c->text);
    c->count = 0;
    c->began = c->line;
    c->complete = false;
    c->state = CSV_START;
}

/* A field ended with `byte`: the delimiter, CR or LF. */
static int csv_end_field(struct csv *c, char byte)
{
    int code = csv_close_field(c);
    c->state = byte == c->delimiter ? CSV_FIELD : CSV_CR;
    if (byte == '\n') {
        c->line++;
        c->complete = true;
    }
    return code;
}

static bool csv_ends_field(const struct csv *c, char byte)
{
    return byte == c->delimiter || byte == '\n' || byte == '\r';
}

/* At the first byte of a record or a field. */
static int csv_first(struct csv *c, char byte)
{
    bool start = c->state == CSV_START;
    if (start && byte == '\n') {
        c->line++;
        c->blank++;
        c->began = c->line;
        return ERR_OK;
    }
    if (start && byte == '\r') { /* no field was closed: an empty line once the line feed has come */
        c->state = CSV_CR;
        return ERR_OK;
    }
    if (byte == '"') {
        c->state = CSV_QUOTED;
        return ERR_OK;
    }
    if (csv_ends_field(c, byte))
        return csv_end_field(c, byte);
    c->state = CSV_PLAIN;
    return buf_addc(&c->text, byte);
}

/* The line feed of a CRLF. */
static void csv_line_feed(struct csv *c)
{
    c->line++;
    if (c->count > 0) {
        c->complete = true;
        return;
    }
    c->blank++;
    csv_begin(c);
}

/* One byte; NULL when it may stand here, else what is wrong. `*code` is an error that is not the text's fault. */
static const char *csv_byte(struct csv *c, char byte, int *code)
{
    if (byte == '\0')
        return "a NUL byte: this is no text file";
    switch (c->state) {
    case CSV_START:
    case CSV_FIELD: *code = csv_first(c, byte); return NULL;
    case CSV_PLAIN:
        if (byte == '"')
            return "a quote inside an unquoted cell: the cell must be quoted, and the quote doubled";
        *code = csv_ends_field(c, byte) ? csv_end_field(c, byte) : buf_addc(&c->text, byte);
        return NULL;
    case CSV_QUOTED:
        if (byte == '"')
            c->state = CSV_QUOTE;
        else
            *code = buf_addc(&c->text, byte);
        c->line += byte == '\n';
        return NULL;
    case CSV_QUOTE:
        if (byte != '"' && !csv_ends_field(c, byte))
            return "text behind a closing quote: a quote inside a quoted cell must be doubled";
        *code = byte == '"' ? buf_addc(&c->text, byte) : csv_end_field(c, byte);
        if (byte == '"')
            c->state = CSV_QUOTED;
        return NULL;
    case CSV_CR:
        if (byte != '\n')
            return "a carriage return without a line feed";
        csv_line_feed(c);
        return NULL;
    }
    return "internal fault";
}

enum csv_result csv_feed(struct csv *c, const char *bytes, size_t len, size_t *used, struct err *e)
{
    if (c->complete)
        csv_begin(c);
    for (size_t i = 0; i < len; i++) {
        int code = ERR_OK;
        const char *wrong = csv_byte(c, bytes[i], &code);
        *used = i + 1;
        if (wrong != NULL)
            return csv_fault(c, e, wrong);
        if (code != ERR_OK)
            return csv_fault(c, e, code == ERR_LIMIT ? "the record is too large (an open quote?)" : err_text(code));
        if (c->complete)
            return CSV_RECORD;
    }
    *used = len;
    return CSV_MORE;
}

enum csv_result csv_finish(struct csv *c, struct err *e)
{
    if (c->complete)
        csv_begin(c);
    switch (c->state) {
    case CSV_START: return CSV_MORE;
    case CSV_QUOTED:
        c->line = c->began;
        return csv_fault(c, e, "a quoted cell of the record that begins here never ends");
    case CSV_CR: /* the file ends between CR and LF */
        if (c->count == 0)
            return CSV_MORE;
        c->complete = true;
        return CSV_RECORD;
    case CSV_FIELD:
    case CSV_PLAIN:
    case CSV_QUOTE:
        if (csv_close_field(c) != ERR_OK)
            return csv_fault(c, e, "the record has too many cells");
        c->complete = true;
        return CSV_RECORD;
    }
    return CSV_FAULT;
}

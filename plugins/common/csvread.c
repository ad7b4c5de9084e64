/* The CSV reader: a state machine over bytes, so that a file is read in pieces of any size and a record may be cut
 * anywhere. Delimiters, quotes and line ends are ASCII, so UTF-8 passes through untouched. Pure; fuzzed by
 * test/fuzz/fuzz_csv.c. `headgate send` reads with it too. */
#include "common/csvread.h"

#include <stdlib.h>

enum { FIELDS_FIRST = 32 };

static const char too_large[] = "the record is too large (an open quote?)";

void csvread_init(struct csvread *c, const struct csvform *form)
{
    static const char quotes[] = {[CSVFORM_DOUBLE] = '"', [CSVFORM_SINGLE] = '\'', [CSVFORM_NONE] = '\0'};
    *c = (struct csvread){.delimiter = form->delimiter,
                          .quote = quotes[form->quotes],
                          .skip = form->skip,
                          .state = form->skip > 0 ? CSVREAD_SKIP : CSVREAD_START,
                          .line = 1,
                          .began = 1};
    strbuf_init(&c->text, CSVREAD_RECORD_MAX);
}

void csvread_go_on(struct csvread *c, uint64_t line)
{
    c->line = c->began = line;
    c->state = CSVREAD_START;
}

void csvread_fini(struct csvread *c)
{
    strbuf_fini(&c->text);
    free(c->ends);
    c->ends = NULL;
    c->count = c->cap = 0;
}

struct hg_text csvread_field(const struct csvread *c, size_t field)
{
    uint32_t from = field == 0 ? 0 : c->ends[field - 1];
    return (struct hg_text){c->text.ptr ? c->text.ptr + from : "", c->ends[field] - from};
}

static enum csvread_result fault(struct csvread *c, const char *why)
{
    c->why = why;
    return CSVREAD_FAULT;
}

/* NULL, or why not. */
static const char *field_close(struct csvread *c)
{
    if (c->count == CSVREAD_FIELDS_MAX)
        return too_large;
    if (c->count == c->cap) {
        size_t cap = c->cap == 0 ? FIELDS_FIRST : c->cap * 2;
        uint32_t *ends = realloc(c->ends, cap * sizeof(*ends));
        if (!ends)
            return "out of memory";
        c->ends = ends;
        c->cap = cap;
    }
    c->ends[c->count++] = (uint32_t)c->text.len;
    return NULL;
}

static const char *text_add(struct csvread *c, char byte)
{
    strbuf_addc(&c->text, byte);
    return !c->text.failed ? NULL : c->text.len == c->text.max ? too_large : "out of memory";
}

static void record_begin(struct csvread *c)
{
    strbuf_clear(&c->text);
    c->count = 0;
    c->began = c->line;
    c->complete = 0;
    c->state = CSVREAD_START;
}

/* A field ended with `byte`: the delimiter, CR or LF. */
static const char *field_end(struct csvread *c, char byte)
{
    const char *why = field_close(c);
    c->state = byte == c->delimiter ? CSVREAD_FIELD : CSVREAD_CR;
    if (byte == '\n') {
        c->line++;
        c->complete = 1;
    }
    return why;
}

static int ends_field(const struct csvread *c, char byte)
{
    return byte == c->delimiter || byte == '\n' || byte == '\r';
}

/* At the first byte of a record or a field. */
static const char *first(struct csvread *c, char byte)
{
    int start = c->state == CSVREAD_START;
    if (start && byte == '\n') {
        c->line++;
        c->blank++;
        c->began = c->line;
        return NULL;
    }
    if (start && byte == '\r') { /* no field was closed: an empty line once the line feed has come */
        c->state = CSVREAD_CR;
        return NULL;
    }
    if (byte == c->quote) {
        c->state = CSVREAD_QUOTED;
        return NULL;
    }
    if (ends_field(c, byte))
        return field_end(c, byte);
    c->state = CSVREAD_PLAIN;
    return text_add(c, byte);
}

/* The line feed of a CRLF. */
static void line_feed(struct csvread *c)
{
    c->line++;
    if (c->count > 0) {
        c->complete = 1;
        return;
    }
    c->blank++;
    record_begin(c);
}

static void skip_byte(struct csvread *c, char byte)
{
    if (byte != '\n')
        return;
    c->line++;
    if (--c->skip == 0)
        record_begin(c);
}

/* One byte; NULL when it may stand here, else what is wrong. */
static const char *take(struct csvread *c, char byte)
{
    if (byte == '\0')
        return "a NUL byte: this is no text file";
    switch (c->state) {
    case CSVREAD_START:
    case CSVREAD_FIELD: return first(c, byte);
    case CSVREAD_PLAIN:
        if (byte == c->quote)
            return "a quote inside an unquoted cell: the cell must be quoted, and the quote doubled";
        return ends_field(c, byte) ? field_end(c, byte) : text_add(c, byte);
    case CSVREAD_QUOTED:
        c->line += byte == '\n';
        if (byte != c->quote)
            return text_add(c, byte);
        c->state = CSVREAD_QUOTE;
        return NULL;
    case CSVREAD_QUOTE:
        if (byte != c->quote)
            return ends_field(c, byte) ? field_end(c, byte)
                                       : "text behind a closing quote: a quote inside a quoted cell must be doubled";
        c->state = CSVREAD_QUOTED;
        return text_add(c, byte);
    case CSVREAD_CR:
        if (byte != '\n')
            return "a carriage return without a line feed";
        line_feed(c);
        return NULL;
    case CSVREAD_SKIP: skip_byte(c, byte); return NULL;
    }
    return "internal fault";
}

enum csvread_result csvread_feed(struct csvread *c, const char *bytes, size_t len, size_t *used)
{
    if (c->complete)
        record_begin(c);
    for (size_t i = 0; i < len; i++) {
        const char *why = take(c, bytes[i]);
        *used = i + 1;
        if (why)
            return fault(c, why);
        if (c->complete)
            return CSVREAD_RECORD;
    }
    *used = len;
    return CSVREAD_MORE;
}

enum csvread_result csvread_finish(struct csvread *c)
{
    if (c->complete)
        record_begin(c);
    switch (c->state) {
    case CSVREAD_START:
    case CSVREAD_SKIP: return CSVREAD_MORE;
    case CSVREAD_QUOTED: c->line = c->began; return fault(c, "a quoted cell of the record that begins here never ends");
    case CSVREAD_CR: /* the file ends between CR and LF */
        if (c->count == 0)
            return CSVREAD_MORE;
        c->complete = 1;
        return CSVREAD_RECORD;
    case CSVREAD_FIELD:
    case CSVREAD_PLAIN:
    case CSVREAD_QUOTE:
        if (field_close(c))
            return fault(c, "the record has too many cells");
        c->complete = 1;
        return CSVREAD_RECORD;
    }
    return CSVREAD_FAULT;
}

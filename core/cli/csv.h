/* CSV after RFC 4180, fed in pieces: records of fields, quotes undone. Also TSV: the delimiter is an option.
 *
 * Strict: a quote inside an unquoted field, text behind a closing quote, a carriage return without its line feed, a NUL
 * and an open quote at the end are faults with their line. Lines end with LF or CRLF; the last may end without. Empty
 * lines are skipped and counted. Memory is bounded by CSV_RECORD_MAX. One thread. */
#ifndef HG_CLI_CSV_H
#define HG_CLI_CSV_H

#include "base/buf.h"

#include <stdint.h>

enum { CSV_RECORD_MAX = 16 << 20, CSV_FIELDS_MAX = 1 << 16 };

enum csv_state {
    CSV_START,  /* of a record */
    CSV_FIELD,  /* at a field's first byte */
    CSV_PLAIN,  /* inside an unquoted field */
    CSV_QUOTED, /* inside quotes */
    CSV_QUOTE,  /* behind a quote that ends the field or is doubled */
    CSV_CR,     /* behind a carriage return: a line feed must come */
};

struct csv {
    char delimiter;
    enum csv_state state;
    struct buf text;   /* all fields of the record, one behind the other */
    uint32_t *ends;    /* of each field in `text` */
    size_t count, cap; /* fields */
    uint64_t line;     /* being read, from 1 */
    uint64_t began;    /* line on which the record began */
    uint64_t blank;    /* empty lines skipped so far */
    bool complete;     /* a record was handed out: the next byte begins a new one */
};

enum csv_result {
    CSV_MORE,   /* all bytes were used; feed more */
    CSV_RECORD, /* csv_field() and `began` are valid until the next call */
    CSV_FAULT,  /* not CSV, or too large: `e` says why and on which line; do not go on */
};

void csv_init(struct csv *c, char delimiter);
void csv_fini(struct csv *c);
/* `*used` is how many bytes were taken; with CSV_RECORD go on behind them. */
enum csv_result csv_feed(struct csv *c, const char *bytes, size_t len, size_t *used, struct err *e);
/* The input has ended: CSV_RECORD (a last line without its end), CSV_MORE (nothing more) or CSV_FAULT. */
enum csv_result csv_finish(struct csv *c, struct err *e);
struct slice csv_field(const struct csv *c, size_t field); /* field < count */

#endif

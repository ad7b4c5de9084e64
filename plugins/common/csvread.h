/* CSV after RFC 4180, fed in pieces: records of fields, quotes undone. Also TSV and what else csvform.h has.
 *
 * Strict: a quote inside an unquoted field, text behind a closing quote, a carriage return without its line feed, a NUL
 * and an open quote at the end are faults with their line. Lines end with LF or CRLF; the last may end without. Empty
 * lines are skipped and counted. Memory is bounded by CSVREAD_RECORD_MAX. One thread. */
#ifndef COMMON_CSVREAD_H
#define COMMON_CSVREAD_H

#include "common/csvform.h"
#include "common/strbuf.h"
#include "headgate.h"

#include <stdint.h>

enum { CSVREAD_RECORD_MAX = 16 << 20, CSVREAD_FIELDS_MAX = 1 << 16 };

enum csvread_state {
    CSVREAD_START,  /* of a record */
    CSVREAD_FIELD,  /* at a field's first byte */
    CSVREAD_PLAIN,  /* inside an unquoted field */
    CSVREAD_QUOTED, /* inside quotes */
    CSVREAD_QUOTE,  /* behind a quote that ends the field or is doubled */
    CSVREAD_CR,     /* behind a carriage return: a line feed must come */
    CSVREAD_SKIP,   /* in the lines before the header */
};

struct csvread {
    char delimiter;
    char quote;    /* 0: none */
    uint32_t skip; /* lines still to be passed over */
    enum csvread_state state;
    struct strbuf text; /* all fields of the record, one behind the other */
    uint32_t *ends;     /* of each field in `text` */
    size_t count, cap;  /* fields */
    uint64_t line;      /* being read, from 1 */
    uint64_t began;     /* line on which the record began */
    uint64_t blank;     /* empty lines skipped so far */
    int complete;       /* a record was handed out: the next byte begins a new one */
    const char *why;    /* with CSVREAD_FAULT; it is about `line` */
};

enum csvread_result {
    CSVREAD_MORE,   /* all bytes were used; feed more */
    CSVREAD_RECORD, /* csvread_field() and `began` are valid until the next call */
    CSVREAD_FAULT,  /* not CSV, too large, or no memory; do not go on */
};

void csvread_init(struct csvread *c, const struct csvform *form); /* its delimiter, quotes and lines to skip */
void csvread_fini(struct csvread *c);
/* Begins in the middle of a file, where `line` begins: nothing is skipped there. Before anything was fed. */
void csvread_go_on(struct csvread *c, uint64_t line);
/* `*used` is how many bytes were taken; with CSVREAD_RECORD go on behind them. */
enum csvread_result csvread_feed(struct csvread *c, const char *bytes, size_t len, size_t *used);
/* The input has ended: CSVREAD_RECORD (a last line without its end), CSVREAD_MORE (nothing more) or CSVREAD_FAULT. */
enum csvread_result csvread_finish(struct csvread *c);
struct hg_text csvread_field(const struct csvread *c, size_t field); /* field < count */

#endif

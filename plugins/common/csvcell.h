/* One CSV cell as a JSON value. Pure. */
#ifndef COMMON_CSVCELL_H
#define COMMON_CSVCELL_H

#include "common/strbuf.h"
#include "headgate.h"

#include <stdint.h>

enum csvcell_type {
    CSVCELL_AUTO, /* a number that JSON and the gateway take, as written; else text */
    CSVCELL_TEXT,
    CSVCELL_INTEGER,
    CSVCELL_NUMBER,
    CSVCELL_BOOLEAN, /* true/false, yes/no, 1/0 in any case */
};

enum { CSVCELL_WHY_MAX = 160 };

/* "text" and so on. 0, or -1: it is none. */
int csvcell_type_parse(struct hg_text text, enum csvcell_type *out);

/* An empty cell is null whatever the type. `decimal` is the sign that stands in the cells ('.' or ','); digits are
 * kept as written otherwise. Blanks around typed values are ignored. 0, or -1 with a sentence: the cell is not of its
 * type, or not UTF-8. out->failed on lack of memory. */
int csvcell_write(struct strbuf *out, struct hg_text cell, enum csvcell_type type, char decimal,
                  char why[CSVCELL_WHY_MAX]);

/* A row's index: 0 to 2^53-1; an empty cell is -1. 0, or -1 with a sentence. */
int csvcell_index(struct hg_text cell, int64_t *out, char why[CSVCELL_WHY_MAX]);

/* Offset of the first byte that is not UTF-8 (RFC 3629); the length when all is well. */
size_t csvcell_utf8(struct hg_text text);

#endif

/* One CSV cell as a JSON value. Pure. */
#ifndef HG_CLI_CELL_H
#define HG_CLI_CELL_H

#include "base/buf.h"

#include <stdint.h>

enum cell_type {
    CELL_AUTO, /* a number that JSON and the gateway take, as written; else text */
    CELL_TEXT,
    CELL_INTEGER,
    CELL_NUMBER,
    CELL_BOOLEAN, /* true/false, yes/no, 1/0 in any case */
};

/* "text" and so on; ERR_UNKNOWN. */
int cell_type_parse(struct slice text, enum cell_type *out) MUST_CHECK;

/* An empty cell is null whatever the type. `decimal` is the sign that stands in the cells ('.' or ','); digits are
 * kept as written otherwise. Blanks around typed values are ignored. ERR_SYNTAX with a sentence: the cell is not of its
 * type, or not UTF-8. */
int cell_write(struct buf *out, struct slice cell, enum cell_type type, char decimal, struct err *e) MUST_CHECK;

/* A row's index: 0 to 2^53-1; an empty cell is INDEX_NONE (rows/rows.h). */
int cell_index(struct slice cell, uint64_t *out, struct err *e) MUST_CHECK;

/* Offset of the first byte that is not UTF-8 (RFC 3629); the length when all is well. */
size_t cell_utf8(struct slice text);

#endif

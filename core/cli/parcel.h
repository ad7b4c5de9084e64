/* Rows collected for one request, and the request's body made of them. Knows which source line every byte of the body
 * came from, so that a fault in the answer can be shown where it is in the file. One thread. */
#ifndef HG_CLI_PARCEL_H
#define HG_CLI_PARCEL_H

#include "cli/rowfile.h"

enum { PARCEL_BYTES = 1 << 20, PARCEL_ROWS_MAX = 100000, PARCEL_ROWS = 1000 };

struct parcel_row {
    size_t from, len; /* in `data` */
    size_t at;        /* in `body`: where the row's text begins */
    uint64_t line, index;
};

struct parcel {
    struct parcel_row *rows;
    size_t count, max;
    struct buf data; /* the rows' texts, one behind the other */
    struct buf body;
    size_t body_from, body_count; /* the rows in `body` */
    bool documents;
};

int parcel_init(struct parcel *p, size_t max_rows, bool documents) MUST_CHECK;
void parcel_fini(struct parcel *p);
void parcel_clear(struct parcel *p);
/* false: full, or it would grow beyond PARCEL_BYTES with rows in it already. */
bool parcel_takes(const struct parcel *p, const struct row *row);
int parcel_add(struct parcel *p, const struct row *row) MUST_CHECK;
/* Make `body` of `count` rows from row `from` on. Data objects go into {"uuid":…,"rows":[…]}, byte for byte; documents
 * one a line. */
int parcel_build(struct parcel *p, const char *uuid, size_t from, size_t count) MUST_CHECK;
/* The source line of a byte of the body; of a row of the body; 0 when there is none. */
uint64_t parcel_line_of_byte(const struct parcel *p, uint64_t byte);
uint64_t parcel_line_of_row(const struct parcel *p, uint64_t row);

#endif

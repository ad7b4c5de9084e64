/* Row sets as a journal segment in memory, for a host that runs without a daemon. One thread. */
#ifndef HG_CLI_TAPE_H
#define HG_CLI_TAPE_H

#include "base/buf.h"
#include "base/id.h"
#include "host/wire.h"
#include "rows/rows.h"

enum { TAPE_BASE = 1 << 20 };

struct tape_row {
    struct wire_place place;
    uint64_t uuid_hash;
    uint32_t set;      /* its row set's number; rows of a set stand side by side */
    size_t at, length; /* of its data, in `text` */
};

struct tape {
    int fd; /* a memory file */
    struct epoch epoch;
    uint64_t salt, end; /* where the next group begins */
    uint32_t prev_crc, sets;
    struct scan *scan;
    struct buf text; /* every document, one behind the other */
    struct tape_row *rows;
    size_t count, cap;
    uint64_t fault_at;
};

/* tape_close in every case. */
int tape_open(struct tape *t, struct err *e) MUST_CHECK;
void tape_close(struct tape *t);
/* One document, or several, one a line (`ndjson`), as they would be posted. ERR_SYNTAX, ERR_RANGE with the first fault;
 * `fault_at` is its offset in the body then. */
int tape_add(struct tape *t, struct slice body, bool ndjson, struct err *e) MUST_CHECK;
/* The row's data as it was given; valid until the next tape_add. */
struct slice tape_data(const struct tape *t, size_t row);
void tape_row_id(const struct tape *t, size_t row, char out[ROW_ID_LEN + 1]);
/* The row at a place, `count` when there is none. */
size_t tape_find(const struct tape *t, struct wire_place place);

#endif

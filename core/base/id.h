/* Ids of row sets and rows, as text.
 *
 * A batch id is the journal's epoch (26 characters) '-' the record's position (13 characters); a row id adds '-' and
 * the row's number in its set (5 characters). Digits are base 32 in `0-9a-v`, so ids of one length sort by time. Never
 * given twice: an epoch is drawn whenever a journal is opened for writing. */
#ifndef HG_BASE_ID_H
#define HG_BASE_ID_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum {
    EPOCH_BYTES = 16,
    BATCH_ID_LEN = 40,
    ROW_ID_LEN = 46,
    ROW_ID_MAX_ROWS = 1 << 25, /* what five digits hold */
};

struct epoch {
    uint8_t bytes[EPOCH_BYTES]; /* 48 bits of milliseconds since 1970, big-endian, then 80 random bits */
};

/* A new epoch from the wall clock and the system's random numbers. ERR_IO when there are none. */
int epoch_draw(struct epoch *out) MUST_CHECK;

/* Text with a NUL; `out` has room for the length plus one. */
void batch_id_text(const struct epoch *epoch, uint64_t position, char out[BATCH_ID_LEN + 1]);
void row_id_text(const struct epoch *epoch, uint64_t position, uint32_t row, char out[ROW_ID_LEN + 1]);
void row_id_extend(const char batch[BATCH_ID_LEN], uint32_t row, char out[ROW_ID_LEN + 1]); /* of its batch's id */

/* Back from text; ERR_SYNTAX when it is not exactly such an id. */
int batch_id_parse(struct slice text, struct epoch *epoch, uint64_t *position) MUST_CHECK;
int row_id_parse(struct slice text, struct epoch *epoch, uint64_t *position, uint32_t *row) MUST_CHECK;

#endif

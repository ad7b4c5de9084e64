/* What is committed together with the rows of a transaction: which rows of the batch are in it so far. It is the
 * metadata of an offset that the transaction commits for a group of the producer's own, so it is there exactly when the
 * rows are.
 *
 *     "hg1 <digest of the ids> <number of rows> <error> <n,n,n…>"
 *
 * The list names the rows that were refused, with one error for all of them. */
#ifndef KAFKA_MARKER_H
#define KAFKA_MARKER_H

#include "common/batch_key.h"
#include "headgate.h"

#include <stddef.h>

enum { MARKER_SIZE = 4000 /* a broker takes 4,096 bytes */, MARKER_REFUSED = 600 };

struct marker {
    char digest[BATCH_DIGEST_SIZE]; /* of the first `count` rows' ids; "" when there is no marker */
    size_t count;
    int error;
    size_t refused[MARKER_REFUSED]; /* numbers of rows, ascending */
    size_t refused_count;
};

/* 0, or -1: no memory. Refused rows and error are left as they are. */
int marker_set(struct marker *m, const struct hg_api *api, const struct hg_rows *rows, size_t count);
int marker_refuse(struct marker *m, size_t n, int error); /* 0, or -1: no more of them fit */

void marker_write(const struct marker *m, char out[MARKER_SIZE]);
void marker_read(struct marker *m, const char *text, size_t len); /* what cannot be read is no marker */

int marker_none(const struct marker *m);

/* How many of the first rows of a push are in the marker's transaction; 0: none, it was for other rows. */
size_t marker_covers(const struct marker *m, const struct hg_api *api, const struct hg_rows *rows);
int marker_refused(const struct marker *m, size_t n);

#endif

/* Posting parcels to POST /v1/rows, one at a time, until each is acknowledged: with an Idempotency-Key, backoff with
 * full jitter, and Retry-After. Main thread. */
#ifndef HG_CLI_POST_H
#define HG_CLI_POST_H

#include "cli/call.h"
#include "cli/parcel.h"
#include "cli/progress.h"

struct post {
    struct call call;
    int64_t retry_for_ms; /* without an acknowledgement, before it gives up */
    int64_t progress_ms;  /* when the last acknowledgement came */
    bool waiting;         /* said that it tries again */
    const char *file;     /* borrowed: for messages */
    struct progress *progress;
    /* so far, of this file: */
    uint64_t rows;       /* acknowledged */
    uint64_t replayed;   /* of them: were there already */
    bool forgotten;      /* a parcel was new, and one behind it was not */
    bool fresh;          /* a parcel was new */
    bool told_ignored;   /* keys the gateway ignored were named */
    char durability[24]; /* as the last answer said */
};

/* The exit code; EXIT_DONE when acknowledged. `*too_large` instead: 413 and more than one row, try with fewer. */
int post_parcel(struct post *p, const struct parcel *parcel, const char *key, bool *too_large) MUST_CHECK;
/* A new file begins. */
void post_begin(struct post *p, const char *file, struct progress *progress);

#endif

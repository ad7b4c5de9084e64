/* The last 100 refusals, for GET /v1/refusals and the log. One for all loops; any thread. */
#ifndef HG_API_REFUSALS_H
#define HG_API_REFUSALS_H

#include "base/buf.h"

#include <stdint.h>

enum { REFUSALS_KEPT = 100, REFUSALS_LOGGED = 50 /* a second; the rest is counted */ };

struct refusals;

/* What is known of one refused request; unknown texts are empty. Texts are copied, cut when they are long. */
struct refusal_note {
    int status;
    struct slice peer, method, path, uuid;
    struct slice detail;        /* one sentence */
    struct slice type, pointer; /* of the first fault */
    uint64_t line;              /* of the first fault, 0: unknown */
};

/* NULL when out of memory. */
struct refusals *refusals_new(void);
void refusals_free(struct refusals **r);
/* Keep it and log it (`request.refused`). */
void refusals_add(struct refusals *r, const struct refusal_note *note);
/* {"refusals":[…]}, newest first. */
int refusals_print(struct refusals *r, struct buf *out) MUST_CHECK;

#endif

/* Memory for rows on their way in (http.max_memory), shared by all HTTP servers and by what pullers emit, and one
 * body's part of it. Lock-free, any thread; a charge belongs to one body. */
#ifndef HG_BASE_BUDGET_H
#define HG_BASE_BUDGET_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SMALL_BODY = 64 * 1024, CLAIM_MS = 3000 };

struct budget { /* bytes; a quarter of `max` is kept for bodies up to SMALL_BODY */
    _Atomic uint64_t used;
    _Atomic uint64_t used_small;
    _Atomic uint64_t max;     /* a reload may change it */
    _Atomic int64_t claim_ms; /* until then no large body begins: somebody waits for room. clock_ms; 0: nobody */
};

struct charge {
    uint64_t bytes;
    bool large; /* counts against the three quarters that are not kept for small bodies */
};

/* Make the charge `bytes` in all; false when there is no room: nothing has changed. `large` once is large for ever. */
bool budget_take(struct budget *b, struct charge *c, uint64_t bytes, bool large) MUST_CHECK;
/* The same for one who holds nothing while they wait, and asks again within CLAIM_MS: meanwhile no large body begins,
 * so those under way end and leave room. */
bool budget_claim(struct budget *b, struct charge *c, uint64_t bytes) MUST_CHECK;
/* May so much ever be taken, with nothing else there? */
bool budget_fits(const struct budget *b, uint64_t bytes);
/* Give everything back. */
void budget_return(struct budget *b, struct charge *c);

#endif

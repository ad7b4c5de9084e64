/* Memory for bodies, shared by all servers (`struct http_budget`), and one body's part of it. Lock-free, any thread; a
 * charge belongs to one connection. Internal to core/http. */
#ifndef HG_HTTP_BUDGET_H
#define HG_HTTP_BUDGET_H

#include "http/http.h"

enum { SMALL_BODY = 64 * 1024 };

struct charge {
    uint64_t bytes;
    bool large; /* counts against the three quarters that are not kept for small bodies */
};

/* Make the charge `bytes` in all; false when there is no room: nothing has changed. `large` once is large for ever. */
bool budget_take(struct http_budget *b, struct charge *c, uint64_t bytes, bool large) MUST_CHECK;
/* Give everything back. */
void budget_return(struct http_budget *b, struct charge *c);

#endif

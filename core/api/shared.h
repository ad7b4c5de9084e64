/* Answers that are made once for all who look at the same time: open pages ask for the same every few seconds. Who
 * sends `Cache-Control: max-age=<seconds>` (RFC 9111, section 5.2.1.1) may be given what was made for another up to so
 * long ago; who does not gets what is so now. Only for what is the same for every caller that may see it. Loop thread.
 */
#ifndef HG_API_SHARED_H
#define HG_API_SHARED_H

#include "api/history.h"
#include "base/buf.h"
#include "http/http.h"

enum { SHARED_PUSHERS, SHARED_HISTORY, SHARED_COUNT = SHARED_HISTORY + HISTORY_SPANS }; /* one for each span */

struct shared {
    struct {
        struct buf text;
        int64_t made_ms; /* 0: never */
    } of[SHARED_COUNT];
};

void shared_init(struct shared *s);
void shared_fini(struct shared *s);
/* A JSON answer that is young enough for this request was sent: true. */
bool shared_answer(struct shared *s, size_t what, struct http_request *r);
/* This is the answer now; kept if the request was one of those that would have taken an older one. */
void shared_keep(struct shared *s, size_t what, const struct http_request *r, struct slice text);

#endif

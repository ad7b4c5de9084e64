/* The tap: what passes, for those who watch (`GET /v1/tap`, server-sent events). Loop thread only.
 *
 * Nothing is told where rows pass. A few times a second, and only while somebody watches, what has become durable since
 * the last time is read from the journal on a worker thread, up to a bound; what is beyond it is passed over and
 * counted. So the tap costs the gateway the same however many rows come in, and a reader that is slow loses events,
 * never makes anybody wait. */
#ifndef HG_API_TAP_H
#define HG_API_TAP_H

#include "api/api.h"

struct taps;

enum { TAPS_MAX = 128 };

int taps_open(struct taps **out, struct api *api) MUST_CHECK;
/* The peer of one of its requests has gone. False: it is none of them. */
bool taps_gone(struct taps *t, struct http_request *r);
/* No more taps; those there are end. Before the listeners close. */
void taps_end(struct taps *t);
/* After that, and when nothing is on a worker thread any more: closes its handle; the memory goes with the handle. */
void taps_close(struct taps **t);
uint32_t taps_count(const struct taps *t);
uint64_t taps_lost(const struct taps *t); /* events that readers were too slow for */

#endif

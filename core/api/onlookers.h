/* Who has the page open, and is told how the gateway does (`GET /v1/watch`, server-sent events). Loop thread only.
 *
 * What they are told is made once for all of them and handed out in one turn of the loop. So a hundred cost a hundred
 * writes now and then, and where many look on, they are told less often. */
#ifndef HG_API_ONLOOKERS_H
#define HG_API_ONLOOKERS_H

#include "api/api.h"

struct onlookers;

enum { ONLOOKERS_MAX = 256 };

int onlookers_open(struct onlookers **out, struct api *api) MUST_CHECK;
/* The peer of one of its requests has gone. False: it is none of them. */
bool onlookers_gone(struct onlookers *o, struct http_request *r);
/* No more of them; those there are end. Before the listeners close. */
void onlookers_end(struct onlookers *o);
/* After that: closes its handle; the memory goes with the handle. */
void onlookers_close(struct onlookers **o);
uint32_t onlookers_count(const struct onlookers *o);

#endif

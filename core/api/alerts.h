/* Alerts: what somebody should be told of, and a webhook that tells them. A pusher or puller that has failed for too
 * long, too many dead letters, too great a lag, a journal that is nearly full.
 *
 * Each is told once when it begins and once when it is over. `alerts` in the data directory names those whose beginning
 * was told, so a restart neither tells it again nor forgets to tell the end.
 *
 * Loop thread only. The webhook is asked on a worker thread, one request at a time. */
#ifndef HG_API_ALERTS_H
#define HG_API_ALERTS_H

#include "api/api.h"
#include "conf/settings.h"

/* NULL when out of memory. `data_dir` is copied. */
struct alerts *alerts_new(struct api *api, const char *data_dir);
void alerts_free(struct alerts **a);
/* Time passes; cheap when nothing is due. */
void alerts_look(struct alerts *a, const struct settings *s, int64_t now_ms);
/* Nothing more is sent; what is under way ends within a second or so, and counts in api->works until then. */
void alerts_stop(struct alerts *a);

#endif

/* The log's last lines, for GET /v1/log. Any thread. */
#ifndef HG_API_RECENT_H
#define HG_API_RECENT_H

#include "base/buf.h"
#include "base/log.h"

enum { RECENT_KEPT = 500, RECENT_LINE = 2048 /* bytes; of a longer line only that it was there */ };

struct recent;

struct recent *recent_new(void); /* NULL when out of memory */
void recent_free(struct recent **r);
/* For log_also; `arg` is a struct recent. */
void recent_keep(void *arg, enum log_level level, const char *line, size_t len);
/* {"lines":[…],"next":N}: what was logged after the line numbered `after` (0: all that is kept), newest last, at least
 * as grave as `level`. */
int recent_print(struct recent *r, uint64_t after, enum log_level level, struct buf *out) MUST_CHECK;

#endif

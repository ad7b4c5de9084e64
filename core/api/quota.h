/* What each client may post in a second: one token bucket for rows and one for bytes, for each client that has sent
 * something lately. Shared by all loops; every function is for any thread, but new, free and configure for the thread
 * that owns it.
 *
 * A bucket holds what may be sent in one second. A request is taken while there is something left in both, and pays
 * afterwards what it has, so a large one is taken too, and is paid off before the next one. */
#ifndef HG_API_QUOTA_H
#define HG_API_QUOTA_H

#include "base/client.h"
#include "conf/conf.h"

#include <stdint.h>

struct quota;

struct quota *quota_new(void); /* NULL: no memory. Without limits until it is configured */
void quota_free(struct quota **q);
/* The limits in force from now on. ERR_NOMEM: those of before stay. */
int quota_configure(struct quota *q, const struct conf *conf) MUST_CHECK;

/* May this client ("": nobody in particular, who has no limits) send now? 0, and it has paid for these rows and bytes;
 * or the seconds after which to send again. */
uint32_t quota_take(struct quota *q, const char *client, uint64_t rows, uint64_t bytes, int64_t now_ms);

#endif

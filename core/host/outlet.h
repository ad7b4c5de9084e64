/* The sending end of the control channel. Any thread of the host; a message is one packet, so messages never mix. */
#ifndef HG_HOST_OUTLET_H
#define HG_HOST_OUTLET_H

#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/uio.h>

struct outlet {
    int fd;
    pthread_mutex_t mutex;
    _Atomic bool gone; /* the daemon no longer listens; nothing is sent any more */
};

void outlet_init(struct outlet *o, int fd); /* borrows fd */
void outlet_fini(struct outlet *o);
/* Blocks until the packet is queued. ERR_CLOSED: the daemon is gone (also told by the channel's hang-up). */
int outlet_send(struct outlet *o, const struct iovec *parts, int count) MUST_CHECK;

#endif

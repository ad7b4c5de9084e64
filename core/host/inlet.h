/* The receiving end of the control channel: main thread only. */
#ifndef HG_HOST_INLET_H
#define HG_HOST_INLET_H

#include "host/host.h"

enum inlet_result {
    INLET_MESSAGE, /* one was received and acted upon */
    INLET_EMPTY,   /* none is there */
    INLET_CLOSED,  /* the daemon is gone */
    INLET_BAD,     /* it makes no sense, `e` says why */
};

/* Take one message, without waiting, and do what it says. */
enum inlet_result inlet_receive(struct host *h, struct err *e);

#endif

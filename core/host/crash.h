/* Telling the daemon which worker crashed, from the signal handler. */
#ifndef HG_HOST_CRASH_H
#define HG_HOST_CRASH_H

#include "base/err.h"

#include <stdint.h>

enum { CRASH_NO_LANE = 0xFFFF };

/* Install the handlers; `fd` is the control channel. Once, before any thread. */
int crash_install(int fd) MUST_CHECK;
/* For the calling thread: an alternate stack (a stack overflow is a crash too) and the lane to name. */
int crash_thread_init(uint16_t lane) MUST_CHECK;
void crash_thread_fini(void);
/* The hand-out the calling thread is pushing, 0: none. */
void crash_token(uint64_t token);

#endif

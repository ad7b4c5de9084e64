/* A worker: one thread that calls the plugin. */
#ifndef HG_HOST_WORKER_H
#define HG_HOST_WORKER_H

#include "host/host.h"

int worker_init(struct hg_host *w, struct host *h, uint16_t lane) MUST_CHECK;
void worker_fini(struct hg_host *w); /* the thread has ended */
/* Worker 0 calls start() first; the others wait for it. Then open(), and work until the host is stopping. */
int worker_start(struct hg_host *w) MUST_CHECK;

#endif

/* The processors that stand before the pusher, in order: loaded, opened with each worker, and called with the rows of a
 * push before the pusher sees them. */
#ifndef HG_HOST_CHAIN_H
#define HG_HOST_CHAIN_H

#include "host/host.h"

struct told;

/* One processor of this host. */
struct processor {
    const struct setup *setup; /* its part of the host's: name, file, settings */
    struct loaded plugin;
    void *config;
    bool started;
    struct hg_host self; /* for start() */
};

/* Load all, check and fill their options. They stay until the process ends, for plugins keep pointers into their
 * configuration. Main thread, confined already. */
int chain_load(struct host *h, struct err *e) MUST_CHECK;

/* start() of each plugin that has one, by the first worker, once for all instances of it; what it came to (enum
 * hg_open_result), with the reason in `w`. */
int chain_start(struct hg_host *w);
void chain_stop(struct host *h); /* stop() of those, after the last worker has closed */

/* open() of each with this worker; on failure those before it are closed again. enum hg_open_result, reason in `w`. */
int chain_open(struct hg_host *w);
void chain_close(struct hg_host *w);

/* The lent rows through all of them. HG_ALL_OK: what is still seen of the rows is the pusher's, maybe nothing.
 * HG_NOT_NOW: none is, with the reason in the rows; `*bad` when a processor returned what is no result. */
int chain_process(struct hg_host *w, bool *bad);
/* The push came to nothing: what processors said of rows is forgotten, they are asked again next time. */
void chain_forget(struct hg_rows *rows);

#endif

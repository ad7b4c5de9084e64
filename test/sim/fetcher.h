/* A puller's host and its plugin, and the messages between it and the daemon. The source is the numbers from 0 on, one
 * a row; the plugin's position is the number that comes next. */
#ifndef HG_SIM_FETCHER_H
#define HG_SIM_FETCHER_H

#include "supervise/internal.h"

/* What notify() was told: everything before it may be forgotten by the source. */
extern uint64_t pull_notified;

struct pull_acked { /* an emission that the host was told is durable */
    uint64_t first; /* number of its first row */
    uint64_t end;   /* of its last record in the journal */
};
enum { PULL_ACKED_MAX = 20000 };
extern struct pull_acked pull_acked[];
extern uint32_t pull_acked_count;

void fetcher_begin(void);
/* The order to start one. */
void fetcher_start(struct runner *r);
/* One thing that it does, or one message that the daemon hears; false: nothing. */
bool fetcher_work(void);
bool fetcher_hear(void);
/* It ends by this signal: what it had sent is heard first. */
void fetcher_end(int signal);
/* The daemon is gone, and it with it. */
void fetcher_drop(struct runner *r);
/* The plugin and the process are in order from now on. */
void fetcher_good(void);

/* The number in a position; an empty one is 0. */
uint64_t pull_number(const struct position *p);

#endif

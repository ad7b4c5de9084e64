/* A progress bar on standard error, when that is a terminal; at most ten times a second. Main thread. */
#ifndef HG_CLI_PROGRESS_H
#define HG_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool on;
    bool drawn;
    const char *name; /* borrowed */
    uint64_t total;   /* rows */
    int64_t began_ms, shown_ms;
};

void progress_init(struct progress *p, const char *name, uint64_t total, bool quiet);
void progress_show(struct progress *p, uint64_t done);
/* Take the bar away, so that a line can be printed. */
void progress_clear(struct progress *p);

#endif

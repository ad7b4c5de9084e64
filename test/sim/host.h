/* The model host: core/host's own way of reading rows, forming batches and telling verdicts, in front of a plugin that
 * is played. No process and no thread: a worker does one thing each time it is asked. */
#ifndef HG_SIM_HOST_H
#define HG_SIM_HOST_H

#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HOST_WORKERS = 4, PUSH_ROWS = 6000 };

struct push_row { /* as the plugin sees it, and what it says */
    uint64_t n;
    uint64_t position;
    uint32_t number, origin, attempt;
    bool aside, set, edited; /* `set`: aside, with its whole set */
    uint32_t verdict;        /* 0: none. After the push: as it is taken */
    char reason[48];
};

enum push_fate { PUSH_RETURNS, PUSH_CRASHES, PUSH_HANGS };

struct push {
    struct push_row *rows;
    uint32_t count;
    bool first;  /* of this host */
    bool range;  /* else a list */
    bool stable; /* of a plan */
    uint64_t token;
    enum push_fate fate;
    uint32_t result;
    int64_t after_ms;
};

enum play_stage { PLAY_IDLE, PLAY_HANDED, PLAY_WAITS, PLAY_READY, PLAY_HANGS };

void host_start(uint32_t workers, bool whole_sets);
void host_end(void);
bool host_runs(void);
/* The descriptor is the host's from now on. */
void host_lend(uint32_t store, uint64_t base, uint64_t salt, const struct epoch *epoch, int fd);
void host_drop(uint32_t store, uint64_t base);
void host_hand(const void *message, size_t length);
void host_go(uint32_t worker, uint64_t token);
enum play_stage host_stage(uint32_t worker);
/* What it has been pushing, or pushed last. */
const struct push *host_push(uint32_t worker);
/* One thing: takes, or pushes (plugin.c says how that ends). */
void host_work(uint32_t worker);

/* plugin.c: the push begins; fills fate, result and verdicts. */
void plugin_push(uint32_t worker, struct push *push);

#endif

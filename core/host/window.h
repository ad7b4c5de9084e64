/* Verdicts that come after push() has returned (HG_LATER), from whatever thread. Part of the rows of one push; once a
 * push has opened its window, the window's mutex guards the verdicts of its rows. */
#ifndef HG_HOST_WINDOW_H
#define HG_HOST_WINDOW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct hg_host;
struct hg_rows;

struct window {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    uint64_t token;         /* of the open window; 0: none is open */
    uint32_t later;         /* rows that are waited for, counted while the worker waits */
    bool not_now;           /* the plugin has closed it: what is left is not to blame */
};

void window_init(struct window *v);
void window_fini(struct window *v);

/* Of this push, from its own thread: opens the window. The token is never the same twice in one process. */
uint64_t window_open(struct hg_rows *rows);
/* Lock and unlock the verdicts of a push; nothing where it has no window. Its own thread. */
void window_lock(struct hg_rows *rows);
void window_unlock(struct hg_rows *rows);

/* Any thread. True: it counted; false: the window is closed, the row has its verdict, or there is no such row. */
bool window_settle(struct hg_rows *rows, uint64_t token, size_t n, uint32_t verdict, int64_t after_ms,
                   const char *reason);
bool window_not_now(struct hg_rows *rows, uint64_t token, int64_t after_ms, const char *reason);

/* The worker, after push() has returned `result`: flush() what is held back, wait for the rest, close the window.
 * Returns what the call came to. */
int window_finish(struct hg_host *w, int result);

#endif

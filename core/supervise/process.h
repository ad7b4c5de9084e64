/* One host process: spawned, spoken to, watched, reaped. Knows messages and descriptors, nothing of delivery.
 *
 * Loop thread. The process object frees itself after `ended` was called and its handles are closed. */
#ifndef HG_SUPERVISE_PROCESS_H
#define HG_SUPERVISE_PROCESS_H

#include "base/err.h"
#include "base/slice.h"
#include "host/wire.h"

#include <stdbool.h>
#include <uv.h>

struct process;

struct process_events {
    /* A message, checked for magic and least size of its type. Not 0: the host is ended (protocol). */
    int (*message)(void *arg, const struct wire_head *head, size_t len);
    /* The messages that were there, or as many as one turn of the loop takes, have been handled. Not called when its
     * end follows at once. NULL: not wanted. */
    void (*turn)(void *arg);
    void (*log)(void *arg, int level, struct slice text);
    /* It is dead and everything it said has been handled. `status` is the exit status, `signal` 0 or the signal. The
     * object must not be used any more. */
    void (*ended)(void *arg, int64_t status, int signal);
};

struct process_start {
    uv_loop_t *loop;
    const char *host;   /* binary */
    const char *name;   /* instance, for ps */
    struct slice setup; /* text for descriptor 4 */
    const struct process_events *events;
    void *arg;
};

int process_start(struct process **out, const struct process_start *start, struct err *e) MUST_CHECK;
/* Queue a message; `fd` (or -1) goes with it and is closed after sending. Never blocks; what cannot be sent waits. */
int process_send(struct process *p, void *message, size_t len, int fd) MUST_CHECK;
void process_kill(struct process *p); /* SIGKILL */
int process_pid(const struct process *p);
/* Its anonymous resident memory in bytes, 0 when unknown. */
uint64_t process_memory(const struct process *p);

#endif

/* The host process as its parts see it: one `struct host`, one `struct hg_host` for each worker. Internal to core/host.
 *
 * The main thread reads the control channel and hands work out; each worker calls the plugin in a thread of its own.
 * What they share is guarded by the host's `mutex`; a worker's `changed` wakes who waits on its behalf. */
#ifndef HG_HOST_HOST_H
#define HG_HOST_HOST_H

#include "headgate.h"
#include "host/gather.h"
#include "host/lent.h"
#include "host/loader.h"
#include "host/outlet.h"
#include "host/setup.h"
#include "host/shelf.h"
#include "host/tally.h"
#include "host/wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    WORKER_MAGIC = 0x574F524B,
    WORKERS_MAX = 256,
    IDLE_MS = 1000,     /* without work for so long: flush() and give memory back */
    ORPHAN_MS = 2000,   /* the daemon is gone: a push in progress has so long to return */
    EXIT_PROTOCOL = 76, /* the daemon said something that makes no sense */
    EXIT_INTERNAL = 70,
};

struct host;
struct processor;

/* The callbacks that every kind of plugin has; those that may be missing are NULL. */
struct calls {
    int (*start)(struct hg_host *host, const struct hg_api *api, const void *config);
    void (*stop)(void);
    int (*open)(struct hg_host *host, const struct hg_api *api, const void *config, void **state);
    void (*close)(void *state);
    void (*reopen)(void *state);
    int (*probe)(void *state);
};

/* The emission of a puller that waits for its answer. Under host->mutex. */
struct emitting {
    uint64_t token;
    bool answered;
    uint32_t result; /* enum hg_emit_result */
    uint32_t bad_set;
    char reason[HG_REASON_MAX];
};

/* How far a worker is. Changed by its own thread only, under the mutex. */
enum worker_stage { WORKER_OPENING, WORKER_OPEN, WORKER_FAILED, WORKER_ENDED };

/* The host's side of one worker; also of start(), which has no lane, and of a processor in a worker. */
struct hg_host {
    uint32_t magic;
    uint16_t lane; /* CRASH_NO_LANE: none */
    struct host *host;
    struct hg_host *of; /* the worker whose thread it is: itself, or of a processor's its worker */
    const char *name;   /* of the instance */
    pthread_t thread;

    /* Under host->mutex. */
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    bool running;           /* there is a thread to join */
    enum worker_stage stage;
    int outcome;   /* enum hg_open_result of open() */
    char *inbox;   /* WIRE_MAX bytes; a WIRE_HAND message, the worker's own while `busy` */
    bool received; /* a message is there that the worker has not begun */
    bool busy;     /* a hand-out is here and not yet done */
    uint64_t go;   /* token of the last WIRE_GO */
    bool reopen, probe;
    uint64_t probe_token;
    bool pull; /* pull() is asked for */
    uint64_t pull_token;
    struct emitting emitting;

    /* The worker's own. */
    void *state;
    struct hg_host *steps; /* of the processors, in order: only state, name and reason are used; NULL: none */
    struct gather gather;
    struct hg_rows rows;
    struct hand hand;
    bool pushing;             /* state_set is allowed */
    bool state_changed;       /* by this push */
    bool pulling;             /* emit() is allowed */
    bool unflushed;           /* pushed since the last flush() */
    _Atomic int64_t deadline; /* of time_left(), monotonic milliseconds; read from any thread */
    char reason[HG_REASON_MAX + 1];
};

struct host {
    struct setup setup;
    struct loaded plugin;
    struct calls calls;
    const struct hg_puller *puller; /* NULL: it is a pusher */
    void *config;
    struct processor *processors; /* chain.h */
    size_t processor_count;
    bool confined;
    int lock; /* the instance lock, held until the process ends */
    int wake; /* eventfd: a worker's stage changed, or it is time to stop */
    struct outlet outlet;
    struct shelf shelf;
    struct tally tally;

    pthread_mutex_t mutex;
    _Atomic bool stopping;
    int started; /* enum hg_open_result of start(), 0: not yet */
    char state[HG_STATE_MAX];
    size_t state_len;

    struct hg_host self; /* for start() */
    struct hg_host *workers;
    uint16_t worker_count;
};

#endif

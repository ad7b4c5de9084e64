/* A puller's life as a step function: started, called, stopped, broken, mended. No thread, no clock, no libuv: time
 * comes in, orders go out by a table. What it emits stands in emission.h, where its position is kept in position.h.
 *
 * Loop thread. */
#ifndef HG_SUPERVISE_PULLER_H
#define HG_SUPERVISE_PULLER_H

#include "base/list.h"
#include "conf/conf.h"
#include "delivery/pusher.h"
#include "headgate.h"
#include "supervise/position.h"

struct puller;

/* Orders. None may call back into the puller before it returns, but `start`, which may tell puller_host_down. */
struct puller_ops {
    void (*start)(void *arg, struct puller *p); /* start a host; puller_host_ready or _down follows */
    void (*stop)(void *arg, struct puller *p);  /* ask it to finish; puller_host_down follows */
    void (*kill)(void *arg, struct puller *p, enum host_end why);
    void (*pull)(void *arg, struct puller *p, uint64_t token);                         /* puller_pulled follows */
    void (*changed)(void *arg, struct puller *p, const char *event, const char *text); /* worth a log line */
    void *arg;
};

struct puller_counts { /* since start of this process */
    uint64_t rows, sets, runs, refused, not_now, restarts;
};

struct puller {
    uint32_t magic;
    struct link link;
    char *name, *dir;
    const struct puller_ops *ops;
    void *owner; /* the runner, NULL: nobody claims it */
    struct pusher_settings settings;

    bool wanted, paused, broken, stopping;
    enum { PULL_NO_HOST, PULL_STARTING, PULL_READY, PULL_ENDING } host;
    bool pulling; /* pull() is under way */
    bool running; /* a run has begun and not ended */
    bool kill_sent;
    bool progress;     /* this host has emitted or returned from pull() */
    uint64_t token;    /* of the last pull */
    uint32_t tries;    /* calls in a row that had nothing, or could not */
    uint32_t failures; /* hosts in a row that did not get so far */
    int64_t restart_at_ms, deadline_ms, next_ms;
    int64_t next_wall_us; /* of the next run, 0: not scheduled */
    uint64_t random;

    enum pusher_state state;
    int64_t state_since_us, last_run_us; /* wall clock; 0: never */
    char error[512];
    struct puller_counts counts;

    struct position position; /* as it is durable */
    bool emitting;            /* an emission is on its way to the journal: the position may be about to move */
    uint64_t saved;           /* position.journal, as in the file */
    bool changed, saving;     /* the position has moved since the file was begun; it is being written */
    int64_t save_ms;          /* not before */
};

enum { PULLER_MAGIC = 0x48475055, PULLER_CRASHES_MAX = 5 };

/* Takes over the position (nothing in it is owned). NULL when out of memory. */
struct puller *puller_new(const char *name, const char *dir, const struct position *position, uint64_t seed);
void puller_free(struct puller **p);

void puller_configure(struct puller *p, const struct pusher_settings *settings);
void puller_want(struct puller *p, bool wanted, int64_t now);
/* Why it does not start. */
void puller_mark(struct puller *p, enum pusher_state state, const char *reason);
/* Also mends one that is broken. The caller makes it durable. */
void puller_pause(struct puller *p, bool paused, int64_t now);
void puller_stop(struct puller *p); /* for good: the daemon ends */

void puller_host_ready(struct puller *p, int64_t now, int64_t wall_us);
void puller_host_down(struct puller *p, enum host_end end, const char *reason, int64_t now);
/* ERR_SYNTAX: nobody asked for it. */
int puller_pulled(struct puller *p, uint64_t token, uint32_t result, struct slice reason, int64_t now,
                  int64_t wall_us) MUST_CHECK;
/* An emission is durable. */
void puller_emitted(struct puller *p, uint64_t rows, uint64_t sets);

/* Does what is due; when it wants to be called next (clock_ms), INT64_MAX: only when something happens. */
int64_t puller_step(struct puller *p, int64_t now, int64_t wall_us);

#endif

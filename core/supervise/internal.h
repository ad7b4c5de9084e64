/* What the files of supervise share with each other. */
#ifndef HG_SUPERVISE_INTERNAL_H
#define HG_SUPERVISE_INTERNAL_H

#include "base/log.h"
#include "rows/rows.h"
#include "supervise/process.h"
#include "supervise/source.h"
#include "supervise/supervisor.h"

enum { SUPERVISOR_MAGIC = 0x48475355, RUNNER_MAGIC = 0x48475255, MARKS = 2048, TICK_MS = 250, SECRETS_MS = 1000 };

struct mark { /* when a position became durable */
    int64_t ms;
    uint64_t position;
};

struct supervisor {
    uint32_t magic;
    struct supervisor_options options;
    struct link runners;
    struct folder folder;
    struct folder_options folder_options;
    char *copies, *pushers_dir;
    const char **dirs;               /* copy of plugins.dir */
    struct settings const *settings; /* borrowed from the conf in force */
    const struct conf *conf;
    struct row_source source;
    struct pusher_ops ops;
    uv_timer_t timer, tick;
    uv_fs_event_t *watches;
    size_t watch_count;
    bool scanning, scan_again, stopping, stopped;
    int64_t armed_ms; /* when `timer` rings; INT64_MAX: it does not */
    int64_t stop_by_ms;
    void (*stop_done)(void *arg);
    void *stop_arg;
    char *pullers_dir;
    struct link pullers; /* all whose position is on disk, whether an instance claims them or not */
    struct puller_ops puller_ops;
    struct commit_queue emitted; /* emissions that the journal has finished */
    uv_async_t emitted_async;
    struct scan *scan;
    int works;   /* requests on worker threads */
    int closing; /* handles still open */
    struct mark marks[MARKS];
    size_t mark_first, mark_count;
    struct steps processors; /* their instances, for those who look */
    uint64_t notices;        /* hash of the last ones */
    int64_t secrets_ms;      /* when secrets in files were looked at last */
    char blocked[256];
};

enum { FILES_MAX = 16, LOG_BURST = 200 }; /* files lent to a host at a time; lines a second */

/* A file the host may read. */
struct lent_file {
    uint32_t store;
    uint64_t base;
    uint64_t used; /* order of use */
    bool dropping;
};

/* What the runner knows of the living host; freed with it. */
struct host_state {
    struct lent_file files[FILES_MAX];
    uint32_t file_count;
    uint64_t uses;
    enum host_end why; /* when we killed it */
    bool killed, stop_sent, open_failed;
    uint32_t open_result;
    int crash_lane, crash_signal;
    char reason[512];
    struct steps_told { /* what VERDICTS said of rows that processors skipped, until DONE: by lane and step */
        uint32_t skipped[PROCESSORS_MAX];
    } told[CURSOR_LANES];
    char *steps[PROCESSORS_MAX]; /* the names of this host's processors */
    uint32_t step_count;
    int log_left; /* lines that may still be logged in this second */
    int64_t log_second;
    uint64_t log_lost;
    probe_answer *probe;
    void *probe_arg;
    int64_t probe_by_ms;       /* the answer must be here by then */
    struct emission *emission; /* being taken in, or on its way to the journal; NULL: none */
};

/* A runner and what it knows of its host. */
struct runner_host {
    struct runner runner;
    struct host_state host;
};

static inline struct runner *runner_at(struct link *it)
{
    return container_of(it, struct runner, link);
}

static inline struct host_state *state_of(struct runner *r)
{
    return &container_of(r, struct runner_host, runner)->host;
}

/* lend.c */
int lend_file(struct runner *r, uint32_t store, uint64_t base);  /* the host has the file, or gets it now */
void lend_back(struct runner *r, uint32_t store, uint64_t base); /* it has given the file back */
void lend_over(struct runner *r);                                /* it is dead: everything is back */
void lend_tidy(struct runner *r);                                /* take back what the pusher has left behind */

/* lag.c */
void lag_mark(struct supervisor *s, uint64_t position); /* it has just become durable */
void lag_mind(struct supervisor *s);                    /* MAX_LAG */
void lag_mind_budget(struct supervisor *s);             /* WHEN_FULL */

/* launch.c */
void launch_host(struct runner *r);
void launch_checkpoint(struct supervisor *s, struct pusher *p, struct checkpoint *cp);

/* runner.c */
extern const struct process_events runner_events; /* told.c */
struct runner *runner_new(struct supervisor *s, const char *name);
void runner_free(struct runner **r);
void runner_idle(struct runner *r, enum pusher_state state, const char *reason);
void runner_pusher_ops(struct pusher_ops *ops, struct supervisor *s);
void runner_step(struct runner *r);
void runner_note_passed(struct runner *r); /* how far its pusher is */
void runner_drop_pusher(struct runner *r);
void runner_stop_host(struct runner *r);
void runner_kill_host(struct runner *r);
void runner_send_simple(struct runner *r, uint16_t type, uint64_t token);
void runner_sample(struct runner *r);
void runner_end_host(struct runner *r, enum host_end why);
void runner_log(struct runner *r, enum log_level level, const char *event, const char *text);

/* counters.c */
void counters_free(struct counter **list);
void counter_add(struct counter **list, struct slice name, uint64_t add); /* beyond COUNTERS_MAX names: not counted */
int runner_note_steps(struct runner *r) MUST_CHECK;                       /* a host starts with these processors */
void runner_forget_steps(struct runner *r);
void runner_count_skips(struct runner *r, uint32_t lane); /* its push is done */

/* emission.c */
int emission_piece(struct runner *r, const struct wire_emit *m, size_t len) MUST_CHECK;
void emission_host_down(struct runner *r); /* nobody waits for the answer any more */
void emissions_collect(struct supervisor *s);

/* pullers.c: those that have a position on disk, and what they order */
int pullers_open(struct supervisor *s, const char *data_dir, struct err *e) MUST_CHECK;
void pullers_close(struct supervisor *s); /* begins to: `closing` */
void pullers_free(struct supervisor *s);
void pullers_tidy(struct supervisor *s);    /* positions that should be written */
uint64_t pullers_low(struct supervisor *s); /* what lies before it is in their files; UINT64_MAX: no pullers */
bool pullers_quiet(struct supervisor *s, bool in_flight_only);
struct puller *puller_named(struct supervisor *s, struct slice name);
/* The puller of an instance, made when it is new. */
int puller_attach(struct supervisor *s, struct runner *r, struct err *e) MUST_CHECK;

/* pullhost.c: a puller's host */
int pullhost_message(struct runner *r, const struct wire_head *head, size_t len) MUST_CHECK;
void pullhost_ended(struct runner *r, enum host_end end, const char *text);
void pullhost_ops(struct puller_ops *ops, struct supervisor *s);

/* instances.c */
int instances_apply(struct supervisor *s, const struct conf *conf, struct buf *changed, struct buf *faults,
                    uint32_t *running);
bool instances_renewed(struct supervisor *s);
void instances_again(struct supervisor *s);
void instances_rescan(struct supervisor *s);
void instances_watch(struct supervisor *s);

/* supervisor.c */
void supervisor_arm(struct supervisor *s, int64_t wake_ms); /* step what is due then: at that time at the latest */
void supervisor_look(struct supervisor *s);                 /* verdicts are in: who waits for them may look */

#endif

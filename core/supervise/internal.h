/* What the files of supervise share with each other. */
#ifndef HG_SUPERVISE_INTERNAL_H
#define HG_SUPERVISE_INTERNAL_H

#include "supervise/process.h"
#include "supervise/source.h"
#include "supervise/supervisor.h"

enum { SUPERVISOR_MAGIC = 0x48475355, RUNNER_MAGIC = 0x48475255, MARKS = 2048, TICK_MS = 250 };

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
    int64_t stop_by_ms;
    void (*stop_done)(void *arg);
    void *stop_arg;
    int works;   /* requests on worker threads */
    int closing; /* handles still open */
    struct mark marks[MARKS];
    size_t mark_first, mark_count;
    char blocked[256];
};

/* runner.c */
struct runner *runner_new(struct supervisor *s, const char *name);
void runner_free(struct runner **r);
void runner_idle(struct runner *r, enum pusher_state state, const char *reason);
void runner_pusher_ops(struct pusher_ops *ops, struct supervisor *s);
void runner_step(struct runner *r);
void runner_stop_host(struct runner *r);
void runner_kill_host(struct runner *r);
void runner_send_simple(struct runner *r, uint16_t type, uint64_t token);
void runner_sample(struct runner *r);
void runner_return_files(struct runner *r);

/* instances.c */
int instances_apply(struct supervisor *s, const struct conf *conf, struct buf *changed, struct buf *faults,
                    uint32_t *running);
void instances_rescan(struct supervisor *s);
void instances_watch(struct supervisor *s);

/* supervisor.c */
void supervisor_arm(struct supervisor *s);
void supervisor_settled(struct supervisor *s);

#endif

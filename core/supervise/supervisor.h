/* The supervisor: one runner for each plugin instance, each with its host process, and its delivery state
 * (delivery/pusher.h) or its place in its source (puller.h); the plugin folders; checkpoints on worker threads;
 * retention.
 *
 * Loop thread only, except where it says so. It answers to the journal (what is durable), to the plugin folders (what
 * can run), to the settings (what shall run), and to operators (api). */
#ifndef HG_SUPERVISE_SUPERVISOR_H
#define HG_SUPERVISE_SUPERVISOR_H

#include "base/budget.h"
#include "conf/conf.h"
#include "delivery/backlog.h"
#include "delivery/pusher.h"
#include "journal/journal.h"
#include "supervise/folder.h"
#include "supervise/puller.h"
#include "supervise/steps.h"

#include <uv.h>

struct supervisor;

/* One instance, as operators see it. */
struct runner {
    uint32_t magic;
    struct link link;
    struct supervisor *owner;
    char *name;
    const char *plugin;           /* name of its plugin, "" when unknown */
    struct instance instance;     /* settings in force */
    struct steps steps;           /* its processors */
    struct plugin_file *file;     /* a reference; NULL: not there */
    struct pusher *pusher;        /* NULL: never registered, or it is a puller */
    struct puller *puller;        /* the supervisor's; NULL: it is none */
    enum pusher_state idle_state; /* when there is neither */
    char reason[512];             /* why it is idle */
    struct backlog_taker passed;  /* how far its pusher is, for clients' accounts */
    struct process *process;      /* NULL: no host */
    uint64_t memory;              /* anonymous resident bytes of the host, sampled */
    bool confined;
    bool config_bad;
    int64_t wake_ms;          /* when pusher_step wants to be called */
    struct counter *counters; /* what the plugin counts: a list */
    struct counter *skips;    /* rows that its processors skipped, by their names: a list */
    uint64_t log_dropped;
};

struct counter { /* of a plugin, shown as a metric */
    struct counter *next;
    uint64_t value;
    char name[64];
};

struct supervisor_options {
    uv_loop_t *loop;
    struct journal *journal;
    const char *data_dir;
    const char *host;                   /* path of headgate-host */
    bool fresh;                         /* the data directory is new: pushers begin at the start */
    void (*drained)(void *arg);         /* something was settled: look who waits for it */
    const char *(*refusing)(void *arg); /* why no rows are taken now, NULL: they are; NULL: they always are */
    /* May a puller's rows of this client come in now? NULL: yes, and they have paid; else why not. NULL: they always
     * may. */
    const char *(*admit)(void *arg, const char *client, uint64_t rows, uint64_t bytes);
    void *arg;
    struct backlog *backlog; /* of clients */
    struct budget *budget;   /* memory for what pullers emit */
};

/* Scans the folders and starts what is configured (blocking, before the loop runs). `faults` gets what is wrong with
 * instances; the number of pushers that can run in `*running`. */
int supervisor_new(struct supervisor **out, const struct supervisor_options *options, const struct conf *conf,
                   struct buf *faults, uint32_t *running, struct err *e) MUST_CHECK;
/* Before this all that is in the journal was passed by every pusher. */
uint64_t supervisor_passed(struct supervisor *s);
/* More is durable. */
void supervisor_durable(struct supervisor *s);
/* A cursor has moved on disk, or it is known from the last life where they stand: what is settled may go. */
void supervisor_settled(struct supervisor *s);
/* New settings: instances whose settings changed restart. `changed` gets their names, a line each. */
int supervisor_reload(struct supervisor *s, const struct conf *conf, struct buf *changed,
                      struct buf *faults) MUST_CHECK;
void supervisor_reopen(struct supervisor *s); /* SIGUSR1 */
/* Let hosts finish, make cursors durable; `done` is called when all is quiet, or after `limit_ms` when hosts had to be
 * killed. */
void supervisor_stop(struct supervisor *s, int64_t limit_ms, void (*done)(void *arg), void *arg);
void supervisor_free(struct supervisor **s); /* after `done`, and after the loop has run its close callbacks */

struct link *supervisor_runners(struct supervisor *s); /* list of struct runner by `link` */
struct runner *supervisor_find(struct supervisor *s, struct slice name);
const struct steps *supervisor_processors(const struct supervisor *s); /* all processors' instances */
const struct folder *supervisor_folder(const struct supervisor *s);
/* Step a runner now, after an operator changed its pusher. */
void supervisor_step(struct supervisor *s, struct runner *r);
/* Pause a puller, or let it run again. Becomes durable soon. */
void supervisor_pause_puller(struct supervisor *s, struct runner *r, bool paused);
/* Forget where a puller was: it begins anew when it comes back. ERR_BUSY as below. */
int supervisor_forget_puller(struct supervisor *s, struct runner *r, struct err *e) MUST_CHECK;
/* Let a pusher go for good: its backlog is skipped or becomes dead letters. ERR_BUSY: its plugin is still there and
 * configured; pause or remove it first. */
int supervisor_forget(struct supervisor *s, struct runner *r, bool dead_letter, struct err *e) MUST_CHECK;
/* Ask a running host's plugin for its far end; `answer` is called once, with ERR_UNREACHABLE when it does not run or
 * does not answer. A probe waits for the push under way; after twice TIMEOUT the host is killed as one that hangs. */
typedef void probe_answer(void *arg, int code, const char *text);
void supervisor_probe(struct supervisor *s, struct runner *r, probe_answer *answer, void *arg);
/* Why intake has to wait because of a pusher (MAX_LAG with WHEN_FULL=block), or NULL. */
const char *supervisor_blocked(struct supervisor *s);
/* Bytes of dead letters and parked rows of all pushers. */
void supervisor_aside_bytes(struct supervisor *s, uint64_t *dead, uint64_t *parked);
/* Seconds since the oldest row that a pusher has not settled became durable. */
double supervisor_lag_seconds(struct supervisor *s, const struct runner *r);
bool supervisor_drained(struct supervisor *s); /* nothing left to deliver anywhere that can deliver */

enum pusher_state runner_state(const struct runner *r);
int runner_pid(const struct runner *r); /* of its host, 0: none */
const char *runner_error(const struct runner *r);

#endif

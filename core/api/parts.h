/* What the files of the daemon share: its parts, and the steps of bringing it up and to rest. Loop thread. Functions
 * that return int here return an exit code (0: go on). */
#ifndef HG_API_PARTS_H
#define HG_API_PARTS_H

#include "access/audit.h"
#include "access/sessions.h"
#include "api/alerts.h"
#include "api/api.h"
#include "api/daemon.h"
#include "api/history.h"
#include "api/intake.h"
#include "api/loops.h"
#include "api/onlookers.h"
#include "api/recent.h"
#include "api/refusals.h"
#include "api/tap.h"
#include "base/log.h"
#include "base/sys.h"

enum { EXIT_OK = 0, EXIT_INTERNAL_FAULT = 70, EXIT_DISK_FAULT = 74, EXIT_CONFIG_FAULT = 78 };
enum { DAEMON_MAGIC = 0x48474441, FAULTS_MAX_BYTES = 1 << 20, LISTENERS_MAX = 32, REST_LOOK_MS = 20 };

enum phase { PHASE_RUNNING, PHASE_KEEP_TAKING, PHASE_ANSWERING, PHASE_HOSTS, PHASE_CLOSING };

struct daemon {
    uint32_t magic;
    const struct daemon_options *options;
    uv_loop_t loop;
    struct conf *conf;
    const struct settings *settings;
    struct journal *journal;
    struct supervisor *supervisor;
    struct intake *intake;
    struct loops *loops; /* NULL: http.threads is 1 */
    struct refusals *refusals;
    struct history *history;
    struct recent *recent;
    struct keyring *keyring;
    struct quota *quota;
    struct backlog *backlog;
    struct access *access;
    struct tls *tls, *probes_tls; /* NULL: plain */
    bool tls_lists_told;          /* that a list of revoked certificates is out of date */
    int open_servers;
    struct http_server *rows, *operation;
    struct budget budget;
    _Atomic uint32_t places; /* connections of all that take rows */
    struct api api;
    uv_signal_t signals[4];
    uv_prepare_t turn;
    uv_async_t journal_changed;
    uv_timer_t rest, look;
    uint64_t announced; /* position passed on to the pushers */
    int64_t began_ms, phase_until_ms, used_saved_ms;
    enum phase phase;
    bool draining, supervisor_done;
    bool audit_unsynced, audit_syncing; /* lines were appended; a worker makes them durable */
    struct err audit_synced;            /* what it found */
    struct err audit_fault;             /* of the last line; ERR_OK: it went well */
    uint64_t audit_faults;              /* since the start */
    uv_work_t audit_work;
    char data_dir[4096]; /* as at the start: a worker thread may look at it */
    int journal_intake;  /* as logged last */
    int journal_trial;   /* the same */
    int exit_code;
    char admin_bound[LISTENERS_MAX][128];
    int admin_count;
    char rows_bound[LISTENERS_MAX][LOOPS_ADDRESS]; /* but unix sockets */
    uint32_t rows_count;
};

/* setup.c: settings, folders, journal */
int daemon_say_faults(struct buf *faults);
void daemon_set_log(const struct settings *s);
int daemon_load_settings(struct daemon *d);
int daemon_open_journal(struct daemon *d, bool *fresh);
struct journal_options daemon_journal_options(struct daemon *d, const char *dir, uint64_t has);

/* callers.c: keys of callers */
int daemon_open_access(struct daemon *d);
void daemon_look_access(struct daemon *d);  /* files that have changed, and when keys were used */
void daemon_close_access(struct daemon *d); /* nothing uses it any more */
/* Of listeners that have no intake: refused callers are noted. */
void daemon_note_refused(void *arg, const struct http_request *r, int status, struct slice detail);

/* actions.c: the audit log. As `answering` of the operation's listeners; and for what no request asked for. */
const char *daemon_note_answer(void *arg, const struct http_request *r, int status);
void daemon_note_action(struct daemon *d, const char *action, const char *who);

/* encrypt.c: certificate of the listeners */
int daemon_open_tls(struct daemon *d);
struct tls *daemon_tls(const struct daemon *d, enum listener listener);
void daemon_look_tls(struct daemon *d); /* files that have changed */
void daemon_close_tls(struct daemon *d);

/* servers.c: pushers, intake, listeners */
int daemon_open_supervisor(struct daemon *d, bool fresh);
int daemon_open_intake(struct daemon *d);
int daemon_open_servers(struct daemon *d);
int daemon_open_loops(struct daemon *d);
struct http_limits daemon_limits(const struct settings *s);
struct intake_rules daemon_rules(const struct settings *s);

/* clients.c: limits of clients that change with a reload, and what they have undelivered at the start */
int daemon_limit_clients(struct daemon *d) MUST_CHECK; /* ERR_NOMEM: those of before stay, some of them */
int daemon_count_clients(struct daemon *d);

/* daemon.c: what intake shall answer now */
/* Why no rows of a puller are taken; NULL: they are, as far as the journal can. While the daemon stops they are, until
 * its host has: what a puller has begun it may finish. */
const char *daemon_refusing(struct daemon *d);
void daemon_look(struct daemon *d);

/* stop.c: to rest */
void daemon_begin_stop(struct daemon *d);
void daemon_signal(uv_signal_t *signal, int number);

#endif

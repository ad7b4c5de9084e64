/* What the routes of operation share: the daemon's parts, and small helpers for answers.
 *
 * Loop thread. Whatever may read files goes to a worker thread (uv_queue_work) and answers when it is back. */
#ifndef HG_API_API_H
#define HG_API_API_H

#include "access/access.h"
#include "api/shared.h"
#include "http/http.h"
#include "journal/journal.h"
#include "supervise/supervisor.h"

struct daemon; /* daemon.h */
struct taps;
struct onlookers;
struct alerts;
struct history;
struct recent;
struct sessions;

enum listener { LISTENER_ROWS = 1, LISTENER_ADMIN = 2, LISTENER_PROBES = 3 };

struct api {
    uv_loop_t *loop;
    struct journal *journal;
    struct supervisor *supervisor;
    struct daemon *daemon;
    struct access *access;
    struct backlog *backlog;
    unsigned rows_auth, admin_auth; /* bits of enum auth; as at the start */
    uint64_t generation;            /* of the settings: 1 at start, more with each reload */
    struct receipt_waiter *waiters;
    struct steering *steerings; /* whose answers wait for a checkpoint */
    struct taps *taps;
    struct onlookers *onlookers;
    struct history *history;
    struct alerts *alerts;
    struct recent *recent; /* the log's last lines */
    struct sessions *sessions;
    struct shared shared;
    uint64_t memory; /* of this process, bytes, as metrics.c has seen it last, at memory_ms (0: never) */
    int64_t memory_ms;
    int works;     /* on worker threads */
    bool stopping; /* nobody waits any longer */
};

enum { API_BODY_MAX = 64 << 20 }; /* of an answer */

/* The answer, whichever loop the request came in on. Once for each request. */
void api_send(struct http_request *r, const struct http_answer *answer);
void api_send_problem(struct http_request *r, const struct http_problem *problem);
/* Answers. The buffer is freed. `code` is what building it returned: an error answers 503. */
void api_json(struct http_request *r, int status, struct buf *body, int code);
void api_text(struct http_request *r, int status, const char *content_type, struct buf *body, int code);
void api_problem(struct http_request *r, int status, const char *word, const char *detail);
/* The answer is a stream of server-sent events: its head, and then http_stream_send; or what HEAD is told of it. */
void api_events(struct http_request *r);
void api_events_head(struct http_request *r);
/* The problem for an ERR_ code. */
void api_error(struct http_request *r, int code, const char *detail);

/* `,` between members of an object or elements of an array: true for all but the first. */
int api_comma(struct buf *b, bool *more) MUST_CHECK;
int api_time(struct buf *b, int64_t wall_us) MUST_CHECK;      /* RFC 3339 with microseconds, UTC, with quotes */
int api_tags(struct buf *b, struct slice context) MUST_CHECK; /* a record's tags as a JSON object */
/* RFC 3339 or `30m`-like (that long ago) to wall microseconds; ERR_SYNTAX. */
int api_time_parse(const char *text, int64_t *wall_us) MUST_CHECK;
/* A query parameter that is a number; `*value` stays as it is without one. False: it is none. */
bool api_number(const struct http_request *r, const char *name, uint64_t *value) MUST_CHECK;
/* The same of one that is yes or no, so that a word that is neither starts nothing. */
bool api_flag(const struct http_request *r, const char *name, bool *value) MUST_CHECK;
/* And of one flag, with the answer to a wrong one. */
bool api_flag_or_refuse(struct http_request *r, const char *name, bool *value) MUST_CHECK;

/* A route's parameters: the `{…}` parts of its pattern, percent-decoded. */
struct api_params {
    char text[2][1024];
};

typedef void api_route(struct api *api, struct http_request *r, const struct api_params *params);

/* pushers.c */
api_route api_pushers_list, api_pusher_show, api_pusher_pause, api_pusher_resume, api_pusher_hurry, api_pusher_forget;
api_route api_pullers_list;
int api_add_status(struct buf *b, struct api *api) MUST_CHECK; /* what GET /v1/pushers tells, on one line */
/* pullers.c: a puller as JSON, and the array of all */
int api_add_puller(struct buf *b, const struct runner *r) MUST_CHECK;
int api_add_pullers(struct buf *b, struct supervisor *s) MUST_CHECK;
bool api_is_puller(const struct runner *r);
/* receipts.c */
api_route api_batch, api_receipts, api_rowsets;
/* dead.c */
api_route api_dead_list, api_dead_show, api_dead_retry, api_dead_drop, api_dead_retry_all, api_dead_drop_all;
/* replays.c */
api_route api_replay_start, api_replay_list, api_replay_show, api_replay_end;
/* The last segment that was begun at or before a moment, else the oldest. */
struct journal_segment api_segment_of(struct api *api, int64_t wall_us);
/* export.c */
api_route api_export;
/* clients.c; all that are known, as an array's elements */
api_route api_clients_list;
int api_add_clients(struct buf *b, struct api *api) MUST_CHECK;
/* metrics.c */
api_route api_metrics;
/* setrows.c */
api_route api_batch_rows;
/* page.c */
api_route api_page;
/* session.c */
api_route api_keys, api_session_begin, api_session_show, api_session_end;
/* watch.c, tap.c, onlookers.c */
api_route api_history, api_log, api_tap, api_watch;
/* control.c */
api_route api_live, api_ready, api_version, api_reload, api_drain, api_config, api_refusals, api_problem_page,
    api_probe, api_plugins;

/* --- receipts for those who wait (Prefer: wait) --- */

struct receipt_waiter {
    struct receipt_waiter *next;
    uint64_t position;
    uint32_t rows;
    uint64_t uuid_hash;
    int64_t until_ms;
    /* Called once: 0 with the receipt as JSON, or ERR_TIMEOUT. */
    void (*done)(void *arg, int code, struct slice json);
    void *arg;
    bool ready;
};

/* Owned by the caller until `done` was called. */
void receipts_wait(struct api *api, struct receipt_waiter *w);
/* The receipt as it is now: `done` with 0 and the JSON, or an error, perhaps from inside the call. Only position, done
 * and arg of `w` count. */
void receipts_make(struct api *api, struct receipt_waiter *w);
/* Something was settled, or time has passed: look who need not wait any longer. */
void receipts_look(struct api *api);

/* steer.c */
api_route api_batch_expedite, api_batch_mark_delivered, api_batch_mark_pending, api_batch_purge;
/* A checkpoint was written, or time has passed. */
void steer_look(struct api *api);
/* alerts.c */
api_route api_alerts;
int api_add_alerts(struct buf *b, const struct api *api) MUST_CHECK; /* the same, on one line */
/* actions.c */
api_route api_audit;

/* router.c: the function of the route that a request leads to, as its name stands in routes.def; NULL: to none. */
const char *api_route_name(const struct http_request *r);
/* router.c: at the head: may it? 0, or it was answered. Any loop's thread, on listeners of that loop. */
int api_admit(struct api *api, struct http_request *r);
/* Its caller would still be let in. */
bool api_admits_still(struct api *api, struct http_request *r);
/* The request of one of the operation's routes. Answers always; 404 and 405 too. */
void api_dispatch(struct api *api, struct http_request *r);

#endif

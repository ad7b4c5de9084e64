/* Rows in: `POST /v1/rows`, `/data`, `/data/batch` (contract section 3). Checks, scans, appends to the journal, answers
 * when it is durable.
 *
 * One intake for each loop; everything is called on that loop's thread unless it says otherwise. The keyring and the
 * refusals are shared by all of them. To stop: http_server_close (its `closed` comes when every request is answered),
 * then journal_close, then intake_close. */
#ifndef HG_API_INTAKE_H
#define HG_API_INTAKE_H

#include "access/access.h"
#include "api/keyring.h"
#include "api/quota.h"
#include "api/refusals.h"
#include "delivery/backlog.h"
#include "http/http.h"
#include "journal/journal.h"

struct intake;

struct intake_rules {
    uint32_t max_rows;  /* http.max_rows */
    uint32_t max_depth; /* rows.max_depth */
    bool any_keys;      /* rows.keys = any */
};

/* Waiting for one row set's receipt (`Prefer: wait`). Intake's memory until `done` was called. */
struct intake_wait {
    uint64_t position; /* of its record */
    uint32_t rows;
    uint64_t uuid_hash; /* hash_bytes of the uuid */
    int64_t until_ms;   /* clock_ms; at most WAIT_MAX_S from now */
    /* To be called once, on the intake's loop, also from inside `wait`: 0 with the receipt as one JSON object
     * (borrowed), or ERR_TIMEOUT (or any other code): then the plain 202 is answered. */
    void (*done)(void *arg, int code, struct slice json);
    void *arg;
    void *hook; /* free for whoever waits */
};

enum { WAIT_MAX_S = 300 };

struct intake_options {
    struct journal *journal;
    struct keyring *keyring;
    struct quota *quota;     /* NULL: nobody has limits */
    struct backlog *backlog; /* NULL: nobody is counted */
    struct refusals *refusals;
    struct intake_rules rules;
    struct access *access; /* with `auth` neither unset nor none */
    unsigned auth;         /* bits of enum auth */
    /* Where requests for other paths go (the operation's routes on this listener). `request` NULL: 404. `head` NULL:
     * every head is accepted. Its `gone` and `answered` are not used. */
    struct http_routes other;
    /* Begin to wait; `done` of `w` must be called once. NULL: `Prefer: wait` is not honoured. */
    void (*wait)(void *arg, struct intake_wait *w);
    void *wait_arg;
};

int intake_open(struct intake **out, uv_loop_t *loop, const struct intake_options *options) MUST_CHECK;
/* No request may be with it any more, and the journal must be closed. `closed` is called when the memory is free. */
void intake_close(struct intake *i, void (*closed)(void *arg), void *arg);

/* The routes to give to http_server_new. */
struct http_routes intake_routes(struct intake *i);

/* Rules for requests to come (reload). */
void intake_set_rules(struct intake *i, const struct intake_rules *rules);
/* Answer 503 with this sentence (static text) from now on; NULL: take rows again. Any thread. */
void intake_set_refusing(struct intake *i, const char *reason);
/* The same with the problem's word (static text); intake_set_refusing says "draining". */
void intake_set_refusing_as(struct intake *i, const char *word, const char *reason);
/* Requests that are with it. */
uint32_t intake_busy(const struct intake *i);

/* --- counters; any thread --- */

enum { REQUEST_BUCKETS = 14 };
extern const double request_bounds[REQUEST_BUCKETS]; /* seconds */

struct intake_counts {
    uint64_t rows, bytes;                  /* acknowledged; bytes of decoded bodies */
    uint64_t durable[REQUEST_BUCKETS + 1]; /* requests by the time from their first byte to their rows being durable */
    uint64_t status[500];                  /* answers on these listeners with status 100 + i */
    uint64_t seconds[REQUEST_BUCKETS + 1]; /* answers that took longer than bound i - 1, not longer than bound i */
    double seconds_sum;
};

/* Add this intake's counts to `sum`. */
void intake_count(const struct intake *i, struct intake_counts *sum);

#endif

/* Intake loops beyond the first (http.threads): each a thread with its own listeners (SO_REUSEPORT), connections and
 * intake. They own nothing else: routes of operation and waits for receipts go to the main loop and back (bounce.h).
 *
 * Everything here is called on the main loop's thread. `l` NULL is allowed everywhere: there is only the main loop. */
#ifndef HG_API_LOOPS_H
#define HG_API_LOOPS_H

#include "api/api.h"
#include "api/intake.h"

struct loops;

enum { LOOPS_ADDRESS = 128 };

struct loops_options {
    struct api *api;
    struct keyring *keyring;
    struct quota *quota;
    struct backlog *backlog;
    struct refusals *refusals;
    struct budget *budget;
    _Atomic uint32_t *places; /* http_server_share, with the main loop's server */
    struct http_limits limits;
    struct intake_rules rules;
    struct tls *tls;                        /* of the addresses; NULL: plain */
    const char (*addresses)[LOOPS_ADDRESS]; /* as bound by the main loop with `share_port` */
    uint32_t address_count;
    uint32_t count; /* of threads, at least 1 */
};

/* Everything pointed at must outlive the loops. On failure (an address cannot be listened on, no memory, no thread)
 * nothing runs. */
int loops_start(struct loops **out, const struct loops_options *options, struct err *e) MUST_CHECK;

/* Reload: in force on every loop when it returns. */
void loops_set(struct loops *l, const struct http_limits *limits, const struct intake_rules *rules);
void loops_refuse(struct loops *l, const char *word,
                  const char *reason); /* as intake_set_refusing_as; NULL `l` allowed */
void loops_count(const struct loops *l, struct intake_counts *sum);
uint32_t loops_connections(const struct loops *l);

/* Stopping. Drain: as http_server_drain; no loop listens any more when it returns. */
void loops_drain(struct loops *l);
/* Close all connections; `closed` is called when the last request has been answered and nothing is with the journal. */
void loops_close(struct loops *l, void (*closed)(void *arg), void *arg);
/* After that, and after the journal was closed: ends the threads. The memory goes with a handle of the main loop. */
void loops_free(struct loops **l);

#endif

/* What each client has in the journal that some pusher has not come past yet, in bytes of its records, and the limit on
 * it (`clients.undelivered_bytes`).
 *
 * A row set counts from the moment it is let in until every pusher that takes its client has passed it: delivered,
 * skipped, set aside, or waiting alone for another try (these have limits of their own). Nothing here is written down:
 * a start counts again from the journal's indexes.
 *
 * Any thread, but where it says otherwise. */
#ifndef HG_DELIVERY_BACKLOG_H
#define HG_DELIVERY_BACKLOG_H

#include "base/client.h"
#include "base/err.h"
#include "base/list.h"

#include <stdint.h>

struct backlog;

struct backlog_limit {
    char name[CLIENT_MAX + 1];
    uint64_t bytes; /* 0: none */
};

/* One pusher; its owner's memory. Zero before it is used for the first time. */
struct backlog_taker {
    struct link link;
    bool joined;
    char *clients; /* CLIENTS; NULL: everybody's */
    uint64_t low;  /* it has passed what stands before */
};

struct backlog *backlog_new(void); /* NULL: no memory */
void backlog_free(struct backlog **b);
/* For clients that are not named, and for those that are. Copied; ERR_NOMEM: it stays as it was. */
int backlog_limits(struct backlog *b, uint64_t common, const struct backlog_limit *named, uint32_t count) MUST_CHECK;

/* --- the pushers; loop thread --- */

/* It takes these clients' row sets (NULL: everybody's) and has passed what stands before `low`. */
void backlog_pass(struct backlog *b, struct backlog_taker *t, const char *clients, uint64_t low);
void backlog_leave(struct backlog *b, struct backlog_taker *t);

/* --- the clients ("": nobody in particular, who is never counted) --- */

/* May this client send `bytes` more? 0, and they count already; or the seconds after which to ask again. While
 * something is left of its limit anything is let in. With 0 bytes it only asks. */
uint32_t backlog_take(struct backlog *b, const char *client, uint64_t bytes, int64_t now_ms);
/* What was taken is over: each of its records was stored (before), or none. */
void backlog_give(struct backlog *b, const char *client, uint64_t bytes);
/* A record of so many bytes is at `position`. */
void backlog_store(struct backlog *b, const char *client, uint64_t position, uint64_t bytes);

/* At a start: a record that is there already; without a name it is of one that has no account of its own. */
void backlog_found(struct backlog *b, struct slice client, uint64_t position, uint64_t bytes);

struct backlog_client {
    char name[CLIENT_MAX + 1]; /* "": all that there was no room for, together */
    uint64_t bytes, limit;     /* limit 0: none */
    uint64_t refused;          /* requests, since this process began */
};
/* The n-th of those that are known, in no order; false: there are no more. They may come and go meanwhile. */
bool backlog_client_at(struct backlog *b, uint32_t n, struct backlog_client *out);
/* The same by name: zeros when it is not known. */
void backlog_client(struct backlog *b, const char *client, struct backlog_client *out);

#endif

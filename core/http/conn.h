/* One connection: what it is doing, its buffers and its limits. Internal to core/http; server's thread. */
#ifndef HG_HTTP_CONN_H
#define HG_HTTP_CONN_H

#include "base/list.h"
#include "http/body.h"
#include "http/transport.h"

enum {
    READ_AHEAD = SMALL_BODY, /* room behind a head in the input buffer */
    AHEAD_MAX = 16 * 1024,   /* of the next requests, while one is under way */
    TIGHT_READ = 8 * 1024,   /* at once, when half of the budget is used */
    LINGER_MS = 2000,        /* how long what a refused client still sends is thrown away */
    RATE_GRACE_MS = 5000,    /* then a body must have come at RATE_BYTES a second */
    RATE_BYTES = 1024,
    RETRY_AFTER = 1, /* seconds, told with a 503 */
};

enum conn_state {
    CONN_IDLE,   /* nothing of a request has come yet */
    CONN_HEAD,   /* part of a head has come */
    CONN_BODY,   /* the routes have accepted the head; the body is coming */
    CONN_WAIT,   /* the routes have the request */
    CONN_WRITE,  /* the rest of an answer is going out */
    CONN_STREAM, /* the routes send an answer bit by bit; `rest` is there while a bit of it goes out */
    CONN_DONE,   /* the answer is out */
    CONN_LINGER, /* half closed; reading only to throw away */
    CONN_CLOSED, /* the handle is closing or gone */
};

struct conn {
    uint32_t magic;
    enum conn_state state;
    struct link link;    /* in the server's list, or among its spare ones */
    struct link waiting; /* among those that wait for room in the budget */
    struct http_server *server;
    struct channel channel;
    struct http_limits limits; /* in force when it was accepted */

    bool overflow; /* one too many: gets a 503 and nothing else */
    bool first;    /* no request has been answered yet */
    bool ended;    /* the peer sends no more */
    bool open;     /* the routes owe an answer */
    bool keep;     /* the client lets the connection stay open */
    bool whole;    /* nothing of the current request is left on the wire */
    bool gone;     /* the handle is closed */
    bool driving;  /* conn_advance is at work further down the stack */
    bool paused;   /* waits for room in the budget */

    char *in; /* input buffer of `cap` bytes, NULL while nothing is held */
    size_t cap, len;
    size_t start;   /* of the current request's head */
    size_t body_at; /* of its body */
    size_t feed_at; /* of the part of the body that has not been decoded yet */
    size_t next;    /* of the next request */

    int64_t deadline; /* of the state, clock_ms */
    int64_t body_began, paused_since, paused_ms;
    uint64_t body_bytes; /* on the wire since body_began */
    char *rest;          /* of an answer, while it goes out */
    size_t unwritten;    /* of it, when it was looked at last */

    struct body body;
    struct http_request request;
    struct head head;
};

/* Take a connection from a listener, with TLS or (NULL) without. False when there was no memory: it is still the
 * listener's, try again later. */
bool conn_accept(struct http_server *s, uv_stream_t *listener, int number, struct tls *tls);
/* Do what can be done with what has come. Does nothing when it is at work already. */
void conn_advance(struct conn *c);
/* Look at the deadlines. */
void conn_tick(struct conn *c, int64_t now);
/* Close at once; an answer that is still owed will be dropped. */
void conn_close(struct conn *c);
/* Nothing is left of it: give back its memory. Called when the handle is gone and no answer is owed. */
void conn_forget(struct conn *c);
/* An answer of our own to what is wrong with the request, then close. */
void conn_refuse(struct conn *c, const struct refusal *why);
/* Change the state (and with it the deadline). */
void conn_enter(struct conn *c, enum conn_state state);

/* request.c: one step with the bytes that are there; true when another may follow. */
bool conn_step(struct conn *c);

#endif

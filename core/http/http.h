/* HTTP/1.0 and 1.1 on libuv: listeners, connections, requests, answers. Strict about framing (RFC 9112), bounded in
 * every dimension. Knows nothing of rows; routes live in core/api.
 *
 * A server belongs to one loop and is used only from that loop's thread. Several servers (one a loop) may share a
 * `struct budget` (base/budget.h). Plain sockets or TLS: see http/transport.h. */
#ifndef HG_HTTP_HTTP_H
#define HG_HTTP_HTTP_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct http_server;
struct http_request;
struct tls;
struct x509_st;

struct http_limits {
    uint64_t max_body;        /* bytes, also of what decompression yields */
    uint32_t max_header;      /* bytes of request line and fields together */
    uint32_t max_connections; /* of this server, or of all that share a count (http_server_share) */
    uint32_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

struct http_field {
    struct slice name; /* as sent; compare without case */
    struct slice value;
};

/* Who sends a request, as the routes have found out at its head; nobody before. */
struct http_caller {
    unsigned roles;  /* bits of access/role.h */
    char client[65]; /* whose rows these are; "": nobody's in particular */
    char who[161];   /* for people: "key <id> <name>", "token <sub>", "certificate cn:<name>"; "": nobody was asked */
};

/* One request. Lives from the head until http_respond(), also when the peer has gone meanwhile; then the answer is
 * dropped silently. Everything here is read-only for routes, but `route` and `caller`. */
struct http_request {
    struct http_server *server;
    int listener; /* the number given to http_listen */
    enum http_method method;
    struct slice method_text;
    struct slice path;  /* before `?`, not percent-decoded; always begins with '/' (or is "*" for OPTIONS) */
    struct slice query; /* after `?`, or empty */
    bool http10;
    const struct http_field *fields;
    uint32_t field_count;
    struct slice body;         /* decoded (chunks joined, gzip/zstd undone); empty until `request` is called */
    bool has_body;             /* a length or chunks were declared */
    char peer[64];             /* address of the other end, "unix" for a unix socket */
    int64_t began_ns;          /* monotonic, first byte of the request */
    void *route;               /* belongs to the routes */
    struct http_caller caller; /* so does this; empty at the head */
};

bool http_name_is(const struct http_field *field, const char *name); /* compared without case */
/* First field with the name (compared without case); false when there is none. */
bool http_field(const struct http_request *r, const char *name, struct slice *value);
/* The certificate that the client has shown over TLS and that was found good, or NULL. Borrowed; the server's thread,
 * and only while the connection is there (`head`, `request`). */
const struct x509_st *http_certificate(const struct http_request *r);
/* It came over TLS. */
bool http_encrypted(const struct http_request *r);
/* The address that the client connected to, as `peer` is written. Only until the answer. */
void http_local(struct http_request *r, char *out, size_t size);
/* Percent-decoded value of a query parameter into `out`; -1: not there, -2: malformed or does not fit, else length. */
long http_query(const struct http_request *r, const char *name, char *out, size_t size);
/* Percent-decode a path segment; the length, or -1 (malformed, does not fit, or contains NUL). */
long http_unescape(struct slice text, char *out, size_t size);

/* Problems that HTTP itself finds (RFC 9457) are answered with this; routes use it too. `status` also picks the title
 * and the `type` ("/problems/<word>"). */
struct http_problem {
    int status;
    const char *word;      /* last segment of `type`: the words of api/problems.def: "budget", "schema", … */
    const char *detail;    /* one sentence */
    struct slice errors;   /* a JSON array, or empty */
    const char *allow;     /* for 405 */
    const char *challenge; /* WWW-Authenticate, for 401 and 403 */
    uint32_t retry_after;  /* seconds, 0: none */
    bool close;            /* close the connection after it */
};

struct http_answer {
    int status;
    const char *content_type; /* NULL: no body */
    struct slice body;        /* copied unless it is small enough to be written at once */
    const char *fields;       /* further header lines, each with \r\n; or NULL */
    bool close;
};

/* Exactly once for each request that was given to `request` (or refused in `head`). Server's thread. */
void http_respond(struct http_request *r, const struct http_answer *answer);
void http_problem(struct http_request *r, const struct http_problem *problem);

/* An answer that has no length and goes on until one side ends it; the connection closes with it. After http_stream the
 * request stays open: http_stream_end exactly once, also when the peer has gone (`gone` tells, or ERR_CLOSED). Only
 * `status`, `content_type` and `fields` of `answer` count. */
void http_stream(struct http_request *r, const struct http_answer *answer);
/* ERR_BUSY: what was sent before is not out yet, nothing was taken; ERR_CLOSED: the peer has gone. The bytes are copied
 * where the kernel does not take them at once. */
int http_stream_send(struct http_request *r, struct slice bytes) MUST_CHECK;
void http_stream_end(struct http_request *r);

/* Pay out of the budget for what a route keeps beside the body until the answer; false when there is no room. */
bool http_charge(struct http_request *r, uint64_t bytes) MUST_CHECK;
/* The body is not needed any more: its memory goes back before the answer. */
void http_body_done(struct http_request *r);

struct http_routes {
    /* May be NULL: go on. The head is complete. 0: go on (the body is read, a 100 is sent if asked for). Otherwise the
     * route has answered with http_respond/http_problem already and the body is not read (the connection closes unless
     * the body was empty). */
    int (*head)(void *arg, struct http_request *r);
    /* The whole request. */
    void (*request)(void *arg, struct http_request *r);
    /* The peer has gone before the answer; the request stays valid until http_respond. May be NULL. */
    void (*gone)(void *arg, struct http_request *r);
    /* What must be written down before the answer to it goes out; also when the peer has gone, and for what HTTP itself
     * refuses; not for streams. Returns header lines (static, each with \r\n) that are added to the answer, or NULL.
     * Must not answer. May be NULL. */
    const char *(*answering)(void *arg, const struct http_request *r, int status);
    /* For metrics and the log of refusals: called once an answer was handed to the kernel or dropped, also for what
     * HTTP itself refuses (then the request may be known in part only). `detail` is the problem's detail or empty. Must
     * not answer other requests. May be NULL. */
    void (*answered)(void *arg, const struct http_request *r, int status, struct slice detail);
    void *arg;
};

int http_server_new(struct http_server **out, uv_loop_t *loop, const struct http_limits *limits, struct budget *budget,
                    const struct http_routes *routes) MUST_CHECK;
/* `address`: "127.0.0.1:8080", "[::1]:8080", "host:port", "unix:/path". `listener` comes back in requests. Several
 * servers may listen on one TCP address: the first with `share_port`, the others with `reuse_port`. `bound` (may be
 * NULL) gets the address with the real port. */
struct http_listen {
    const char *address;
    int listener;
    bool reuse_port;      /* join those that have the address and share it */
    bool share_port;      /* take the address for itself, then let others join */
    unsigned socket_mode; /* of a unix socket */
    long socket_group;    /* gid, -1: leave */
    struct tls *tls;      /* http/tls.h; NULL: plain. Must outlive the server's connections */
};
/* Count its connections together with those of other servers, on other loops perhaps. Before it listens. */
void http_server_share(struct http_server *s, _Atomic uint32_t *connections);
int http_server_listen(struct http_server *s, const struct http_listen *listen, char bound[128],
                       struct err *e) MUST_CHECK;
/* Stop taking connections; those that are idle close, the others after their answer. */
void http_server_drain(struct http_server *s);
/* Close everything at once; `closed` is called when the last handle is gone, the last request has been answered (into
 * the void), and the memory has been freed: perhaps from inside that http_respond. */
void http_server_close(struct http_server *s, void (*closed)(void *arg), void *arg);
/* Change limits of connections to come (reload). */
void http_server_limits(struct http_server *s, const struct http_limits *limits);
uint32_t http_server_connections(const struct http_server *s); /* of this server; any thread */

const char *http_reason(int status);

#endif

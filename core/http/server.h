/* A server: its listeners, its connections, and what they share. Internal to core/http; one thread. */
#ifndef HG_HTTP_SERVER_H
#define HG_HTTP_SERVER_H

#include "http/answer.h"
#include "http/conn.h"

enum {
    SPARE_INPUTS = 64,   /* input buffers kept */
    SPARE_CONNS = 64,    /* connections kept */
    OVERFLOW_CONNS = 32, /* connections beyond max_connections that get a 503 at the same time */
    SINK_BYTES = 64 * 1024,
};

struct http_server {
    uint32_t magic;
    uv_loop_t *loop;
    struct http_limits limits;
    struct http_routes routes;
    struct body_pool pool;
    struct link listeners;
    struct link conns;
    struct link waiting; /* for room in the budget */
    struct link spare_conns;
    _Atomic uint32_t conn_count; /* all in `conns` but overflow */
    uint32_t overflow_count;
    _Atomic uint32_t *places; /* taken of max_connections; own_places, or shared with other servers */
    _Atomic uint32_t own_places;
    uint32_t spare_count;
    char *inputs[SPARE_INPUTS];
    uint32_t input_count;
    size_t input_bytes; /* size of those */
    uv_timer_t tick;
    uint32_t handles; /* open ones: the timer and listeners */
    bool draining, closing;
    bool waking, wake_again;
    void (*closed)(void *arg);
    void *closed_arg;
    struct answer_date date;
    struct buf head, problem; /* scratch for answers */
    char sink[SINK_BYTES];
};

#define SERVER_MAGIC 0x68747376u
#define CONN_MAGIC   0x6874636Fu

/* Buffers for input; NULL when out of memory. */
char *server_input_take(struct http_server *s, size_t cap);
void server_input_give(struct http_server *s, char **input, size_t cap);
/* A connection's memory, zeroed, with a place among max_connections or marked as one too many; NULL when out of memory.
 */
struct conn *server_conn_take(struct http_server *s);
void server_conn_give(struct http_server *s, struct conn *c);
/* There may be room in the budget again. */
void server_wake(struct http_server *s);
/* Deadlines have to be looked at. */
void server_tick_on(struct http_server *s);
/* A handle counted in `handles` is closed. May free the server. */
void server_handle_gone(struct http_server *s);

#endif

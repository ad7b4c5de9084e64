/* A connection's life: accepted, read, advanced, timed out, closed. What the bytes mean is request.c's; answers are
 * respond.c's.
 *
 * One function moves a connection as far as it can go and is never entered twice for the same one, so a route may
 * answer from inside its callback. Reading is on exactly while there is somewhere to put bytes: that is how a full
 * budget, or a client that sends ahead without limit, is held back. There is no timer for each connection: the server
 * looks at all deadlines a few times a second.
 *
 * A connection whose request is still with the routes outlives its socket: the journal may be writing from its buffer.
 */
#include "base/sys.h"
#include "http/server.h"

#include <stdlib.h>

static struct conn *conn_of(struct channel *channel)
{
    struct conn *c = container_of(channel, struct conn, channel);
    CHECK_MAGIC(c, CONN_MAGIC);
    return c;
}

void conn_enter(struct conn *c, enum conn_state state)
{
    int64_t now = clock_ms();
    CHECK(c->state != CONN_CLOSED);
    c->state = state;
    switch (state) {
    case CONN_IDLE: c->deadline = now + (c->first ? c->limits.header_timeout_ms : c->limits.idle_timeout_ms); break;
    case CONN_HEAD: c->deadline = now + c->limits.header_timeout_ms; break;
    case CONN_BODY:
        c->deadline = now + c->limits.body_timeout_ms;
        c->body_began = now;
        c->body_bytes = c->len - c->body_at; /* what came with the head */
        c->paused_ms = 0;
        break;
    case CONN_WAIT: c->deadline = INT64_MAX; break;
    case CONN_WRITE:
        c->deadline = now + c->limits.idle_timeout_ms;
        c->unwritten = SIZE_MAX;
        break;
    case CONN_STREAM: c->deadline = INT64_MAX; break;
    case CONN_LINGER: c->deadline = now + LINGER_MS; break;
    case CONN_DONE:
    case CONN_CLOSED: break;
    }
}

/* What came behind a request that is not answered yet. */
static size_t bytes_ahead(const struct conn *c)
{
    return c->len - c->next;
}

static bool wants_bytes(const struct conn *c)
{
    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD:
    case CONN_LINGER: return true;
    case CONN_BODY: return !c->paused;
    case CONN_WAIT:
    case CONN_WRITE:
    case CONN_STREAM:
    case CONN_DONE: return c->len < c->cap && bytes_ahead(c) < AHEAD_MAX;
    case CONN_CLOSED: break;
    }
    return false;
}

void conn_advance(struct conn *c)
{
    if (c->driving)
        return;
    c->driving = true;
    while (conn_step(c))
        ;
    c->driving = false;
    if (c->state != CONN_CLOSED)
        c->channel.transport->read(&c->channel, !c->ended && wants_bytes(c));
}

/* --- what the channel tells --- */

static bool reads_own(const struct conn *c)
{
    return c->state == CONN_BODY && c->body.way == BODY_OWN;
}

/* As much as fits, so that a request is read at once; but only a little of what is not asked for yet, and where memory
 * is getting short: these bytes are read before they can be paid for. */
static size_t input_room(const struct conn *c)
{
    struct budget *budget = c->server->pool.budget;
    size_t room = c->cap - c->len, most = room;
    if (c->state == CONN_WAIT || c->state == CONN_WRITE || c->state == CONN_STREAM)
        most = AHEAD_MAX - bytes_ahead(c);
    else if (atomic_load_explicit(&budget->used, memory_order_relaxed) >
             atomic_load_explicit(&budget->max, memory_order_relaxed) / 2)
        most = TIGHT_READ;
    return most < room ? most : room;
}

static void on_room(struct channel *channel, char **at, size_t *len)
{
    struct conn *c = conn_of(channel);
    if (c->state == CONN_LINGER) {
        *at = c->server->sink;
        *len = sizeof c->server->sink;
        return;
    }
    if (reads_own(c)) {
        CHECK(body_tail(&c->body, &c->server->pool, at, len) == BODY_MORE); /* step_body has made room */
        return;
    }
    if (c->in == NULL) {
        c->cap = c->limits.max_header + READ_AHEAD;
        c->start = c->len = 0;
        c->in = server_input_take(c->server, c->cap);
    }
    if (c->in != NULL) {
        *at = c->in + c->len;
        *len = input_room(c);
    }
}

static void on_came(struct channel *channel, size_t len)
{
    struct conn *c = conn_of(channel);
    if (c->state == CONN_LINGER)
        return;
    if (c->state == CONN_BODY)
        c->body_bytes += len;
    if (reads_own(c))
        body_came(&c->body, len);
    else
        c->len += len;
    conn_advance(c);
}

static void lose(struct conn *c)
{
    const struct http_routes *routes = &c->server->routes;
    bool open = c->open;
    conn_close(c);
    if (open && routes->gone != NULL)
        routes->gone(routes->arg, &c->request);
}

/* Who reads a stream and closes its own side does not read any longer. */
static void on_ended(struct channel *channel)
{
    struct conn *c = conn_of(channel);
    c->ended = true;
    if (c->state == CONN_STREAM)
        lose(c);
    else if (c->state == CONN_LINGER)
        conn_close(c);
    else
        conn_advance(c);
}

static void on_failed(struct channel *channel)
{
    lose(conn_of(channel));
}

static void on_written(struct channel *channel, bool whole)
{
    struct conn *c = conn_of(channel);
    if (c->state == CONN_CLOSED)
        return;
    if (!whole) {
        lose(c);
        return;
    }
    if (c->state == CONN_STREAM) {
        free(c->rest);
        c->rest = NULL;
        conn_enter(c, CONN_STREAM);
        return;
    }
    conn_enter(c, CONN_DONE);
    conn_advance(c);
}

static void on_closed(struct channel *channel)
{
    struct conn *c = conn_of(channel);
    c->gone = true;
    if (!c->open)
        conn_forget(c);
}

static const struct channel_events events = {
    .room = on_room,
    .came = on_came,
    .ended = on_ended,
    .failed = on_failed,
    .written = on_written,
    .closed = on_closed,
};

/* --- beginning and end --- */

bool conn_accept(struct http_server *s, uv_stream_t *listener, int number, struct tls *tls)
{
    struct conn *c = server_conn_take(s);
    if (c == NULL)
        return false;
    c->limits = s->limits;
    c->first = true;
    c->request.server = s;
    c->request.listener = number;
    if (channel_init(&c->channel, s->loop, listener, tls, &events) != ERR_OK) {
        server_conn_give(s, c);
        return false;
    }
    conn_enter(c, CONN_IDLE);
    if (c->channel.transport->accept(&c->channel, listener) != ERR_OK ||
        (c->overflow && s->overflow_count > OVERFLOW_CONNS)) {
        conn_close(c);
        return true;
    }
    c->channel.transport->address(&c->channel, true, c->request.peer, sizeof c->request.peer);
    if (c->overflow)
        conn_refuse(c, &(struct refusal){503, "unavailable", "too many connections (http.max_connections)"});
    conn_advance(c);
    return true;
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    conn_enter(c, CONN_CLOSED);
    link_remove(&c->waiting);
    c->channel.transport->close(&c->channel);
}

void conn_forget(struct conn *c)
{
    struct http_server *s = c->server;
    CHECK(c->gone && !c->open);
    bool paid = c->body.charge.bytes > 0;
    body_fini(&c->body, &s->pool);
    free(c->rest);
    server_input_give(s, &c->in, c->cap);
    server_conn_give(s, c);
    if (paid)
        server_wake(s);
}

/* --- time --- */

static void tick_body(struct conn *c, int64_t now)
{
    int64_t elapsed = now - c->body_began - c->paused_ms;
    if (c->paused && now >= c->deadline)
        conn_refuse(c, &(struct refusal){503, "memory", "no room for this body within http.body_timeout"});
    else if (!c->paused && now >= c->deadline)
        conn_refuse(c, &(struct refusal){408, "timeout", "the body did not come within http.body_timeout"});
    else if (!c->paused && elapsed > RATE_GRACE_MS && (int64_t)c->body_bytes * 1000 < RATE_BYTES * elapsed)
        conn_refuse(c, &(struct refusal){408, "timeout", "the body came at less than 1 KiB a second"});
}

/* A reader that takes something now and then is only slow; one that takes nothing is let go. */
static void tick_write(struct conn *c, int64_t now)
{
    size_t left = c->channel.transport->unwritten(&c->channel);
    if (left < c->unwritten) {
        c->unwritten = left;
        c->deadline = now + c->limits.idle_timeout_ms;
    } else if (now >= c->deadline) {
        lose(c);
    }
}

void conn_tick(struct conn *c, int64_t now)
{
    switch (c->state) {
    case CONN_IDLE:
    case CONN_LINGER:
        if (now >= c->deadline)
            conn_close(c);
        return;
    case CONN_HEAD:
        if (now < c->deadline)
            return;
        if (head_untouched(&c->head))
            conn_close(c);
        else
            conn_refuse(c, &(struct refusal){408, "timeout", "the head did not come within http.header_timeout"});
        return;
    case CONN_BODY: tick_body(c, now); return;
    case CONN_WRITE: tick_write(c, now); return;
    case CONN_STREAM:
        if (c->rest != NULL)
            tick_write(c, now);
        return;
    case CONN_WAIT:
    case CONN_DONE:
    case CONN_CLOSED: return;
    }
}

/* From bytes to requests: the head is parsed, the routes are asked, the body is collected, the request is handed over;
 * after its answer the next one begins with the bytes that came ahead. One request of a connection at a time.
 *
 * Head and small bodies are used where they lie in the input buffer. It is tidied (what is left moves to the front)
 * only between requests and before any slice into it has been handed out. */
#include "base/sys.h"
#include "http/server.h"

#include <stdlib.h>

enum { STREAM_ROOM = 4096 }; /* least room for the raw bytes of a chunked body */

static const struct refusal bad_coding = {415, "media", "Content-Encoding must be gzip, zstd or identity"};
static const struct refusal bad_expect = {417, "syntax", "the only expectation understood is 100-continue"};
static const struct refusal cut_head = {400, "syntax", "the connection ended in the middle of a request's head"};
static const struct refusal cut_body = {400, "syntax", "the connection ended in the middle of a request's body"};

/* --- head --- */

static void tidy(struct conn *c)
{
    memmove(c->in, c->in + c->start, c->len - c->start);
    c->len -= c->start;
    c->start = 0;
    head_begin(&c->head, c->limits.max_header);
}

static enum head_state parse(struct conn *c)
{
    return head_parse(&c->head, c->in + c->start, c->len - c->start);
}

/* What is known of the request, also of one whose head is only half right. */
static void describe(struct conn *c)
{
    struct http_request *r = &c->request;
    const struct head *h = &c->head;
    r->method = h->has_line ? h->method : HTTP_OTHER;
    r->method_text = h->method_text;
    r->path = h->target.path;
    r->query = h->target.query;
    r->http10 = h->http10;
    r->fields = h->fields;
    r->field_count = h->field_count;
    r->has_body = h->chunked || h->has_length;
    r->body = slice_make(NULL, 0);
    r->route = NULL;
    r->caller = (struct http_caller){.roles = 0};
}

/* Would the body fit behind its head if the request stood at the front of the buffer, but not where it stands? */
static bool cramped(const struct conn *c)
{
    const struct head *h = &c->head;
    size_t left = c->cap - c->start - h->length;
    if (c->start == 0 || (!h->chunked && h->body_length == 0))
        return false;
    return left < (h->chunked ? STREAM_ROOM : h->body_length);
}

void conn_refuse(struct conn *c, const struct refusal *why)
{
    CHECK(!c->open);
    const struct http_problem problem = {
        .status = why->status,
        .word = why->word,
        .detail = why->detail,
        .retry_after = why->status == 503 ? RETRY_AFTER : 0,
        .close = true,
    };
    if (c->state == CONN_IDLE || c->state == CONN_HEAD)
        describe(c);
    c->open = true;
    http_problem(&c->request, &problem);
}

static void hand_over(struct conn *c)
{
    const struct http_routes *routes = &c->server->routes;
    c->whole = true;
    c->open = true;
    conn_enter(c, CONN_WAIT);
    routes->request(routes->arg, &c->request);
}

static void say_continue(struct conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof text - 1};
    if (c->channel.transport->answer(&c->channel, &part, 1) != (ssize_t)part.iov_len)
        conn_close(c); /* a fresh connection whose kernel buffer takes no 25 bytes is of no use */
}

static void begin_body(struct conn *c)
{
    if (c->head.expect_unknown) {
        conn_refuse(c, &bad_expect);
        return;
    }
    if (c->head.coding == CODING_UNKNOWN && !c->whole) {
        conn_refuse(c, &bad_coding);
        return;
    }
    switch (body_begin(&c->body, &c->server->pool, &c->head, c->limits.max_body, c->limits.max_header)) {
    case BODY_WHOLE: hand_over(c); return;
    case BODY_BAD: conn_refuse(c, &c->body.bad); return;
    case BODY_MORE:
    case BODY_PAUSE: break;
    }
    conn_enter(c, CONN_BODY);
    if (c->head.expect_continue && c->len == c->body_at)
        say_continue(c);
}

static void head_done(struct conn *c)
{
    const struct http_routes *routes = &c->server->routes;
    describe(c);
    c->body_at = c->feed_at = c->next = c->start + c->head.length;
    c->keep = c->head.keep_alive;
    c->whole = !c->head.chunked && c->head.body_length == 0;
    c->open = true;
    int refused = routes->head == NULL ? 0 : routes->head(routes->arg, &c->request);
    CHECK((refused != 0) == !c->open);
    if (refused != 0)
        return;
    c->open = false;
    if (c->state != CONN_CLOSED)
        begin_body(c);
}

static bool need_more_head(struct conn *c)
{
    if (c->ended && !head_untouched(&c->head)) {
        conn_refuse(c, &cut_head);
        return true;
    }
    if (c->ended)
        conn_close(c);
    else if (c->start > 0) {
        tidy(c);
        CHECK(parse(c) == HEAD_MORE);
    }
    return false;
}

/* Bytes behind an answered request that do not even begin like another one get no answer of their own: the client would
 * take it for the answer to something else. */
static void bad_head(struct conn *c)
{
    if (c->first || !head_untouched(&c->head)) {
        conn_refuse(c, &c->head.bad);
        return;
    }
    c->keep = false;
    conn_enter(c, CONN_DONE);
}

static bool step_head(struct conn *c)
{
    if (c->len == c->start) {
        if (c->ended || c->server->draining)
            conn_close(c);
        return false;
    }
    if (c->state == CONN_IDLE) {
        conn_enter(c, CONN_HEAD);
        c->request.began_ns = clock_ns();
        head_begin(&c->head, c->limits.max_header);
    }
    switch (parse(c)) {
    case HEAD_MORE: return need_more_head(c);
    case HEAD_BAD: bad_head(c); return true;
    case HEAD_DONE: break;
    }
    if (cramped(c))
        tidy(c);
    else
        head_done(c);
    return true;
}

/* --- body --- */

static enum body_result step_place(struct conn *c)
{
    size_t have = c->len - c->body_at;
    size_t arrived = have < c->body.length ? have : (size_t)c->body.length;
    enum body_result result = body_placed(&c->body, &c->server->pool, arrived);
    c->next = c->body_at + arrived;
    c->request.body = slice_make(c->in + c->body_at, arrived);
    if (result != BODY_MORE || c->len < c->cap)
        return result;
    result = body_move(&c->body, &c->server->pool, c->request.body);
    if (result == BODY_MORE)
        c->len = c->next = c->body_at;
    return result;
}

static enum body_result step_own(struct conn *c)
{
    char *at;
    size_t len;
    c->request.body = slice_make(c->body.own, c->body.len);
    return c->body.len == c->body.length ? BODY_WHOLE : body_tail(&c->body, &c->server->pool, &at, &len);
}

static enum body_result step_stream(struct conn *c)
{
    struct slice in = slice_make(c->in + c->feed_at, c->len - c->feed_at);
    if (body_gathers(&c->body, in.len, c->cap - c->feed_at))
        return BODY_MORE;
    enum body_result result = body_feed(&c->body, &c->server->pool, &in);
    c->next = c->feed_at = c->len - in.len;
    c->request.body = slice_make(c->body.own, c->body.len);
    if (result == BODY_MORE)
        c->len = c->feed_at = c->body_at;
    return result;
}

static void hold(struct conn *c)
{
    if (link_alone(&c->waiting))
        list_push(&c->server->waiting, &c->waiting);
    if (c->paused)
        return;
    c->paused = true;
    c->paused_since = clock_ms();
    c->deadline = c->paused_since + c->limits.body_timeout_ms;
}

static void unhold(struct conn *c)
{
    link_remove(&c->waiting);
    if (!c->paused)
        return;
    c->paused = false;
    c->paused_ms += clock_ms() - c->paused_since;
    c->deadline = c->body_began + c->paused_ms + c->limits.body_timeout_ms;
}

static enum body_result collect(struct conn *c)
{
    if (c->body.way == BODY_STREAM)
        return step_stream(c);
    enum body_result result = c->body.way == BODY_PLACE ? step_place(c) : BODY_MORE;
    return result == BODY_MORE && c->body.way == BODY_OWN ? step_own(c) : result;
}

static bool step_body(struct conn *c)
{
    enum body_result result = collect(c);
    if (result == BODY_PAUSE) {
        hold(c);
        return false;
    }
    unhold(c);
    switch (result) {
    case BODY_WHOLE: hand_over(c); return true;
    case BODY_BAD: conn_refuse(c, &c->body.bad); return true;
    case BODY_MORE:
    case BODY_PAUSE: break;
    }
    if (c->ended)
        conn_refuse(c, &cut_body);
    return c->ended;
}

/* --- after the answer --- */

static void release(struct conn *c)
{
    bool paid = c->body.charge.bytes > 0;
    unhold(c);
    body_fini(&c->body, &c->server->pool);
    free(c->rest);
    c->rest = NULL;
    c->first = false;
    if (paid)
        server_wake(c->server);
}

static bool step_done(struct conn *c)
{
    release(c);
    if (c->keep) {
        c->start = c->next;
        if (c->start == c->len)
            server_input_give(c->server, &c->in, c->cap);
        if (c->in == NULL)
            c->start = c->len = 0;
        conn_enter(c, CONN_IDLE);
        return true;
    }
    server_input_give(c->server, &c->in, c->cap);
    if (c->ended) {
        conn_close(c);
        return false;
    }
    c->channel.transport->finish(&c->channel);
    conn_enter(c, CONN_LINGER);
    return false;
}

bool conn_step(struct conn *c)
{
    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD: return step_head(c);
    case CONN_BODY: return step_body(c);
    case CONN_DONE: return step_done(c);
    case CONN_WAIT:
    case CONN_WRITE:
    case CONN_STREAM:
    case CONN_LINGER:
    case CONN_CLOSED: break;
    }
    return false;
}

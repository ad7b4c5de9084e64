/* Answers: http_respond and http_problem. The head and the body are offered to the kernel at once; only what it does
 * not take is copied and left to the loop. Whether the connection stays open is decided here, in one place. */
#include "base/sys.h"
#include "http/bytes.h"
#include "http/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct conn *conn_of(struct http_request *r)
{
    struct conn *c = container_of(r, struct conn, request);
    CHECK_MAGIC(c, CONN_MAGIC);
    CHECK(c->open);
    return c;
}

/* Leave what the kernel did not take to the loop. */
static bool write_rest(struct conn *c, const struct iovec parts[2], size_t taken)
{
    size_t total = parts[0].iov_len + parts[1].iov_len;
    c->rest = malloc(total - taken);
    if (c->rest == NULL)
        return false;
    size_t len = 0;
    for (int i = 0; i < 2; i++) {
        size_t skip = taken < parts[i].iov_len ? taken : parts[i].iov_len;
        if (skip < parts[i].iov_len)
            memcpy(c->rest + len, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
        len += parts[i].iov_len - skip;
        taken -= skip;
    }
    return c->channel.transport->write(&c->channel, c->rest, len) == ERR_OK;
}

static void send_parts(struct conn *c, const struct iovec parts[2])
{
    size_t total = parts[0].iov_len + parts[1].iov_len;
    ssize_t n = c->channel.transport->answer(&c->channel, parts, parts[1].iov_len > 0 ? 2 : 1);
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
        conn_close(c);
        return;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    if (taken == total)
        conn_enter(c, CONN_DONE);
    else if (write_rest(c, parts, taken))
        conn_enter(c, CONN_WRITE);
    else
        conn_close(c);
}

static void send_answer(struct conn *c, const struct http_answer *a, const char *more)
{
    struct http_server *s = c->server;
    c->keep = c->keep && !a->close && c->whole && !s->draining;
    const struct answer_head head = {
        .status = a->status,
        .content_type = a->content_type,
        .length = a->body.len,
        .fields = a->fields,
        .more = more,
        .close = !c->keep,
        .http10_keep = c->keep && c->request.http10,
    };
    if (answer_write_head(&s->head, &s->date, &head) != ERR_OK) {
        conn_close(c);
        return;
    }
    bool bare = answer_bodiless(a->status) || a->content_type == NULL || c->request.method == HTTP_HEAD;
    const struct iovec parts[2] = {
        {.iov_base = s->head.ptr, .iov_len = s->head.len},
        {.iov_base = (void *)(uintptr_t)a->body.ptr, .iov_len = bare ? 0 : a->body.len},
    };
    send_parts(c, parts);
}

static void respond(struct http_request *r, const struct http_answer *a, struct slice detail)
{
    struct conn *c = conn_of(r);
    const struct http_routes *routes = &c->server->routes;
    const char *more = routes->answering == NULL ? NULL : routes->answering(routes->arg, r, a->status);
    c->open = false;
    if (c->state != CONN_CLOSED)
        send_answer(c, a, more);
    if (routes->answered != NULL)
        routes->answered(routes->arg, r, a->status, detail);
    if (c->state == CONN_CLOSED && c->gone)
        conn_forget(c);
    else
        conn_advance(c);
}

void http_respond(struct http_request *r, const struct http_answer *answer)
{
    respond(r, answer, slice_make(NULL, 0));
}

static void problem_fields(const struct http_problem *problem, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    if (problem->allow != NULL)
        len = (size_t)snprintf(out, size, "Allow: %s\r\n", problem->allow);
    if (problem->retry_after > 0 && len < size)
        len += (size_t)snprintf(out + len, size - len, "Retry-After: %u\r\n", problem->retry_after);
    if (problem->challenge != NULL && len < size)
        snprintf(out + len, size - len, "WWW-Authenticate: %s\r\n", problem->challenge);
}

void http_problem(struct http_request *r, const struct http_problem *problem)
{
    struct http_server *s = r->server;
    char fields[512];
    problem_fields(problem, fields, sizeof fields);
    bool written = answer_write_problem(&s->problem, problem) == ERR_OK; /* else: the status alone */
    const struct http_answer answer = {
        .status = problem->status,
        .content_type = written ? "application/problem+json" : NULL,
        .body = written ? buf_slice(&s->problem) : slice_make(NULL, 0),
        .fields = problem->status == 415 && fields[0] == '\0' ? "Accept-Encoding: gzip, zstd\r\n" : fields,
        .close = problem->close,
    };
    respond(r, &answer, slice_of(problem->detail));
}

/* --- streams --- */

void http_stream(struct http_request *r, const struct http_answer *answer)
{
    struct conn *c = conn_of(r);
    struct http_server *s = c->server;
    const struct answer_head head = {.status = answer->status,
                                     .content_type = answer->content_type,
                                     .fields = answer->fields,
                                     .close = true,
                                     .stream = true};
    if (c->state == CONN_CLOSED)
        return;
    c->keep = false;
    if (answer_write_head(&s->head, &s->date, &head) != ERR_OK) {
        conn_close(c);
        return;
    }
    conn_enter(c, CONN_STREAM);
    if (http_stream_send(r, buf_slice(&s->head)) == ERR_OK)
        conn_advance(c); /* reads: the only way to hear that it goes */
}

int http_stream_send(struct http_request *r, struct slice bytes)
{
    struct conn *c = conn_of(r);
    if (c->state == CONN_CLOSED)
        return ERR_CLOSED;
    CHECK(c->state == CONN_STREAM);
    if (c->rest != NULL)
        return ERR_BUSY;
    const struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len}, {NULL, 0}};
    ssize_t n = c->channel.transport->answer(&c->channel, parts, 1);
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
        conn_close(c);
        return ERR_CLOSED;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    if (taken == bytes.len)
        return ERR_OK;
    if (!write_rest(c, parts, taken)) {
        conn_close(c);
        return ERR_CLOSED;
    }
    c->unwritten = SIZE_MAX;
    c->deadline = clock_ms() + c->limits.idle_timeout_ms;
    return ERR_OK;
}

void http_stream_end(struct http_request *r)
{
    struct conn *c = conn_of(r);
    const struct http_routes *routes = &c->server->routes;
    c->open = false;
    if (c->state == CONN_STREAM && c->rest != NULL)
        conn_close(c); /* the reader is slow, and it has been told all that there was */
    else if (c->state == CONN_STREAM)
        conn_enter(c, CONN_DONE);
    if (routes->answered != NULL)
        routes->answered(routes->arg, r, 200, slice_make(NULL, 0));
    if (c->state == CONN_CLOSED && c->gone)
        conn_forget(c);
    else
        conn_advance(c);
}

const struct x509_st *http_certificate(const struct http_request *r)
{
    const struct conn *c = container_of((struct http_request *)(uintptr_t)r, struct conn, request);
    CHECK_MAGIC(c, CONN_MAGIC);
    return c->state == CONN_CLOSED ? NULL : channel_certificate(&c->channel);
}

bool http_encrypted(const struct http_request *r)
{
    const struct conn *c = container_of((struct http_request *)(uintptr_t)r, struct conn, request);
    CHECK_MAGIC(c, CONN_MAGIC);
    return c->channel.with != NULL;
}

bool http_name_is(const struct http_field *field, const char *name)
{
    return slice_same(field->name, slice_of(name));
}

void http_local(struct http_request *r, char *out, size_t size)
{
    const struct conn *c = conn_of(r);
    c->channel.transport->address(&c->channel, false, out, size);
}

bool http_field(const struct http_request *r, const char *name, struct slice *value)
{
    return head_field(r->fields, r->field_count, name, value);
}

bool http_charge(struct http_request *r, uint64_t bytes)
{
    struct conn *c = conn_of(r);
    struct charge *charge = &c->body.charge;
    return budget_take(c->server->pool.budget, charge, charge->bytes + bytes, bytes > SMALL_BODY);
}

void http_body_done(struct http_request *r)
{
    struct conn *c = conn_of(r);
    r->body = slice_make(NULL, 0);
    body_fini(&c->body, &c->server->pool);
    server_wake(c->server);
}

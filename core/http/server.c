/* A server owns what its connections share: buffers and decoders that go from one to the next, so that in steady state
 * no request allocates; one timer that looks at all deadlines; the list of those that wait for room in the budget.
 * Everything on the loop's thread. Closing is done when the last handle is gone and the last request answered. */
#include "http/listen.h"

#include "base/sys.h"

#include <stdlib.h>

enum { TICK_MAX_MS = 250, TICK_MIN_MS = 5, ANSWER_MAX = 1 << 20 };

static void maybe_gone(struct http_server *s)
{
    if (!s->closing || s->handles > 0 || !link_alone(&s->conns))
        return;
    void (*closed)(void *arg) = s->closed;
    void *arg = s->closed_arg;
    LIST_EACH_SAFE(&s->spare_conns, it)
    free(container_of(it, struct conn, link));
    while (s->input_count > 0)
        free(s->inputs[--s->input_count]);
    body_pool_fini(&s->pool);
    buf_free(&s->head);
    buf_free(&s->problem);
    s->magic = 0;
    free(s);
    if (closed != NULL)
        closed(arg);
}

void server_handle_gone(struct http_server *s)
{
    s->handles--;
    maybe_gone(s);
}

/* --- what connections share --- */

char *server_input_take(struct http_server *s, size_t cap)
{
    if (cap == s->input_bytes && s->input_count > 0)
        return s->inputs[--s->input_count];
    return malloc(cap);
}

void server_input_give(struct http_server *s, char **input, size_t cap)
{
    if (*input != NULL && cap == s->input_bytes && s->input_count < SPARE_INPUTS)
        s->inputs[s->input_count++] = *input;
    else
        free(*input);
    *input = NULL;
}

static bool place_take(struct http_server *s)
{
    if (atomic_fetch_add(s->places, 1) < s->limits.max_connections)
        return true;
    atomic_fetch_sub(s->places, 1);
    return false;
}

static void count_conn(struct http_server *s, bool overflow)
{
    if (overflow)
        s->overflow_count++;
    else
        atomic_fetch_add(&s->conn_count, 1);
}

static void uncount_conn(struct http_server *s, bool overflow)
{
    if (overflow) {
        s->overflow_count--;
        return;
    }
    atomic_fetch_sub(&s->conn_count, 1);
    atomic_fetch_sub(s->places, 1);
}

struct conn *server_conn_take(struct http_server *s)
{
    struct conn *c = NULL;
    if (!link_alone(&s->spare_conns)) {
        c = container_of(s->spare_conns.next, struct conn, link);
        link_remove(&c->link);
        s->spare_count--;
        memset(c, 0, offsetof(struct conn, head) + offsetof(struct head, fields));
    } else {
        c = calloc(1, sizeof *c);
    }
    if (c == NULL)
        return NULL;
    c->magic = CONN_MAGIC;
    c->server = s;
    c->overflow = !place_take(s);
    link_init(&c->link);
    link_init(&c->waiting);
    list_push(&s->conns, &c->link);
    count_conn(s, c->overflow);
    server_tick_on(s);
    return c;
}

void server_conn_give(struct http_server *s, struct conn *c)
{
    link_remove(&c->link);
    uncount_conn(s, c->overflow);
    c->magic = 0;
    if (s->spare_count < SPARE_CONNS) {
        s->spare_count++;
        list_push(&s->spare_conns, &c->link);
    } else {
        free(c);
    }
    maybe_gone(s);
}

/* Each waiting connection tries once, oldest first; those that still find no room queue up again in the same order.
 * What they free on their way is tried for in the next round, never deeper on the stack. */
void server_wake(struct http_server *s)
{
    s->wake_again = true;
    if (s->waking)
        return;
    s->waking = true;
    while (s->wake_again && !link_alone(&s->waiting)) {
        s->wake_again = false;
        struct link tried;
        link_init(&tried);
        while (!link_alone(&s->waiting)) {
            struct link *first = s->waiting.next;
            link_remove(first);
            list_push(&tried, first);
        }
        while (!link_alone(&tried)) {
            struct conn *c = container_of(tried.next, struct conn, waiting);
            link_remove(&c->waiting);
            conn_advance(c);
        }
    }
    s->waking = s->wake_again = false;
}

/* --- time --- */

static void on_tick(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    int64_t now = clock_ms();
    bool pending = false;
    LIST_EACH_SAFE(&s->conns, it)
    conn_tick(container_of(it, struct conn, link), now);
    LIST_EACH_SAFE(&s->listeners, it)
    {
        struct listener *l = container_of(it, struct listener, link);
        if (l->pending)
            listener_retry(l);
        pending = pending || l->pending;
    }
    server_wake(s); /* another server may have given room back */
    if (link_alone(&s->conns) && !pending)
        uv_timer_stop(timer);
}

/* Fine enough for the shortest timeout. */
static uint64_t tick_ms(const struct http_limits *limits)
{
    uint64_t ms = limits->header_timeout_ms;
    if (limits->body_timeout_ms < ms)
        ms = limits->body_timeout_ms;
    if (limits->idle_timeout_ms < ms)
        ms = limits->idle_timeout_ms;
    ms /= 8;
    return ms > TICK_MAX_MS ? TICK_MAX_MS : ms < TICK_MIN_MS ? TICK_MIN_MS : ms;
}

void server_tick_on(struct http_server *s)
{
    if (!s->closing && !uv_is_active((uv_handle_t *)&s->tick))
        uv_timer_start(&s->tick, on_tick, tick_ms(&s->limits), tick_ms(&s->limits));
}

/* --- the public part --- */

int http_server_new(struct http_server **out, uv_loop_t *loop, const struct http_limits *limits, struct budget *budget,
                    const struct http_routes *routes)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    if (uv_timer_init(loop, &s->tick) != 0) {
        free(s);
        return ERR_INTERNAL;
    }
    s->magic = SERVER_MAGIC;
    s->loop = loop;
    s->routes = *routes;
    s->tick.data = s;
    s->handles = 1;
    s->places = &s->own_places;
    link_init(&s->listeners);
    link_init(&s->conns);
    link_init(&s->waiting);
    link_init(&s->spare_conns);
    body_pool_init(&s->pool, budget);
    buf_init(&s->head, ANSWER_MAX);
    buf_init(&s->problem, ANSWER_MAX);
    http_server_limits(s, limits);
    *out = s;
    return ERR_OK;
}

void http_server_share(struct http_server *s, _Atomic uint32_t *connections)
{
    CHECK_MAGIC(s, SERVER_MAGIC);
    s->places = connections;
}

void http_server_limits(struct http_server *s, const struct http_limits *limits)
{
    CHECK_MAGIC(s, SERVER_MAGIC);
    s->limits = *limits;
    while (s->input_count > 0)
        free(s->inputs[--s->input_count]);
    s->input_bytes = (size_t)limits->max_header + READ_AHEAD;
    if (uv_is_active((uv_handle_t *)&s->tick)) {
        uv_timer_stop(&s->tick);
        server_tick_on(s);
    }
}

void http_server_drain(struct http_server *s)
{
    CHECK_MAGIC(s, SERVER_MAGIC);
    s->draining = true;
    LIST_EACH_SAFE(&s->listeners, it)
    listener_close(container_of(it, struct listener, link));
    LIST_EACH_SAFE(&s->conns, it)
    {
        struct conn *c = container_of(it, struct conn, link);
        if (c->state == CONN_IDLE)
            conn_advance(c);
    }
}

static void on_tick_closed(uv_handle_t *handle)
{
    server_handle_gone(handle->data);
}

void http_server_close(struct http_server *s, void (*closed)(void *arg), void *arg)
{
    CHECK_MAGIC(s, SERVER_MAGIC);
    CHECK(!s->closing);
    s->closing = s->draining = true;
    s->closed = closed;
    s->closed_arg = arg;
    LIST_EACH_SAFE(&s->listeners, it)
    listener_close(container_of(it, struct listener, link));
    LIST_EACH_SAFE(&s->conns, it)
    conn_close(container_of(it, struct conn, link));
    uv_close((uv_handle_t *)&s->tick, on_tick_closed);
}

uint32_t http_server_connections(const struct http_server *s)
{
    return atomic_load(&s->conn_count);
}

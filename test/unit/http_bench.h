/* A server on a loop in a thread of its own, and a client with blocking sockets: for the tests of core/http. The test's
 * thread runs pieces of code on the loop with `on_loop`. A guard stands behind every wait. Where a test is about time
 * it stops the clock and moves it by hand, once the server has seen what the client did: then neither side is ever late
 * because the machine was busy. */
#ifndef TEST_HTTP_BENCH_H
#define TEST_HTTP_BENCH_H

#include "base/sys.h"
#include "http/http.h"
#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { GUARD_MS = 60000, HELD_MAX = 64 };

struct bench {
    uv_loop_t loop;
    uv_async_t async;
    pthread_t thread;
    struct http_server *server;
    struct budget budget;
    char address[128];
    void (*job)(struct bench *b, void *arg);
    void *job_arg;
    sem_t handed, done;
    sem_t event; /* posted for each request at /hold and each `gone` */
    bool closed;
    struct http_request *held[HELD_MAX];
    int held_count;
    _Atomic int gone, answered, last_status;
    _Atomic size_t last_detail;
};

/* What listeners to come speak (NULL: plain), and what a client's connection is put into. For test_http_tls.c. */
static struct tls *bench_tls;
static int (*bench_wrap)(int fd);

/* --- the clock and the answers, bent --- */

static _Atomic int64_t bent_clock_ms, stopped_clock_ms; /* added to the clock; where it was stopped (0: it runs) */
static _Atomic int answer_limit = -1;                   /* bytes that `answer` takes: -1 all; -2: EAGAIN; -3: EPIPE */
static struct sys bent_sys;

static inline int bent_clock(clockid_t which, struct timespec *out)
{
    int result = clock_gettime(which, out);
    if (which != CLOCK_MONOTONIC)
        return result;
    int64_t ms = stopped_clock_ms + bent_clock_ms;
    if (stopped_clock_ms != 0)
        *out = (struct timespec){0};
    out->tv_sec += (time_t)(ms / 1000);
    out->tv_nsec += (long)(ms % 1000) * 1000000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_nsec -= 1000000000;
        out->tv_sec++;
    }
    return result;
}

static inline void clock_stop(void)
{
    stopped_clock_ms = clock_ms();
}

static inline ssize_t bent_answer(int fd, const struct iovec *parts, int count)
{
    int limit = answer_limit;
    if (limit == -1)
        return sys_plain.answer(fd, parts, count);
    if (limit < 0) {
        errno = limit == -2 ? EAGAIN : EPIPE;
        return -1;
    }
    size_t len = (size_t)limit < parts[0].iov_len ? (size_t)limit : parts[0].iov_len;
    return send(fd, parts[0].iov_base, len, MSG_NOSIGNAL);
}

/* --- routes --- */

static inline void answer_text(struct http_request *r, struct slice text)
{
    http_respond(r, &(struct http_answer){.status = 200, .content_type = "text/plain", .body = text});
}

static inline int bench_head(void *arg, struct http_request *r)
{
    (void)arg;
    if (!slice_is(r->path, "/refused"))
        return 0;
    http_problem(r, &(struct http_problem){.status = 404, .word = "not-found", .detail = "not here"});
    return 1;
}

static inline void answer_number(struct http_request *r, size_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", number);
    answer_text(r, slice_of(text));
}

/* A checksum of where each byte stands, so that lost, doubled and moved bytes all show. */
static inline uint64_t text_sum(struct slice s)
{
    uint64_t sum = 7;
    for (size_t i = 0; i < s.len; i++)
        sum = sum * 31 + (unsigned char)s.ptr[i];
    return sum;
}

static inline void answer_big(struct http_request *r)
{
    char number[32];
    size_t n = http_query(r, "n", number, sizeof number) > 0 ? strtoul(number, NULL, 10) : 0;
    char *text = malloc(n);
    memset(text, 'b', n);
    answer_text(r, slice_make(text, n));
    free(text);
}

static inline void bench_request(void *arg, struct http_request *r)
{
    struct bench *b = arg;
    if (slice_is(r->path, "/hold")) {
        assert_true(b->held_count < HELD_MAX);
        b->held[b->held_count++] = r;
        sem_post(&b->event);
    } else if (slice_is(r->path, "/length")) {
        answer_number(r, r->body.len);
    } else if (slice_is(r->path, "/sum")) {
        answer_number(r, text_sum(r->body));
    } else if (slice_is(r->path, "/big")) {
        answer_big(r);
    } else if (slice_is(r->path, "/peer")) {
        answer_text(r, slice_of(r->peer));
    } else if (slice_is(r->path, "/none")) {
        http_respond(r, &(struct http_answer){.status = 204});
    } else if (slice_is(r->path, "/method")) {
        http_problem(r, &(struct http_problem){
                            .status = 405, .word = "method", .detail = "no", .allow = "GET", .retry_after = 7});
    } else {
        answer_text(r, r->body);
    }
}

static inline void bench_gone(void *arg, struct http_request *r)
{
    struct bench *b = arg;
    (void)r;
    b->gone++;
    sem_post(&b->event);
}

static inline void bench_answered(void *arg, const struct http_request *r, int status, struct slice detail)
{
    struct bench *b = arg;
    (void)r;
    b->answered++;
    b->last_status = status;
    b->last_detail = detail.len;
}

/* --- the loop's thread --- */

static inline void wait_sem(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GUARD_MS / 1000;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

static inline void bench_async(uv_async_t *async)
{
    struct bench *b = async->data;
    wait_sem(&b->handed); /* another handle's wake-up may have brought us here: the semaphore orders job and reader */
    b->job(b, b->job_arg);
    sem_post(&b->done);
}

static inline void *bench_run(void *arg)
{
    struct bench *b = arg;
    uv_run(&b->loop, UV_RUN_DEFAULT);
    return NULL;
}

static inline void on_loop(struct bench *b, void (*job)(struct bench *b, void *arg), void *arg)
{
    b->job = job;
    b->job_arg = arg;
    sem_post(&b->handed);
    uv_async_send(&b->async);
    wait_sem(&b->done);
}

static const struct http_limits bench_limits = {
    .max_body = 1 << 20,
    .max_header = 4096,
    .max_connections = 64,
    .header_timeout_ms = 60000,
    .body_timeout_ms = 60000,
    .idle_timeout_ms = 60000,
};

static inline void bench_start_at(struct bench *b, const struct http_limits *limits, uint64_t budget,
                                  const char *address)
{
    static bool bent;
    if (!bent) {
        bent_sys = sys_plain;
        bent_sys.clock = bent_clock;
        bent_sys.answer = bent_answer;
        sys = &bent_sys;
        bent = true;
    }
    signal(SIGPIPE, SIG_IGN);
    memset(b, 0, sizeof *b);
    b->budget.max = budget;
    sem_init(&b->done, 0, 0);
    sem_init(&b->handed, 0, 0);
    sem_init(&b->event, 0, 0);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    uv_async_init(&b->loop, &b->async, bench_async);
    b->async.data = b;
    const struct http_routes routes = {bench_head, bench_request, bench_gone, NULL, bench_answered, b};
    assert_int_equal(http_server_new(&b->server, &b->loop, limits, &b->budget, &routes), ERR_OK);
    struct err e = {.text = ""};
    const struct http_listen listen = {
        .address = address, .listener = 3, .socket_mode = 0600, .socket_group = (long)getgid(), .tls = bench_tls};
    if (http_server_listen(b->server, &listen, b->address, &e) != ERR_OK)
        fail_msg("%s", e.text);
    pthread_create(&b->thread, NULL, bench_run, b);
}

static inline void bench_start(struct bench *b, const struct http_limits *limits, uint64_t budget)
{
    bench_start_at(b, limits, budget, "127.0.0.1:0");
}

static inline void job_release(struct bench *b, void *arg)
{
    (void)arg;
    for (int i = 0; i < b->held_count; i++)
        answer_number(b->held[i], b->held[i]->body.len);
    b->held_count = 0;
}

static inline void job_nothing(struct bench *b, void *arg)
{
    (void)b;
    (void)arg;
}

/* Whatever the loop was doing when its answer arrived is done. */
static inline void settle(struct bench *b)
{
    on_loop(b, job_nothing, NULL);
}

/* What connections have that are at a request: how many they are, the bytes that came, how many wait for room. */
struct heard {
    uint32_t conns, paused;
    uint64_t bytes;
};

static inline void job_heard(struct bench *b, void *arg)
{
    struct heard *h = arg;
    *h = (struct heard){0};
    LIST_EACH_SAFE(&b->server->conns, it)
    {
        const struct conn *c = container_of(it, struct conn, link);
        if (c->state > CONN_BODY)
            continue;
        h->conns++;
        h->paused += c->paused;
        h->bytes += c->state == CONN_BODY ? c->body_at - c->start + c->body_bytes : c->len - c->start;
    }
}

static inline void wait_heard(struct bench *b, struct heard want)
{
    struct heard h = {0};
    for (int i = 0; i < GUARD_MS; i++) {
        on_loop(b, job_heard, &h);
        if (h.conns >= want.conns && h.bytes >= want.bytes && h.paused >= want.paused)
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("%u connections with %llu bytes, %u of them wait", h.conns, (unsigned long long)h.bytes, h.paused);
}

static inline void bench_release(struct bench *b)
{
    on_loop(b, job_release, NULL);
}

static inline void bench_on_closed(void *arg)
{
    struct bench *b = arg;
    b->closed = true;
}

static inline void job_close(struct bench *b, void *arg)
{
    (void)arg;
    http_server_close(b->server, bench_on_closed, b);
    job_release(b, NULL);
    uv_close((uv_handle_t *)&b->async, NULL);
}

/* The server and the loop end; nothing is left in the budget. */
static inline void bench_stop(struct bench *b)
{
    on_loop(b, job_close, NULL);
    pthread_join(b->thread, NULL);
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    assert_int_equal(b->budget.used, 0);
    assert_int_equal(b->budget.used_small, 0);
    sem_destroy(&b->done);
    sem_destroy(&b->handed);
    sem_destroy(&b->event);
    answer_limit = -1;
    bent_clock_ms = stopped_clock_ms = 0;
}

/* --- the client --- */

static inline int dial(struct bench *b)
{
    struct timeval guard = {.tv_sec = GUARD_MS / 1000};
    int fd, on = 1;
    if (strncmp(b->address, "unix:", 5) == 0) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        snprintf(name.sun_path, sizeof name.sun_path, "%s", b->address + 5);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    } else {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        name.sin_port = htons((uint16_t)strtoul(strrchr(b->address, ':') + 1, NULL, 10));
        fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    }
    if (bench_wrap != NULL)
        fd = bench_wrap(fd);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &guard, sizeof guard);
    return fd;
}

static inline void say_bytes(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

static inline void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

struct reply {
    int status;      /* 0: the connection was closed without one */
    char head[4096]; /* with the empty line */
    char *body;      /* NUL-terminated; freed by reply_free */
    size_t len;
};

static inline void reply_free(struct reply *r)
{
    free(r->body);
    *r = (struct reply){0};
}

/* Read one answer and not a byte more. `bare`: it has no body whatever its fields say. */
static inline void hear_one(int fd, bool bare, struct reply *r)
{
    size_t at = 0;
    memset(r, 0, sizeof *r);
    while (at < 4 || memcmp(r->head + at - 4, "\r\n\r\n", 4) != 0) {
        assert_true(at < sizeof r->head - 1);
        ssize_t n = recv(fd, r->head + at, 1, 0);
        if (n < 0 && errno != ECONNRESET)
            fail_msg("no answer: %s, so far %s", strerror(errno), r->head);
        if (n <= 0)
            return;
        at++;
    }
    assert_int_equal(sscanf(r->head, "HTTP/1.1 %d ", &r->status), 1);
    const char *length = strstr(r->head, "Content-Length: ");
    r->len = bare || length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    r->body = calloc(1, r->len + 1);
    for (size_t got = 0; got < r->len;) {
        ssize_t n = recv(fd, r->body + got, r->len - got, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
}

static inline int hear(int fd)
{
    struct reply r;
    hear_one(fd, false, &r);
    int status = r.status;
    reply_free(&r);
    return status;
}

/* The peer has closed, and sent nothing before. */
static inline void hear_end(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, 0);
    if (n < 0)
        assert_int_equal(errno, ECONNRESET);
    else
        assert_int_equal(n, 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

#endif

/* Every limit and every timeout, each met by a client that goes beyond it. Where a timeout is met the clock is moved by
 * hand. */
#include "http_bench.h"

static struct bench b;

static void start(struct http_limits limits, uint64_t budget)
{
    bench_start(&b, &limits, budget);
}

enum { SHORT_MS = 100 };

/* All timeouts short, so that deadlines are looked at often; and none of them passes by itself. */
static void start_stopped(void)
{
    struct http_limits limits = bench_limits;
    limits.header_timeout_ms = SHORT_MS;
    limits.body_timeout_ms = SHORT_MS;
    limits.idle_timeout_ms = SHORT_MS;
    start(limits, 1 << 20);
    clock_stop();
}

static void expect(const char *text, int status)
{
    int fd = dial(&b);
    say(fd, text);
    assert_int_equal(hear(fd), status);
    hear_end(fd);
    close(fd);
}

/* The rest does not come in time. */
static void expect_late(const char *text, size_t more, int status)
{
    static char filler[100000];
    int fd = dial(&b);
    say(fd, text);
    say_bytes(fd, filler, more);
    wait_heard(&b, (struct heard){.conns = 1, .bytes = strlen(text) + more});
    bent_clock_ms += SHORT_MS;
    assert_int_equal(hear(fd), status);
    hear_end(fd);
    close(fd);
}

static void expect_long(const char *before, char c, size_t count, const char *after, int status)
{
    int fd = dial(&b);
    char *filler = malloc(count);
    memset(filler, c, count);
    say(fd, before);
    send(fd, filler, count, MSG_NOSIGNAL); /* may be cut short by the refusal */
    send(fd, after, strlen(after), MSG_NOSIGNAL);
    free(filler);
    assert_int_equal(hear(fd), status);
    hear_end(fd);
    close(fd);
}

static void test_head_sizes(void **unused)
{
    (void)unused;
    start(bench_limits, 1 << 22);
    expect_long("GET /", 'a', 5000, " HTTP/1.1\r\nHost: h\r\n\r\n", 414);
    expect_long("GET / HTTP/1.1\r\nHost: h\r\nX: ", 'a', 5000, "\r\n\r\n", 431);
    expect_long("GET /", 'a', 200000, " HTTP/1.1\r\nHost: h\r\n\r\n", 414); /* what is still coming is drained */
    bench_stop(&b);
}

static void test_body_size(void **unused)
{
    (void)unused;
    start(bench_limits, 1 << 22);
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n", 413);
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 413);
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n", 413);
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\nab", 413);
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab", 413);
    expect_long("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n", 'x', 3000000, "", 413);
    expect_long("POST /length HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n", 'x',
                1048576, "", 200);
    expect_long("POST /length HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
                'x', 1048576, "\r\n0\r\n\r\n", 200);
    expect_long("POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n", 'x', 1048576,
                "\r\n1\r\nx\r\n0\r\n\r\n", 413);
    expect_long("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;", 'e', 5000, "\r\n", 431);
    bench_stop(&b);
}

static void test_connections(void **unused)
{
    (void)unused;
    struct http_limits limits = bench_limits;
    limits.max_connections = 2;
    start(limits, 1 << 20);
    int one = dial(&b), two = dial(&b);
    say(one, GET("/echo"));
    say(two, GET("/echo"));
    assert_int_equal(hear(one), 200);
    assert_int_equal(hear(two), 200);
    int three = dial(&b);
    struct reply r;
    hear_one(three, false, &r); /* without a word from the client */
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.head, "Retry-After: 1\r\n"));
    reply_free(&r);
    hear_end(three);
    close(three);
    say(one, GET("/echo"));
    assert_int_equal(hear(one), 200);
    close(one);
    int status = 0;
    for (int i = 0; i < 1000 && status != 200; i++) { /* the place is free as soon as the server has seen it */
        int fd = dial(&b);
        say(fd, "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        status = hear(fd);
        close(fd);
    }
    assert_int_equal(status, 200);
    close(two);
    bench_stop(&b);
}

static void job_connections(struct bench *bench, void *arg)
{
    *(uint32_t *)arg = http_server_connections(bench->server);
}

static void job_limits(struct bench *bench, void *arg)
{
    http_server_limits(bench->server, arg);
}

/* Far more than may be told so: those beyond are closed at once, and all of them are gone in the end. */
static void test_a_flood_of_connections(void **unused)
{
    (void)unused;
    enum { FLOOD = 200 };
    struct http_limits limits = bench_limits;
    limits.max_connections = 1;
    start(limits, 1 << 20);
    int first = dial(&b), fds[FLOOD], told = 0;
    say(first, GET("/echo"));
    assert_int_equal(hear(first), 200);
    for (int i = 0; i < FLOOD; i++)
        fds[i] = dial(&b);
    for (int i = 0; i < FLOOD; i++) {
        int status = hear(fds[i]);
        assert_true(status == 503 || status == 0);
        told += status == 503;
        close(fds[i]);
    }
    assert_true(told >= 1);
    say(first, GET("/echo"));
    assert_int_equal(hear(first), 200);
    uint32_t count = 0;
    on_loop(&b, job_connections, &count);
    assert_int_equal(count, 1);
    limits.max_connections = 64; /* a reload */
    on_loop(&b, job_limits, &limits);
    int second = dial(&b);
    say(second, GET("/echo"));
    assert_int_equal(hear(second), 200);
    close(first);
    close(second);
    bench_stop(&b);
}

static void test_head_timeout(void **unused)
{
    (void)unused;
    start_stopped();
    expect_late("GET /echo HTTP/1.1\r\nHost:", 0, 408);
    expect_late("G", 0, 408);
    int quiet = dial(&b), empty = dial(&b);
    say(empty, "\r\n");
    wait_heard(&b, (struct heard){.conns = 2, .bytes = 2});
    bent_clock_ms += SHORT_MS;
    hear_end(quiet); /* nothing came: nothing to answer */
    hear_end(empty);
    close(quiet);
    close(empty);
    bench_stop(&b);
}

static void test_idle_timeout(void **unused)
{
    (void)unused;
    struct http_limits limits = bench_limits;
    limits.idle_timeout_ms = SHORT_MS;
    start(limits, 1 << 20);
    clock_stop();
    int fd = dial(&b), fresh = dial(&b);
    say(fd, GET("/echo"));
    assert_int_equal(hear(fd), 200);
    wait_heard(&b, (struct heard){.conns = 2});
    bent_clock_ms += SHORT_MS;
    hear_end(fd);
    close(fd);
    say(fresh, GET("/echo")); /* a connection that has not said anything has header_timeout */
    assert_int_equal(hear(fresh), 200);
    close(fresh);
    bench_stop(&b);
}

static void test_body_timeout(void **unused)
{
    (void)unused;
    start_stopped();
    expect_late("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe", 0, 408);
    expect_late("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", 0, 408);
    expect_late("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n", 100000, 408);
    bench_stop(&b);
}

/* Five seconds are free; then at least 1 KiB a second must have come. */
static void test_body_rate(void **unused)
{
    (void)unused;
    struct http_limits limits = bench_limits;
    limits.idle_timeout_ms = SHORT_MS; /* so that deadlines are looked at often; not met here: nothing is idle */
    start(limits, 1 << 20);
    clock_stop();
    int slow = dial(&b), fast = dial(&b);
    static char body[8000];
    static const char slow_head[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n",
                      fast_head[] = "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n";
    memset(body, 'x', sizeof body);
    say(slow, slow_head);
    say_bytes(slow, body, 4000);
    say(fast, fast_head);
    say_bytes(fast, body, 8000);
    wait_heard(&b, (struct heard){.conns = 2, .bytes = strlen(slow_head) + strlen(fast_head) + 12000});
    bent_clock_ms = 6000;
    assert_int_equal(hear(slow), 408);
    hear_end(slow);
    say_bytes(fast, body, 1000);
    assert_int_equal(hear(fast), 200);
    close(slow);
    close(fast);
    bench_stop(&b);
}

/* The server has noticed that a connection ended. */
static void wait_for_none(void)
{
    uint32_t count = 1;
    for (int i = 0; i < GUARD_MS && count > 0; i++) {
        on_loop(&b, job_connections, &count);
        poll(NULL, 0, 1);
    }
    assert_int_equal(count, 0);
}

/* Of the one answer that is going out: bytes that are left, and that were left when its deadline was looked at last. */
struct rest {
    bool there;
    size_t left, seen;
};

static void job_rest(struct bench *bench, void *arg)
{
    struct rest *rest = arg;
    *rest = (struct rest){.there = false};
    LIST_EACH_SAFE(&bench->server->conns, it)
    {
        struct conn *c = container_of(it, struct conn, link);
        if (c->state == CONN_WRITE)
            *rest = (struct rest){true, c->channel.transport->unwritten(&c->channel), c->unwritten};
    }
}

/* Until the server knows what went out so far. */
static struct rest wait_seen(void)
{
    struct rest rest = {.there = false};
    for (int i = 0; i < GUARD_MS; i++) {
        on_loop(&b, job_rest, &rest);
        if (!rest.there || rest.left == rest.seen)
            break;
        poll(NULL, 0, 1);
    }
    return rest;
}

static void test_a_reader_that_never_reads(void **unused)
{
    (void)unused;
    start_stopped();
    int fd = dial(&b);
    say(fd, GET("/big?n=50000000"));
    while (b.answered == 0)
        poll(NULL, 0, 1);
    while (wait_seen().there) /* the kernel may take some more of it, after a while */
        bent_clock_ms += SHORT_MS;
    wait_for_none();
    close(fd);
    bench_stop(&b);
}

static void test_a_slow_reader_is_served(void **unused)
{
    (void)unused;
    start_stopped();
    int fd = dial(&b);
    static char bytes[1 << 20];
    size_t got = 0, left = SIZE_MAX;
    int64_t passed = 0;
    say(fd, "GET /big?n=50000000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) != 0; got += (size_t)n) {
        assert_true(n > 0);
        struct rest rest = wait_seen();
        if (!rest.there || rest.left >= left)
            continue;
        left = rest.left; /* it took something: more than half of the time passes before it takes more */
        bent_clock_ms += SHORT_MS * 6 / 10;
        passed += SHORT_MS * 6 / 10;
    }
    assert_true(got > 50000000);
    assert_true(passed > SHORT_MS);
    close(fd);
    bench_stop(&b);
}

/* What a refused client goes on sending is thrown away for a while, then the connection is closed under it. */
static void test_lingering_ends(void **unused)
{
    (void)unused;
    struct http_limits limits = bench_limits;
    limits.idle_timeout_ms = SHORT_MS;
    start(limits, 1 << 20);
    int fd = dial(&b);
    say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
    assert_int_equal(hear(fd), 413);
    say(fd, "some of the body");
    settle(&b);
    bent_clock_ms = 3000;
    wait_for_none();
    close(fd);
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_sizes),
        cmocka_unit_test(test_body_size),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_a_flood_of_connections),
        cmocka_unit_test(test_head_timeout),
        cmocka_unit_test(test_idle_timeout),
        cmocka_unit_test(test_body_timeout),
        cmocka_unit_test(test_body_rate),
        cmocka_unit_test(test_a_reader_that_never_reads),
        cmocka_unit_test(test_a_slow_reader_is_served),
        cmocka_unit_test(test_lingering_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

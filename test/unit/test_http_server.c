/* Requests and answers over real sockets: keep-alive, pipelining, framing, expectations, half-closed and vanished
 * clients, answers that the kernel does not take at once, draining and closing. */
#include "http_bench.h"

#include <sys/ioctl.h>

static struct bench b;

static int start(void **unused)
{
    (void)unused;
    bench_start(&b, &bench_limits, 1 << 22);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    bench_stop(&b);
    return 0;
}

static void expect_body(int fd, const char *body)
{
    struct reply r;
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, body);
    reply_free(&r);
}

static void test_keep_alive(void **unused)
{
    (void)unused;
    int fd = dial(&b);
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        expect_body(fd, "hello");
    }
    say(fd, "\r\n" GET("/none"));
    struct reply r;
    hear_one(fd, true, &r);
    assert_int_equal(r.status, 204);
    assert_null(strstr(r.head, "Content-Length"));
    assert_non_null(strstr(r.head, "\r\nDate: "));
    reply_free(&r);
    say(fd, "GET /peer HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    hear_one(fd, false, &r);
    assert_non_null(strstr(r.head, "Connection: close\r\n"));
    assert_true(strncmp(r.body, "127.0.0.1:", 10) == 0);
    reply_free(&r);
    hear_end(fd);
    close(fd);
}

static void test_http10(void **unused)
{
    (void)unused;
    struct reply r;
    int fd = dial(&b);
    say(fd, "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
    hear_one(fd, false, &r);
    assert_string_equal(r.body, "ok");
    assert_non_null(strstr(r.head, "Connection: keep-alive\r\n"));
    reply_free(&r);
    say(fd, "POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nok");
    expect_body(fd, "ok");
    hear_end(fd);
    close(fd);
}

static void test_head_has_no_body(void **unused)
{
    (void)unused;
    struct reply r;
    int fd = dial(&b);
    say(fd, "HEAD /big?n=12345 HTTP/1.1\r\nHost: h\r\n\r\n" GET("/big?n=3"));
    hear_one(fd, true, &r);
    assert_non_null(strstr(r.head, "Content-Length: 12345\r\n"));
    reply_free(&r);
    expect_body(fd, "bbb");
    close(fd);
}

static void test_problem(void **unused)
{
    (void)unused;
    struct reply r;
    int fd = dial(&b);
    say(fd, GET("/method"));
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 405);
    settle(&b);
    assert_int_equal(b.last_status, 405);
    assert_int_equal(b.last_detail, 2);
    assert_non_null(strstr(r.head, "Content-Type: application/problem+json\r\n"));
    assert_non_null(strstr(r.head, "Allow: GET\r\n"));
    assert_non_null(strstr(r.head, "Retry-After: 7\r\n"));
    assert_string_equal(r.body, "{\"type\":\"/problems/method\",\"title\":\"Method Not Allowed\",\"status\":405,"
                                "\"detail\":\"no\"}");
    reply_free(&r);
    say(fd, GET("/echo")); /* the connection lives */
    assert_int_equal(hear(fd), 200);
    close(fd);
}

static void test_every_byte_alone(void **unused)
{
    (void)unused;
    static const char text[] = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: v\r\n\r\n"
                               "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    int fd = dial(&b);
    for (size_t i = 0; i < sizeof text - 1; i++)
        say_bytes(fd, text + i, 1);
    expect_body(fd, "abcdefg");
    expect_body(fd, "hello");
    close(fd);
}

static void test_two_pieces_everywhere(void **unused)
{
    (void)unused;
    static const char text[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    int fd = dial(&b);
    for (size_t i = 1; i < sizeof text - 1; i++) {
        say_bytes(fd, text, i);
        say_bytes(fd, text + i, sizeof text - 1 - i);
        expect_body(fd, "hello");
    }
    close(fd);
}

struct writer {
    int fd, count;
    const char *text;
};

static void *write_all(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < w->count; i++)
        say(w->fd, w->text);
    return NULL;
}

static void test_pipelining(void **unused)
{
    (void)unused;
    enum { MANY = 10000 };
    static const char *const texts[] = {
        GET("/echo"), "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};
    for (size_t t = 0; t < COUNT_OF(texts); t++) {
        struct writer w = {.fd = dial(&b), .count = MANY, .text = texts[t]};
        pthread_t thread;
        pthread_create(&thread, NULL, write_all, &w);
        for (int i = 0; i < MANY; i++)
            expect_body(w.fd, t == 0 ? "" : "3");
        pthread_join(thread, NULL);
        close(w.fd);
    }
}

/* Bytes that come while a request is with the routes wait in a bounded buffer, then in the kernel. */
static void test_read_ahead_is_bounded(void **unused)
{
    (void)unused;
    static char body[60000];
    memset(body, 'x', sizeof body);
    int fd = dial(&b), room = 0;
    char head[100];
    snprintf(head, sizeof head, "POST /sum HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizeof body);
    say(fd, GET("/hold"));
    wait_sem(&b.event);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    size_t sent = 0, first = 0;
    bool in_head = true;
    for (struct pollfd p = {.fd = fd, .events = POLLOUT};
         poll(&p, 1, 300) == 1;) { /* until nothing is taken any more */
        const char *from = in_head ? head : body;
        size_t len = in_head ? strlen(head) : sizeof body;
        ssize_t n = send(fd, from + first, len - first, MSG_NOSIGNAL);
        assert_true(n > 0);
        first += (size_t)n;
        sent += (size_t)n;
        if (first == len) {
            in_head = !in_head;
            first = 0;
        }
    }
    assert_true(sent > 128 * 1024);
    ioctl(fd, TIOCOUTQ, &room);
    assert_true(room > 0); /* the kernel is full: the server has stopped reading */
    fcntl(fd, F_SETFL, 0);
    bench_release(&b);
    assert_int_equal(hear(fd), 200);
    char sum[32];
    snprintf(sum, sizeof sum, "%llu", (unsigned long long)text_sum(slice_make(body, sizeof body)));
    for (size_t whole = sent / (strlen(head) + sizeof body); whole > 0; whole--)
        expect_body(fd, sum);
    close(fd);
}

static void test_expect(void **unused)
{
    (void)unused;
    int fd = dial(&b);
    struct reply r;
    say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    hear_one(fd, true, &r);
    assert_int_equal(r.status, 100);
    reply_free(&r);
    say(fd, "hello");
    expect_body(fd, "hello");
    say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    expect_body(fd, "hello"); /* no 100 where the body is there already */
    say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n");
    expect_body(fd, "");
    say(fd, "POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(hear(fd), 404); /* and none where the head was refused */
    hear_end(fd);
    close(fd);
    fd = dial(&b);
    say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 200-maybe\r\n\r\n");
    assert_int_equal(hear(fd), 417);
    hear_end(fd);
    close(fd);
}

static void test_a_100_that_does_not_get_through(void **unused)
{
    (void)unused;
    answer_limit = -3;
    int fd = dial(&b);
    say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    hear_end(fd);
    answer_limit = -1;
    close(fd);
}

static void test_refused_head(void **unused)
{
    (void)unused;
    int fd = dial(&b);
    say(fd, "GET /refused HTTP/1.1\r\nHost: h\r\n\r\n" GET("/echo"));
    assert_int_equal(hear(fd), 404); /* without a body the connection lives */
    assert_int_equal(hear(fd), 200);
    say(fd, "POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" GET("/echo"));
    assert_int_equal(hear(fd), 404);
    hear_end(fd);
    close(fd);
}

static void test_garbage(void **unused)
{
    (void)unused;
    int fd = dial(&b);
    say(fd, "\x16\x03\x01");
    assert_int_equal(hear(fd), 400);
    hear_end(fd);
    close(fd);
    fd = dial(&b);
    say(fd, GET("/echo") "{\"not\":\"a request\"}");
    assert_int_equal(hear(fd), 200);
    hear_end(fd); /* nothing that could be answered */
    close(fd);
    fd = dial(&b);
    say(fd, GET("/echo") "GET /echo HTTP/1.1\r\nHost : h\r\n\r\n");
    assert_int_equal(hear(fd), 200);
    assert_int_equal(hear(fd), 400);
    hear_end(fd);
    close(fd);
}

static void test_half_closed(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int first, second; /* 0: closed without an answer */
    } all[] = {
        {GET("/echo") GET("/echo"), 200, 200},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell", 400, 0},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", 400, 0},
        {"POST /echo HTTP/1.1\r\nHo", 400, 0},
        {GET("/echo") "G", 200, 400},
        {"\r\n", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        int fd = dial(&b);
        say(fd, all[i].text);
        shutdown(fd, SHUT_WR);
        assert_int_equal(hear(fd), all[i].first);
        if (all[i].first != 0)
            assert_int_equal(hear(fd), all[i].second);
        hear_end(fd);
        close(fd);
    }
    int fd = dial(&b);
    say(fd, GET("/hold"));
    shutdown(fd, SHUT_WR);
    wait_sem(&b.event);
    bench_release(&b);
    assert_int_equal(hear(fd), 200);
    hear_end(fd);
    close(fd);
    assert_int_equal(b.gone, 0);
}

static void reset(int fd)
{
    const struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static void test_gone_before_the_answer(void **unused)
{
    (void)unused;
    int fd = dial(&b), before = b.gone;
    say(fd, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    wait_sem(&b.event);
    reset(fd);
    wait_sem(&b.event); /* gone */
    assert_int_equal(b.gone, before + 1);
    int answered = b.answered;
    bench_release(&b); /* reads the body's length: the request is still whole */
    assert_int_equal(b.answered, answered + 1);
    fd = dial(&b); /* gone in the middle of a body: nobody is told */
    say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
    reset(fd);
    assert_int_equal(b.gone, before + 1);
}

static void test_answers_in_pieces(void **unused)
{
    (void)unused;
    for (int limit = -2; limit < 200; limit += limit < 0 ? 2 : 13) {
        answer_limit = limit;
        int fd = dial(&b);
        struct reply r;
        say(fd, "GET /big?n=100000 HTTP/1.1\r\nHost: h\r\n\r\n" GET("/echo"));
        hear_one(fd, false, &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.len, 100000);
        assert_int_equal(strspn(r.body, "b"), 100000);
        reply_free(&r);
        assert_int_equal(hear(fd), 200);
        close(fd);
    }
    answer_limit = -3;
    int fd = dial(&b);
    (void)send(fd, GET("/echo"), strlen(GET("/echo")), MSG_NOSIGNAL); /* with TLS it may have ended before */
    hear_end(fd);
    close(fd);
    answer_limit = -1;
}

static void test_big_answer(void **unused)
{
    (void)unused;
    enum { BIG = 30 << 20 };
    struct reply r;
    int fd = dial(&b);
    say(fd, "GET /big?n=31457280 HTTP/1.1\r\nHost: h\r\n\r\n" GET("/echo"));
    hear_one(fd, false, &r);
    assert_int_equal(r.len, BIG);
    assert_int_equal(strspn(r.body, "b"), BIG);
    reply_free(&r);
    assert_int_equal(hear(fd), 200);
    close(fd);
    fd = dial(&b); /* and one that nobody reads to its end */
    say(fd, "GET /big?n=31457280 HTTP/1.1\r\nHost: h\r\n\r\n");
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), 1);
    reset(fd);
}

static void job_drain(struct bench *bench, void *arg)
{
    (void)arg;
    http_server_drain(bench->server);
}

static void test_drain(void **unused)
{
    (void)unused;
    int idle = dial(&b), busy = dial(&b), half = dial(&b);
    say(idle, GET("/echo"));
    assert_int_equal(hear(idle), 200);
    say(half, "GET /echo HTTP/1.1\r\n");
    say(busy, GET("/hold"));
    wait_sem(&b.event);
    on_loop(&b, job_drain, NULL);
    hear_end(idle);
    struct reply r;
    say(half, "Host: h\r\n\r\n");
    hear_one(half, false, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head, "Connection: close\r\n"));
    reply_free(&r);
    hear_end(half);
    bench_release(&b);
    hear_one(busy, false, &r);
    assert_non_null(strstr(r.head, "Connection: close\r\n"));
    reply_free(&r);
    hear_end(busy);
    close(idle);
    close(half);
    close(busy);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    name.sin_port = htons((uint16_t)strtoul(strrchr(b.address, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), -1);
    close(fd);
}

/* The request outlives its connection and the server's closing: its memory is the routes' until they answer. */
static void test_close_with_a_request_out(void **unused)
{
    (void)unused;
    struct bench own;
    bench_start(&own, &bench_limits, 1 << 20);
    int fd = dial(&own), half = dial(&own);
    say(fd, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    say(half, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    wait_sem(&own.event);
    bench_stop(&own);
    hear_end(fd);
    hear_end(half);
    close(fd);
    close(half);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keep_alive),
        TEST(test_http10),
        TEST(test_head_has_no_body),
        TEST(test_problem),
        TEST(test_every_byte_alone),
        TEST(test_two_pieces_everywhere),
        TEST(test_pipelining),
        TEST(test_read_ahead_is_bounded),
        TEST(test_expect),
        TEST(test_a_100_that_does_not_get_through),
        TEST(test_refused_head),
        TEST(test_garbage),
        TEST(test_half_closed),
        TEST(test_gone_before_the_answer),
        TEST(test_answers_in_pieces),
        TEST(test_big_answer),
        TEST(test_close_with_a_request_out),
        TEST(test_drain),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

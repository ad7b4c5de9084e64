/* Answers that go on: sent bit by bit, to readers that are slow, and to readers that go. */
#include "http_bench.h"

static struct bench b;

static int start(void **state)
{
    (void)state;
    bench_start(&b, &bench_limits, 1 << 20);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    bench_stop(&b);
    return 0;
}

static void stream_begin(struct bench *bench, void *arg)
{
    (void)arg;
    http_stream(bench->held[0], &(struct http_answer){.status = 200, .content_type = "text/event-stream"});
}

static void stream_end(struct bench *bench, void *arg)
{
    (void)arg;
    http_stream_end(bench->held[0]);
    bench->held_count = 0;
}

struct bit {
    const char *text;
    size_t len;
    int code;
};

static void stream_bit(struct bench *bench, void *arg)
{
    struct bit *bit = arg;
    bit->code = http_stream_send(bench->held[0], slice_make(bit->text, bit->len));
}

static int send_bit(const char *text, size_t len)
{
    struct bit bit = {text, len, 0};
    on_loop(&b, stream_bit, &bit);
    return bit.code;
}

static int begun(const char *request)
{
    int fd = dial(&b);
    say(fd, request);
    wait_sem(&b.event);
    on_loop(&b, stream_begin, NULL);
    return fd;
}

/* Until the end of the stream, or of `len` bytes. */
static size_t read_all(int fd, char *out, size_t len)
{
    size_t got = 0;
    ssize_t n = 1;
    while (got < len && n > 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, GUARD_MS), 1);
        n = read(fd, out + got, len - got);
        got += n > 0 ? (size_t)n : 0;
    }
    return got;
}

#define GET_HOLD "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"

static void test_bit_by_bit(void **unused)
{
    (void)unused;
    char text[4096];
    int answered = b.answered, fd = begun(GET_HOLD);
    assert_int_equal(send_bit("one\n", 4), ERR_OK);
    assert_int_equal(send_bit("two\n", 4), ERR_OK);
    on_loop(&b, stream_end, NULL);
    size_t len = read_all(fd, text, sizeof text - 1);
    text[len] = '\0';
    assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(text, "Connection: close\r\n"));
    assert_null(strstr(text, "Content-Length"));
    assert_string_equal(strstr(text, "\r\n\r\n") + 4, "one\ntwo\n");
    assert_int_equal(b.answered, answered + 1);
    assert_int_equal(b.last_status, 200);
    close(fd);
}

static void test_a_slow_reader(void **unused)
{
    (void)unused;
    enum { MANY = 8 << 20 };
    char *much = malloc(MANY);
    memset(much, 'x', MANY);
    int fd = begun(GET_HOLD);
    assert_int_equal(send_bit(much, MANY), ERR_OK); /* copied: ours again */
    memset(much, 'y', MANY);
    assert_int_equal(send_bit("more", 4), ERR_BUSY);
    char head[256];
    size_t skipped = 0;
    while (skipped < 4 || memcmp(head + skipped - 4, "\r\n\r\n", 4) != 0)
        skipped += read_all(fd, head + skipped, 1);
    assert_int_equal(read_all(fd, much, MANY), MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(much[i], 'x');
    int code = ERR_BUSY;
    for (int i = 0; i < GUARD_MS && code == ERR_BUSY; i++)
        code = send_bit("more", 4);
    assert_int_equal(code, ERR_OK);
    assert_int_equal(read_all(fd, much, 4), 4);
    on_loop(&b, stream_end, NULL);
    hear_end(fd);
    close(fd);
    free(much);
}

static void test_a_reader_that_goes(void **unused)
{
    (void)unused;
    for (int half = 0; half < 2; half++) {
        int gone = b.gone, fd = begun(GET_HOLD);
        if (half)
            shutdown(fd, SHUT_WR);
        else
            close(fd);
        wait_sem(&b.event);
        assert_int_equal(b.gone, gone + 1);
        assert_int_equal(send_bit("x", 1), ERR_CLOSED);
        on_loop(&b, stream_end, NULL);
        if (half)
            close(fd);
    }
}

/* What it sends ahead is read only up to a bound, and never taken for a request. */
static void test_a_reader_that_talks(void **unused)
{
    (void)unused;
    char text[256];
    int answered = b.answered, fd = begun(GET_HOLD GET_HOLD);
    assert_int_equal(send_bit("one\n", 4), ERR_OK);
    on_loop(&b, stream_end, NULL);
    size_t len = read_all(fd, text, sizeof text);
    assert_memory_equal(text + len - 4, "one\n", 4);
    assert_int_equal(b.answered, answered + 1);
    close(fd);
}

static void test_an_error_while_sending(void **unused)
{
    (void)unused;
    int fd = begun(GET_HOLD);
    answer_limit = -3;
    assert_int_equal(send_bit("x", 1), ERR_CLOSED);
    answer_limit = -1;
    assert_int_equal(send_bit("x", 1), ERR_CLOSED);
    on_loop(&b, stream_end, NULL);
    close(fd);
    answer_limit = -3; /* not even the head */
    fd = begun(GET_HOLD);
    answer_limit = -1;
    assert_int_equal(send_bit("x", 1), ERR_CLOSED);
    on_loop(&b, stream_end, NULL);
    close(fd);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bit_by_bit),          TEST(test_a_slow_reader),          TEST(test_a_reader_that_goes),
        TEST(test_a_reader_that_talks), TEST(test_an_error_while_sending),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

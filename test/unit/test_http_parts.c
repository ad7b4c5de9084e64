/* The small parts of core/http: percent-decoding, query parameters, answer texts; and listeners. */
#include "http_bench.h"

#include "http/answer.h"
#include "http/bytes.h"

#include <sys/stat.h>

static void expect_text(const char *in, const char *out)
{
    char text[16];
    long len = http_unescape(slice_of(in), text, sizeof text);
    if (out == NULL) {
        assert_int_equal(len, -1);
        return;
    }
    assert_int_equal(len, strlen(out));
    assert_string_equal(text, out);
}

static void test_unescape(void **unused)
{
    (void)unused;
    expect_text("", "");
    expect_text("abc", "abc");
    expect_text("a%20b", "a b");
    expect_text("a+b", "a+b");
    expect_text("%c3%A9", "\xC3\xA9");
    expect_text("%2f%2E", "/.");
    expect_text("%", NULL);
    expect_text("%4", NULL);
    expect_text("%4g", NULL);
    expect_text("%g4", NULL);
    expect_text("a%00b", NULL);
    expect_text("123456789012345", "123456789012345");
    expect_text("1234567890123456", NULL);
    expect_text("%31%32%33%34%35%36%37%38%39%30%31%32%33%34%35", "123456789012345");
    assert_int_equal(http_unescape(SLICE_LIT(""), NULL, 0), -1);
}

static long query(const char *text, const char *name, char out[8])
{
    const struct http_request r = {.query = slice_of(text)};
    return http_query(&r, name, out, 8);
}

static void test_query(void **unused)
{
    (void)unused;
    char out[8];
    assert_int_equal(query("", "a", out), -1);
    assert_int_equal(query("b=1", "a", out), -1);
    assert_int_equal(query("aa=1&ab=2", "a", out), -1);
    assert_int_equal(query("b=1&a=2", "a", out), 1);
    assert_string_equal(out, "2");
    assert_int_equal(query("a=1&a=2", "a", out), 1);
    assert_string_equal(out, "1");
    assert_int_equal(query("a", "a", out), 0);
    assert_int_equal(query("a=&b", "a", out), 0);
    assert_int_equal(query("&&a=x+y%2B", "a", out), 4);
    assert_string_equal(out, "x y+");
    assert_int_equal(query("a=b=c", "a", out), 3);
    assert_string_equal(out, "b=c");
    assert_int_equal(query("a=%zz", "a", out), -2);
    assert_int_equal(query("a=12345678", "a", out), -2);
}

static void test_problem_text(void **unused)
{
    (void)unused;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(answer_write_problem(&b, &(struct http_problem){.status = 422,
                                                                     .word = "schema",
                                                                     .detail = "say \"x\"",
                                                                     .errors = SLICE_LIT("[{\"pointer\":\"\"}]")}),
                     ERR_OK);
    assert_string_equal(buf_str(&b),
                        "{\"type\":\"/problems/schema\",\"title\":\"Unprocessable Content\",\"status\":422,"
                        "\"detail\":\"say \\\"x\\\"\",\"errors\":[{\"pointer\":\"\"}]}");
    assert_int_equal(answer_write_problem(&b, &(struct http_problem){.status = 400}), ERR_OK);
    assert_string_equal(buf_str(&b), "{\"type\":\"/problems/syntax\",\"title\":\"Bad Request\",\"status\":400}");
    buf_free(&b);
    for (size_t max = 0; max < 140; max++) { /* too small a buffer is an error, whatever did not fit */
        buf_init(&b, max);
        int code = answer_write_problem(
            &b, &(struct http_problem){.status = 400, .word = "w", .detail = "d", .errors = SLICE_LIT("[]")});
        assert_int_equal(code, max < strlen("{\"type\":\"/problems/w\",\"title\":\"Bad Request\",\"status\":400,"
                                            "\"detail\":\"d\",\"errors\":[]}")
                                   ? ERR_LIMIT
                                   : ERR_OK);
        buf_free(&b);
    }
}

static void test_head_text(void **unused)
{
    (void)unused;
    struct buf b;
    struct answer_date date = {0};
    const struct answer_head head = {
        .status = 202, .content_type = "a/b", .length = 12345678901, .fields = "X: y\r\n", .close = true};
    size_t whole = 0;
    for (size_t max = 0; whole == 0; max++) {
        buf_init(&b, max);
        if (answer_write_head(&b, &date, &head) == ERR_OK) {
            whole = b.len;
            assert_int_equal(whole, max);
            assert_true(strncmp(buf_str(&b), "HTTP/1.1 202 Accepted\r\nDate: ", 29) == 0);
            assert_non_null(strstr(buf_str(&b), " GMT\r\nContent-Type: a/b\r\nContent-Length: 12345678901\r\n"
                                                "Connection: close\r\nX: y\r\n\r\n"));
        }
        buf_free(&b);
    }
    assert_string_equal(http_reason(503), "Service Unavailable");
    assert_string_equal(http_reason(299), "Unknown");
    assert_true(answer_bodiless(204) && answer_bodiless(304) && answer_bodiless(100) && !answer_bodiless(200));
}

static void test_lists(void **unused)
{
    (void)unused;
    struct slice rest = SLICE_LIT(" a , ,b\t"), member;
    assert_true(list_next(&rest, &member) && slice_is(member, "a"));
    assert_true(list_next(&rest, &member) && slice_is(member, ""));
    assert_true(list_next(&rest, &member) && slice_is(member, "b"));
    assert_false(list_next(&rest, &member));
    assert_int_equal(byte_hex('G'), -1);
    assert_int_equal(byte_hex('F'), 15);
}

/* --- listeners --- */

static struct bench b;

struct
try {
    struct http_listen listen;
    char bound[128];
    struct err e;
    int code;
};

static void job_listen(struct bench *bench, void *arg)
{
    struct try *t = arg;
    t->code = http_server_listen(bench->server, &t->listen, t->bound, &t->e);
}

static struct try try_listen(const char *address, bool reuse_port)
{
    struct try t = {.listen = {.address = address, .socket_mode = 0640, .socket_group = -1, .reuse_port = reuse_port}};
    on_loop(&b, job_listen, &t);
    return t;
}

static int start(void **unused)
{
    (void)unused;
    bench_start(&b, &bench_limits, 1 << 20);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    bench_stop(&b);
    return 0;
}

static void test_bad_addresses(void **unused)
{
    (void)unused;
    static const char *const bad[] = {"8080",  ":8080", "127.0.0.1:",         "::1:80",       "[]:80",
                                      "unix:", "",      "127.0.0.1:notaport", "203.0.113.1:0" /* nobody's here */};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct try t = try_listen(bad[i], false);
        assert_int_not_equal(t.code, ERR_OK);
        assert_true(t.e.text[0] != '\0');
    }
    char longest[400] = "unix:/tmp/";
    memset(longest + strlen(longest), 'x', 200);
    assert_int_not_equal(try_listen(longest, false).code, ERR_OK);
    memset(longest, 'x', 300);
    strcpy(longest + 300, ":80");
    assert_int_not_equal(try_listen(longest, false).code, ERR_OK);
}

static void test_one_port_twice(void **unused)
{
    (void)unused;
    assert_int_not_equal(try_listen(b.address, false).code, ERR_OK);
    struct try first = try_listen("127.0.0.1:0", true);
    assert_int_equal(first.code, ERR_OK);
    assert_int_equal(try_listen(first.bound, true).code, ERR_OK);
    assert_int_not_equal(try_listen(first.bound, false).code, ERR_OK);
}

static void test_ipv6(void **unused)
{
    (void)unused;
    struct try t = try_listen("[::1]:0", false);
    if (t.code != ERR_OK) { /* a machine without it */
        assert_true(strstr(t.e.text, "[::1]") != NULL);
        return;
    }
    assert_true(strncmp(t.bound, "[::1]:", 6) == 0);
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    name.sin6_port = htons((uint16_t)strtoul(t.bound + 6, NULL, 10));
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    struct reply r;
    say(fd, GET("/peer"));
    hear_one(fd, false, &r);
    assert_true(strncmp(r.body, "[::1]:", 6) == 0);
    reply_free(&r);
    close(fd);
}

static void test_unix_sockets(void **unused)
{
    (void)unused;
    char dir[] = "/tmp/http-parts-XXXXXX", path[100], address[120];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/sock", dir);
    snprintf(address, sizeof address, "unix:%s", path);
    struct bench own;
    struct stat st;
    struct reply r;
    bench_start_at(&own, &bench_limits, 1 << 20, address);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    int fd = dial(&own);
    say(fd, GET("/peer"));
    hear_one(fd, false, &r);
    assert_string_equal(r.body, "unix");
    reply_free(&r);
    close(fd);
    assert_int_not_equal(try_listen(address, false).code, ERR_OK); /* somebody answers there */
    bench_stop(&own);
    assert_int_equal(stat(path, &st), -1); /* a stopped server takes its file along */

    int left = socket(AF_UNIX, SOCK_STREAM, 0); /* a killed one does not */
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    assert_int_equal(bind(left, (struct sockaddr *)&name, sizeof name), 0);
    close(left);
    bench_start_at(&own, &bench_limits, 1 << 20, address);
    fd = dial(&own);
    say(fd, GET("/echo"));
    assert_int_equal(hear(fd), 200);
    close(fd);
    bench_stop(&own);

    FILE *file = fopen(path, "w"); /* what is no socket stays */
    assert_non_null(file);
    fclose(file);
    assert_int_not_equal(try_listen(address, false).code, ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    unlink(path);
    struct try t = {.listen = {.address = address, .socket_mode = 0600, .socket_group = 0x7FFFFFF0}};
    if (getuid() != 0) {
        on_loop(&b, job_listen, &t);
        assert_int_equal(t.code, ERR_DENIED);
    }
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unescape),       cmocka_unit_test(test_query), cmocka_unit_test(test_problem_text),
        cmocka_unit_test(test_head_text),      cmocka_unit_test(test_lists), cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_one_port_twice), cmocka_unit_test(test_ipv6),  cmocka_unit_test(test_unix_sockets),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

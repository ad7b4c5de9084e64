/* The request parser: a table of heads, each whole, split at every byte, and byte by byte. */
#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define H "Host: h\r\n"

static const struct {
    const char *text;
    size_t len;
    int status; /* 0: a request */
} cases[] = {
#define CASE(text, status)                                                                                             \
    {                                                                                                                  \
        text, sizeof text - 1, status                                                                                  \
    }
    CASE("GET / HTTP/1.1\r\n" H "\r\n", 0),
    CASE("\r\nGET / HTTP/1.1\r\n" H "\r\n", 0),
    CASE("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400),
    CASE("\n", 400),
    CASE("\r\r", 400),
    CASE("\0\0\0", 400),
    CASE("\x16\x03\x01", 400),
    CASE(" GET / HTTP/1.1\r\n", 400),
    CASE("\tGET / HTTP/1.1\r\n", 400),
    CASE("{\"uuid\":1}", 400),
    CASE("GET /\r\n", 400),
    CASE("GET\r\n", 400),
    CASE("GET  / HTTP/1.1\r\n", 400),
    CASE("GET /  HTTP/1.1\r\n", 400),
    CASE("GET / HTTP/1.1 \r\n", 400),
    CASE("GET /\tHTTP/1.1\r\n", 400),
    CASE("GET / HTTP/1.1\n", 400),
    CASE("GET / HTTP/1.1\r\r\n", 400),
    CASE("GET / HTTP/\r1.1\r\n", 400),
    CASE("G(T / HTTP/1.1\r\n", 400),
    CASE("G\x80T / HTTP/1.1\r\n", 400),
    CASE("GET / http/1.1\r\n", 400),
    CASE("GET / HTTP/1.10\r\n", 400),
    CASE("GET / HTTP/1.\r\n", 400),
    CASE("GET / HTTP/x.1\r\n", 400),
    CASE("GET / HTTP/1x1\r\n", 400),
    CASE("GET / HTTP/1.x\r\n", 400),
    CASE("GET / ICY/1.1\r\n", 400),
    CASE("GET / HTTP/2.0\r\n", 505),
    CASE("GET / HTTP/0.9\r\n", 505),
    CASE("GET / HTTP/3.1\r\n", 505),
    CASE("PRI * HTTP/2.0\r\n", 400),
    CASE("GET / HTTP/1.2\r\n" H "\r\n", 0),
    CASE("GET / HTTP/1.0\r\n\r\n", 0),
    CASE("GET v1 HTTP/1.1\r\n", 400),
    CASE("GET * HTTP/1.1\r\n", 400),
    CASE("OPTIONS * HTTP/1.1\r\n" H "\r\n", 0),
    CASE("CONNECT h:80 HTTP/1.1\r\n", 400),
    CASE("GET /%4 HTTP/1.1\r\n", 400),
    CASE("GET /%4g HTTP/1.1\r\n", 400),
    CASE("GET /% HTTP/1.1\r\n", 400),
    CASE("GET /a?b=%z0 HTTP/1.1\r\n", 400),
    CASE("GET /a\\b HTTP/1.1\r\n", 400),
    CASE("GET /\xFF HTTP/1.1\r\n", 400),
    CASE("GET /a#b HTTP/1.1\r\n", 400),
    CASE("GET /a?b#c HTTP/1.1\r\n", 400),
    CASE("GET /a?b=c/d?e&f=%20 HTTP/1.1\r\n" H "\r\n", 0),
    CASE("GET http://h/x?y HTTP/1.1\r\n" H "\r\n", 0),
    CASE("GET HTTP://H HTTP/1.1\r\n" H "\r\n", 0),
    CASE("GET https://h?q HTTP/1.1\r\n" H "\r\n", 0),
    CASE("GET http://other/ HTTP/1.1\r\n" H "\r\n", 400),
    CASE("GET http://h:81/ HTTP/1.1\r\n" H "\r\n", 400),
    CASE("GET http://u@h/ HTTP/1.1\r\n" H "\r\n", 400),
    CASE("GET http://h/ HTTP/1.0\r\n\r\n", 400),
    CASE("GET ftp://h/ HTTP/1.1\r\n", 400),
    /* fields */
    CASE("GET / HTTP/1.1\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H H "\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", 0),
    CASE("GET / HTTP/1.1\r\nHost: a%41:\r\n\r\n", 0),
    CASE("GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0),
    CASE("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", 0),
    CASE("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: [x]\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X : v\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X\t: v\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H ": v\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X(: v\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X\x85: v\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n \r\n" H "\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X: a\nb\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X: a\x7F\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "X: \xC3\xA9\r\n\r\n", 0),
    CASE("GET / HTTP/1.1\r\n" H "!#$%&'*+-.^_`|~0aZ:v\r\n\r\n", 0),
    CASE("GET / HTTP/1.1\r\n" H "X:\r\n\r\n", 0),
    CASE("GET / HTTP/1.1\r\n" H "Content-Type: a\r\ncontent-type: a\r\n\r\n", 400),
    CASE("GET / HTTP/1.1\r\n" H "Origin: a\r\nORIGIN: b\r\n\r\n", 400),
    /* lengths */
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", 0),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length:\t 5 \t\r\n\r\n", 0),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", 0),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: \r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: 05\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: 5;\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: \xA0"
         "5\r\n\r\n",
         400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    /* codings */
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 0),
    CASE("POST / HTTP/1.1\r\n" H "tRANSFER-eNCODING: CHUNKED\r\n\r\n", 0),
    CASE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 501),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n", 501),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: ,chunked\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked,\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", 400),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \xA0"
         "chunked\r\n\r\n",
         400),
    CASE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
#undef CASE
};

static enum head_state feed(struct head *h, const char *bytes, size_t first, size_t len)
{
    head_begin(h, 4096);
    enum head_state state = head_parse(h, bytes, first);
    return state == HEAD_MORE ? head_parse(h, bytes, len) : state;
}

static void check(const struct head *h, enum head_state state, size_t c)
{
    if (cases[c].status == 0) {
        if (state != HEAD_DONE)
            fail_msg("case %zu: %d %s", c, h->bad.status, h->bad.detail);
        assert_int_equal(h->length, cases[c].len);
        return;
    }
    if (state != HEAD_BAD || h->bad.status != cases[c].status)
        fail_msg("case %zu (%s): state %d, status %d", c, cases[c].text, (int)state, h->bad.status);
    assert_non_null(h->bad.detail);
    assert_non_null(h->bad.word);
}

static void test_cases(void **unused)
{
    (void)unused;
    struct head h;
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        char *exact = malloc(cases[c].len + 1); /* so that a read beyond the end shows */
        for (size_t split = 0; split <= cases[c].len; split++) {
            memcpy(exact, cases[c].text, cases[c].len);
            check(&h, feed(&h, exact, split, cases[c].len), c);
        }
        enum head_state state = HEAD_MORE;
        head_begin(&h, 4096);
        for (size_t len = 0; len <= cases[c].len && state == HEAD_MORE; len++)
            state = head_parse(&h, exact, len);
        check(&h, state, c);
        free(exact);
    }
}

static void test_nothing_of_the_next_request_is_taken(void **unused)
{
    (void)unused;
    static const char two[] = "GET /a HTTP/1.1\r\n" H "\r\nGET /b HTTP/1.1\r\n";
    struct head h;
    assert_int_equal(feed(&h, two, 0, sizeof two - 1), HEAD_DONE);
    assert_int_equal(h.length, strlen("GET /a HTTP/1.1\r\n" H "\r\n"));
    assert_true(slice_is(h.target.path, "/a"));
}

static enum head_state parse(struct head *h, const char *text)
{
    return feed(h, text, 0, strlen(text));
}

static void test_what_is_read(void **unused)
{
    (void)unused;
    struct head h;
    struct slice v;
    assert_int_equal(parse(&h, "POST /p%20q?a=b&c HTTP/1.1\r\nHost: x:80\r\nX-Y: \t a b \t\r\nEmpty:\r\n\r\n"),
                     HEAD_DONE);
    assert_int_equal(h.method, HTTP_POST);
    assert_true(slice_is(h.target.path, "/p%20q") && slice_is(h.target.query, "a=b&c"));
    assert_true(!h.has_length && !h.chunked && !h.http10 && h.keep_alive && h.coding == CODING_NONE);
    assert_int_equal(h.field_count, 3);
    assert_true(head_field(h.fields, h.field_count, "x-y", &v) && slice_is(v, "a b"));
    assert_true(head_field(h.fields, h.field_count, "EMPTY", &v) && v.len == 0);
    assert_false(head_field(h.fields, h.field_count, "other", &v));
    assert_int_equal(parse(&h, "GET http://h?q=1 HTTP/1.1\r\n" H "\r\n"), HEAD_DONE);
    assert_true(slice_is(h.target.path, "/") && slice_is(h.target.query, "q=1"));
}

static void test_methods(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        enum http_method method;
    } methods[] = {{"GET", HTTP_GET},       {"HEAD", HTTP_HEAD},       {"POST", HTTP_POST},   {"PUT", HTTP_PUT},
                   {"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS}, {"PATCH", HTTP_OTHER}, {"get", HTTP_OTHER}};
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        char text[100];
        struct head h;
        snprintf(text, sizeof text, "%s / HTTP/1.1\r\n" H "\r\n", methods[i].text);
        assert_int_equal(parse(&h, text), HEAD_DONE);
        assert_int_equal(h.method, methods[i].method);
        assert_true(slice_is(h.method_text, methods[i].text));
    }
}

static void test_lengths(void **unused)
{
    (void)unused;
    struct head h;
    assert_int_equal(parse(&h, "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551614\r\n\r\n"), HEAD_DONE);
    assert_true(h.has_length && h.body_length == UINT64_MAX - 1);
    assert_int_equal(parse(&h, "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n"), HEAD_DONE);
    assert_true(h.body_length == UINT64_MAX);
    assert_int_equal(parse(&h, "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999999\r\n\r\n"),
                     HEAD_DONE);
    assert_true(h.body_length == UINT64_MAX);
}

static void test_connection(void **unused)
{
    (void)unused;
    static const struct {
        const char *version, *field;
        bool keep;
    } all[] = {{"1.1", "X: y", true},
               {"1.1", "Connection: close", false},
               {"1.1", "Connection: ,,Close,,keep-alive,,", false},
               {"1.1", "Connection: upgrade", true},
               {"1.0", "X: y", false},
               {"1.0", "Connection: Keep-Alive", true},
               {"1.0", "Connection: keep-alive, close", false}};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        char text[200];
        struct head h;
        snprintf(text, sizeof text, "GET / HTTP/%s\r\n" H "%s\r\n\r\n", all[i].version, all[i].field);
        assert_int_equal(parse(&h, text), HEAD_DONE);
        assert_int_equal(h.keep_alive, all[i].keep);
    }
}

static void test_expect_and_coding(void **unused)
{
    (void)unused;
    struct head h;
    assert_int_equal(parse(&h, "GET / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\n"), HEAD_DONE);
    assert_true(h.expect_continue && !h.expect_unknown);
    assert_int_equal(parse(&h, "GET / HTTP/1.1\r\n" H "Expect: 200-maybe\r\n\r\n"), HEAD_DONE);
    assert_true(!h.expect_continue && h.expect_unknown);
    assert_int_equal(parse(&h, "GET / HTTP/1.0\r\nExpect: x\r\n\r\n"), HEAD_DONE);
    assert_true(!h.expect_continue && !h.expect_unknown);
    static const struct {
        const char *value;
        enum coding_kind kind;
    } codings[] = {{"gzip", CODING_GZIP},  {"X-GZIP", CODING_GZIP},
                   {"zstd", CODING_ZSTD},  {"identity", CODING_NONE},
                   {"br", CODING_UNKNOWN}, {"gzip, gzip", CODING_UNKNOWN},
                   {"", CODING_UNKNOWN},   {"gzip\r\nContent-Encoding: identity", CODING_UNKNOWN}};
    for (size_t i = 0; i < COUNT_OF(codings); i++) {
        char text[200];
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" H "Content-Encoding: %s\r\n\r\n", codings[i].value);
        assert_int_equal(parse(&h, text), HEAD_DONE);
        assert_int_equal(h.coding, codings[i].kind);
    }
}

static void test_sizes(void **unused)
{
    (void)unused;
    static const char line[] = "GET / HTTP/1.1\r\n", host[] = H "\r\n";
    char text[600];
    struct head h;
    snprintf(text, sizeof text, "%s%s", line, host);
    size_t len = strlen(text);
    head_begin(&h, len);
    assert_int_equal(head_parse(&h, text, len), HEAD_DONE); /* exactly the maximum */
    head_begin(&h, len - 1);
    assert_int_equal(head_parse(&h, text, len), HEAD_BAD);
    assert_int_equal(h.bad.status, 431);
    head_begin(&h, strlen(line) - 1);
    assert_int_equal(head_parse(&h, text, len), HEAD_BAD);
    assert_int_equal(h.bad.status, 414);
    head_begin(&h, 4);
    assert_int_equal(head_parse(&h, "POST ", 5), HEAD_BAD); /* without waiting for the line's end */
    assert_int_equal(h.bad.status, 414);
}

static void test_many_fields(void **unused)
{
    (void)unused;
    char text[4096] = "GET / HTTP/1.1\r\n" H;
    struct head h;
    for (int i = 1; i < HEAD_FIELDS_MAX; i++)
        strcat(text, "A: b\r\n");
    size_t len = strlen(text);
    strcat(text, "\r\n");
    assert_int_equal(parse(&h, text), HEAD_DONE);
    assert_int_equal(h.field_count, HEAD_FIELDS_MAX);
    strcpy(text + len, "A: b\r\n\r\n");
    assert_int_equal(parse(&h, text), HEAD_BAD);
    assert_int_equal(h.bad.status, 431);
}

static void test_untouched(void **unused)
{
    (void)unused;
    struct head h;
    head_begin(&h, 100);
    assert_true(head_untouched(&h));
    assert_int_equal(head_parse(&h, "\r\n", 2), HEAD_MORE);
    assert_true(head_untouched(&h));
    assert_int_equal(head_parse(&h, "\r\nG", 3), HEAD_MORE);
    assert_false(head_untouched(&h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_nothing_of_the_next_request_is_taken),
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_expect_and_coding),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_many_fields),
        cmocka_unit_test(test_untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

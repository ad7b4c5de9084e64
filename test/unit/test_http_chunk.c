/* The chunked decoder: a table of bodies, each whole, split at every byte, and byte by byte. */
#include "http/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

enum { EXTRA_MAX = 200 };

static const struct {
    const char *text, *body;
    int status;  /* 0: good; -1: not complete */
    size_t left; /* of the input, behind the end */
} cases[] = {
    {"0\r\n\r\n", "", 0, 0},
    {"5\r\nhello\r\n0\r\n\r\n", "hello", 0, 0},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", "hello world", 0, 3},
    {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0, 0},
    {"0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", 0, 0},
    {"5;a=b;c=\"d e\"\r\nhello\r\n0;last\r\n\r\n", "hello", 0, 0},
    {"5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 7\r\n\r\n", "hello", 0, 0},
    {"5\r\nhello\r\n0\r\nX:\r\n\r\n", "hello", 0, 0},
    {"5\r\nhel", "hel", -1, 0},
    {"5\r\nhello\r\n0\r\n", "hello", -1, 0},
    {"5\r\nhello\r\n0\r\nX: y\r\n", "hello", -1, 0},
    {"\r\n", "", 400, 0},
    {"g\r\n", "", 400, 0},
    {"0x5\r\n", "", 400, 0},
    {"-5\r\n", "", 400, 0},
    {"+5\r\n", "", 400, 0},
    {" 5\r\n", "", 400, 0},
    {"5 \r\n", "", 400, 0},
    {"5\t;a\r\n", "", 400, 0},
    {"5g\r\n", "", 400, 0},
    {";a\r\n", "", 400, 0},
    {"00000000000000005\r\nhello\r\n", "", 400, 0},
    {"10000000000000005\r\nhello\r\n", "", 400, 0},
    {"5\nhello", "", 400, 0},
    {"5\r\rhello", "", 400, 0},
    {"5;a\nhello", "", 400, 0},
    {"5;a\x01\r\nhello", "", 400, 0},
    {"5;a\r\rhello", "", 400, 0},
    {"5\r\nhelloX", "hello", 400, 0},
    {"5\r\nhello\n0\r\n\r\n", "hello", 400, 0},
    {"5\r\nhello\r0\r\n\r\n", "hello", 400, 0},
    {"0\r\nX y\r\n\r\n", "", 400, 0},
    {"0\r\nX\r\n\r\n", "", 400, 0},
    {"0\r\nX : y\r\n\r\n", "", 400, 0},
    {"0\r\n: y\r\n\r\n", "", 400, 0},
    {"0\r\n folded\r\n\r\n", "", 400, 0},
    {"0\r\nX: y\n\r\n", "", 400, 0},
    {"0\r\nX: y\r\r\n", "", 400, 0},
    {"0\r\nX: \x7F\r\n\r\n", "", 400, 0},
    {"0\r\n\r\r", "", 400, 0},
    {"0\r\n\n", "", 400, 0},
};

struct result {
    enum chunk_result last;
    char body[256];
    size_t len, left;
    int status;
};

static void run(struct chunk *c, struct slice in, struct result *r)
{
    struct slice data;
    do {
        r->last = chunk_next(c, &in, &data);
        if (r->last == CHUNK_DATA) {
            assert_true(r->len + data.len < sizeof r->body);
            memcpy(r->body + r->len, data.ptr, data.len);
            r->len += data.len;
        }
    } while (r->last == CHUNK_DATA);
    r->left += in.len;
    r->status = c->status;
}

static void check(size_t n, const struct result *r)
{
    bool good = r->len == strlen(cases[n].body) && memcmp(r->body, cases[n].body, r->len) == 0;
    if (cases[n].status == 0)
        good = good && r->last == CHUNK_DONE && r->left == cases[n].left;
    else if (cases[n].status < 0)
        good = good && r->last == CHUNK_MORE;
    else
        good = r->last == CHUNK_BAD && r->status == cases[n].status;
    if (!good)
        fail_msg("case %zu (%s): result %d, status %d, body %.*s", n, cases[n].text, (int)r->last, r->status,
                 (int)r->len, r->body);
}

static void test_cases(void **unused)
{
    (void)unused;
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        size_t len = strlen(cases[n].text);
        for (size_t step = 1; step <= len; step++) { /* pieces of 1, 2, … bytes, each in memory of its own */
            struct chunk c;
            struct result r = {.len = 0};
            chunk_begin(&c, EXTRA_MAX);
            for (size_t at = 0; at < len; at += step) {
                size_t size = len - at < step ? len - at : step;
                char *piece = malloc(size);
                memcpy(piece, cases[n].text + at, size);
                run(&c, slice_make(piece, size), &r);
                free(piece);
                if (r.last == CHUNK_BAD)
                    break;
            }
            check(n, &r);
        }
    }
}

static void test_bad_stays_bad(void **unused)
{
    (void)unused;
    struct chunk c;
    struct result r = {.len = 0};
    chunk_begin(&c, EXTRA_MAX);
    run(&c, SLICE_LIT("zz"), &r);
    assert_int_equal(r.last, CHUNK_BAD);
    run(&c, SLICE_LIT("0\r\n\r\n"), &r);
    assert_int_equal(r.last, CHUNK_BAD);
}

static void test_done_takes_nothing_more(void **unused)
{
    (void)unused;
    struct chunk c;
    struct slice in = SLICE_LIT("0\r\n\r\n"), more = SLICE_LIT("5\r\n"), data;
    chunk_begin(&c, EXTRA_MAX);
    assert_int_equal(chunk_next(&c, &in, &data), CHUNK_DONE);
    assert_int_equal(chunk_next(&c, &more, &data), CHUNK_DONE);
    assert_int_equal(more.len, 3);
}

static void test_a_size_of_sixteen_digits(void **unused)
{
    (void)unused;
    struct chunk c;
    struct slice in = SLICE_LIT("ffffffffffffffff\r\nab"), data;
    chunk_begin(&c, EXTRA_MAX);
    assert_int_equal(chunk_next(&c, &in, &data), CHUNK_DATA);
    assert_int_equal(data.len, 2);
    assert_true(c.left == UINT64_MAX - 2);
}

/* What carries nothing of the body is bounded, in one piece or in many. */
static void test_extra_is_bounded(void **unused)
{
    (void)unused;
    static const char *const units[] = {"1;eeeeeeeeee\r\nx\r\n", "0\r\nX-Trailer: 0123456789\r\n"};
    for (int u = 0; u < 2; u++) {
        struct chunk c;
        struct result r = {.len = 0};
        chunk_begin(&c, EXTRA_MAX);
        run(&c, slice_of(units[u]), &r);
        for (int i = 0; i < 100 && r.last == CHUNK_MORE; i++)
            run(&c, slice_of(u == 0 ? units[0] : units[1] + 3), &r);
        assert_int_equal(r.last, CHUNK_BAD);
        assert_int_equal(r.status, 431);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_bad_stays_bad),
        cmocka_unit_test(test_done_takes_nothing_more),
        cmocka_unit_test(test_a_size_of_sixteen_digits),
        cmocka_unit_test(test_extra_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

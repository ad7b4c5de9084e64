/* Cutting JSON text into its objects, however the bytes come. */
#include "cli/jsplit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SHOWN = 4096 };

static void split_all(const char *text, size_t piece, char out[SHOWN])
{
    struct jsplit s;
    struct err e = {0};
    size_t len = strlen(text), shown = 0, used = 0;
    enum jsplit_result got = JSPLIT_MORE;
    jsplit_init(&s);
    out[0] = '\0';
    for (size_t at = 0; at < len && got != JSPLIT_FAULT; at += used) {
        size_t take = len - at < piece ? len - at : piece;
        char *copy = malloc(take);
        assert_non_null(copy);
        memcpy(copy, text + at, take);
        got = jsplit_feed(&s, copy, take, &used, &e);
        free(copy);
        if (got == JSPLIT_VALUE)
            shown += (size_t)snprintf(out + shown, SHOWN - shown, "%d<" SLICE_FMT ">", (int)s.began,
                                      SLICE_ARG(buf_slice(&s.value)));
    }
    if (got == JSPLIT_FAULT || jsplit_finish(&s, &e) != ERR_OK)
        snprintf(out + shown, SHOWN - shown, "!%.7s", e.text);
    jsplit_fini(&s);
}

static const struct {
    const char *text, *expected;
} cases[] = {
    {"", ""},
    {" \n", ""},
    {"[]", ""},
    {"{}", "1<{}>"},
    {"{}{}", "1<{}>1<{}>"},
    {"\n{\"a\":\n1}\n\n{}\n", "2<{\"a\":\n1}>5<{}>"},
    {"[{},\n {\"a\":[1,{\"b\":2}]} ]\n", "1<{}>2<{\"a\":[1,{\"b\":2}]}>"},
    {"{\"a\":\"}]\\\"}\"}", "1<{\"a\":\"}]\\\"}\"}>"},
    {"{\"a\\\\\":1}", "1<{\"a\\\\\":1}>"},
    {"{", "!line 1:"},
    {"[{}", "1<{}>!line 1:"},
    {"[{},", "1<{}>!line 1:"},
    {"[{},]", "1<{}>!line 1:"},
    {"[,{}]", "!line 1:"},
    {"[{} {}]", "1<{}>!line 1:"},
    {"[{}]{}", "1<{}>!line 1:"},
    {"[{}]\n]", "1<{}>!line 2:"},
    {"[1]", "!line 1:"},
    {"5", "!line 1:"},
    {"{}5", "1<{}>!line 1:"},
    {"{},{}", "1<{}>!line 1:"},
    {"{}]", "1<{}>!line 1:"},
    {"{\"a\":[1}]", "!line 1:"},
    {"{\"a\":{]}", "!line 1:"},
    {"{\"a\n\":1}", "!line 1:"},
    {"{\"a\":\"x}", "!line 1:"},
    {"[[{}]]", "!line 1:"},
};

static void cuts_make_no_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t piece = 1; piece <= strlen(cases[i].text) + 1; piece++) {
            char out[SHOWN];
            split_all(cases[i].text, piece, out);
            assert_string_equal(out, cases[i].expected);
        }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    for (int beyond = 0; beyond <= 1; beyond++) {
        struct jsplit s;
        struct err e;
        size_t used;
        jsplit_init(&s);
        enum jsplit_result got = jsplit_feed(&s, "{", 1, &used, &e);
        for (int i = 1; i < JSPLIT_DEPTH_MAX + beyond; i++)
            got = jsplit_feed(&s, "[", 1, &used, &e);
        assert_int_equal(got, beyond ? JSPLIT_FAULT : JSPLIT_MORE);
        for (int i = 1; !beyond && i < JSPLIT_DEPTH_MAX; i++)
            assert_int_equal(jsplit_feed(&s, "]", 1, &used, &e), JSPLIT_MORE);
        if (!beyond)
            assert_int_equal(jsplit_feed(&s, "}", 1, &used, &e), JSPLIT_VALUE);
        jsplit_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_make_no_difference),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

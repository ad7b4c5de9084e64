/* The jq processor by the test kit: which rows pass, what they become, that no digit is lost unsaid. */
#include "testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct testkit *kit;

static int start(const char *select, const char *filter, const char *big)
{
    testkit_free(&kit);
    kit = testkit_load(TEST_BUILD "/plugins/jq.so");
    assert_non_null(kit);
    testkit_set(kit, "SELECT", select);
    testkit_set(kit, "FILTER", filter);
    testkit_set(kit, "BIG_NUMBERS", big);
    return testkit_start(kit);
}

/* What a row becomes: its data, "(skipped)", or the reason why it is refused. */
static const char *made(const char *data)
{
    char set[4000];
    size_t row = testkit_row_count(kit);
    snprintf(set, sizeof(set), "{\"uuid\":\"u-%zu\",\"tags\":{\"line\":\"L1\"},\"row\":{\"index\":7,\"data\":%s}}", row,
             data);
    assert_int_equal(testkit_rows(kit, set), 1);
    assert_int_equal(testkit_process(kit, row, 1), HG_ALL_OK);
    uint32_t verdict = testkit_verdict(kit, row);
    return verdict == HG_OK ? testkit_data(kit, row) : verdict == HG_SKIP ? "(skipped)" : testkit_reason(kit, row);
}

static void test_select(void **state)
{
    static const struct {
        const char *program, *data;
        int passes;
    } samples[] = {
        {".data.a > 3", "{\"a\":4}", 1},
        {".data.a > 3", "{\"a\":3}", 0},
        {".data.a > 3", "{}", 0},
        {".data.a", "{\"a\":0}", 1}, /* jq's truth: 0 and "" are true */
        {".data.a", "{\"a\":\"\"}", 1},
        {".data.a", "{\"a\":null}", 0},
        {"empty", "{}", 0},
        {".data.a[] > 3", "{\"a\":[1,2,4]}", 1}, /* any of several */
        {".data.a[] > 3", "{\"a\":[1,2]}", 0},
        {".tags.line == \"L1\" and .index == 7 and .number == 0", "{}", 1},
        {".uuid | startswith(\"u-\")", "{}", 1},
        {".received | todate == \"2026-01-31T12:00:00Z\"", "{}", 1},
        {".id | length > 20", "{}", 1},
        {".client == \"\"", "{}", 1},
        {".data[\"\\u00e9 \\n\"] == \"\\u00e9\"", "{\"\\u00e9 \\n\":\"\xc3\xa9\"}", 1},
        {"env.PATH == null or true", "{}", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        assert_int_equal(start(samples[i].program, NULL, NULL), HG_OPEN_OK);
        assert_string_equal(made(samples[i].data), samples[i].passes ? samples[i].data : "(skipped)");
    }
    /* What passes is untouched to the byte, whatever jq makes of its numbers. */
    assert_int_equal(start("true", NULL, NULL), HG_OPEN_OK);
    assert_string_equal(made("{\"a\" : 9007199254740993, \"b\":9007199254740992 }"),
                        "{\"a\" : 9007199254740993, \"b\":9007199254740992 }");
}

static void test_filter(void **state)
{
    static const struct {
        const char *program, *data, *expected;
    } samples[] = {
        {".data", "{ \"b\" :1,\"a\":[1, {\"c\":null}],\"t\":true,\"f\":false}",
         "{\"b\":1,\"a\":[1,{\"c\":null}],\"t\":true,\"f\":false}"},
        {".data | .total = .a + .b", "{\"a\":1.5,\"b\":2}", "{\"a\":1.5,\"b\":2,\"total\":3.5}"},
        {".data | del(.a)", "{\"a\":1}", "{}"},
        {"{n: (.data.a / 3), e: 1e300, i: 3000000000, m: -0.1}", "{\"a\":1}",
         "{\"n\":0.3333333333333333,\"e\":1e+300,\"i\":3000000000,\"m\":-0.1}"},
        {".data | .u = \"\\u0001\\\"\"", "{}", "{\"u\":\"\\u0001\\\"\"}"},
        {"select(.data.a) | .data", "{}", "(skipped)"},
        {".data.a", "{\"a\":1}", "FILTER: it gives no object but number"},
        {".data, .data", "{}", "FILTER: it gives more than one result"},
        {".data | .a.b.c", "{\"a\":1}", "FILTER: Cannot index number with string \"b\""},
        {"error(\"so\\nwhat\")", "{}", "FILTER: so what"},
        {"error({a:1})", "{}", "FILTER: {\"a\":1}"},
        {".data, error(\"late\")", "{}", "FILTER: late"},
        {"halt", "{}", "FILTER: it was halted"},
        {"halt_error", "{}", "FILTER: it was halted"},
        {"{a: infinite}", "{}", "a number of the result is not finite"},
        {"{a: nan}", "{}", "a number of the result is not finite"},
        {"{a: \"\\u0000\"}", "{}", "a text of the result holds a NUL"},
        {"{(\"x\" * 300): 1}", "{}", "a name of the result has more than 256 bytes"},
        {"reduce range(300) as $i ({}; {a: .})", "{}", "the result is nested more than 200 deep"},
        {"input", "{}", "FILTER: break"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        assert_int_equal(start(NULL, samples[i].program, NULL), HG_OPEN_OK);
        assert_string_equal(made(samples[i].data), samples[i].expected);
        assert_string_equal(made(samples[i].data), samples[i].expected); /* a failure leaves nothing behind */
    }
    assert_int_equal(start(".data.a", ".data | .a += 1", NULL), HG_OPEN_OK);
    assert_string_equal(made("{\"a\":1}"), "{\"a\":2}");
    assert_string_equal(made("{\"b\":1}"), "(skipped)");
}

static void test_numbers_keep_their_digits(void **state)
{
    static const struct {
        const char *program, *data, *expected;
    } samples[] = {
        {".data", "{\"a\":9223372036854775807,\"b\":-9223372036854775808}",
         "{\"a\":9223372036854775807,\"b\":-9223372036854775808}"},
        {".data", "{\"a\":1.0,\"b\":1E2,\"c\":0.10,\"d\":-0,\"e\":3.141592653589793238462643383}",
         "{\"a\":1.0,\"b\":1E2,\"c\":0.10,\"d\":-0,\"e\":3.141592653589793238462643383}"},
        {"{x: {deep: [.data.a]}}", "{\"a\":12345678901234567890.5}", "{\"x\":{\"deep\":[12345678901234567890.5]}}"},
        {".data | del(.b)", "{\"a\":9007199254740993,\"b\":1}", "{\"a\":9007199254740993}"},
        {".data", "{\"a\":1,\"b\":1.0,\"c\":10e-1,\"d\":0.0,\"e\":0}", "{\"a\":1,\"b\":1,\"c\":1,\"d\":0.0,\"e\":0.0}"},
        {".data", "{\"a\":9007199254740993,\"b\":9007199254740992}",
         "jq cannot tell 9007199254740993 from 9007199254740992"},
        {".data", "{\"a\":0.1,\"b\":0.1000000000000000055511151231257827}",
         "jq cannot tell 0.1 from 0.1000000000000000055511151231257827"},
        {"{b: .data.c}", "{\"a\":9007199254740993,\"b\":9007199254740992,\"c\":5}", "{\"b\":5}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        assert_int_equal(start(NULL, samples[i].program, NULL), HG_OPEN_OK);
        assert_string_equal(made(samples[i].data), samples[i].expected);
    }
}

static void test_big_numbers(void **state)
{
    static const char *const exact[] = {
        "1",    "1.50",    "9007199254740992",     "1e300", "0.1", "-0.0", "123456789.125",
        "1e-7", "0.00001", "100000000000000000000"};
    static const char *const not_exact[] = {"9007199254740993", "0.1000000000000000055", "3.14159265358979323846",
                                            "123456789012345678.25", "1e-400"};
    char data[200], expected[200];
    (void)state;
    assert_int_equal(start(NULL, ".data", "reject"), HG_OPEN_OK);
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        snprintf(data, sizeof(data), "{\"a\":%s}", exact[i]);
        assert_string_equal(made(data), data);
    }
    for (size_t i = 0; i < sizeof(not_exact) / sizeof(not_exact[0]); i++) {
        snprintf(data, sizeof(data), "{\"a\":%s}", not_exact[i]);
        snprintf(expected, sizeof(expected), "jq would lose digits of %s", not_exact[i]);
        assert_string_equal(made(data), expected);
    }
    assert_int_equal(start(NULL, ".data | .t = (.a | type)", "string"), HG_OPEN_OK);
    assert_string_equal(made("{\"a\":9007199254740993}"), "{\"a\":\"9007199254740993\",\"t\":\"string\"}");
    assert_string_equal(made("{\"a\":9007199254740992}"), "{\"a\":9007199254740992,\"t\":\"number\"}");
}

static void test_programs_that_are_none(void **state)
{
    (void)state;
    assert_int_equal(start(".data.(", NULL, NULL), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(kit), "SELECT is no jq program: syntax error"));
    assert_int_equal(start(NULL, "nothing_like_it(1)", NULL), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(kit), "FILTER is no jq program: nothing_like_it/1 is not defined"));
    assert_int_equal(start(NULL, "import \"a\" as a; .", NULL), HG_OPEN_BROKEN);
    assert_int_equal(start(NULL, NULL, NULL), HG_OPEN_BROKEN);
    assert_string_equal(testkit_fault(kit), "SELECT or FILTER must be set");
    testkit_free(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_numbers_keep_their_digits),
        cmocka_unit_test(test_big_numbers),
        cmocka_unit_test(test_programs_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

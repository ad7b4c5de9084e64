/* The fields processor by the test kit: what each option makes of a row, and what it refuses. */
#include "testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct testkit *kit;

/* `settings`: "NAME value", NULL at the end. */
static int start(const char *const *settings)
{
    testkit_free(&kit);
    kit = testkit_load(TEST_BUILD "/plugins/fields.so");
    assert_non_null(kit);
    for (; *settings; settings++) {
        char name[32];
        size_t len = strcspn(*settings, " ");
        snprintf(name, sizeof(name), "%.*s", (int)len, *settings);
        testkit_set(kit, name, *settings + len + 1);
    }
    return testkit_start(kit);
}

#define START(...) assert_int_equal(start((const char *const[]){__VA_ARGS__, NULL}), HG_OPEN_OK)

static const char *made(const char *data)
{
    char set[2000];
    size_t row = testkit_row_count(kit);
    snprintf(set, sizeof(set), "{\"uuid\":\"u\",\"row\":{\"data\":%s}}", data);
    assert_int_equal(testkit_rows(kit, set), 1);
    assert_int_equal(testkit_process(kit, row, 1), HG_ALL_OK);
    return testkit_verdict(kit, row) == HG_OK ? testkit_data(kit, row) : testkit_reason(kit, row);
}

static void test_keep_and_drop(void **state)
{
    (void)state;
    START("KEEP a,c");
    assert_string_equal(made("{\"a\": 1.500, \"b\":2,\"c\" :{ \"d\": [1 ,2]}}"),
                        "{\"a\":1.500,\"c\":{ \"d\": [1 ,2]}}");
    assert_string_equal(made("{}"), "{}");
    START("DROP b");
    assert_string_equal(made("{\"b\":1,\"a\":12345678901234567.0,\"\\u0062\":3,\"c\":null}"),
                        "{\"a\":12345678901234567.0,\"c\":null}");
}

static void test_mask_and_hash(void **state)
{
    (void)state;
    START("MASK name,card", "HASH mail,n");
    assert_string_equal(made("{\"name\":\"Ann\",\"card\":{\"no\":1},\"mail\":\"abc\",\"n\":10,\"x\":1}"),
                        "{\"name\":\"***\",\"card\":\"***\",\"mail\":"
                        "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\","
                        "\"n\":\"4a44dc15364204a80fe80e9039455cc1608281820fe2b24f1e5233ade6af1dd5\",\"x\":1}");
    char first[200];
    snprintf(first, sizeof(first), "%s", made("{\"mail\":\"\\u0061bc\"}"));
    assert_string_equal(first, made("{\"mail\":\"abc\"}")); /* the same characters */
    START("HASH mail", "HASH_KEY key", "MASK a", "MASK_WITH \"x\"");
    /* RFC 4231's way to compute it: printf abc | openssl dgst -sha256 -hmac key */
    assert_string_equal(
        made("{\"a\":1,\"mail\":\"abc\"}"),
        "{\"a\":\"\\\"x\\\"\",\"mail\":\"9c196e32dc0175f86f4b1cb89289d6619de6bee699e4c378e68309ed97a1a6ab\"}");
}

static void test_cast(void **state)
{
    static const struct {
        const char *type, *from, *to;
    } samples[] = {
        {"string", "12345678901234567890.10", "\"12345678901234567890.10\""},
        {"string", "true", "\"true\""},
        {"string", "\"a\\n\"", "\"a\\n\""},
        {"string", "null", "null"},
        {"string", "[1]", "is an array or an object"},
        {"integer", "\"9223372036854775807\"", "9223372036854775807"},
        {"integer", "\"-9223372036854775808\"", "-9223372036854775808"},
        {"integer", "\"9223372036854775808\"", "is an integer beyond 64 bits"},
        {"integer", "12.000", "12"},
        {"integer", "12.5", "is no integer"},
        {"integer", "1e3", "is no integer"},
        {"integer", "\" 1\"", "is no integer"},
        {"integer", "\"\"", "is no integer"},
        {"integer", "false", "0"},
        {"number", "\"-0.10e+5\"", "-0.10e+5"},
        {"number", "\"1.\"", "is no number"},
        {"number", "\"012\"", "is no number"},
        {"number", "\"0x10\"", "is no number"},
        {"number", "\"nan\"", "is no number"},
        {"number", "true", "1"},
        {"boolean", "\"Yes\"", "true"},
        {"boolean", "0", "false"},
        {"boolean", "2", "is neither true nor false"},
        {"boolean", "true", "true"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        char cast[60], data[120], expected[120];
        snprintf(cast, sizeof(cast), "CAST f=%s", samples[i].type);
        START(cast);
        snprintf(data, sizeof(data), "{\"f\":%s,\"g\":\"\"}", samples[i].from);
        int refused = strncmp(samples[i].to, "is ", 3) == 0;
        snprintf(expected, sizeof(expected), refused ? "the field f %s" : "{\"f\":%s,\"g\":\"\"}", samples[i].to);
        assert_string_equal(made(data), expected);
    }
}

static void test_rename(void **state)
{
    (void)state;
    START("RENAME a=b,b=a", "DROP c");
    assert_string_equal(made("{\"a\":1,\"b\":2,\"c\":3}"), "{\"b\":1,\"a\":2}");
    START("RENAME a=c", "DROP c");
    assert_string_equal(made("{\"a\":1,\"c\":3}"), "{\"c\":1}");
    START("RENAME a=c", "KEEP a");
    assert_string_equal(made("{\"a\":1,\"c\":3}"), "{\"c\":1}");
    START("RENAME a=c");
    assert_string_equal(made("{\"a\":1,\"c\":3}"), "a cannot be renamed: there is a field c already");
    assert_string_equal(made("{\"c\":3}"), "{\"c\":3}");
}

static void test_contradictions(void **state)
{
    static const struct {
        const char *one, *two, *words;
    } samples[] = {
        {"MASK a", "HASH a", "the field a stands in two of DROP, MASK, HASH and CAST, or twice"},
        {"CAST a=text", "DROP b", "CAST: 'text' is not one of string, integer, number, boolean"},
        {"KEEP a", "DROP a", "the field a stands in both KEEP and DROP"},
        {"RENAME a=c,b=c", "DROP d", "RENAME: a and b would both be called c"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        assert_int_equal(start((const char *const[]){samples[i].one, samples[i].two, NULL}), HG_OPEN_BROKEN);
        assert_string_equal(testkit_fault(kit), samples[i].words);
    }
    testkit_free(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_and_drop), cmocka_unit_test(test_mask_and_hash),  cmocka_unit_test(test_cast),
        cmocka_unit_test(test_rename),        cmocka_unit_test(test_contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Walking stored rows: fields in order, one by key, texts of strings; and anything else than JSON just ends. */
#include "rows/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_slice(struct slice s, const char *text)
{
    if (!slice_is(s, text))
        fail_msg("'%.*s' is not '%s'", SLICE_ARG(s), text);
}

static void test_object(void **state)
{
    (void)state;
    static const char *const expect[][2] = {
        {"a", "1"},
        {"bee", "\"x,}\\\"y\""},
        {"c\\u0064", "[1,{\"z\":\"]\"},[]]"},
        {"e", "{ \"f\" : { } }"},
        {"g", "-12.5e+3"},
        {"h", "true"},
        {"", "null"},
        {"\xc3\xa9", "\"\xc3\xa9\""},
        {"long", "123456789012345678901234567890"},
    };
    static const char text[] =
        "{\"a\":1, \"bee\" : \"x,}\\\"y\",\"c\\u0064\":[1,{\"z\":\"]\"},[]],\n\"e\":{ \"f\" : { } },"
        "\"g\":-12.5e+3 ,\"h\":true\t,\"\":null,\"\xc3\xa9\":\"\xc3\xa9\",\"long\":"
        "123456789012345678901234567890 }";
    struct json_field field;
    size_t at = 0;
    for (size_t i = 0; i < COUNT_OF(expect); i++) {
        assert_true(json_next(slice_of(text), &at, &field));
        assert_slice(field.key, expect[i][0]);
        assert_slice(field.value, expect[i][1]);
        assert_int_equal(field.key_escaped, i == 2);
    }
    assert_false(json_next(slice_of(text), &at, &field));
    assert_false(json_next(slice_of(text), &at, &field));
}

static void test_array(void **state)
{
    (void)state;
    struct json_field field;
    struct slice array = slice_of("[1 ,\"a\",[],{\"b\":2}]");
    size_t at = 0, count = 0;
    static const char *const expect[] = {"1", "\"a\"", "[]", "{\"b\":2}"};
    for (; json_next(array, &at, &field); count++) {
        assert_int_equal(field.key.len, 0);
        assert_slice(field.value, expect[count]);
    }
    assert_int_equal(count, 4);
    for (at = 0; json_next(slice_of("[ ]"), &at, &field);)
        fail();
    for (at = 0; json_next(slice_of("{}"), &at, &field);)
        fail();
}

static void test_get(void **state)
{
    (void)state;
    struct slice value = slice_of("untouched"), object = slice_of("{\"ab\":1,\"a\":{\"c\":2},\"\\u0063\\n\":\"3\"}");
    assert_false(json_get(object, slice_of("c"), &value)); /* that one is further in */
    assert_false(json_get(object, slice_of(""), &value));
    assert_slice(value, "untouched");
    assert_true(json_get(object, slice_of("ab"), &value));
    assert_slice(value, "1");
    assert_true(json_get(object, slice_of("a"), &value));
    assert_slice(value, "{\"c\":2}");
    assert_true(json_get(object, slice_of("c\n"), &value));
    assert_slice(value, "\"3\"");
    assert_false(json_get(slice_of(""), slice_of("a"), &value));
    assert_false(json_get(slice_of("[1]"), slice_of(""), &value));
}

static void test_unescape(void **state)
{
    (void)state;
    char out[32];
    static const char text[] = "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\uD834\\uDD1E\\u0041\"";
    static const char plain[] = "a\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e"
                                "A";
    memset(out, 'x', sizeof(out));
    assert_int_equal(json_unescape(slice_of(text), out, sizeof(out)), sizeof(plain) - 1);
    assert_string_equal(out, plain);
    /* Without room for the NUL it is left out; without room for the text it is refused. */
    memset(out, 'x', sizeof(out));
    assert_int_equal(json_unescape(slice_of("\"abc\""), out, 3), 3);
    assert_memory_equal(out, "abcx", 4);
    assert_int_equal(json_unescape(slice_of("\"abc\""), out, 2), -1);
    assert_int_equal(json_unescape(slice_of("\"ab\\n\""), out, 2), -1);
    assert_int_equal(json_unescape(slice_of("\"\""), out, 0), 0);
    assert_int_equal(json_unescape(slice_of("\"\\u0000\""), out, 1), 1);
    assert_int_equal(out[0], 0);
}

static void test_unescape_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",       "\"",      "1",           "null",   "\"a",      "\"a\"b",
                                      "\"a\" ", "\"\\x\"", "\"\\uD834\"", "\"\n\"", "\"\x80\"", "\"\\\""};
    char out[32];
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(json_unescape(slice_of(bad[i]), out, sizeof(out)), -1);
}

static void walk(const char *text, size_t len, unsigned depth)
{
    struct json_field field;
    struct slice value;
    size_t at = 0, steps = 0;
    char out[64];
    char *copy = malloc(len + 1); /* of exactly its size, for the address sanitizer to watch */
    assert_non_null(copy);
    memcpy(copy, text, len);
    struct slice all = slice_make(copy, len);
    for (; json_next(all, &at, &field) && steps <= len; steps++) {
        json_unescape(field.value, out, sizeof(out));
        if (depth < 3 && field.value.len < len)
            walk(field.value.ptr, field.value.len, depth + 1);
    }
    assert_true(steps <= len);
    json_get(all, slice_of("c\n"), &value);
    json_get(all, slice_of("nowhere"), &value);
    free(copy);
}

/* Cut and damaged texts: no read beyond the end, no endless walk. */
static void test_damaged(void **state)
{
    (void)state;
    static const char text[] =
        "{\"ab\":[1,\"x\"],\"\\u0063\\n\":{\"k\":\"\\uD834\\uDD1E\"},\"e\":12.5,\"f\":\"long enough to be looked at\"}";
    static const char odd[] = "\\\"{}[],:u1 \xc3\n";
    for (size_t len = 0; len < sizeof(text); len++)
        walk(text, len, 0);
    for (size_t at = 0; at + 1 < sizeof(text); at++) {
        for (const char *c = odd; *c != '\0'; c++) {
            char damaged[sizeof(text)];
            memcpy(damaged, text, sizeof(text));
            damaged[at] = *c;
            walk(damaged, sizeof(text) - 1, 0);
        }
    }
    static const char *const broken[] = {"{\"a\\",   "{\"\\u00",    "{\"\\uD834\\uD\":1}",
                                         "{\"\\",    "{\"a\":\"\\", "[\"\\\"",
                                         "{\"a\"1}", "{1:2}",       "[,]",
                                         "[[",       "x",           "{\"a\":}"};
    for (size_t i = 0; i < COUNT_OF(broken); i++)
        walk(broken[i], strlen(broken[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_object),
        cmocka_unit_test(test_array),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_unescape_refuses),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Texts that the base makes: ids that sort as what they stand for and read back, numbers, formatted pieces at every
 * distance from the end of a buffer, JSON strings. */
#include "base/buf.h"
#include "base/id.h"
#include "base/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

void sys_hook(void)
{
}

static struct epoch epoch_of(unsigned seed)
{
    struct epoch e;
    for (size_t i = 0; i < sizeof e.bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        e.bytes[i] = (uint8_t)(seed >> 24);
    }
    return e;
}

/* The slow way: one bit after the other, from the front, with two zeros before the first. */
static void expected_text(const struct epoch *e, char out[27])
{
    for (int digit = 0; digit < 26; digit++) {
        int value = 0;
        for (int bit = digit * 5 - 2; bit < digit * 5 + 3; bit++)
            value = value * 2 + (bit < 0 ? 0 : e->bytes[bit / 8] >> (7 - bit % 8) & 1);
        out[digit] = "0123456789abcdefghijklmnopqrstuv"[value];
    }
    out[26] = '\0';
}

static void test_ids(void **state)
{
    (void)state;
    char text[BATCH_ID_LEN + 1], expected[27], before[BATCH_ID_LEN + 1] = "";
    for (unsigned n = 0; n < 1000; n++) {
        struct epoch e = epoch_of(n), back;
        uint64_t position = (uint64_t)n << (n % 53), read;
        if (n < 3)
            memset(e.bytes, n == 0 ? 0 : n == 1 ? 255 : 128, sizeof e.bytes);
        batch_id_text(&e, position, text);
        expected_text(&e, expected);
        assert_memory_equal(text, expected, 26);
        assert_int_equal(strlen(text), BATCH_ID_LEN);
        assert_int_equal(batch_id_parse(slice_of(text), &back, &read), ERR_OK);
        assert_memory_equal(&back, &e, sizeof e);
        assert_true(read == position);
    }
    for (uint64_t position = 0; position < UINT64_MAX / 3; position = position * 2 + 1, strcpy(before, text)) {
        struct epoch e = epoch_of(7);
        batch_id_text(&e, position, text);
        assert_true(strcmp(before, text) < 0);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 9, 10, 99, 100, 4294967295, 4294967296, UINT64_MAX};
    struct buf b;
    buf_init(&b, 100);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)numbers[i]);
        buf_clear(&b);
        assert_int_equal(buf_addn(&b, numbers[i]), ERR_OK);
        assert_string_equal(buf_str(&b), text);
    }
    b.max = 2;
    buf_clear(&b);
    assert_int_equal(buf_addn(&b, 100), ERR_LIMIT);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void test_pieces_at_the_end_of_a_buffer(void **state)
{
    (void)state;
    for (size_t filled = 0; filled < 520; filled++) {
        struct buf b;
        char expected[1024];
        buf_init(&b, 1000);
        memset(expected, 'x', filled);
        snprintf(expected + filled, sizeof expected - filled, "<%s %d>", "piece", 12345);
        for (size_t i = 0; i < filled; i++)
            assert_int_equal(buf_addc(&b, 'x'), ERR_OK);
        assert_int_equal(buf_addf(&b, "<%s %d>", "piece", 12345), ERR_OK);
        assert_string_equal(buf_str(&b), expected);
        b.max = b.len + 4;
        assert_int_equal(buf_addf(&b, "%05d", 7), ERR_LIMIT);
        assert_string_equal(buf_str(&b), expected);
        assert_int_equal(buf_addf(&b, "%04d", 7), ERR_OK);
        assert_int_equal(b.len, b.max);
        buf_free(&b);
    }
}

static void test_json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\r\t\x01\x7f", "\"\\n\\r\\t\\u0001\\u007f\""},
        {"gr\xC3\xBC\xC3\x9F", "\"gr\xC3\xBC\xC3\x9F\""},
        {"x\xC3", "\"x\xEF\xBF\xBD\""},
        {"\xED\xA0\x80z", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        buf_init(&b, 100);
        assert_int_equal(buf_add_json(&b, slice_of(cases[i].text)), ERR_OK);
        assert_string_equal(buf_str(&b), cases[i].json);
        size_t len = b.len;
        b.max = len + strlen(cases[i].json) - 1; /* one too few: nothing is added */
        assert_int_equal(buf_add_json(&b, slice_of(cases[i].text)), ERR_LIMIT);
        assert_int_equal(b.len, len);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_pieces_at_the_end_of_a_buffer),
        cmocka_unit_test(test_json_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

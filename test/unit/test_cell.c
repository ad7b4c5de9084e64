/* CSV cells as JSON values. */
#include "common/csvcell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *cell;
    enum csvcell_type type;
    char decimal;
    const char *expected; /* NULL: refused */
} cells[] = {
    {"", CSVCELL_AUTO, '.', "null"},
    {"", CSVCELL_TEXT, '.', "null"},
    {" ", CSVCELL_NUMBER, '.', "null"},
    {"0", CSVCELL_AUTO, '.', "0"},
    {"-0.50", CSVCELL_AUTO, '.', "-0.50"},
    {"1e400", CSVCELL_AUTO, '.', "\"1e400\""},
    {"1E+2", CSVCELL_AUTO, '.', "1E+2"},
    {"007", CSVCELL_AUTO, '.', "\"007\""},
    {"+5", CSVCELL_AUTO, '.', "\"+5\""},
    {".5", CSVCELL_AUTO, '.', "\".5\""},
    {"5.", CSVCELL_AUTO, '.', "\"5.\""},
    {"1e", CSVCELL_AUTO, '.', "\"1e\""},
    {"-", CSVCELL_AUTO, '.', "\"-\""},
    {" 5", CSVCELL_AUTO, '.', "\" 5\""},
    {"0x10", CSVCELL_AUTO, '.', "\"0x10\""},
    {"nan", CSVCELL_AUTO, '.', "\"nan\""},
    {"true", CSVCELL_AUTO, '.', "\"true\""},
    {"9223372036854775807", CSVCELL_AUTO, '.', "9223372036854775807"},
    {"9223372036854775808", CSVCELL_AUTO, '.', "\"9223372036854775808\""},
    {"-9223372036854775809", CSVCELL_AUTO, '.', "\"-9223372036854775809\""},
    {"9223372036854775808.0", CSVCELL_AUTO, '.', "9223372036854775808.0"},
    {"1,5", CSVCELL_AUTO, ',', "1.5"},
    {"1.5", CSVCELL_AUTO, ',', "\"1.5\""},
    {"1,2,3", CSVCELL_AUTO, ',', "\"1,2,3\""},
    {"12", CSVCELL_TEXT, '.', "\"12\""},
    {"a\"\\\n\x01", CSVCELL_TEXT, '.', "\"a\\\"\\\\\\n\\u0001\""},
    {"\xC3\xA4\xF0\x9F\x98\x80", CSVCELL_TEXT, '.', "\"\xC3\xA4\xF0\x9F\x98\x80\""},
    {"\xE9", CSVCELL_TEXT, '.', NULL},
    {"\xE9", CSVCELL_AUTO, '.', NULL},
    {" 12 ", CSVCELL_INTEGER, '.', "12"},
    {"1.0", CSVCELL_INTEGER, '.', NULL},
    {"9223372036854775808", CSVCELL_INTEGER, '.', NULL},
    {" 1,25\t", CSVCELL_NUMBER, ',', "1.25"},
    {"x", CSVCELL_NUMBER, '.', NULL},
    {"1e999", CSVCELL_NUMBER, '.', NULL},
    {"TRUE", CSVCELL_BOOLEAN, '.', "true"},
    {"no", CSVCELL_BOOLEAN, '.', "false"},
    {"1", CSVCELL_BOOLEAN, '.', "true"},
    {"y", CSVCELL_BOOLEAN, '.', NULL},
};

static struct hg_text text_of(const char *text)
{
    return (struct hg_text){text, strlen(text)};
}

static void cells_become_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        struct strbuf out;
        char why[CSVCELL_WHY_MAX] = "";
        strbuf_init(&out, 4096);
        int code = csvcell_write(&out, text_of(cells[i].cell), cells[i].type, cells[i].decimal, why);
        if (cells[i].expected == NULL) {
            assert_int_equal(code, -1);
            assert_true(why[0] != '\0');
        } else {
            assert_int_equal(code, 0);
            assert_string_equal(strbuf_str(&out), cells[i].expected);
        }
        strbuf_fini(&out);
    }
}

static void a_very_long_number_is_text(void **state)
{
    (void)state;
    char digits[1000];
    struct strbuf out;
    memset(digits, '1', sizeof digits);
    digits[1] = '.';
    strbuf_init(&out, 4096);
    assert_int_equal(csvcell_write(&out, (struct hg_text){digits, sizeof digits}, CSVCELL_AUTO, '.', NULL), 0);
    assert_int_equal(out.ptr[0], '"');
    strbuf_fini(&out);
}

static void indexes(void **state)
{
    (void)state;
    int64_t index = 1;
    char why[CSVCELL_WHY_MAX];
    assert_int_equal(csvcell_index(text_of(""), &index, why), 0);
    assert_true(index == -1);
    assert_int_equal(csvcell_index(text_of(" 95 "), &index, why), 0);
    assert_int_equal(index, 95);
    assert_int_equal(csvcell_index(text_of("9007199254740991"), &index, why), 0);
    assert_true(index == (INT64_C(1) << 53) - 1);
    assert_int_equal(csvcell_index(text_of("9007199254740992"), &index, why), -1);
    assert_int_equal(csvcell_index(text_of("99999999999999999999999"), &index, why), -1);
    assert_int_equal(csvcell_index(text_of("-1"), &index, why), -1);
    assert_int_equal(csvcell_index(text_of("A1"), &index, why), -1);
}

static void utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t good;
    } texts[] = {
        {"abc", 3},
        {"\xC3\xA4", 2},
        {"a\xC3", 1},
        {"\xC0\x80", 0},
        {"\xED\xA0\x80", 0}, /* a surrogate */
        {"\xED\x9F\xBF", 3},
        {"\xE0\x9F\xBF", 0}, /* longer than needed */
        {"\xF0\x8F\xBF\xBF", 0},
        {"\xF4\x8F\xBF\xBF", 4},
        {"\xF4\x90\x80\x80", 0}, /* beyond U+10FFFF */
        {"ab\xFF", 2},
        {"\x80", 0},
        {"\xE2\x82", 0},
        {"\xE2\x82"
         "a",
         0},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(csvcell_utf8(text_of(texts[i].text)), texts[i].good);
}

static void types(void **state)
{
    (void)state;
    enum csvcell_type type;
    assert_int_equal(csvcell_type_parse(text_of("boolean"), &type), 0);
    assert_int_equal(type, CSVCELL_BOOLEAN);
    assert_int_equal(csvcell_type_parse(text_of("auto"), &type), 0);
    assert_int_equal(type, CSVCELL_AUTO);
    assert_int_equal(csvcell_type_parse(text_of("bool"), &type), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_become_values),
        cmocka_unit_test(a_very_long_number_is_text),
        cmocka_unit_test(indexes),
        cmocka_unit_test(utf8),
        cmocka_unit_test(types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

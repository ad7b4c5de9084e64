/* CSV cells as JSON values. */
#include "cli/cell.h"

#include "rows/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *cell;
    enum cell_type type;
    char decimal;
    const char *expected; /* NULL: refused */
} cells[] = {
    {"", CELL_AUTO, '.', "null"},
    {"", CELL_TEXT, '.', "null"},
    {" ", CELL_NUMBER, '.', "null"},
    {"0", CELL_AUTO, '.', "0"},
    {"-0.50", CELL_AUTO, '.', "-0.50"},
    {"1e400", CELL_AUTO, '.', "\"1e400\""},
    {"1E+2", CELL_AUTO, '.', "1E+2"},
    {"007", CELL_AUTO, '.', "\"007\""},
    {"+5", CELL_AUTO, '.', "\"+5\""},
    {".5", CELL_AUTO, '.', "\".5\""},
    {"5.", CELL_AUTO, '.', "\"5.\""},
    {"1e", CELL_AUTO, '.', "\"1e\""},
    {"-", CELL_AUTO, '.', "\"-\""},
    {" 5", CELL_AUTO, '.', "\" 5\""},
    {"0x10", CELL_AUTO, '.', "\"0x10\""},
    {"nan", CELL_AUTO, '.', "\"nan\""},
    {"true", CELL_AUTO, '.', "\"true\""},
    {"9223372036854775807", CELL_AUTO, '.', "9223372036854775807"},
    {"9223372036854775808", CELL_AUTO, '.', "\"9223372036854775808\""},
    {"-9223372036854775809", CELL_AUTO, '.', "\"-9223372036854775809\""},
    {"9223372036854775808.0", CELL_AUTO, '.', "9223372036854775808.0"},
    {"1,5", CELL_AUTO, ',', "1.5"},
    {"1.5", CELL_AUTO, ',', "\"1.5\""},
    {"1,2,3", CELL_AUTO, ',', "\"1,2,3\""},
    {"12", CELL_TEXT, '.', "\"12\""},
    {"a\"\\\n\x01", CELL_TEXT, '.', "\"a\\\"\\\\\\n\\u0001\""},
    {"\xC3\xA4\xF0\x9F\x98\x80", CELL_TEXT, '.', "\"\xC3\xA4\xF0\x9F\x98\x80\""},
    {"\xE9", CELL_TEXT, '.', NULL},
    {"\xE9", CELL_AUTO, '.', NULL},
    {" 12 ", CELL_INTEGER, '.', "12"},
    {"1.0", CELL_INTEGER, '.', NULL},
    {"9223372036854775808", CELL_INTEGER, '.', NULL},
    {" 1,25\t", CELL_NUMBER, ',', "1.25"},
    {"x", CELL_NUMBER, '.', NULL},
    {"1e999", CELL_NUMBER, '.', NULL},
    {"TRUE", CELL_BOOLEAN, '.', "true"},
    {"no", CELL_BOOLEAN, '.', "false"},
    {"1", CELL_BOOLEAN, '.', "true"},
    {"y", CELL_BOOLEAN, '.', NULL},
};

static void cells_become_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cells); i++) {
        struct buf out;
        struct err e = {0};
        buf_init(&out, 4096);
        int code = cell_write(&out, slice_of(cells[i].cell), cells[i].type, cells[i].decimal, &e);
        if (cells[i].expected == NULL) {
            assert_int_equal(code, ERR_SYNTAX);
            assert_true(e.text[0] != '\0');
        } else {
            assert_int_equal(code, ERR_OK);
            assert_string_equal(buf_str(&out), cells[i].expected);
        }
        buf_free(&out);
    }
}

static void a_very_long_number_is_text(void **state)
{
    (void)state;
    char digits[1000];
    struct buf out;
    memset(digits, '1', sizeof digits);
    digits[1] = '.';
    buf_init(&out, 4096);
    assert_int_equal(cell_write(&out, slice_make(digits, sizeof digits), CELL_AUTO, '.', NULL), ERR_OK);
    assert_int_equal(out.ptr[0], '"');
    buf_free(&out);
}

static void indexes(void **state)
{
    (void)state;
    uint64_t index = 1;
    assert_int_equal(cell_index(SLICE_LIT(""), &index, NULL), ERR_OK);
    assert_true(index == INDEX_NONE);
    assert_int_equal(cell_index(SLICE_LIT(" 95 "), &index, NULL), ERR_OK);
    assert_int_equal(index, 95);
    assert_int_equal(cell_index(SLICE_LIT("9007199254740991"), &index, NULL), ERR_OK);
    assert_true(index == INDEX_MAX);
    assert_int_equal(cell_index(SLICE_LIT("9007199254740992"), &index, NULL), ERR_SYNTAX);
    assert_int_equal(cell_index(SLICE_LIT("99999999999999999999999"), &index, NULL), ERR_SYNTAX);
    assert_int_equal(cell_index(SLICE_LIT("-1"), &index, NULL), ERR_SYNTAX);
    assert_int_equal(cell_index(SLICE_LIT("A1"), &index, NULL), ERR_SYNTAX);
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
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_int_equal(cell_utf8(slice_of(texts[i].text)), texts[i].good);
}

static void types(void **state)
{
    (void)state;
    enum cell_type type;
    assert_int_equal(cell_type_parse(SLICE_LIT("boolean"), &type), ERR_OK);
    assert_int_equal(type, CELL_BOOLEAN);
    assert_int_equal(cell_type_parse(SLICE_LIT("auto"), &type), ERR_OK);
    assert_int_equal(type, CELL_AUTO);
    assert_int_equal(cell_type_parse(SLICE_LIT("bool"), &type), ERR_UNKNOWN);
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

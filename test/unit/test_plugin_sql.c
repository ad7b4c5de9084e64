/* What the pushers to databases share: names of columns, what a number's text holds, which column takes which value,
 * times, reasons. */
#include "common/reason.h"
#include "common/sqlkind.h"
#include "common/sqlname.h"
#include "common/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct hg_text text_of(const char *text)
{
    return (struct hg_text){text, strlen(text)};
}

static void test_names(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a", "a"},
        {"tempMax", "temp_max"},
        {"usDVDSales", "us_dvd_sales"},
        {"runningTimeMin", "running_time_min"},
        {"httpURL", "http_url"},
        {"aB2C", "a_b2_c"},
        {"x1y2", "x1y2"},
        {"well12Value", "well12_value"},
        {"ABc", "a_bc"},
        {"already_snake", "already_snake"},
        {"With Space", "with space"},
        {"größeÄ", "größeÄ"},
        {"_id", "_id"},
    };
    char name[SQLNAME_MAX + 1];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sqlname_of(cases[i][0], strlen(cases[i][0]), name), 0);
        assert_string_equal(name, cases[i][1]);
    }
}

static void test_names_too_long(void **state)
{
    (void)state;
    char key[80], name[SQLNAME_MAX + 1];
    memset(key, 'a', sizeof(key));
    assert_int_equal(sqlname_of(key, 63, name), 0);
    assert_int_equal(strlen(name), 63);
    assert_int_equal(sqlname_of(key, 64, name), -1);
    assert_int_equal(strlen(name), 63);
    assert_int_equal(sqlname_of(key, 0, name), -1);
    key[30] = 'B'; /* one more for the line below */
    assert_int_equal(sqlname_of(key, 62, name), 0);
    assert_int_equal(sqlname_of(key, 63, name), -1);
    for (size_t i = 1; i < 64; i += 2)
        key[i] = 'B';
    assert_int_equal(sqlname_of(key, 42, name), 0); /* 21 + 21 + 21 */
    assert_int_equal(sqlname_of(key, 43, name), -1);
}

static void test_quoting(void **state)
{
    (void)state;
    struct strbuf out;
    strbuf_init(&out, 1000);
    sqlname_quote(&out, "a\"b`c'd", '"');
    sqlname_quote(&out, "a\"b`c'd", '`');
    sqlname_literal(&out, "it's \\", 0);
    sqlname_literal(&out, "it's \\", 1);
    assert_string_equal(strbuf_str(&out), "\"a\"\"b`c'd\"`a\"b``c'd`'it''s \\''it''s \\\\'");
    strbuf_fini(&out);
}

struct number_case {
    const char *text;
    int integer;
    long long value;
    int lossy, before, after;
};

static void test_numbers(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", 1, 0, 0, 1, 0},
        {"-0", 1, 0, 0, 1, 0},
        {"0.000", 1, 0, 0, 1, 0},
        {"7", 1, 7, 0, 1, 0},
        {"-120", 1, -120, 0, 3, 0},
        {"3.0", 1, 3, 0, 1, 0},
        {"3e2", 1, 300, 0, 3, 0},
        {"1.5e1", 1, 15, 0, 2, 0},
        {"1.5", 0, 0, 0, 1, 1},
        {"-12.3400", 0, 0, 0, 2, 2},
        {"0.05", 0, 0, 0, 1, 2},
        {"1e-7", 0, 0, 0, 1, 7},
        {"9007199254740992", 1, 9007199254740992, 0, 16, 0},
        {"9007199254740993", 1, 9007199254740993, 1, 16, 0},
        {"9223372036854775807", 1, 9223372036854775807, 1, 19, 0},
        {"-9223372036854775808", 1, INT64_MIN, 1, 19, 0}, /* exact, but its shortest text is 9.223372036854776e18 */
        {"9223372036854775808", 0, 0, 1, 19, 0},
        {"1e18", 1, 1000000000000000000, 0, 19, 0},
        {"1e19", 0, 0, 0, 20, 0},
        {"0.1", 0, 0, 0, 1, 1},
        {"0.30000000000000004", 0, 0, 0, 1, 17},
        {"0.10000000000000001", 0, 0, 1, 1, 17},
        {"0.1000000000000000055511151231257827", 0, 0, 1, 1, 34},
        {"123456789012345.6", 0, 0, 0, 15, 1},
        {"12345678901234567.8", 0, 0, 1, 17, 1},
        {"1e308", 0, 0, 0, 309, 0},
        {"1.7976931348623157e308", 0, 0, 0, 309, 0},
        {"1.7976931348623158e308", 0, 0, 1, 309, 0},
        {"5e-324", 0, 0, 0, 1, 324},
        {"6e-324", 0, 0, 1, 1, 324},
        {"1e-400", 0, 0, 1, 1, 400},
        {"2.2250738585072014e-308", 0, 0, 0, 1, 324},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct number_case *c = &cases[i];
        struct sql_number n;
        sql_number_read(text_of(c->text), &n);
        if (n.integer != c->integer || n.value != c->value || n.lossy != c->lossy || n.before != c->before ||
            n.after != c->after)
            fail_msg("%s: integer %d %lld, lossy %d, %d.%d", c->text, n.integer, (long long)n.value, n.lossy, n.before,
                     n.after);
    }
}

/* Numbers that came from doubles never lose a digit; one more digit of them often does. */
static void test_doubles_survive(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int i = 0; i < 100000; i++) {
        double value;
        char text[40];
        struct sql_number n;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &seed, sizeof(value));
        if (value != value || value - value != 0) /* no number, or endless */
            continue;
        for (int precision = 1; precision <= 17; precision++) {
            snprintf(text, sizeof(text), "%.*g", precision, value);
            if (strtod(text, NULL) == value)
                break;
        }
        for (char *plus = strchr(text, '+'); plus; plus = NULL)
            memmove(plus, plus + 1, strlen(plus));
        sql_number_read(text_of(text), &n);
        if (n.lossy)
            fail_msg("%s is said to lose digits", text);
    }
}

static enum sql_kind kind_for(enum sql_kind column, const char *json)
{
    static const struct sql_digits numeric = {35, 30};
    uint32_t type = json[0] == '"'   ? HG_STR
                    : json[0] == '{' ? HG_OBJECT
                    : json[0] == '[' ? HG_ARRAY
                    : json[0] == 'n' ? HG_NULL
                    : json[0] == 't' ? HG_TRUE
                    : json[0] == 'f' ? HG_FALSE
                                     : HG_NUM;
    const struct hg_value value = {.type = type, .json = text_of(json)};
    return sql_kind_for(column, &value, numeric);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        enum sql_kind column;
        const char *json;
        enum sql_kind expected;
    } cases[] = {
        {SQL_NONE, "null", SQL_NONE},
        {SQL_NONE, "1", SQL_DOUBLE},
        {SQL_NONE, "1.5", SQL_DOUBLE},
        {SQL_NONE, "9007199254740993", SQL_NUMERIC},
        {SQL_NONE, "true", SQL_BOOL},
        {SQL_NONE, "\"x\"", SQL_TEXT},
        {SQL_NONE, "[1]", SQL_JSON},
        {SQL_NONE, "{}", SQL_JSON},
        {SQL_DOUBLE, "null", SQL_DOUBLE},
        {SQL_DOUBLE, "2", SQL_DOUBLE},
        {SQL_DOUBLE, "0.1234567890123456789", SQL_NUMERIC},
        {SQL_DOUBLE, "0.12345678901234567890123456789012345", SQL_TEXT}, /* more than numeric holds */
        {SQL_DOUBLE, "\"2\"", SQL_TEXT},
        {SQL_DOUBLE, "true", SQL_TEXT},
        {SQL_DOUBLE, "[]", SQL_TEXT},
        {SQL_SMALL, "32767", SQL_SMALL},
        {SQL_SMALL, "-32769", SQL_BIG},
        {SQL_INT, "2147483647", SQL_INT},
        {SQL_INT, "2147483648", SQL_BIG},
        {SQL_INT, "1.5", SQL_NUMERIC},
        {SQL_INT, "2.0", SQL_INT},
        {SQL_BIG, "9223372036854775807", SQL_BIG},
        {SQL_BIG, "1e19", SQL_NUMERIC},
        {SQL_BIG, "\"1\"", SQL_TEXT},
        {SQL_NUMERIC, "1", SQL_NUMERIC},
        {SQL_NUMERIC, "1e300", SQL_TEXT},
        {SQL_NUMERIC, "false", SQL_TEXT},
        {SQL_BOOL, "false", SQL_BOOL},
        {SQL_BOOL, "0", SQL_TEXT},
        {SQL_TIME, "\"2026-01-31\"", SQL_TIME},
        {SQL_TIME, "1769860800", SQL_NONE},
        {SQL_TIME, "null", SQL_TIME},
        {SQL_TEXT, "{}", SQL_TEXT},
        {SQL_JSON, "\"x\"", SQL_JSON},
        {SQL_OTHER, "1", SQL_OTHER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (kind_for(cases[i].column, cases[i].json) != cases[i].expected)
            fail_msg("%s into kind %d: %d", cases[i].json, (int)cases[i].column,
                     (int)kind_for(cases[i].column, cases[i].json));
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *utc; /* NULL: none */
    } cases[] = {
        {"2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"},
        {"2026-01-31t12:00:00.5z", "2026-01-31T12:00:00.500000Z"},
        {"2026-01-31 12:00:00.1234567Z", "2026-01-31T12:00:00.123456Z"},
        {"2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00.000000Z"},
        {"2026-12-31T23:30:00-00:45", "2027-01-01T00:15:00.000000Z"},
        {"2024-02-29", "2024-02-29T00:00:00.000000Z"},
        {"0001-03-01T00:00:00Z", "0001-03-01T00:00:00.000000Z"},
        {"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
        {"2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000Z"},
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
        {"2023-02-29", NULL},
        {"2026-13-01", NULL},
        {"2026-01-31T12:00:00", NULL},
        {"2026-01-31T12:00Z", NULL},
        {"2026-01-31T24:00:00Z", NULL},
        {"2026-01-31T12:00:00.Z", NULL},
        {"2026-01-31T12:00:00Z ", NULL},
        {"Jun 12 1998", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = 0;
        char utc[STAMP_LEN + 1];
        int failed = stamp_read(cases[i].text, strlen(cases[i].text), &us);
        stamp_text(us, utc);
        if (failed != (cases[i].utc ? 0 : -1) || (cases[i].utc && strcmp(utc, cases[i].utc) != 0))
            fail_msg("\"%s\": %s", cases[i].text, failed ? "no time" : utc);
    }
}

static void test_reasons(void **state)
{
    (void)state;
    char out[16];
    assert_int_equal(reason_line(out, sizeof(out), " a\nb\t\r c\n"), 5);
    assert_string_equal(out, "a b c");
    assert_int_equal(reason_line(out, sizeof(out), NULL), 0);
    assert_string_equal(out, "");
    for (size_t size = 2; size < sizeof(out); size++) {
        size_t len = reason_line(out, size, "a\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac");
        assert_true(len < size && (len == 0 || len % 3 == 1)); /* whole characters only */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_names_too_long),  cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_doubles_survive), cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_times),   cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Column names turned camelCase. */
#include "common/camel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name, *expected;
} names[] = {
    {"temp_max", "tempMax"},
    {"Sample ID", "sampleId"},
    {"usDVDSales", "usDVDSales"},
    {"a", "a"},
    {"A", "a"},
    {"ID", "id"},
    {"US_DVD_Sales", "usDvdSales"},
    {"SampleID", "sampleId"},
    {"HTTPStatus", "httpStatus"},
    {"HTTP status 2xx", "httpStatus2xx"},
    {"Flipper Length (mm)", "flipperLengthMm"},
    {"  padded  ", "padded"},
    {"__x__y__", "xY"},
    {"2nd value", "n2ndValue"},
    {"10", "n10"},
    {"Gr\xC3\xB6\xC3\x9F"
     "e",
     "grosse"},
    {"\xC3\x84pfel", "apfel"},
    {"temp_\xC3\xA9t\xC3\xA9", "tempEte"},
    {"Vol (\xC2\xB5L)", "volUL"},
    {"Vol [\xCE\xBCl]", "volUl"},
    {"Temp (\xC2\xB0"
     "C)",
     "tempC"},
    {"Cohen's d", "cohensD"},
    {"a.b/c-d", "aBCD"},
    {"snake_case_v2", "snakeCaseV2"},
    {"OD600", "od600"},
    {"A1 Raw", "a1Raw"},
    {"a\xC3\x97"
     "b",
     "aB"},
};

static struct hg_text text_of(const char *text)
{
    return (struct hg_text){text, strlen(text)};
}

static void names_become_camel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct strbuf out;
        strbuf_init(&out, 4096);
        assert_null(camel_name(text_of(names[i].name), &out));
        assert_string_equal(strbuf_str(&out), names[i].expected);
        strbuf_fini(&out);
    }
}

/* What came out goes in again and stays: a second run of the same file has the same keys. */
static void camel_stays_camel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct strbuf out;
        strbuf_init(&out, 4096);
        assert_null(camel_name(text_of(names[i].expected), &out));
        assert_string_equal(strbuf_str(&out), names[i].expected);
        strbuf_fini(&out);
    }
}

static void nothing_is_left(void **state)
{
    (void)state;
    static const char *const bad[] = {"", " ", "%", "\xD0\x98\xD0\xBC\xD1\x8F", "\xFF\xFE", "\xC3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct strbuf out;
        strbuf_init(&out, 4096);
        assert_non_null(camel_name(text_of(bad[i]), &out));
        strbuf_fini(&out);
    }
}

static void length_is_bounded(void **state)
{
    (void)state;
    char name[5000];
    struct strbuf out;
    strbuf_init(&out, 4096);
    memset(name, 'a', sizeof name);
    assert_null(camel_name((struct hg_text){name, 256}, &out));
    assert_non_null(strstr(camel_name((struct hg_text){name, 257}, &out), "longer than 256 bytes"));
    name[0] = ' ';
    assert_null(camel_name((struct hg_text){name, 257}, &out));
    assert_non_null(strstr(camel_name((struct hg_text){name, 258}, &out), "longer than 256 bytes"));
    assert_non_null(strstr(camel_name((struct hg_text){name, sizeof name}, &out), "longer than 256 bytes"));
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_camel),
        cmocka_unit_test(camel_stays_camel),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(length_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* plugins/common: the parts that several pushers share. What they do to whole rows is in the pushers' own tests. */
#include "common/http_status.h"
#include "common/percent.h"
#include "common/retry_after.h"
#include "common/stamp.h"
#include "common/strbuf.h"
#include "common/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void test_strbuf(void **state)
{
    (void)state;
    struct strbuf b;
    strbuf_init(&b, 10);
    assert_string_equal(strbuf_str(&b), "");
    strbuf_adds(&b, "12345");
    strbuf_addf(&b, "%d", 67);
    strbuf_addc(&b, '8');
    assert_string_equal(strbuf_str(&b), "12345678");
    assert_false(b.failed);
    strbuf_adds(&b, "9abc"); /* beyond the maximum: left out as a whole, and what follows too */
    strbuf_addc(&b, 'x');
    assert_true(b.failed);
    assert_string_equal(strbuf_str(&b), "12345678");
    strbuf_cut(&b, 3);
    strbuf_adds(&b, "4567890");
    assert_string_equal(strbuf_str(&b), "1234567890");
    assert_false(b.failed);
    strbuf_fini(&b);
    strbuf_addc(&b, 'a');
    assert_string_equal(strbuf_str(&b), "a");
    strbuf_fini(&b);
}

static void test_percent(void **state)
{
    (void)state;
    struct strbuf b;
    strbuf_init(&b, 4096);
    percent_add(&b, "", 0);
    assert_string_equal(strbuf_str(&b), "_");
    strbuf_clear(&b);
    percent_add(&b, "aZ09_-./ %\xff\0", 12);
    assert_string_equal(strbuf_str(&b), "aZ09_-%2E%2F%20%25%FF%00");
    strbuf_fini(&b);
}

/* Against the C library, over four thousand years. */
static void test_stamp(void **state)
{
    (void)state;
    char got[STAMP_LEN + 1], expected[64];
    for (int64_t s = -62135596800; s < 253402300800; s += 86399 * 37) {
        struct tm tm;
        time_t t = (time_t)s;
        int64_t micros = (s % 1000000 + 1000000) % 1000000;
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", gmtime_r(&t, &tm));
        size_t year = strcspn(expected, "-");
        stamp_text(s * 1000000 + micros, got);
        assert_int_equal(strlen(got), STAMP_LEN);
        assert_memory_equal(got + 4, expected + year, strlen(expected + year));
        assert_int_equal(strtol(got, NULL, 10), tm.tm_year + 1900);
        assert_int_equal(strtol(got + 20, NULL, 10), micros);
    }
    stamp_text(951782400000001, got);
    assert_string_equal(got, "2000-02-29T00:00:00.000001Z");
    stamp_text(-1, got);
    assert_string_equal(got, "1969-12-31T23:59:59.999999Z");
}

static void test_retry_after(void **state)
{
    (void)state;
    static const int64_t now = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"5", 5000},
        {" 120\r\n", 120000},
        {"86400", RETRY_AFTER_MAX_MS},
        {"99999999999999999999999999", RETRY_AFTER_MAX_MS},
        {"-5", 0},
        {"5s", 0},
        {"1.5", 0},
        {"", 0},
        {"soon", 0},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60000},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60000},
        {"Sun Nov  6 08:50:37 1994", 60000},
        {"Sun, 06 Nov 1994 08:49:36 GMT", 0},
        {"Sun, 06 Nov 2994 08:49:36 GMT", RETRY_AFTER_MAX_MS},
        {"Sun, 06 Nov 1994 08:50:37 GMT and more", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(retry_after_ms(cases[i].text, strlen(cases[i].text), now), cases[i].ms);
}

static void test_status(void **state)
{
    (void)state;
    for (long status = 0; status < 1000; status++) {
        int guilty = status == 400 || status == 413 || status == 422;
        enum http_meaning expected = status / 100 == 2 ? HTTP_DELIVERED : guilty ? HTTP_GUILTY : HTTP_NOT_NOW;
        assert_int_equal(http_status_meaning(status), expected);
    }
    assert_string_equal(http_status_text(503), "Service Unavailable");
    assert_string_equal(http_status_text(299), "");
}

static void test_template_faults(void **state)
{
    (void)state;
    char why[200], many[1000] = "", control[] = "a\nb";
    for (int i = 0; i < 70; i++)
        strcat(many, "{a}");
    const char *const wrong[] = {"",    "{", "a{b", "}",  "a}b", "{}", "{A}", "{a-b}",
                                 "{9}", "%", "%E",  "%s", "%z",  "%D", many,  control};
    const char *const right[] = {"a", "{uuid}", "{a}{b_9}", "%Y-%m-%d/%H%M%S%%", "{line}-%j.x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why[0] = '\0';
        assert_null(template_new(wrong[i], why, sizeof(why)));
        assert_string_not_equal(why, "");
    }
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        struct template *t = template_new(right[i], why, sizeof(why));
        assert_non_null(t);
        template_free(&t);
        assert_null(t);
    }
    struct template *t = template_new("{uuid}%Y{line}", why, sizeof(why));
    assert_int_equal(template_values(t), TEMPLATE_UUID | TEMPLATE_TAGS);
    template_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strbuf),      cmocka_unit_test(test_percent), cmocka_unit_test(test_stamp),
        cmocka_unit_test(test_retry_after), cmocka_unit_test(test_status),  cmocka_unit_test(test_template_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

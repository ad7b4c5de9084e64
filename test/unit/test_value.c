/* The grammar of values: what is accepted, with its meaning, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/value.h"

#include <locale.h>
#include <string.h>

/* A text, the code it must give, and the value. */
struct sample {
    const char *text;
    int code;
    int64_t value;
};

static void run(const struct sample *samples, size_t count, int (*read)(const char *, int64_t *, struct err *))
{
    for (size_t i = 0; i < count; i++) {
        struct err e = {.text = ""};
        int64_t value = -77;
        int code = read(samples[i].text, &value, &e);
        if (code != samples[i].code || value != (code == ERR_OK ? samples[i].value : -77))
            fail_msg("\"%s\": code %d value %lld, expected %d %lld", samples[i].text, code, (long long)value,
                     samples[i].code, (long long)samples[i].value);
        assert_int_equal(code != ERR_OK, e.text[0] != '\0');
        assert_null(strchr(e.text, '\n'));
    }
}

static void test_integer(void **state)
{
    static const struct sample samples[] = {
        {"0", 0, 0},
        {"16", 0, 16},
        {"-1", 0, -1},
        {"007", 0, 7},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", ERR_RANGE, 0},
        {"-9223372036854775809", ERR_RANGE, 0},
        {"99999999999999999999999", ERR_RANGE, 0},
        {"18446744073709551616", ERR_RANGE, 0},
        {"", ERR_SYNTAX, 0},
        {"-", ERR_SYNTAX, 0},
        {"+1", ERR_SYNTAX, 0},
        {" 1", ERR_SYNTAX, 0},
        {"1 ", ERR_SYNTAX, 0},
        {"1.0", ERR_SYNTAX, 0},
        {"0x10", ERR_SYNTAX, 0},
        {"1e3", ERR_SYNTAX, 0},
        {"ten\nlines", ERR_SYNTAX, 0},
    };
    (void)state;
    run(samples, COUNT_OF(samples), value_integer);
}

static void test_duration(void **state)
{
    static const struct sample samples[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"200ms", 0, 200},
        {"10s", 0, 10000},
        {"5m", 0, 300000},
        {"24h", 0, 86400000},
        {"7d", 0, 604800000},
        {"106751991167d", 0, INT64_C(9223372036828800000)},
        {"106751991168d", ERR_RANGE, 0},
        {"99999999999999999999ms", ERR_RANGE, 0},
        {"30", ERR_SYNTAX, 0},
        {"00", 0, 0},
        {"", ERR_SYNTAX, 0},
        {"s", ERR_SYNTAX, 0},
        {"-1s", ERR_SYNTAX, 0},
        {"1.5s", ERR_SYNTAX, 0},
        {"1h30m", ERR_SYNTAX, 0},
        {"10 s", ERR_SYNTAX, 0},
        {"10S", ERR_SYNTAX, 0},
        {"10sec", ERR_SYNTAX, 0},
        {"10us", ERR_SYNTAX, 0},
        {"10s\n", ERR_SYNTAX, 0},
    };
    (void)state;
    run(samples, COUNT_OF(samples), value_duration);
}

static void test_size(void **state)
{
    static const struct sample samples[] = {
        {"0", 0, 0},
        {"512B", 0, 512},
        {"64KiB", 0, 65536},
        {"16MiB", 0, 16777216},
        {"10GiB", 0, INT64_C(10737418240)},
        {"2TiB", 0, INT64_C(2199023255552)},
        {"8388607TiB", 0, INT64_C(9223370937343148032)},
        {"8388608TiB", ERR_RANGE, 0},
        {"1024", ERR_SYNTAX, 0},
        {"64KB", ERR_SYNTAX, 0},
        {"64K", ERR_SYNTAX, 0},
        {"64kib", ERR_SYNTAX, 0},
        {"80%", ERR_SYNTAX, 0},
        {"-1KiB", ERR_SYNTAX, 0},
        {"", ERR_SYNTAX, 0},
        {"KiB", ERR_SYNTAX, 0},
    };
    (void)state;
    run(samples, COUNT_OF(samples), value_size);
}

static int percent(const char *text, int64_t *out, struct err *e)
{
    int value = -77;
    int code = value_percent(text, &value, e);
    *out = value;
    return code;
}

static int boolean(const char *text, int64_t *out, struct err *e)
{
    bool value = false;
    int code = value_boolean(text, &value, e);
    if (code == ERR_OK)
        *out = value;
    return code;
}

static int choice(const char *text, int64_t *out, struct err *e)
{
    int value = -77;
    int code = value_choice(text, "one|two|two-more|", &value, e);
    *out = value;
    return code;
}

static void test_words(void **state)
{
    static const struct sample percents[] = {
        {"0%", 0, 0},          {"80%", 0, 80},       {"100%", 0, 100},        {"101%", ERR_RANGE, 0},
        {"80", ERR_SYNTAX, 0}, {"%", ERR_SYNTAX, 0}, {"8.5%", ERR_SYNTAX, 0}, {"80%%", ERR_SYNTAX, 0},
    };
    static const struct sample booleans[] = {
        {"yes", 0, 1}, {"no", 0, 0},           {"true", 0, 1},        {"false", 0, 0},     {"1", 0, 1},
        {"0", 0, 0},   {"Yes", ERR_SYNTAX, 0}, {"on", ERR_SYNTAX, 0}, {"", ERR_SYNTAX, 0}, {"2", ERR_SYNTAX, 0},
    };
    static const struct sample choices[] = {
        {"one", 0, 0},
        {"two", 0, 1},
        {"two-more", 0, 2},
        {"", ERR_UNKNOWN, 0},
        {"three", ERR_UNKNOWN, 0},
        {"on", ERR_UNKNOWN, 0},
        {"one|two", ERR_UNKNOWN, 0},
    };
    (void)state;
    run(percents, COUNT_OF(percents), percent);
    run(booleans, COUNT_OF(booleans), boolean);
    run(choices, COUNT_OF(choices), choice);
    struct err e;
    assert_int_equal(value_choice("c", "a|b", &(int){0}, &e), ERR_UNKNOWN);
    assert_string_equal(e.text, "\"c\" is not one of a, b");
}

static void test_number(void **state)
{
    static const struct {
        const char *text;
        int code;
        double value;
    } samples[] = {{"0", 0, 0},
                   {"0.5", 0, 0.5},
                   {"-2.25e-1", 0, -0.225},
                   {"1E+3", 0, 1000},
                   {"123456789012345678901234567890", 0, 1.2345678901234568e29},
                   {"1e999", ERR_RANGE, 0},
                   {"inf", ERR_SYNTAX, 0},
                   {"nan", ERR_SYNTAX, 0},
                   {"0x1p3", ERR_SYNTAX, 0},
                   {".5", ERR_SYNTAX, 0},
                   {"5.", ERR_SYNTAX, 0},
                   {"1e", ERR_SYNTAX, 0},
                   {"1,5", ERR_SYNTAX, 0},
                   {"", ERR_SYNTAX, 0}};
    (void)state;
    setlocale(LC_ALL, ""); /* whatever it is, a point stays a point */
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        double value = -77;
        assert_int_equal(value_number(samples[i].text, &value, NULL), samples[i].code);
        assert_true(value == (samples[i].code == ERR_OK ? samples[i].value : -77));
    }
}

static void test_within(void **state)
{
    static const struct {
        enum value_kind kind;
        const char *text, *limits;
        int code;
    } samples[] = {
        {VALUE_INTEGER, "1", "1..64", ERR_OK},
        {VALUE_INTEGER, "64", "1..64", ERR_OK},
        {VALUE_INTEGER, "0", "1..64", ERR_RANGE},
        {VALUE_INTEGER, "65", "1..64", ERR_RANGE},
        {VALUE_INTEGER, "-5", "-5..-1", ERR_OK},
        {VALUE_INTEGER, "9223372036854775807", "..9223372036854775806", ERR_RANGE}, /* exact beyond 2^53 */
        {VALUE_INTEGER, "1000000", "1..", ERR_OK},
        {VALUE_INTEGER, "-1000000", "..1", ERR_OK},
        {VALUE_INTEGER, "5", NULL, ERR_OK},
        {VALUE_INTEGER, "5", "", ERR_OK},
        {VALUE_INTEGER, "x", "1..2", ERR_SYNTAX},
        {VALUE_INTEGER, "5", "1-9", ERR_INTERNAL},
        {VALUE_INTEGER, "5", "a..9", ERR_INTERNAL},
        {VALUE_INTEGER, "5", "1..z", ERR_INTERNAL},
        {VALUE_NUMBER, "0.5", "0.5..1.5", ERR_OK},
        {VALUE_NUMBER, "0.49", "0.5..1.5", ERR_RANGE},
        {VALUE_NUMBER, "1.51", "0.5..1.5", ERR_RANGE},
        {VALUE_DURATION, "1500ms", "1s..1h", ERR_OK},
        {VALUE_DURATION, "999ms", "1s..1h", ERR_RANGE},
        {VALUE_DURATION, "61m", "1s..1h", ERR_RANGE},
        {VALUE_SIZE, "1024KiB", "1MiB..1GiB", ERR_OK},
        {VALUE_SIZE, "1025MiB", "1MiB..1GiB", ERR_RANGE},
        {VALUE_SIZE, "0", "0..", ERR_OK},
    };
    struct err e;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++)
        if (value_within(samples[i].kind, samples[i].text, samples[i].limits, &e) != samples[i].code)
            fail_msg("%s in %s", samples[i].text, samples[i].limits);
    assert_int_equal(value_within(VALUE_SIZE, "1KiB", "1MiB..", &e), ERR_RANGE);
    assert_string_equal(e.text, "\"1KiB\" is too small: it must be at least 1MiB");
}

static void test_url(void **state)
{
    static const char *const good[] = {"http://h",
                                       "https://host.example:8443/a/b?c=d#e",
                                       "http://127.0.0.1:80",
                                       "http://[::1]:8080/",
                                       "https://a_b-c.d?x",
                                       "http://h/%20"};
    static const char *const bad[] = {"",
                                      "h",
                                      "ftp://h",
                                      "http://",
                                      "http:///x",
                                      "http://h:",
                                      "http://h:0",
                                      "http://h:65536",
                                      "http://h:80x/",
                                      "http://h h/",
                                      "http://h/\n",
                                      "http://u:secret@h/",
                                      "http://[::1",
                                      "http://[]/",
                                      "http://h/\xC3\xA4",
                                      "HTTP://h",
                                      "http://h,i",
                                      "http://:80"};
    struct err e;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(value_url(good[i], NULL), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(value_url(bad[i], &e), ERR_SYNTAX);
        assert_null(strstr(e.text, "secret"));
    }
}

static void test_texts(void **state)
{
    char text[32];
    static const struct {
        int64_t value;
        const char *duration, *size;
    } samples[] = {{0, "0", "0"},
                   {1, "1ms", "1B"},
                   {1500, "1500ms", "1500B"},
                   {60000, "1m", "60000B"},
                   {86400000, "24h", "84375KiB"},
                   {1073741824, "1073741824ms", "1GiB"},
                   {604800000, "168h", "590625KiB"}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        int64_t back;
        value_duration_text(samples[i].value, text);
        assert_string_equal(text, samples[i].duration);
        assert_int_equal(value_duration(text, &back, NULL), ERR_OK);
        assert_int_equal(back, samples[i].value);
        value_size_text(samples[i].value, text);
        assert_string_equal(text, samples[i].size);
        assert_int_equal(value_size(text, &back, NULL), ERR_OK);
        assert_int_equal(back, samples[i].value);
    }
}

static void test_nearest(void **state)
{
    static const char *const names[] = {"http.listen", "http.threads", "admin.listen", "log.level", "x"};
    static const struct {
        const char *word, *nearest;
    } samples[] = {{"http.lisen", "http.listen"},
                   {"http.listne", "http.listen"},
                   {"HTTP.LISTEN", "http.listen"},
                   {"http-listen", "http.listen"},
                   {"htp.thread", "http.threads"},
                   {"log.levle", "log.level"},
                   {"journal.max_bytes", NULL},
                   {"", NULL},
                   {"y", NULL},
                   {"admin.listens", "admin.listen"}};
    char longest[200];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const char *near = value_nearest(samples[i].word, names, COUNT_OF(names));
        if (samples[i].nearest == NULL ? near != NULL : near == NULL || strcmp(near, samples[i].nearest) != 0)
            fail_msg("%s: %s", samples[i].word, near == NULL ? "nothing" : near);
    }
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(value_nearest(longest, names, COUNT_OF(names)));
    assert_null(value_nearest("a", NULL, 0));
}

/* A long or hostile value is shown short and on one line. */
static void test_shown(void **state)
{
    char text[600];
    struct err e;
    (void)state;
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 4);
    assert_int_equal(value_integer(text, &(int64_t){0}, &e), ERR_SYNTAX);
    assert_true(strlen(e.text) < 120);
    assert_non_null(strstr(e.text, "\xE2\x82\xAC..."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer), cmocka_unit_test(test_duration), cmocka_unit_test(test_size),
        cmocka_unit_test(test_words),   cmocka_unit_test(test_number),   cmocka_unit_test(test_within),
        cmocka_unit_test(test_url),     cmocka_unit_test(test_texts),    cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Schedules of pullers: what is one, and when the next run is. */
#include "conf/every.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int64_t at(int year, int month, int day, int hour, int minute, int second)
{
    struct tm t = {.tm_year = year - 1900,
                   .tm_mon = month - 1,
                   .tm_mday = day,
                   .tm_hour = hour,
                   .tm_min = minute,
                   .tm_sec = second};
    return (int64_t)timegm(&t) * 1000000;
}

static void durations(void **state)
{
    (void)state;
    struct every v;
    assert_int_equal(every_parse("", &v, NULL), ERR_OK);
    assert_int_equal(v.period_ms, 0);
    assert_false(v.cron);
    assert_int_equal(every_parse("15m", &v, NULL), ERR_OK);
    assert_int_equal(v.period_ms, 900000);
    assert_string_equal(v.text, "15m");
}

static void refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0",           "15",         "often",      "-5s",          "* * * *",        "* * * * * *",  "60 * * * *",
        "* 24 * * *",  "* * 0 * *",  "* * 32 * *", "* * * 13 * ",  "* * * 0 *",      "* * * * 8",    "*/0 * * * *",
        "5-1 * * * *", "1, * * * *", ",1 * * * *", "1,,2 * * * *", "a * * * *",      "* * * foo *",  "*5 * * * *",
        "1- * * * *",  "1/ * * * *", "@never",     "0 0 30 2 *",   "0 0 31 2,4,6 *", "99999 * * * *"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct every v = {.period_ms = 7};
        struct err e = {.text = ""};
        if (every_parse(bad[i], &v, &e) == ERR_OK || v.period_ms != 7 || e.text[0] == '\0')
            fail_msg("\"%s\" was taken, or nothing was said", bad[i]);
    }
    char text[EVERY_TEXT + 1];
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct every v;
    assert_int_not_equal(every_parse(text, &v, NULL), ERR_OK);
}

static void next_runs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int from[6], to[5];
    } samples[] = {
        {"* * * * *", {2026, 1, 31, 12, 0, 30}, {2026, 1, 31, 12, 1}},
        {"* * * * *", {2026, 1, 31, 12, 0, 0}, {2026, 1, 31, 12, 1}},
        {"0 3 * * *", {2026, 1, 31, 12, 0, 0}, {2026, 2, 1, 3, 0}},
        {"*/15 * * * *", {2026, 12, 31, 23, 46, 0}, {2027, 1, 1, 0, 0}},
        {"5/20 6,18 * * *", {2026, 5, 1, 6, 25, 59}, {2026, 5, 1, 6, 45}},
        {"5/20 6,18 * * *", {2026, 5, 1, 6, 45, 0}, {2026, 5, 1, 18, 5}},
        {"0 0 * * mon-fri", {2026, 1, 31, 12, 0, 0}, {2026, 2, 2, 0, 0}},
        {"0 0 * * 7", {2026, 1, 31, 12, 0, 0}, {2026, 2, 1, 0, 0}},
        {"0 0 29 feb *", {2026, 3, 1, 0, 0, 0}, {2028, 2, 29, 0, 0}},
        {"0 0 29 2 *", {2096, 3, 1, 0, 0, 0}, {2104, 2, 29, 0, 0}},
        {"0 0 29 2 */7", {2032, 3, 1, 0, 0, 0}, {2060, 2, 29, 0, 0}}, /* on a Sunday */
        {"0 0 29 2 */7", {2088, 3, 1, 0, 0, 0}, {2128, 2, 29, 0, 0}},
        {"0 0 13 * 5", {2026, 1, 31, 0, 0, 0}, {2026, 2, 6, 0, 0}}, /* either is enough */
        {"0 0 13 * *", {2026, 1, 31, 0, 0, 0}, {2026, 2, 13, 0, 0}},
        {"0 0 31 * *", {2026, 1, 31, 0, 0, 0}, {2026, 3, 31, 0, 0}},
        {"10-20/5 1 1 JAN *", {2026, 1, 1, 1, 10, 0}, {2026, 1, 1, 1, 15}},
        {"@hourly", {2026, 1, 1, 1, 10, 0}, {2026, 1, 1, 2, 0}},
        {"@monthly", {2026, 1, 1, 1, 10, 0}, {2026, 2, 1, 0, 0}},
    };
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct every v;
        struct err e = {.text = ""};
        const int *f = samples[i].from, *t = samples[i].to;
        if (every_parse(samples[i].text, &v, &e) != ERR_OK)
            fail_msg("\"%s\": %s", samples[i].text, e.text);
        int64_t next = every_next(&v, at(f[0], f[1], f[2], f[3], f[4], f[5]));
        if (next != at(t[0], t[1], t[2], t[3], t[4], 0))
            fail_msg("\"%s\" (%zu): %lld", samples[i].text, i, (long long)(next / 1000000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(durations), cmocka_unit_test(refused),
                                       cmocka_unit_test(next_runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Schedules. UTC only: a local clock jumps twice a year, and a run that is left out or doubled then is somebody's lost
 * report. When both a day of the month and a day of the week are restricted either is enough, as cron has it. */
#include "conf/every.h"

#include "base/check.h"
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* A 29 February that is a Sunday comes every 28 years, and after 40 where a year like 2100 lies between. */
enum { YEARS_MAX = 41, SECOND = 1000000, MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };

struct field {
    const char *word;
    unsigned least, most;
    const char *names; /* of `least` and what follows, three letters each; NULL: none */
};

static const struct field fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of the week", 0, 7, "sunmontuewedthufrisat"},
};

static bool field_value(const struct field *f, const char **at, unsigned *out)
{
    for (size_t i = 0; f->names != NULL && f->names[3 * i] != '\0'; i++)
        if (strncasecmp(*at, f->names + 3 * i, 3) == 0) {
            *at += 3;
            *out = f->least + (unsigned)i;
            return true;
        }
    size_t digits = strspn(*at, "0123456789");
    if (digits == 0 || digits > 4)
        return false;
    *out = (unsigned)strtoul(*at, NULL, 10);
    *at += digits;
    return true;
}

/* One of the parts between commas: `*`, `a`, `a-b`, each with `/step`. */
static bool part_parse(const struct field *f, const char **at, uint64_t *bits)
{
    unsigned from = f->least, to = f->most, step = 1;
    bool star = **at == '*';
    if (star)
        ++*at;
    else if (!field_value(f, at, &from))
        return false;
    if (!star)
        to = from;
    if (!star && **at == '-') {
        ++*at;
        if (!field_value(f, at, &to))
            return false;
    }
    if (**at == '/') {
        ++*at;
        const struct field plain = {f->word, 1, 9999, NULL};
        if (!field_value(&plain, at, &step) || step == 0)
            return false;
        if (!star && to == from) /* `5/15` is from 5 on */
            to = f->most;
    }
    if (from < f->least || to > f->most || from > to)
        return false;
    for (unsigned v = from; v <= to; v += step)
        *bits |= UINT64_C(1) << v;
    return true;
}

static int field_parse(const struct field *f, const char *text, uint64_t *bits, struct err *e)
{
    const char *at = text;
    *bits = 0;
    do {
        if (!part_parse(f, &at, bits))
            return err_set(e, ERR_SYNTAX,
                           "\"%s\" is no %s: expected %u to %u, `*`, ranges `a-b`, lists `a,b`, steps `/n`", text,
                           f->word, f->least, f->most);
    } while (*at == ',' && *++at != '\0');
    if (*at != '\0' || (at > text && at[-1] == ','))
        return err_set(e, ERR_SYNTAX, "\"%s\" is no %s: it goes on where it should end", text, f->word);
    return ERR_OK;
}

static const char *named(const char *text)
{
    static const char *const names[][2] = {
        {"@hourly", "0 * * * *"}, {"@daily", "0 0 * * *"}, {"@weekly", "0 0 * * 0"}, {"@monthly", "0 0 1 * *"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i][0]) == 0)
            return names[i][1];
    return text;
}

/* A month that never has such a day (30 February) would be waited for for ever. */
static bool days_exist(const struct every *v)
{
    static const uint32_t lengths[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (unsigned m = 1; m <= 12; m++)
        if ((v->months & 1u << m) != 0 && (v->days & ((UINT64_C(2) << lengths[m]) - 2)) != 0)
            return true;
    return !v->any_weekday;
}

static int cron_parse(const char *text, struct every *v, struct err *e)
{
    char copy[EVERY_TEXT], *rest = NULL;
    uint64_t bits[COUNT_OF(fields)];
    size_t n = 0;
    bool stars[COUNT_OF(fields)];
    snprintf(copy, sizeof copy, "%s", named(text));
    for (char *word = strtok_r(copy, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest), n++) {
        if (n == COUNT_OF(fields))
            return err_set(e, ERR_SYNTAX, "expected five fields (minute hour day month weekday), found more");
        int code = field_parse(&fields[n], word, &bits[n], e);
        if (code != ERR_OK)
            return code;
        stars[n] = word[0] == '*';
    }
    if (n < COUNT_OF(fields))
        return err_set(e, ERR_SYNTAX,
                       "expected a duration (15m) or five fields of cron (minute hour day month weekday), found \"%s\"",
                       text);
    *v = (struct every){.cron = true,
                        .minutes = bits[0],
                        .hours = (uint32_t)bits[1],
                        .days = (uint32_t)bits[2],
                        .months = (uint32_t)bits[3],
                        .weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 127), /* 7 is Sunday too */
                        .any_day = stars[2],
                        .any_weekday = stars[4]};
    return days_exist(v) ? ERR_OK : err_set(e, ERR_RANGE, "\"%s\" names a day that never comes", text);
}

int every_parse(const char *text, struct every *out, struct err *e)
{
    struct every v = {.period_ms = 0};
    int code = ERR_OK;
    if (strlen(text) >= sizeof v.text)
        return err_set(e, ERR_LIMIT, "a schedule has at most %d bytes", EVERY_TEXT - 1);
    if (strpbrk(text, " \t@*") != NULL) {
        code = cron_parse(text, &v, e);
    } else if (text[0] != '\0') {
        code = value_duration(text, &v.period_ms, e);
        if (code == ERR_OK && v.period_ms <= 0)
            code = err_set(e, ERR_RANGE, "a schedule of 0 is none; leave it unset for one run after the other");
    }
    if (code != ERR_OK)
        return code;
    memcpy(v.text, text, strlen(text) + 1);
    *out = v;
    return ERR_OK;
}

static bool day_fits(const struct every *v, const struct tm *t)
{
    bool day = (v->days & 1u << t->tm_mday) != 0, weekday = (v->weekdays & 1u << t->tm_wday) != 0;
    return v->any_day || v->any_weekday ? day && weekday : day || weekday;
}

static time_t next_month(const struct tm *t)
{
    struct tm first = {.tm_year = t->tm_year, .tm_mon = t->tm_mon + 1, .tm_mday = 1};
    return timegm(&first);
}

int64_t every_next(const struct every *v, int64_t wall_us)
{
    CHECK(v->cron);
    time_t at = (time_t)(wall_us / SECOND / MINUTE_S * MINUTE_S + MINUTE_S);
    const time_t limit = at + (time_t)YEARS_MAX * 366 * DAY_S;
    while (at < limit) {
        struct tm t;
        CHECK(gmtime_r(&at, &t) != NULL);
        if ((v->months & 1u << (t.tm_mon + 1)) == 0)
            at = next_month(&t);
        else if (!day_fits(v, &t))
            at += DAY_S - at % DAY_S;
        else if ((v->hours & 1u << t.tm_hour) == 0)
            at += HOUR_S - at % HOUR_S;
        else if ((v->minutes & UINT64_C(1) << t.tm_min) == 0)
            at += MINUTE_S;
        else
            break;
    }
    return (int64_t)at * SECOND;
}

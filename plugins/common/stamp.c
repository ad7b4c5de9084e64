/* Written for every row, so the calendar is computed here in integers: gmtime() and snprintf() cost more than the rest
 * of a line together. Days are counted in eras of 400 years (146097 days) that begin on the first of March, so that the
 * leap day is the last of its year. Rows come in the order of their times, so the second of the one before mostly does.
 */
#include "common/stamp.h"

#include <string.h>

enum { DAYS_TO_1970 = 719468, DAYS_PER_ERA = 146097, SECOND_LEN = STAMP_LEN - 7 };

static char *put_digits(char *at, int64_t value, int count)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

static char *put_date(char *at, int64_t days)
{
    int64_t z = days + DAYS_TO_1970;
    int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t doe = z - era * DAYS_PER_ERA;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / (DAYS_PER_ERA - 1)) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t shifted = (5 * doy + 2) / 153; /* 0: March */
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    at = put_digits(at, year < 0 ? 0 : year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    return put_digits(at, doy - (153 * shifted + 2) / 5 + 1, 2);
}

/* Up to the dot. */
static void put_second(char *out, int64_t seconds)
{
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    char *at = put_date(out, days);
    *at++ = 'T';
    at = put_digits(at, rest / 3600, 2);
    *at++ = ':';
    at = put_digits(at, rest / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, rest % 60, 2);
    *at = '.';
}

void stamp_text(int64_t us, char out[STAMP_LEN + 1])
{
    static _Thread_local struct {
        int64_t second;
        char text[SECOND_LEN];
    } last = {INT64_MIN, ""};
    int64_t second = us / 1000000, micros = us % 1000000;
    if (micros < 0) {
        micros += 1000000;
        second--;
    }
    if (second != last.second)
        put_second(last.text, second);
    last.second = second;
    memcpy(out, last.text, SECOND_LEN);
    memcpy(put_digits(out + SECOND_LEN, micros, 6), "Z", 2);
}

/* --- reading */

struct reader {
    const char *at, *end;
    int failed;
};

/* A number of so many digits within the limits. */
static int64_t take_digits(struct reader *r, int count, int64_t least, int64_t most)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++, r->at++) {
        if (r->at >= r->end || *r->at < '0' || *r->at > '9') {
            r->failed = 1;
            return least;
        }
        value = value * 10 + (*r->at - '0');
    }
    r->failed |= value < least || value > most;
    return value;
}

static int take_one_of(struct reader *r, const char *choices)
{
    for (const char *c = choices; *c && r->at < r->end; c++)
        if (*r->at == *c) {
            r->at++;
            return *c;
        }
    r->failed = 1;
    return 0;
}

static int64_t days_in(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970, the years counted from March as above. */
static int64_t take_date(struct reader *r)
{
    int64_t year = take_digits(r, 4, 0, 9999);
    take_one_of(r, "-");
    int64_t month = take_digits(r, 2, 1, 12);
    take_one_of(r, "-");
    int64_t day = take_digits(r, 2, 1, 31);
    if (r->failed || day > days_in(year, month)) {
        r->failed = 1;
        return 0;
    }
    int64_t shifted = month > 2 ? year : year - 1;
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400, yoe = shifted - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * DAYS_PER_ERA + yoe * 365 + yoe / 4 - yoe / 100 + doy - DAYS_TO_1970;
}

static int64_t take_fraction(struct reader *r)
{
    int64_t micros = 0, unit = 100000;
    if (r->at >= r->end || *r->at != '.')
        return 0;
    r->at++;
    r->failed |= r->at >= r->end || *r->at < '0' || *r->at > '9';
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, unit /= 10)
        micros += (*r->at - '0') * unit;
    return micros;
}

/* Microseconds of the day, in UTC. */
static int64_t take_time(struct reader *r)
{
    take_one_of(r, "Tt ");
    int64_t hour = take_digits(r, 2, 0, 23);
    take_one_of(r, ":");
    int64_t minute = take_digits(r, 2, 0, 59);
    take_one_of(r, ":");
    int64_t second = take_digits(r, 2, 0, 60);
    int64_t micros = take_fraction(r);
    int sign = take_one_of(r, "Zz+-"), offset = 0;
    if (sign == '+' || sign == '-') {
        offset = (int)take_digits(r, 2, 0, 23) * 60;
        take_one_of(r, ":");
        offset += (int)take_digits(r, 2, 0, 59);
    }
    int64_t minutes = hour * 60 + minute - (sign == '-' ? -offset : offset);
    return (minutes * 60 + (second > 59 ? 59 : second)) * 1000000 + micros;
}

int stamp_read(const char *ptr, size_t len, int64_t *us)
{
    struct reader r = {ptr, ptr + len, 0};
    int64_t day = take_date(&r) * 86400 * 1000000;
    if (r.at < r.end && !r.failed)
        day += take_time(&r);
    if (r.failed || r.at != r.end)
        return -1;
    *us = day;
    return 0;
}

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

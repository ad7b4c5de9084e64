/* Any bytes as a schedule. What is taken must mean something: a period of more than nothing, or a next run that comes,
 * lies ahead, is a minute of the schedule by a calendar of this file's own, and is the first one. */
#include "base/check.h"
#include "conf/every.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LOOKS = 300, MINUTE_US = 60 * 1000000 };

struct date {
    unsigned month, day, weekday, hour, minute;
};

static bool leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* By counting years and months, slowly. */
static struct date date_of(int64_t wall_us)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t minutes = wall_us / MINUTE_US, days = minutes / 1440, year = 1970;
    struct date d = {.weekday = (unsigned)((days + 4) % 7), /* 1970 began on a Thursday */
                     .hour = (unsigned)(minutes / 60 % 24),
                     .minute = (unsigned)(minutes % 60)};
    for (; days >= (leap(year) ? 366 : 365); year++)
        days -= leap(year) ? 366 : 365;
    for (;; d.month++) {
        unsigned length = lengths[d.month] + (d.month == 1 && leap(year));
        if (days < length)
            break;
        days -= length;
    }
    d.month++;
    d.day = (unsigned)days + 1;
    return d;
}

static bool fits(const struct every *v, int64_t wall_us)
{
    struct date d = date_of(wall_us);
    bool day = (v->days >> d.day & 1) != 0, weekday = (v->weekdays >> d.weekday & 1) != 0;
    if (!(v->any_day || v->any_weekday) ? !day && !weekday : !day || !weekday)
        return false;
    return (v->months >> d.month & 1) != 0 && (v->hours >> d.hour & 1) != 0 && (v->minutes >> d.minute & 1) != 0;
}

static void check_next(const struct every *v, int64_t now)
{
    int64_t next = every_next(v, now);
    CHECK(next > now && next % MINUTE_US == 0 && fits(v, next));
    CHECK(every_next(v, next - 1) == next);
    CHECK(every_next(v, next) > next);
    int64_t first = now - now % MINUTE_US + MINUTE_US;
    int64_t between = (next - first) / MINUTE_US;
    for (int64_t i = 0; i < LOOKS && i < between; i++) { /* the minutes just before it, and some from now on */
        CHECK(!fits(v, next - (1 + i) * MINUTE_US));
        CHECK(!fits(v, first + i * (1 + between / LOOKS) % between * MINUTE_US));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t when;
    char text[EVERY_TEXT + 8];
    if (size < sizeof when || size - sizeof when >= sizeof text || memchr(data + sizeof when, '\0', size - sizeof when))
        return 0;
    memcpy(&when, data, sizeof when);
    memcpy(text, data + sizeof when, size - sizeof when);
    text[size - sizeof when] = '\0';
    int64_t now = (int64_t)(when % (UINT64_C(1) << 53)); /* until 2255 */
    struct every v = {.period_ms = -7}, again;
    struct err e = {.text = ""};
    if (every_parse(text, &v, &e) != ERR_OK) {
        CHECK(v.period_ms == -7 && e.text[0] != '\0');
        return 0;
    }
    CHECK(strcmp(v.text, text) == 0 && v.period_ms >= 0 && !(v.cron && v.period_ms > 0));
    CHECK(every_parse(v.text, &again, NULL) == ERR_OK && memcmp(&v, &again, sizeof v) == 0);
    if (v.cron)
        check_next(&v, now);
    return 0;
}

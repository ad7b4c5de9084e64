/* When a puller runs: a duration, or the five fields of cron in UTC. Pure; any thread. */
#ifndef HG_CONF_EVERY_H
#define HG_CONF_EVERY_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { EVERY_TEXT = 128 };

struct every {
    char text[EVERY_TEXT]; /* as written; "": one run after the other */
    int64_t period_ms;     /* > 0: from the beginning of one run to the next */
    bool cron;
    /* Bits: minutes 0-59, hours 0-23, days of the month 1-31, months 1-12, days of the week 0-6 from Sunday. */
    uint64_t minutes;
    uint32_t hours, days, months, weekdays;
    bool any_day, any_weekday; /* written as `*` or `*` with a step: the other of the two alone decides */
};

/* "", "15m", or "0-30/10 6,18 * * 1-5" (POSIX crontab with steps, names of months and days in English, 7 for Sunday,
 * and @hourly, @daily, @weekly, @monthly). ERR_SYNTAX, ERR_RANGE with a sentence; also for a day that never comes. */
int every_parse(const char *text, struct every *out, struct err *e) MUST_CHECK;
/* The first minute of the schedule after `wall_us` (microseconds since 1970 UTC). Of a cron schedule only. */
int64_t every_next(const struct every *every, int64_t wall_us);

#endif

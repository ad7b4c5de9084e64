/* Numbers, sizes, times for people, and the moments people write. Reads the clock for "ago", keeps nothing. */
#include "cli/human.h"

#include "base/sys.h"
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void human_scaled(double value, double step, const char *const units[], char *out)
{
    int unit = 0;
    while (value >= step && units[unit + 1] != NULL) {
        value /= step;
        unit++;
    }
    if (value > 0 && value < 9.95)
        snprintf(out, HUMAN_MAX, value == (double)(int)value && unit == 0 ? "%.0f%s" : "%.1f%s", value, units[unit]);
    else
        snprintf(out, HUMAN_MAX, "%.0f%s", value, value > 0 ? units[unit] : "");
}

void human_bytes(double bytes, char out[HUMAN_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    human_scaled(bytes, 1024, units, out);
}

void human_rate(double rate, char out[HUMAN_MAX])
{
    static const char *const units[] = {"", "k", "M", "G", NULL};
    human_scaled(rate, 1000, units, out);
}

void human_count(long long count, int digits, char out[HUMAN_MAX])
{
    if (snprintf(out, HUMAN_MAX, "%lld", count) > digits)
        human_rate((double)count, out);
}

void human_seconds(double seconds, char out[HUMAN_MAX])
{
    long whole = seconds < 1e15 ? (long)seconds : 0;
    if (seconds < 0.05)
        snprintf(out, HUMAN_MAX, "0");
    else if (seconds < 9.95)
        snprintf(out, HUMAN_MAX, "%.1fs", seconds);
    else if (whole < 60)
        snprintf(out, HUMAN_MAX, "%lds", whole);
    else if (whole < 3600)
        snprintf(out, HUMAN_MAX, "%ldm%lds", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(out, HUMAN_MAX, "%ldh%ldm", whole / 3600, whole % 3600 / 60);
    else
        snprintf(out, HUMAN_MAX, "%ldd%ldh", whole / 86400, whole % 86400 / 3600);
}

void human_time(const char *rfc3339, char out[HUMAN_MAX])
{
    size_t len = strlen(rfc3339);
    if (len >= 20 && rfc3339[10] == 'T' && rfc3339[len - 1] == 'Z')
        snprintf(out, HUMAN_MAX, "%.10s %.8sZ", rfc3339, rfc3339 + 11);
    else
        snprintf(out, HUMAN_MAX, "%.*s", HUMAN_MAX - 1, rfc3339);
}

static void when_write(int64_t us, char out[HUMAN_MAX])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char text[24];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, HUMAN_MAX, "%s.%06dZ", text, (int)(us % 1000000));
}

/* Fraction of a second in microseconds; `*text` moves behind it. */
static long when_fraction(const char **text)
{
    long us = 0, weight = 100000;
    if (**text != '.')
        return 0;
    for ((*text)++; **text >= '0' && **text <= '9'; (*text)++, weight /= 10)
        us += weight * (**text - '0');
    return us;
}

/* Seconds east of UTC; false when it is no zone. */
static bool when_zone(const char *text, long *east)
{
    *east = 0;
    if (*text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    int hours, minutes, used = 0;
    if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5 ||
        text[6] != '\0' || hours > 23 || minutes > 59)
        return false;
    *east = (hours * 60L + minutes) * 60 * (*text == '-' ? -1 : 1);
    return true;
}

static bool when_stamp(const char *text, int64_t *us)
{
    struct tm parts = {0}, check;
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &used) != 3 || used != 10)
        return false;
    text += used;
    if (*text == 'T' || *text == 't' || *text == ' ') {
        used = 0;
        if (sscanf(text + 1, "%2d:%2d%n", &parts.tm_hour, &parts.tm_min, &used) != 2 || used != 5)
            return false;
        text += 6;
        if (*text == ':') {
            used = 0;
            if (sscanf(text + 1, "%2d%n", &parts.tm_sec, &used) != 1 || used != 2)
                return false;
            text += 3;
        }
    }
    long fraction = when_fraction(&text), east;
    if (!when_zone(text, &east) || parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60)
        return false;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    check = parts;
    time_t seconds = timegm(&check);
    if (check.tm_mday != parts.tm_mday || check.tm_mon != parts.tm_mon)
        return false; /* the 31st of February */
    *us = ((int64_t)seconds - east) * 1000000 + fraction;
    return *us >= 0;
}

int human_when(const char *text, char out[HUMAN_MAX], struct err *e)
{
    int64_t us, ago_ms;
    if (strcmp(text, "now") == 0)
        us = clock_wall_us();
    else if (value_duration(text, &ago_ms, NULL) == ERR_OK && ago_ms >= 0 && ago_ms <= clock_wall_us() / 1000)
        us = clock_wall_us() - ago_ms * 1000;
    else if (!when_stamp(text, &us))
        return err_set(e, ERR_SYNTAX, "`%s` is no moment: write 2026-01-31T12:00:00Z, 2026-01-31, 2h (ago) or now",
                       text);
    when_write(us, out);
    return ERR_OK;
}

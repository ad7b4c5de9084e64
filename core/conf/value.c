/* The one grammar of values: what a person may write for a number, a duration, a size, a choice, an address.
 *
 * The settings file, the environment, flags and plugins' options all come through here, in the daemon and in the plugin
 * host alike, so that a value means the same wherever it was written. Pure functions of their text: no state, no
 * allocation, any thread, nothing but libc (the plugin host links this file and has no inih).
 *
 * A bare number for a duration or a size is refused, because `timeout = 30` has been read as seconds by one program and
 * as milliseconds by the next; only 0 says the same in every unit. */
#include "conf/value.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 60, LIMIT_MAX = 40 };

/* A value inside a sentence: short, and without what would break the line. */
static const char *shown(const char *text, char out[SHOWN_MAX + 4])
{
    size_t len = 0;
    for (; len < SHOWN_MAX && text[len] != '\0'; len++)
        out[len] = (unsigned char)text[len] < 0x20 || text[len] == 0x7F ? '?' : text[len];
    while (text[len] != '\0' && len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--; /* do not cut a UTF-8 character in two */
    const char *end = text[len] == '\0' ? "" : "...";
    memcpy(out + len, end, strlen(end) + 1);
    return out;
}

#define SHOWN(text) shown(text, (char[SHOWN_MAX + 4]){0})

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* --- booleans and numbers --- */

int value_boolean(const char *text, bool *out, struct err *e)
{
    static const char *const words[] = {"yes", "no", "true", "false", "1", "0"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2 == 0;
            return ERR_OK;
        }
    return err_set(e, ERR_SYNTAX, "\"%s\" is neither yes nor no (also accepted: true, false, 1, 0)", SHOWN(text));
}

/* Digits from `*p` on, which moves behind them. ERR_SYNTAX: there are none. */
static int digits(const char **p, uint64_t *out)
{
    uint64_t n = 0;
    bool fits = true;
    if (!is_digit(**p))
        return ERR_SYNTAX;
    for (; is_digit(**p); (*p)++) {
        unsigned d = (unsigned)(**p - '0');
        fits = fits && n <= (UINT64_MAX - d) / 10;
        n = n * 10 + d;
    }
    if (!fits)
        return ERR_RANGE;
    *out = n;
    return ERR_OK;
}

int value_integer(const char *text, int64_t *out, struct err *e)
{
    const char *p = text;
    bool negative = *p == '-';
    if (negative)
        p++;
    uint64_t n = 0;
    int code = digits(&p, &n);
    if (code == ERR_SYNTAX || *p != '\0')
        return err_set(e, ERR_SYNTAX, "\"%s\" is not a whole number, as in 16", SHOWN(text));
    if (code != ERR_OK || n > (uint64_t)INT64_MAX + negative)
        return err_set(e, ERR_RANGE, "\"%s\" does not fit into 64 bits", SHOWN(text));
    *out = negative ? (int64_t)(0 - n) : (int64_t)n;
    return ERR_OK;
}

/* -?digits[.digits][e[+-]digits]: what is left of strtod without hexadecimal, infinities and locales. */
static bool looks_like_number(const char *p)
{
    uint64_t ignored;
    if (*p == '-')
        p++;
    if (digits(&p, &ignored) == ERR_SYNTAX)
        return false;
    if (*p == '.') {
        p++;
        if (digits(&p, &ignored) == ERR_SYNTAX)
            return false;
    }
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '-' || p[1] == '+' ? 2 : 1;
        if (digits(&p, &ignored) == ERR_SYNTAX)
            return false;
    }
    return *p == '\0';
}

int value_number(const char *text, double *out, struct err *e)
{
    if (!looks_like_number(text))
        return err_set(e, ERR_SYNTAX, "\"%s\" is not a number, as in 0.5", SHOWN(text));
    /* A plugin may have called setlocale(): the decimal point must stay a point. */
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0)
        return err_set(e, ERR_NOMEM, "out of memory");
    double n = strtod_l(text, NULL, plain);
    freelocale(plain);
    if (!isfinite(n))
        return err_set(e, ERR_RANGE, "\"%s\" is too large for a number", SHOWN(text));
    *out = n;
    return ERR_OK;
}

/* --- durations and sizes: a whole number and a unit --- */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
static const struct unit size_units[] = {{"B", 1},
                                         {"KiB", INT64_C(1) << 10},
                                         {"MiB", INT64_C(1) << 20},
                                         {"GiB", INT64_C(1) << 30},
                                         {"TiB", INT64_C(1) << 40}};

static const struct unit *unit_find(const struct unit *units, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

/* `what` begins the sentences: "a duration", with `forms` as examples. */
static int measure(const char *text, const struct unit *units, size_t count, const char *what, const char *forms,
                   int64_t *out, struct err *e)
{
    const char *p = text;
    uint64_t n = 0;
    int code = digits(&p, &n);
    if (code == ERR_SYNTAX)
        return err_set(e, ERR_SYNTAX, "\"%s\" is not %s: write a whole number and its unit, as in %s", SHOWN(text),
                       what, forms);
    if (code == ERR_OK && n == 0 && *p == '\0') {
        *out = 0;
        return ERR_OK;
    }
    if (*p == '\0')
        return err_set(e, ERR_SYNTAX, "\"%s\" has no unit: %s is written as in %s", SHOWN(text), what, forms);
    const struct unit *unit = unit_find(units, count, p);
    if (unit == NULL)
        return err_set(e, ERR_SYNTAX, "\"%s\": \"%s\" is no unit: %s is written as in %s", SHOWN(text), SHOWN(p), what,
                       forms);
    if (code != ERR_OK || n > (uint64_t)(INT64_MAX / unit->factor))
        return err_set(e, ERR_RANGE, "\"%s\" is too large for %s", SHOWN(text), what);
    *out = (int64_t)n * unit->factor;
    return ERR_OK;
}

int value_duration(const char *text, int64_t *ms, struct err *e)
{
    return measure(text, duration_units, COUNT_OF(duration_units), "a duration", "200ms, 10s, 5m, 24h or 7d", ms, e);
}

int value_size(const char *text, int64_t *bytes, struct err *e)
{
    return measure(text, size_units, COUNT_OF(size_units), "a size", "512B, 64KiB, 16MiB or 10GiB", bytes, e);
}

int value_percent(const char *text, int *percent, struct err *e)
{
    const char *p = text;
    uint64_t n = 0;
    int code = digits(&p, &n);
    if (code == ERR_SYNTAX || strcmp(p, "%") != 0)
        return err_set(e, ERR_SYNTAX, "\"%s\" is not a percentage, as in 80%%", SHOWN(text));
    if (code != ERR_OK || n > 100)
        return err_set(e, ERR_RANGE, "\"%s\" is more than 100%%", SHOWN(text));
    *percent = (int)n;
    return ERR_OK;
}

/* The largest of the first `count` units that loses nothing. */
static void measure_text(int64_t n, const struct unit *units, size_t count, char out[32])
{
    size_t at = 0;
    for (size_t i = 1; i < count; i++)
        if (n % units[i].factor == 0)
            at = i;
    if (n == 0)
        snprintf(out, 32, "0");
    else
        snprintf(out, 32, "%lld%s", (long long)(n / units[at].factor), units[at].name);
}

void value_duration_text(int64_t ms, char out[32])
{
    measure_text(ms, duration_units, COUNT_OF(duration_units) - 1, out); /* no days: 24h is what people compare with */
}

void value_size_text(int64_t bytes, char out[32])
{
    measure_text(bytes, size_units, COUNT_OF(size_units), out);
}

/* --- choices --- */

int value_choice(const char *text, const char *choices, int *out, struct err *e)
{
    size_t len = strlen(text);
    int n = 0;
    for (const char *p = choices;; n++) {
        const char *end = strchrnul(p, '|');
        if ((size_t)(end - p) == len && len > 0 && memcmp(p, text, len) == 0) {
            *out = n;
            return ERR_OK;
        }
        if (*end == '\0')
            break;
        p = end + 1;
    }
    char list[256];
    size_t used = 0;
    for (const char *p = choices; *p != '\0' && used + 3 < sizeof list; p++) {
        list[used++] = *p == '|' ? ',' : *p;
        if (*p == '|')
            list[used++] = ' ';
    }
    list[used] = '\0';
    return err_set(e, ERR_UNKNOWN, "\"%s\" is not one of %s", SHOWN(text), list);
}

/* --- addresses of web servers --- */

static int url_refuse(struct err *e, const char *text, const char *why)
{
    return err_set(e, ERR_SYNTAX, "\"%s\" is not a URL as in https://host:8443/path: %s", SHOWN(text), why);
}

/* The host of a URL: a name, an IPv4 address, or an IPv6 address in brackets. Its end, NULL when it is none. */
static const char *url_host(const char *p)
{
    const char *start = p;
    if (*p == '[') {
        for (p++; is_digit(*p) || (*p >= 'a' && *p <= 'f') || (*p >= 'A' && *p <= 'F') || *p == ':' || *p == '.';)
            p++;
        return *p == ']' && p - start > 2 ? p + 1 : NULL;
    }
    while (is_digit(*p) || is_letter(*p) || *p == '-' || *p == '.' || *p == '_')
        p++;
    return p > start ? p : NULL;
}

int value_url(const char *text, struct err *e)
{
    const char *p = text;
    if (strncmp(p, "http://", 7) == 0)
        p += 7;
    else if (strncmp(p, "https://", 8) == 0)
        p += 8;
    else
        return url_refuse(e, text, "it must begin with http:// or https://");
    for (const char *c = p; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7F)
            return url_refuse(e, text, "spaces and characters beyond ASCII must be percent-encoded");
    size_t authority = strcspn(p, "/?#");
    if (memchr(p, '@', authority) != NULL) /* not shown: what stands before the @ may be a password */
        return err_set(e, ERR_SYNTAX, "a user name or password does not belong into a URL: use the options for them");
    const char *end = url_host(p);
    if (end == NULL)
        return url_refuse(e, text, "there is no host");
    if (*end == ':') {
        uint64_t port = 0;
        end++;
        if (digits(&end, &port) != ERR_OK || port == 0 || port > 65535)
            return url_refuse(e, text, "a port is a number from 1 to 65535");
    }
    if (end != p + authority)
        return url_refuse(e, text, "the host may hold letters, digits, dots and dashes");
    return ERR_OK;
}

/* --- limits --- */

/* One side of "min..max" or the value itself, as a number that can be compared: exactly for whole numbers. */
static int comparable(enum value_kind kind, const char *text, int64_t *whole, double *real, struct err *e)
{
    *whole = 0;
    *real = 0;
    switch (kind) {
    case VALUE_INTEGER: return value_integer(text, whole, e);
    case VALUE_NUMBER: return value_number(text, real, e);
    case VALUE_DURATION: return value_duration(text, whole, e);
    case VALUE_SIZE: return value_size(text, whole, e);
    }
    return err_set(e, ERR_INTERNAL, "unknown kind of value");
}

/* `side` is the minimum (sign 1) or the maximum (sign -1); empty means that there is none. */
static int within_side(enum value_kind kind, const char *text, const char *side, int sign, struct err *e)
{
    int64_t whole, limit_whole;
    double real, limit_real;
    if (*side == '\0')
        return ERR_OK;
    int code = comparable(kind, side, &limit_whole, &limit_real, e);
    if (code != ERR_OK)
        return err_set(e, ERR_INTERNAL, "the option's own limit \"%s\" cannot be read", SHOWN(side));
    code = comparable(kind, text, &whole, &real, e);
    if (code != ERR_OK)
        return code;
    bool under = whole < limit_whole || real < limit_real;
    bool over = whole > limit_whole || real > limit_real;
    if (sign > 0 ? under : over)
        return err_set(e, ERR_RANGE, "\"%s\" is too %s: it must be at %s %s", SHOWN(text), sign > 0 ? "small" : "large",
                       sign > 0 ? "least" : "most", side);
    return ERR_OK;
}

int value_within(enum value_kind kind, const char *text, const char *limits, struct err *e)
{
    int64_t whole;
    double real;
    int code = comparable(kind, text, &whole, &real, e);
    if (code != ERR_OK || limits == NULL || *limits == '\0')
        return code;
    const char *dots = strstr(limits, "..");
    char least[LIMIT_MAX];
    if (dots == NULL || (size_t)(dots - limits) >= sizeof least)
        return err_set(e, ERR_INTERNAL, "the option's own limits \"%s\" are not min..max", SHOWN(limits));
    memcpy(least, limits, (size_t)(dots - limits));
    least[dots - limits] = '\0';
    code = within_side(kind, text, least, 1, e);
    return code != ERR_OK ? code : within_side(kind, text, dots + 2, -1, e);
}

/* --- the nearest name --- */

enum { WORD_MAX = 64 };

/* Upper and lower case, `-` and `_` are the same thing to somebody who mistyped a name. */
static char folded(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = folded(a[i - 1]) == folded(b[j - 1]);
            now[j] = least_of(least_of(last[j], now[j - 1]) + 1, last[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
                now[j] = least_of(now[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b_len];
}

const char *value_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t len = strlen(word);
    const char *nearest = NULL;
    size_t best = len / 3 + 1; /* farther than that is another word, not a slip */
    if (len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(candidates[i]);
        if (other > WORD_MAX)
            continue;
        size_t distance = edit_distance(word, len, candidates[i], other);
        if (distance < best || (distance == best && nearest == NULL && distance < least_of(len, other))) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}

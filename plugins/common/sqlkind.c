/* A column grows along one path only: small, int, big, numeric, text for whole numbers, double, numeric, text for the
 * others. Text takes everything, JSON too (a scalar as its JSON); a time takes texts and nothing else, for it was asked
 * for. So a table ends up the same whatever order the rows come in, but for how numbers stand in a text.
 *
 * Fifteen significant digits always survive a double (DBL_DIG), so almost no number needs more than counting them.
 * Those of 16 and 17 digits, and those near the ends of a double's range, are tried: the shortest text that gives the
 * double again must have the very same digits. */
#include "common/sqlkind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SURE_DIGITS = 15, MOST_DIGITS = 17, SURE_EXPONENT = 290, NUMBER_TEXT = 64, WHOLE_DIGITS = 19, FAR = 100000 };

/* A number as digits without leading and trailing zeros, times ten to the power of `scale`. */
struct decimal {
    char digits[MOST_DIGITS + 8]; /* the first of them, with a NUL */
    int count;                    /* of all, also of those that had no room */
    int scale;                    /* of the last digit */
    int negative;
};

static void decimal_digit(struct decimal *d, char c, int *zeros)
{
    if (c == '0') {
        *zeros += d->count > 0;
        return;
    }
    for (; *zeros > 0; (*zeros)--, d->count++)
        if ((size_t)d->count + 1 < sizeof(d->digits))
            d->digits[d->count] = '0';
    if ((size_t)d->count + 1 < sizeof(d->digits))
        d->digits[d->count] = c;
    d->count++;
}

static void decimal_read(struct decimal *d, const char *at, const char *end)
{
    int zeros = 0, fraction = 0, point = 0;
    memset(d, 0, sizeof(*d));
    d->negative = at < end && *at == '-';
    for (at += d->negative; at < end && *at != 'e' && *at != 'E'; at++) {
        point |= *at == '.';
        fraction += point && *at != '.';
        if (*at != '.')
            decimal_digit(d, *at, &zeros);
    }
    int exponent = 0, minus = 0;
    if (at < end) {
        at++;
        minus = at < end && *at == '-';
        for (at += at < end && (*at == '-' || *at == '+'); at < end; at++)
            exponent = exponent < FAR ? exponent * 10 + (*at - '0') : FAR;
    }
    d->scale = (minus ? -exponent : exponent) - fraction + zeros;
}

static int decimal_same(const struct decimal *a, const struct decimal *b)
{
    return a->count == b->count && a->scale == b->scale && strcmp(a->digits, b->digits) == 0;
}

/* The shortest text of the number's double has the same digits? */
static int survives(const struct decimal *d)
{
    char text[NUMBER_TEXT];
    snprintf(text, sizeof(text), "%se%d", d->digits, d->scale);
    double value = strtod(text, NULL);
    for (int precision = 0; precision < MOST_DIGITS; precision++) {
        struct decimal again;
        snprintf(text, sizeof(text), "%.*e", precision, value);
        if (strtod(text, NULL) != value)
            continue;
        decimal_read(&again, text, text + strlen(text));
        return decimal_same(d, &again);
    }
    return 0;
}

/* The value of a whole number that may fit 64 bits. */
static void whole_read(const struct decimal *d, struct sql_number *out)
{
    uint64_t value = 0, limit = (uint64_t)INT64_MAX + (uint64_t)d->negative;
    for (int i = 0; i < d->count + d->scale; i++) {
        uint64_t digit = i < d->count ? (uint64_t)(d->digits[i] - '0') : 0;
        if (value > (limit - digit) / 10)
            return;
        value = value * 10 + digit;
    }
    out->integer = 1;
    out->value = d->negative ? (int64_t)(0 - value) : (int64_t)value;
}

void sql_number_read(struct hg_text json, struct sql_number *out)
{
    struct decimal d;
    decimal_read(&d, json.ptr, json.ptr + json.len);
    *out = (struct sql_number){.before = d.count + d.scale > 1 ? d.count + d.scale : 1,
                               .after = d.scale < 0 ? -d.scale : 0};
    if (d.count == 0) {
        *out = (struct sql_number){.integer = 1, .before = 1};
        return;
    }
    if (d.scale >= 0 && out->before <= WHOLE_DIGITS)
        whole_read(&d, out);
    int size = d.count + d.scale;
    int sure = d.count <= SURE_DIGITS && size < SURE_EXPONENT && size > -SURE_EXPONENT;
    out->lossy = !sure && (d.count > MOST_DIGITS || !survives(&d));
}

static int fits_bits(const struct sql_number *n, int bits)
{
    int64_t half = (int64_t)1 << (bits - 1);
    return n->integer && n->value >= -half && n->value < half;
}

static enum sql_kind numeric_or_text(const struct sql_number *n, struct sql_digits numeric)
{
    return n->before <= numeric.before && n->after <= numeric.after ? SQL_NUMERIC : SQL_TEXT;
}

static enum sql_kind for_number(enum sql_kind column, struct hg_text json, struct sql_digits numeric)
{
    struct sql_number n;
    sql_number_read(json, &n);
    if (column == SQL_NONE || column == SQL_DOUBLE)
        return n.lossy ? numeric_or_text(&n, numeric) : SQL_DOUBLE;
    if ((column == SQL_SMALL && fits_bits(&n, 16)) || (column == SQL_INT && fits_bits(&n, 32)))
        return column;
    if (column != SQL_NUMERIC && n.integer)
        return SQL_BIG;
    return numeric_or_text(&n, numeric);
}

static enum sql_kind first_kind(const struct hg_value *value)
{
    switch (value->type) {
    case HG_TRUE:
    case HG_FALSE: return SQL_BOOL;
    case HG_ARRAY:
    case HG_OBJECT: return SQL_JSON;
    default: return SQL_TEXT;
    }
}

enum sql_kind sql_kind_for(enum sql_kind column, const struct hg_value *value, struct sql_digits numeric)
{
    if (value->type == HG_NULL)
        return column;
    switch (column) {
    case SQL_TEXT:
    case SQL_JSON:
    case SQL_OTHER: return column;
    case SQL_TIME: return value->type == HG_STR ? SQL_TIME : SQL_NONE;
    case SQL_BOOL: return first_kind(value) == SQL_BOOL ? SQL_BOOL : SQL_TEXT;
    case SQL_NONE: return value->type == HG_NUM ? for_number(SQL_NONE, value->json, numeric) : first_kind(value);
    case SQL_SMALL:
    case SQL_INT:
    case SQL_BIG:
    case SQL_DOUBLE:
    case SQL_NUMERIC: return value->type == HG_NUM ? for_number(column, value->json, numeric) : SQL_TEXT;
    }
    return SQL_NONE;
}

const char *sql_value_word(const struct hg_value *value)
{
    static const char *const words[] = {"nothing",  "null",   "false",    "true",
                                        "a number", "a text", "an array", "an object"};
    return value->type < sizeof(words) / sizeof(words[0]) ? words[value->type] : words[0];
}

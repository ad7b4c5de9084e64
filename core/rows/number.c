/* JSON numbers of any length.
 *
 * Whether a number is finite as a double is decided on its digits, exactly and without a locale: rounding to nearest,
 * ties to even, gives infinity from (2^54 - 1) * 2^970 on, half a step above the largest double. A number is compared
 * with the 309 digits of that bound, by its decimal exponent first, so most are decided without looking at digits. */
#include "rows/number.h"

/* (2^54 - 1) * 2^970 */
static const char bound[] = "17976931348623158079372897140530341507993413271003782693617377898044496829276475094664"
                            "90179775872070963302864166928879109465555478519404026306574886715058206819089020007083"
                            "83676273854845817711531764475730270069855571366959622842914819860834936475292719074168"
                            "444365510704342711559699508093042880177904174497792";

static const char int64_max[] = "9223372036854775807", int64_min[] = "9223372036854775808";

enum { EXPONENT_CAP = 1000000000 }; /* beyond it only the sign matters: a body has fewer digits than that */

struct parts {
    const uint8_t *whole, *whole_end;
    const uint8_t *fraction, *fraction_end;
    int64_t exponent;
    bool negative;
    bool integer;
};

static const uint8_t *digits_skip(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static const uint8_t *misread_number(const uint8_t *p, const uint8_t *end, struct misread *bad)
{
    *bad = (struct misread){.id = p == end ? FAULT_END : FAULT_NUMBER, .at = p};
    return NULL;
}

static const uint8_t *exponent_scan(const uint8_t *p, const uint8_t *end, struct parts *n, struct misread *bad)
{
    bool negative = peek(p, end) == '-';
    if (negative || peek(p, end) == '+')
        p++;
    const uint8_t *stop = digits_skip(p, end);
    if (stop == p)
        return misread_number(p, end, bad);
    for (; p < stop; p++)
        if (n->exponent < EXPONENT_CAP)
            n->exponent = n->exponent * 10 + (*p - '0');
    if (negative)
        n->exponent = -n->exponent;
    return stop;
}

static const uint8_t *parts_scan(const uint8_t *p, const uint8_t *end, struct parts *n, struct misread *bad)
{
    *n = (struct parts){.negative = *p == '-', .integer = true};
    n->whole = p + n->negative;
    n->whole_end = p = digits_skip(n->whole, end);
    if (p == n->whole)
        return misread_number(p, end, bad);
    if (*n->whole == '0' && p - n->whole > 1)
        return misread_number(n->whole, end, bad);
    if (peek(p, end) == '.') {
        n->integer = false;
        n->fraction = p + 1;
        n->fraction_end = p = digits_skip(n->fraction, end);
        if (p == n->fraction)
            return misread_number(p, end, bad);
    }
    if ((peek(p, end) | 0x20) == 'e') {
        n->integer = false;
        p = exponent_scan(p + 1, end, n, bad);
    }
    return p;
}

static bool integer_fits(const struct parts *n)
{
    size_t len = (size_t)(n->whole_end - n->whole);
    const char *most = n->negative ? int64_min : int64_max;
    return len < 19 || (len == 19 && memcmp(n->whole, most, 19) <= 0);
}

/* The i-th digit after leading zeros were left out; '0' behind the last. */
struct digits {
    const uint8_t *at, *whole_end, *fraction, *fraction_end;
};

static bool digits_next(struct digits *d, uint8_t *digit)
{
    if (d->at == d->whole_end)
        d->at = d->fraction;
    if (d->at == d->fraction_end || d->at == NULL)
        return false;
    *digit = *d->at++;
    return true;
}

static bool real_is_finite(const struct parts *n)
{
    int64_t magnitude = n->whole_end - n->whole + n->exponent; /* 0.d1d2… * 10^magnitude */
    if (magnitude < (int64_t)sizeof(bound) - 1)
        return true;
    struct digits d = {n->whole, n->whole_end, n->fraction, n->fraction_end};
    uint8_t digit = '0';
    while (digit == '0') {
        if (!digits_next(&d, &digit))
            return true; /* zero, whatever its exponent */
        magnitude -= digit == '0';
    }
    if (magnitude != (int64_t)sizeof(bound) - 1)
        return magnitude < (int64_t)sizeof(bound) - 1;
    for (size_t i = 0; i < sizeof(bound) - 1; i++) {
        if (digit != (uint8_t)bound[i])
            return digit < (uint8_t)bound[i];
        if (!digits_next(&d, &digit))
            digit = '0';
    }
    return false;
}

const uint8_t *number_rest(const uint8_t *p, const uint8_t *end, enum number_kind *kind, struct misread *bad)
{
    struct parts n;
    p = parts_scan(p, end, &n, bad);
    if (p == NULL)
        return NULL;
    if (n.integer)
        *kind = integer_fits(&n) ? NUMBER_OK : NUMBER_BIG_INTEGER;
    else
        *kind = real_is_finite(&n) ? NUMBER_OK : NUMBER_BIG_REAL;
    return p;
}

/* A value that a program does not touch comes back as the same double, and so its text is found again: the row's
 * numbers are kept by their doubles. What was computed has no text and is written anew. Two numbers that were sent with
 * different values and the same double cannot be told apart afterwards; that is said, not guessed.
 *
 * Values are compared as decimal digits and an exponent, however they were written: 1, 1.0 and 10e-1 are one value. */
#include "jq/numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 64, SHOWN = 40 };

void numbers_fini(struct numbers *n)
{
    free(n->all);
    *n = (struct numbers){0};
}

void numbers_clear(struct numbers *n)
{
    n->count = 0;
    n->sorted = n->failed = 0;
}

static double number_value(struct hg_text text)
{
    char small[NUMBER_SIZE];
    if (text.len < sizeof(small)) {
        memcpy(small, text.ptr, text.len);
        small[text.len] = '\0';
        return strtod(small, NULL);
    }
    char *copy = strndup(text.ptr, text.len); /* a row's text has no NUL behind it */
    double value = copy ? strtod(copy, NULL) : NAN;
    free(copy);
    return value;
}

double numbers_add(struct numbers *n, struct hg_text text)
{
    double value = number_value(text);
    if (n->count == n->cap) {
        size_t cap = n->cap ? n->cap * 2 : 64;
        struct number *all = realloc(n->all, cap * sizeof(*all));
        if (!all) {
            n->failed = 1;
            return value;
        }
        n->all = all;
        n->cap = cap;
    }
    n->failed |= isnan(value);
    n->sorted = 0;
    n->all[n->count++] = (struct number){value, text};
    return value;
}

/* --- decimal values --- */

/* Digits of a JSON number: `first` to `last` are those that count, of the value 0.FIRST…LAST * 10^power. */
struct decimal {
    const char *first, *last; /* NULL: zero */
    const char *point;        /* between digits, or NULL */
    long power;
    int negative;
};

static struct decimal decimal_of(struct hg_text t)
{
    struct decimal d = {.negative = t.len > 0 && t.ptr[0] == '-'};
    long before = 0; /* digits from the first that counts to the point; negative: zeros behind it */
    int seen_point = 0;
    size_t at = (size_t)d.negative;
    for (; at < t.len && t.ptr[at] != 'e' && t.ptr[at] != 'E'; at++) {
        char c = t.ptr[at];
        if (c == '.') {
            seen_point = 1;
            d.point = t.ptr + at;
            continue;
        }
        if (c != '0') {
            d.last = t.ptr + at;
            if (!d.first)
                d.first = t.ptr + at;
        }
        if (d.first && !seen_point)
            before++;
        if (!d.first && seen_point)
            before--;
    }
    long exponent = 0;
    if (at < t.len) {
        int minus = at + 1 < t.len && t.ptr[at + 1] == '-';
        for (at++; at < t.len; at++)
            if (t.ptr[at] >= '0' && t.ptr[at] <= '9' && exponent < 1000000)
                exponent = exponent * 10 + (t.ptr[at] - '0');
        exponent = minus ? -exponent : exponent;
    }
    d.power = before + exponent;
    return d;
}

static int decimal_same(struct decimal a, struct decimal b)
{
    if (!a.first || !b.first)
        return !a.first && !b.first;
    if (a.negative != b.negative || a.power != b.power)
        return 0;
    while (a.first <= a.last && b.first <= b.last) {
        a.first += a.first == a.point;
        b.first += b.first == b.point;
        if (*a.first != *b.first)
            return 0;
        a.first++;
        b.first++;
    }
    return a.first > a.last && b.first > b.last;
}

/* As few digits as it takes to read the same double again. */
static size_t shortest(double value, char out[NUMBER_SIZE])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    if (fabs(value) < 1e17 && value == floor(value)) /* no exponent where people write none */
        snprintf(out, NUMBER_SIZE, "%.0f", value);
    return strlen(out);
}

int number_exact(struct hg_text text)
{
    char out[NUMBER_SIZE];
    double value = number_value(text);
    if (!isfinite(value))
        return 0;
    size_t len = shortest(value, out);
    return decimal_same(decimal_of(text), decimal_of((struct hg_text){out, len}));
}

/* --- finding them again --- */

static int by_value(const void *a, const void *b)
{
    const struct number *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->text.ptr < y->text.ptr ? -1 : x->text.ptr > y->text.ptr; /* the first that was sent goes first */
}

static size_t find_first(const struct numbers *n, double value)
{
    size_t low = 0, high = n->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (n->all[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int numbers_write(struct numbers *n, double value, struct strbuf *out, char *why, size_t size)
{
    char text[NUMBER_SIZE];
    if (!isfinite(value)) {
        snprintf(why, size, "a number of the result is not finite");
        return 0;
    }
    if (!n->sorted && n->count > 1)
        qsort(n->all, n->count, sizeof(*n->all), by_value);
    n->sorted = 1;
    size_t at = find_first(n, value);
    if (at == n->count || n->all[at].value != value) {
        strbuf_add(out, text, shortest(value, text));
        return 1;
    }
    struct hg_text sent = n->all[at].text;
    for (size_t i = at + 1; i < n->count && n->all[i].value == value; i++) {
        struct hg_text other = n->all[i].text;
        if (decimal_same(decimal_of(sent), decimal_of(other)))
            continue;
        snprintf(why, size, "jq cannot tell %.*s from %.*s", sent.len < SHOWN ? (int)sent.len : SHOWN, sent.ptr,
                 other.len < SHOWN ? (int)other.len : SHOWN, other.ptr);
        return 0;
    }
    strbuf_add(out, sent.ptr, sent.len);
    return 1;
}

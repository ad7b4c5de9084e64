/* JSON numbers: read as text, checked against what 64 bits signed or a double can hold, never converted. Any thread. */
#ifndef HG_ROWS_NUMBER_H
#define HG_ROWS_NUMBER_H

#include "rows/text.h"

enum number_kind {
    NUMBER_OK,
    NUMBER_BIG_INTEGER, /* no fraction, no exponent, and does not fit 64 bits signed */
    NUMBER_BIG_REAL,    /* would round to infinity */
};

/* A number from its first byte (a digit or '-'), any length; the position after it, or NULL and `bad` is filled. */
const uint8_t *number_rest(const uint8_t *p, const uint8_t *end, enum number_kind *kind, struct misread *bad);

/* The same, with the usual short number in one look at 16 bytes. */
static inline const uint8_t *number_scan(const uint8_t *p, const uint8_t *end, enum number_kind *kind,
                                         struct misread *bad)
{
#ifdef __SSE2__
    const uint8_t *digits = p + (*p == '-');
    if (end - digits > 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)digits);
        /* '0'..'9' become the ten smallest signed values. */
        __m128i shifted = _mm_add_epi8(bytes, _mm_set1_epi8((char)(128 - '0')));
        __m128i is_digit = _mm_cmplt_epi8(shifted, _mm_set1_epi8((char)(-128 + 10)));
        uint32_t other = ~(uint32_t)_mm_movemask_epi8(is_digit); /* the upper 16 bits are set */
        unsigned whole = (unsigned)__builtin_ctz(other);
        if (whole > 0 && whole < 16 && (*digits != '0' || whole == 1)) {
            unsigned len = whole;
            if (digits[len] == '.') {
                unsigned part = (unsigned)__builtin_ctz(other >> (whole + 1));
                len = part > 0 ? whole + 1 + part : 16;
            }
            if (len < 16 && (digits[len] | 0x20) != 'e') {
                *kind = NUMBER_OK;
                return digits + len;
            }
        }
    }
#endif
    return number_rest(p, end, kind, bad);
}

#endif

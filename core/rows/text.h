/* JSON text: strings, UTF-8, white space, literals. Works on bytes with an end; no NUL is needed behind them.
 *
 * The plain run of a string (ASCII without quote, backslash and control characters) is found 16 or 32 bytes at a time
 * where the processor has SSE2, else byte by byte. Any thread. */
#ifndef HG_ROWS_TEXT_H
#define HG_ROWS_TEXT_H

#include "rows/fault.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What was not JSON, and where. */
struct misread {
    enum fault_id id;
    const uint8_t *at;
};

/* A string between its quotes. */
struct text {
    const uint8_t *ptr;
    size_t len;
    bool escaped; /* holds a backslash */
    bool nul;     /* holds \u0000 */
};

/* RFC 8259 section 2: blank, tab, line feed, carriage return. */
const uint8_t *space_rest(const uint8_t *p, const uint8_t *end);

static inline const uint8_t *space_skip(const uint8_t *p, const uint8_t *end)
{
    return p<end && * p> ' ' ? p : space_rest(p, end);
}

/* The byte at p, 0 at the end: a NUL byte is nowhere allowed, so the two need not be told apart here. */
static inline uint8_t peek(const uint8_t *p, const uint8_t *end)
{
    return p < end ? *p : 0;
}

/* From p to the first byte that is a quote, a backslash, a control character or not ASCII; or end. */
static inline const uint8_t *plain_skip(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), blank = _mm_set1_epi8(' ');
    while (end - p >= 32) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + 16));
        /* Signed: below ' ' are the control characters and everything from 0x80 on. */
        __m128i sa =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(a, quote), _mm_cmpeq_epi8(a, slash)), _mm_cmplt_epi8(a, blank));
        __m128i sb =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(b, quote), _mm_cmpeq_epi8(b, slash)), _mm_cmplt_epi8(b, blank));
        uint32_t found = (uint32_t)_mm_movemask_epi8(sa) | (uint32_t)_mm_movemask_epi8(sb) << 16;
        if (found != 0)
            return p + __builtin_ctz(found);
        p += 32;
    }
#endif
    while (p < end && *p >= ' ' && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The rest of a string from where its plain run ended; the position after its closing quote, NULL: misread. */
const uint8_t *text_rest(const uint8_t *p, const uint8_t *end, struct text *out, struct misread *bad);

/* A string from its opening quote; the position after its closing quote, or NULL and `bad` is filled. */
static inline const uint8_t *text_scan(const uint8_t *p, const uint8_t *end, struct text *out, struct misread *bad)
{
    const uint8_t *stop = plain_skip(p + 1, end);
    out->ptr = p + 1;
    out->escaped = out->nul = false;
    if (stop == end || *stop != '"')
        return text_rest(stop, end, out, bad);
    out->len = (size_t)(stop - out->ptr);
    return stop + 1;
}

/* true, false or null at p: the position after it, NULL when it is none of them. */
const uint8_t *literal_rest(const uint8_t *p, const uint8_t *end);

static inline const uint8_t *literal_scan(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 5)
        return literal_rest(p, end);
    bool is_false = memcmp(p, "fals", 4) == 0;
    bool ok = (memcmp(p, "true", 4) == 0) | (memcmp(p, "null", 4) == 0) | (is_false & (p[4] == 'e'));
    return ok ? p + 4 + is_false : NULL;
}

/* Length of the UTF-8 sequence at p (RFC 3629 section 4: shortest form, no surrogates, up to U+10FFFF); 0: none. */
size_t utf8_scan(const uint8_t *p, const uint8_t *end);

/* Resolve the escapes of a valid string into `out`; the length, or SIZE_MAX when it needs more than `size`. */
size_t text_unescape(const uint8_t *ptr, size_t len, char *out, size_t size);

/* Is the valid string `ptr` (between its quotes), once unescaped, this plain text? */
bool text_is(const uint8_t *ptr, size_t len, struct slice plain);

#endif

/* The keys of the row before: rows of a batch mostly have the same keys, nearly always in the same order.
 *
 * A shape is a list of keys that is known to be without duplicates and fault. A row whose keys are found in it, each
 * at most once, therefore has neither, and its keys need not be read: comparing their bytes is enough. */
#ifndef HG_ROWS_SHAPE_H
#define HG_ROWS_SHAPE_H

#include "rows/keys.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    SHAPE_KEYS = 256, /* more than that: each key is read and looked up; a multiple of 64 */
    SHAPE_TEXT = 64,  /* bytes of the longest, with quotes and colon */
    SHAPE_LOOSE = 64, /* of the first ones: these are found wherever they come */
    SHAPE_SLOTS = 256,
    SHAPE_AHEAD = 8, /* of the others: keys that may be left out at a time */
    SHAPE_WAIT = 63, /* rows between two attempts, when learning has not helped */
};

struct shape_key {
    uint8_t text[SHAPE_TEXT]; /* "key": */
    uint32_t len;
};

struct shape {
    uint32_t count;
    uint32_t wait, patience;    /* rows until the next is learned; what that was set to last */
    bool helped;                /* a row was found in it since */
    bool any_keys;              /* learned while rows.keys = any: may hold keys that are not camelCase */
    uint8_t slots[SHAPE_SLOTS]; /* a table with open addressing of the first keys, counted from 1; 0 is free */
    struct shape_key keys[SHAPE_KEYS];
};

/* Take over the keys of a row that had no fault, unless they are too many or too long: then the shape is empty. Where
 * rows have nothing in common, only one in many is learned. */
void shape_learn(struct shape *shape, const struct key *keys, uint32_t count, bool any_keys);

static inline bool shape_key_is(const struct shape_key *key, const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
    if (end - p >= SHAPE_TEXT) {
        uint32_t at = 0;
        for (;;) {
            __m128i have = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
            __m128i want = _mm_loadu_si128((const __m128i *)(const void *)(key->text + at));
            uint32_t differ = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(have, want)) ^ 0xFFFF;
            uint32_t same = (uint32_t)__builtin_ctz(differ | 0x10000);
            if (at + same >= key->len)
                return true;
            if (same < 16)
                return false;
            at += 16;
        }
    }
#endif
    return (size_t)(end - p) >= key->len && memcmp(p, key->text, key->len) == 0;
}

/* Where a key's text, with quotes and colon at least 4 bytes, is looked for first. */
static inline uint32_t shape_slot(const uint8_t *text, size_t len)
{
    uint32_t head, tail;
    memcpy(&head, text, 4);
    memcpy(&tail, text + len - 4, 4);
    return (head + tail * 0x9E3779B1u + (uint32_t)len) * 0x85EBCA6Bu / (UINT32_MAX / SHAPE_SLOTS + 1);
}

/* Which of the first SHAPE_LOOSE keys stands at `p`; shape->count: none of them. */
static inline uint32_t shape_find(const struct shape *shape, const uint8_t *p, const uint8_t *end)
{
    size_t most = end - p < SHAPE_TEXT ? (size_t)(end - p) : SHAPE_TEXT;
    const uint8_t *quote = most < 4 ? NULL : memchr(p + 2, '"', most - 3);
    if (quote == NULL || shape->count == 0)
        return shape->count;
    for (uint32_t slot = shape_slot(p, (size_t)(quote - p) + 2);; slot = (slot + 1) % SHAPE_SLOTS) {
        uint32_t i = shape->slots[slot];
        if (i == 0)
            return shape->count;
        if (shape_key_is(&shape->keys[i - 1], p, end))
            return i - 1;
    }
}

#endif

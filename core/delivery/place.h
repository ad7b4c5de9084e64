/* The place of a row in the journal: the position of its record, and its number in that row set. */
#ifndef HG_DELIVERY_PLACE_H
#define HG_DELIVERY_PLACE_H

#include <stdbool.h>
#include <stdint.h>

struct place {
    uint64_t position;
    uint32_t row;
};

/* As a row's number: all rows of the set, for a pusher whose unit is the set (HG_WHOLE_SETS). */
enum { PLACE_SET = 0x7fffffff };

static inline int place_cmp(struct place a, struct place b)
{
    if (a.position != b.position)
        return a.position < b.position ? -1 : 1;
    return a.row == b.row ? 0 : a.row < b.row ? -1 : 1;
}

static inline bool place_before(struct place a, struct place b)
{
    return place_cmp(a, b) < 0;
}

#endif

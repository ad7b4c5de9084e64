/* Rows of a push in halves: how the guilty row of a refused request is found without its neighbours paying for it.
 *
 *     ranges_start(&r, 0, count);
 *     while (ranges_next(&r, &now)) { send [now.from, now.to); refused and ranges_halve(&r, now)? then its halves come
 * }
 *
 * Ranges come in the order of their rows. */
#ifndef COMMON_RANGES_H
#define COMMON_RANGES_H

#include <stddef.h>

enum { RANGES_DEPTH = 66 /* halvings of a size_t, and one */ };

struct range {
    size_t from, to;
};

struct ranges {
    struct range stack[RANGES_DEPTH];
    size_t depth;
};

void ranges_start(struct ranges *r, size_t from, size_t to);
int ranges_next(struct ranges *r, struct range *out); /* 1, or 0: none is left */
int ranges_halve(struct ranges *r, struct range of);  /* 1, or 0: it is one row */

#endif

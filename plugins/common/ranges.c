/* A stack: the first half is on top, so it comes next. */
#include "common/ranges.h"

void ranges_start(struct ranges *r, size_t from, size_t to)
{
    r->depth = 0;
    if (from < to)
        r->stack[r->depth++] = (struct range){from, to};
}

int ranges_next(struct ranges *r, struct range *out)
{
    if (r->depth == 0)
        return 0;
    *out = r->stack[--r->depth];
    return 1;
}

int ranges_halve(struct ranges *r, struct range of)
{
    size_t middle = of.from + (of.to - of.from) / 2;
    if (middle == of.from)
        return 0;
    r->stack[r->depth++] = (struct range){middle, of.to};
    r->stack[r->depth++] = (struct range){of.from, middle};
    return 1;
}

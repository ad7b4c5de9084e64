/* Counting bytes of bodies against http.max_memory. `used` is everything, `used_small` what bodies up to 64 KiB hold;
 * large bodies may take three quarters of the maximum, so a handful of them never keeps a small one out. Taken
 * optimistically: add, look, and take back when it was too much; two takers at the edge may both be refused, which only
 * means that both wait. */
#include "http/budget.h"

static bool fits(struct http_budget *b, uint64_t used, bool large)
{
    uint64_t max = atomic_load(&b->max);
    if (used > max)
        return false;
    uint64_t small = atomic_load(&b->used_small);
    return !large || (used > small ? used - small : 0) <= max - max / 4;
}

bool budget_take(struct http_budget *b, struct charge *c, uint64_t bytes, bool large)
{
    large = large || c->large;
    if (bytes <= c->bytes && large == c->large)
        return true;
    uint64_t more = bytes > c->bytes ? bytes - c->bytes : 0;
    uint64_t moved = large && !c->large ? c->bytes : 0; /* was small until now */
    if (moved > 0)
        atomic_fetch_sub(&b->used_small, moved);
    if (!large)
        atomic_fetch_add(&b->used_small, more);
    uint64_t used = atomic_fetch_add(&b->used, more) + more;
    if (fits(b, used, large)) {
        c->bytes += more;
        c->large = large;
        return true;
    }
    atomic_fetch_sub(&b->used, more);
    if (!large)
        atomic_fetch_sub(&b->used_small, more);
    if (moved > 0)
        atomic_fetch_add(&b->used_small, moved);
    return false;
}

void budget_return(struct http_budget *b, struct charge *c)
{
    atomic_fetch_sub(&b->used, c->bytes);
    if (!c->large)
        atomic_fetch_sub(&b->used_small, c->bytes);
    *c = (struct charge){0};
}

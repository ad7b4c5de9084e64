/* Counting bytes of bodies against http.max_memory. `used` is everything, `used_small` what bodies up to 64 KiB hold;
 * large bodies may take three quarters of the maximum, so a handful of them never keeps a small one out. Taken
 * optimistically: add, look, and take back when it was too much; two takers at the edge may both be refused, which only
 * means that both wait.
 *
 * A body of HTTP grows as its bytes come and keeps what it has while it waits for more. What a puller emits is paid for
 * at once or not at all, so it holds up nobody; but against a stream of large bodies it would never find so much room
 * in one piece. So whoever claims room in vain keeps new large bodies from beginning until it asks again. Those under
 * way go on: were they stopped, too, they might wait for each other. */
#include "base/budget.h"

#include "base/sys.h"

static uint64_t for_large(const struct budget *b)
{
    uint64_t max = atomic_load(&b->max);
    return max - max / 4;
}

static bool within(const struct budget *b, uint64_t used, bool large)
{
    if (used > atomic_load(&b->max))
        return false;
    uint64_t small = atomic_load(&b->used_small);
    return !large || (used > small ? used - small : 0) <= for_large(b);
}

static bool take(struct budget *b, struct charge *c, uint64_t bytes, bool large)
{
    uint64_t more = bytes > c->bytes ? bytes - c->bytes : 0;
    uint64_t moved = large && !c->large ? c->bytes : 0; /* was small until now */
    if (moved > 0)
        atomic_fetch_sub(&b->used_small, moved);
    if (!large)
        atomic_fetch_add(&b->used_small, more);
    uint64_t used = atomic_fetch_add(&b->used, more) + more;
    if (within(b, used, large)) {
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

static bool claimed(const struct budget *b)
{
    int64_t until = atomic_load(&b->claim_ms);
    return until != 0 && clock_ms() < until;
}

bool budget_take(struct budget *b, struct charge *c, uint64_t bytes, bool large)
{
    large = large || c->large;
    if (bytes <= c->bytes && large == c->large)
        return true;
    if (large && c->bytes == 0 && claimed(b))
        return false;
    return take(b, c, bytes, large);
}

bool budget_claim(struct budget *b, struct charge *c, uint64_t bytes)
{
    bool taken = take(b, c, bytes, c->large || bytes > SMALL_BODY);
    atomic_store(&b->claim_ms, taken ? 0 : clock_ms() + CLAIM_MS);
    return taken;
}

bool budget_fits(const struct budget *b, uint64_t bytes)
{
    return bytes <= SMALL_BODY || bytes <= for_large(b);
}

void budget_return(struct budget *b, struct charge *c)
{
    atomic_fetch_sub(&b->used, c->bytes);
    if (!c->large)
        atomic_fetch_sub(&b->used_small, c->bytes);
    *c = (struct charge){0};
}

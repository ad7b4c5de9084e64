/* Chunks in a list, each twice the one before up to a limit. After a reset the newest chunk, which is the largest of
 * the ordinary ones, is kept: a worker that pushes batches of one size ends up with a single chunk and no allocation at
 * all. */
#include "host/loft.h"

#include "base/check.h"

#include <stdlib.h>

enum { CHUNK_FIRST = 16 * 1024, CHUNK_MOST = 1024 * 1024 };

struct loft_chunk {
    struct loft_chunk *next;
    size_t size, used;
    _Alignas(16) char bytes[];
};

void loft_init(struct loft *a, size_t max)
{
    *a = (struct loft){.max = max};
}

void loft_fini(struct loft *a)
{
    loft_reset(a, 0);
}

static struct loft_chunk *chunk_new(struct loft *a, size_t need)
{
    size_t size = a->chunks == NULL ? CHUNK_FIRST : a->chunks->size * 2;
    if (size > CHUNK_MOST)
        size = CHUNK_MOST;
    if (size < need)
        size = need;
    if (a->total > a->max || size > a->max - a->total)
        return NULL;
    struct loft_chunk *c = malloc(sizeof *c + size);
    if (c == NULL)
        return NULL;
    *c = (struct loft_chunk){.next = a->chunks, .size = size};
    a->chunks = c;
    a->total += size;
    return c;
}

void *loft_take(struct loft *a, size_t size)
{
    if (size > a->max)
        return NULL;
    size = (size + 7) & ~(size_t)7;
    struct loft_chunk *c = a->chunks;
    if (c == NULL || size > c->size - c->used)
        c = chunk_new(a, size);
    if (c == NULL)
        return NULL;
    void *piece = c->bytes + c->used;
    c->used += size;
    return piece;
}

void loft_reset(struct loft *a, size_t keep)
{
    struct loft_chunk *c = a->chunks, *kept = NULL;
    while (c != NULL) {
        struct loft_chunk *next = c->next;
        if (kept == NULL && c->size <= keep)
            kept = c;
        else
            free(c);
        c = next;
    }
    a->chunks = kept;
    a->total = 0;
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
        a->total = kept->size;
    }
}

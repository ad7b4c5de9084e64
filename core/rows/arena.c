/* Memory of a scan.
 *
 * A scanner that serves one request after the other asks for no memory once it has seen its largest body: blocks and
 * arrays are kept, only their fill level goes back to zero. Texts that results point to (pointers, details, unescaped
 * strings) live in blocks that never move; what is found through an index (spans, keys, frames) lives in arrays that
 * may. All of it goes through realloc, so that a test can make the n-th request for memory fail. One thread. */
#include "rows/arena.h"

#include <stdlib.h>

enum { BLOCK_FIRST = 4096, GROWN_FIRST = 32 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    char bytes[];
};

static struct arena_block *block_new(struct arena *a, size_t len)
{
    size_t size = a->total < BLOCK_FIRST ? BLOCK_FIRST : a->total;
    if (size < len)
        size = len;
    struct arena_block *block = realloc(NULL, sizeof(*block) + size);
    if (block == NULL)
        return NULL;
    *block = (struct arena_block){.size = size};
    a->total += size;
    return block;
}

/* Blocks double, so few are passed over before one is large enough. */
static char *take_from_next(struct arena *a, size_t len)
{
    struct arena_block **link = a->now == NULL ? &a->first : &a->now->next;
    while (*link != NULL && (*link)->size < len)
        link = &(*link)->next;
    struct arena_block *block = *link;
    if (block == NULL) {
        block = block_new(a, len);
        if (block == NULL)
            return NULL;
        *link = block;
    }
    a->now = block;
    a->used = len;
    return block->bytes;
}

char *arena_take(struct arena *a, size_t len)
{
    if (a->now == NULL || a->now->size - a->used < len)
        return take_from_next(a, len);
    char *taken = a->now->bytes + a->used;
    a->used += len;
    return taken;
}

void arena_clear(struct arena *a)
{
    a->now = NULL;
    a->used = 0;
}

void arena_fini(struct arena *a)
{
    for (struct arena_block *block = a->first, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    *a = (struct arena){0};
}

int grown_reserve(struct grown *g, void **array, size_t size, size_t need)
{
    if (need <= g->cap)
        return ERR_OK;
    size_t cap = g->cap < GROWN_FIRST ? GROWN_FIRST : (size_t)g->cap * 2;
    if (cap < need)
        cap = need;
    if (cap > UINT32_MAX)
        return ERR_NOMEM;
    void *moved = realloc(*array, cap * size);
    if (moved == NULL)
        return ERR_NOMEM;
    *array = moved;
    g->cap = (uint32_t)cap;
    return ERR_OK;
}

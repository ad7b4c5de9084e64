/* Memory of a scan: blocks that never move (texts), and arrays that grow. Kept between requests. One thread. */
#ifndef HG_ROWS_ARENA_H
#define HG_ROWS_ARENA_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
    struct arena_block *first; /* all blocks, in order */
    struct arena_block *now;   /* the one being filled */
    size_t used;               /* bytes of `now` */
    size_t total;              /* bytes of all blocks */
};

/* `len` bytes that stay where they are until arena_clear; NULL when out of memory. */
char *arena_take(struct arena *a, size_t len);
void arena_clear(struct arena *a); /* everything taken is free again; memory is kept */
void arena_fini(struct arena *a);

/* An array that grows by doubling; `*array` may move. */
struct grown {
    uint32_t count;
    uint32_t cap;
};

/* Room for `need` elements of `size` bytes. ERR_NOMEM leaves the array as it was. */
int grown_reserve(struct grown *g, void **array, size_t size, size_t need) MUST_CHECK;

#endif

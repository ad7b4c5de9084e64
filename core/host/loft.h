/* Memory that is taken piece by piece and given back all at once. Pieces do not move. One thread. */
#ifndef HG_HOST_LOFT_H
#define HG_HOST_LOFT_H

#include <stddef.h>

struct loft_chunk;

struct loft {
    struct loft_chunk *chunks; /* newest first */
    size_t total;              /* bytes of all chunks */
    size_t max;
};

void loft_init(struct loft *a, size_t max);
void loft_fini(struct loft *a);
/* `size` bytes on a boundary of 8, or NULL: out of memory, or more than the maximum. */
void *loft_take(struct loft *a, size_t size);
/* Everything is free again; at most `keep` bytes of memory stay for the next round. */
void loft_reset(struct loft *a, size_t keep);

#endif

/* A 64-bit hash for tables and for holding back rows of one uuid.
 *
 * Fixed for ever: it is stored in cursors and indexes. Not for secrets. Collisions cost time or an unneeded wait, never
 * a wrong answer: whoever finds by hash compares the text afterwards. */
#ifndef HG_BASE_HASH_H
#define HG_BASE_HASH_H

#include "base/slice.h"

#include <stdint.h>

/* FNV-1a over the bytes, then the 64-bit finalizer of splitmix64 so that low bits are usable. Never 0. */
uint64_t hash_bytes(struct slice s);

#endif

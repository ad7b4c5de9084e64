/* Sets of keys, one for each open object: is this key there already? One thread; memory is kept between requests.
 *
 * Sets are a stack: only the set opened last may be added to, until it is closed. Keys are borrowed. Up to
 * KEYS_LISTED keys are compared one by one behind a 64-bit filter; more go into a table. Hashes are seeded, so a client
 * cannot make them collide. */
#ifndef HG_ROWS_KEYS_H
#define HG_ROWS_KEYS_H

#include "base/slice.h"
#include "rows/arena.h"

enum { KEYS_LISTED = 32 };

struct key {
    const uint8_t *ptr;
    uint32_t len;
    uint32_t hash;
};

struct keys {
    struct key *list; /* of all open objects */
    struct grown listed;
    uint32_t *slots; /* tables of all open objects: place in its set from 1, 0 is free */
    struct grown slotted;
    uint64_t seed[2];
};

struct key_set {
    uint64_t filter; /* one bit for each hash & 63 */
    uint32_t first;  /* in keys->list */
    uint32_t table;  /* in keys->slots */
    uint32_t mask;   /* its size less one; 0: no table yet */
};

void keys_init(struct keys *k, uint64_t seed0, uint64_t seed1);
void keys_fini(struct keys *k); /* back to the state after keys_init */

static inline void key_set_open(const struct keys *k, struct key_set *set)
{
    *set = (struct key_set){.first = k->listed.count, .table = k->slotted.count};
}

static inline void key_set_close(struct keys *k, const struct key_set *set)
{
    k->listed.count = set->first;
    k->slotted.count = set->table;
}

/* ERR_EXISTS when it is there already, ERR_NOMEM. */
int key_set_add(struct keys *k, struct key_set *set, const uint8_t *ptr, size_t len) MUST_CHECK;

#endif

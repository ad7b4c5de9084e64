/* Sets of keys.
 *
 * Most objects have some ten keys: a filter of 64 bits says "not there" for nearly all of them without a comparison.
 * Wide objects get a table with open addressing, at most half full, at the end of the shared slots; since only the
 * innermost object grows, tables of the objects around it lie before it and need not move. */
#include "rows/keys.h"

#include <stdlib.h>

enum { TABLE_FIRST = 4 * KEYS_LISTED };

static uint64_t read64(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, 8);
    return value;
}

static uint64_t read32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, 4);
    return value;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Folded multiplication of 16 bytes at a time with a secret; lasts for one process, so any byte order will do. */
static uint32_t key_hash(const struct keys *k, const uint8_t *p, size_t len)
{
    uint64_t state = k->seed[0] ^ len, a, b;
    size_t left = len;
    for (; left > 16; left -= 16, p += 16)
        state = mix(read64(p) ^ k->seed[1], read64(p + 8) ^ state);
    if (left >= 8) {
        a = read64(p);
        b = read64(p + left - 8);
    } else if (left >= 4) {
        a = read32(p);
        b = read32(p + left - 4);
    } else {
        a = left == 0 ? 0 : (uint64_t)p[0] << 16 | (uint64_t)p[left / 2] << 8 | p[left - 1];
        b = 0;
    }
    return (uint32_t)mix(a ^ k->seed[1], b ^ state);
}

void keys_init(struct keys *k, uint64_t seed0, uint64_t seed1)
{
    *k = (struct keys){.seed = {seed0, seed1}};
}

void keys_fini(struct keys *k)
{
    free(k->list);
    free(k->slots);
    keys_init(k, k->seed[0], k->seed[1]);
}

static bool key_is(const struct key *key, uint32_t hash, const uint8_t *ptr, size_t len)
{
    return key->hash == hash && key->len == len && memcmp(key->ptr, ptr, len) == 0;
}

static bool list_has(const struct keys *k, const struct key_set *set, uint32_t hash, const uint8_t *ptr, size_t len)
{
    for (uint32_t i = set->first; i < k->listed.count; i++)
        if (key_is(&k->list[i], hash, ptr, len))
            return true;
    return false;
}

/* The slot that holds this key, or the free one where it belongs. */
static uint32_t *slot_find(const struct keys *k, const struct key_set *set, uint32_t hash, const uint8_t *ptr,
                           size_t len)
{
    uint32_t *table = k->slots + set->table;
    uint32_t at = hash & set->mask;
    while (table[at] != 0 && !key_is(&k->list[set->first + table[at] - 1], hash, ptr, len))
        at = (at + 1) & set->mask;
    return &table[at];
}

static int table_grow(struct keys *k, struct key_set *set)
{
    uint32_t size = set->mask == 0 ? TABLE_FIRST : (set->mask + 1) * 2;
    int code = grown_reserve(&k->slotted, (void **)&k->slots, sizeof(*k->slots), (size_t)set->table + size);
    if (code != ERR_OK)
        return code;
    memset(k->slots + set->table, 0, size * sizeof(*k->slots));
    k->slotted.count = set->table + size;
    set->mask = size - 1;
    for (uint32_t i = set->first; i < k->listed.count; i++) {
        const struct key *key = &k->list[i];
        *slot_find(k, set, key->hash, key->ptr, key->len) = i - set->first + 1;
    }
    return ERR_OK;
}

int key_set_add(struct keys *k, struct key_set *set, const uint8_t *ptr, size_t len)
{
    uint32_t hash = key_hash(k, ptr, len);
    uint64_t bit = UINT64_C(1) << (hash >> 26);
    uint32_t count = k->listed.count - set->first;
    uint32_t *slot = NULL;
    int code = ERR_OK;
    if (count >= KEYS_LISTED && count >= set->mask / 2)
        code = table_grow(k, set);
    if (code == ERR_OK)
        code = grown_reserve(&k->listed, (void **)&k->list, sizeof(*k->list), (size_t)k->listed.count + 1);
    if (code != ERR_OK)
        return code;
    if (set->mask != 0) {
        slot = slot_find(k, set, hash, ptr, len);
        if (*slot != 0)
            return ERR_EXISTS;
        *slot = count + 1;
    } else if ((set->filter & bit) != 0 && list_has(k, set, hash, ptr, len)) {
        return ERR_EXISTS;
    }
    set->filter |= bit;
    k->list[k->listed.count++] = (struct key){.ptr = ptr, .len = (uint32_t)len, .hash = hash};
    return ERR_OK;
}

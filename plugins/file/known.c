/* 64 bits of hash for a file: should two meet, one file's end is read once too seldom, so the odds (1 in 2^32 with all
 * places taken) are those of a row written twice after a crash. */
#include "known.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 32768 };

static uint64_t key_of(uint64_t dev, uint64_t ino)
{
    uint64_t x = dev * 0x9e3779b97f4a7c15u ^ ino;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return x ? x : 1;
}

static uint64_t *slot_of(const struct known *k, uint64_t key)
{
    size_t i = key & (SLOTS - 1);
    while (k->slots[i] && k->slots[i] != key)
        i = (i + 1) & (SLOTS - 1);
    return &k->slots[i];
}

void known_fini(struct known *k)
{
    free(k->slots);
    *k = (struct known){0};
}

void known_add(struct known *k, uint64_t dev, uint64_t ino)
{
    if (!k->slots)
        k->slots = calloc(SLOTS, sizeof(*k->slots));
    if (!k->slots || known_has(k, dev, ino))
        return;
    if (k->count == SLOTS / 2) {
        memset(k->slots, 0, SLOTS * sizeof(*k->slots));
        k->count = 0;
    }
    uint64_t key = key_of(dev, ino);
    *slot_of(k, key) = key;
    k->count++;
}

int known_has(const struct known *k, uint64_t dev, uint64_t ino)
{
    return k->slots && *slot_of(k, key_of(dev, ino)) != 0;
}

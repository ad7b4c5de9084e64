/* Open addressing, at most half full. 128 bits of a well mixed hash stand for an id: with four million of them the
 * chance that any two meet is below 1 in 10^25; ids come from the gateway, not from a client who could aim. */
#include "seen.h"

#include <stdlib.h>
#include <string.h>

enum { SEEN_FIRST = 1024, SEEN_MAX = 1 << 23 }; /* places; 24 bytes each */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

struct idhash idhash_make(const char *id, size_t len)
{
    struct idhash h = {0x9e3779b97f4a7c15u ^ len, 0xc2b2ae3d27d4eb4fu + len};
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, id + i, len - i < 8 ? len - i : 8);
        h.a = mix(h.a ^ word);
        h.b = mix(h.b + word * 0x9ddfea08eb382d69u);
    }
    return h;
}

void seen_init(struct seen *s)
{
    *s = (struct seen){0};
}

void seen_fini(struct seen *s)
{
    free(s->entries);
    seen_init(s);
}

/* The entry of the id, or the free place where it belongs. */
static struct seen_entry *seen_find(const struct seen *s, struct idhash id)
{
    for (size_t i = id.a & (s->cap - 1);; i = (i + 1) & (s->cap - 1)) {
        struct seen_entry *e = &s->entries[i];
        int is_free = e->id.a == 0 && e->id.b == 0;
        if (is_free || (e->id.a == id.a && e->id.b == id.b))
            return e;
    }
}

static int seen_grow(struct seen *s)
{
    struct seen bigger = *s;
    bigger.cap = s->cap ? s->cap * 2 : SEEN_FIRST;
    if (bigger.cap > SEEN_MAX)
        return 0;
    bigger.entries = calloc(bigger.cap, sizeof(*bigger.entries));
    if (!bigger.entries)
        return 0;
    bigger.used = 0;
    for (size_t i = 0; i < s->cap; i++) {
        if (s->entries[i].count == 0)
            continue;
        *seen_find(&bigger, s->entries[i].id) = s->entries[i];
        bigger.used++;
    }
    free(s->entries);
    *s = bigger;
    return 1;
}

void seen_add(struct seen *s, const char *id, size_t len)
{
    struct idhash h = idhash_make(id, len);
    if (len >= sizeof(s->newest) || (s->used * 2 >= s->cap && !seen_grow(s))) {
        s->overflow = 1;
        return;
    }
    struct seen_entry *e = seen_find(s, h);
    if (e->id.a == 0 && e->id.b == 0) {
        e->id = h;
        s->used++;
    }
    e->count++;
    s->left++;
    char text[HG_ROW_ID_SIZE] = {0};
    memcpy(text, id, len);
    if (strcmp(text, s->newest) > 0)
        memcpy(s->newest, text, sizeof(text));
}

int seen_has(const struct seen *s, struct idhash id)
{
    return s->left > 0 && seen_find(s, id)->count > 0;
}

void seen_take(struct seen *s, struct idhash id)
{
    if (!seen_has(s, id))
        return;
    seen_find(s, id)->count--;
    s->left--;
}

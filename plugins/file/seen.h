/* Rows that an earlier process wrote to the files and that may be handed again: a multiset of row ids, kept as 128-bit
 * hashes. Bounded; what does not fit is left out, which can only mean that a row is written twice, never that one is
 * lost. */
#ifndef FILE_SEEN_H
#define FILE_SEEN_H

#include "headgate.h"

struct idhash {
    uint64_t a, b;
};

struct seen_entry {
    struct idhash id;
    uint64_t count; /* 0: taken again, the place stays in its chain */
};

struct seen {
    struct seen_entry *entries;
    size_t cap;                  /* a power of two, or 0 */
    size_t used;                 /* places in use, taken ones too */
    size_t left;                 /* ids not taken yet */
    char newest[HG_ROW_ID_SIZE]; /* greatest id that was added */
    int overflow;                /* 1: some were left out */
};

struct idhash idhash_make(const char *id, size_t len);

void seen_init(struct seen *s);
void seen_fini(struct seen *s); /* frees; empty and usable again */
void seen_add(struct seen *s, const char *id, size_t len);
int seen_has(const struct seen *s, struct idhash id);
void seen_take(struct seen *s, struct idhash id); /* one of this id less */

#endif

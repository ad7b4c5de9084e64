/* Where the records of a uuid, and of an idempotency key, stand in one segment; and its row sets in order, with their
 * clients (index_sets.h).
 *
 * In memory while the segment is the head (and until its file is written), then a sorted file `<base>.idx`. Never
 * trusted over the segment: it is tied to the segment's salt and end, each part has a checksum, and what is missing or
 * bad is built again from the segment. Hashes collide: whoever finds a record compares the text. No locks in here. */
#ifndef HG_JOURNAL_INDEX_H
#define HG_JOURNAL_INDEX_H

#include "base/err.h"
#include "journal/index_sets_file.h"
#include "journal/record.h"

#include <stdbool.h>
#include <stdint.h>

struct index_entry {
    uint64_t hash;
    uint32_t place; /* offset in the segment / RECORD_ALIGN */
    uint32_t older; /* number + 1 of the entry before it in the same slot */
};

struct index_list {
    struct index_entry *entries; /* in the order of the journal */
    uint32_t *slots;             /* number + 1 of the newest entry */
    uint32_t count, cap, slot_count;
};

struct index {
    struct index_list uuids, keys;
    struct index_sets sets;
    bool complete; /* false: memory ran out, the segment itself must be read */
};

/* A filter of keys: no means no. */
struct index_filter {
    uint8_t *bits;
    uint32_t bytes; /* a multiple of 4096; 0: no keys at all */
};

struct index_place { /* which file of which segment */
    const char *path;
    uint64_t base, salt, end;
};

struct index *index_new(void); /* NULL when out of memory */
void index_free(struct index **x);
/* Hashes of 0 are left out. Never fails: it is marked as not complete. */
void index_add(struct index *x, uint64_t uuid_hash, uint64_t key_hash, uint64_t base, uint64_t position);
/* A row set, behind all others of its segment. */
void index_add_set(struct index *x, struct slice client, uint32_t length, int64_t received_us, uint64_t base,
                   uint64_t position);
void index_add_record(struct index *x, uint64_t base, const struct record *r);
/* The hashes of a record's context, 0 where it has none. */
void index_hashes(struct slice context, uint64_t *uuid_hash, uint64_t *key_hash);
/* Its client; empty, never NULL, where it has none. */
struct slice index_client_of(struct slice context);

/* Positions with the hash, newest first, before `before`; the number found, at most `max`. */
uint32_t index_find(const struct index_list *list, uint64_t hash, uint64_t base, uint64_t before, uint64_t *positions,
                    uint32_t max);

/* Written under `temporary`, synced, renamed to place->path; the directory is the caller's to sync. `x` may be
 * searched by others meanwhile. */
int index_write(const struct index_place *place, const char *temporary, const struct index *x,
                struct index_filter *filter) MUST_CHECK;
/* ERR_NOTFOUND, ERR_DAMAGED (also: of another life of the segment), ERR_NOMEM, ERR_IO. */
int index_open(const struct index_place *place, struct index_filter *filter, struct index_clients *clients) MUST_CHECK;
/* The list of row sets; out->fd is the caller's to close. */
int index_open_sets(const struct index_place *place, struct sets_file *out) MUST_CHECK;
enum index_kind { INDEX_UUIDS, INDEX_KEYS };
int index_lookup(const struct index_place *place, enum index_kind kind, uint64_t hash, uint64_t before,
                 uint64_t *positions, uint32_t max, uint32_t *found) MUST_CHECK;

bool filter_has(const struct index_filter *filter, uint64_t hash);
void filter_free(struct index_filter *filter);

#endif

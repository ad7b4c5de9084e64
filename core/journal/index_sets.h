/* The row sets of one segment in the order of the journal: whose they are, when they came, how large they are.
 *
 * Part of the segment's index (index.h), in memory and in its file alike. Names of clients stand once in a table; a
 * segment that holds more than INDEX_CLIENTS of them counts the rest as its entry 0, "others", and whoever looks for
 * one of those reads the record. No locks in here. */
#ifndef HG_JOURNAL_INDEX_SETS_H
#define HG_JOURNAL_INDEX_SETS_H

#include "base/client.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { INDEX_CLIENTS = 1024, CLIENT_OTHERS = 0, CLIENT_SLOTS = 256 };

struct index_client {
    char name[CLIENT_MAX + 1]; /* "": of nobody in particular; meaningless for CLIENT_OTHERS */
    uint32_t next;             /* in its slot; 0: none. Only in memory */
    uint32_t sets;
    uint64_t bytes; /* of their records */
};

/* Who has row sets in a segment, and from when they are. */
struct index_clients {
    struct index_client *all; /* [CLIENT_OTHERS] first; NULL: none yet */
    uint32_t count, cap;
    int64_t first_us, last_us; /* wall clock, of the earliest and the latest */
};

struct index_set {
    uint32_t place;  /* offset in the segment / RECORD_ALIGN */
    uint32_t client; /* in the table */
    uint32_t length; /* of the record */
    int64_t received_us;
};

struct index_sets {
    struct index_set *entries; /* in the order of the journal */
    uint32_t count, cap;
    struct index_clients clients;
    uint32_t slots[CLIENT_SLOTS], last; /* the client of the last entry */
};

/* One is added behind all others. False: no memory, nothing has changed that counts. */
bool sets_add(struct index_sets *s, struct slice client, const struct index_set *set);
void sets_fini(struct index_sets *s);
void clients_table_fini(struct index_clients *c);

/* Its place in the table; CLIENT_OTHERS: it has none, but may be among the others. */
uint32_t clients_table_find(const struct index_clients *c, struct slice client);
/* May the segment hold row sets of this client (ptr NULL: of anybody) from [from_us, to_us)? */
bool clients_table_holds(const struct index_clients *c, struct slice client, int64_t from_us, int64_t to_us);
/* Number of the first entry that is not before `place`. */
uint32_t sets_bound(const struct index_sets *s, uint64_t place);

#endif

/* The part of an index file that lists a segment's row sets: blocks of entries in the order of the journal, then blocks
 * of clients. docs/format.md draws it. The index's own header (index_file.c) says how many there are. */
#ifndef HG_JOURNAL_INDEX_SETS_FILE_H
#define HG_JOURNAL_INDEX_SETS_FILE_H

#include "journal/index_sets.h"

enum { SETS_BLOCK = 4096 };

/* Writes both at `*at` and moves it behind them. */
int sets_write(int fd, const struct index_sets *s, uint64_t *at) MUST_CHECK;

/* The list in an open file, with the block read last. */
struct sets_file {
    int fd;      /* the owner closes it */
    uint64_t at; /* of its first block */
    uint32_t count, clients;
    uint32_t loaded; /* number + 1 of the block in `block` */
    unsigned char block[SETS_BLOCK];
};

/* Entry `number` < count. ERR_DAMAGED, ERR_IO. */
int sets_file_get(struct sets_file *f, uint32_t number, struct index_set *out) MUST_CHECK;
/* Number of the first entry that is not before `place`. */
int sets_file_bound(struct sets_file *f, uint64_t place, uint32_t *out) MUST_CHECK;
/* The table of clients; first_us and last_us are left alone. Also ERR_NOMEM. */
int sets_file_clients(struct sets_file *f, struct index_clients *out) MUST_CHECK;

#endif

/* From a hand-out to the rows of one push: reading the journal, leaving out what is not meant, stopping at the limits.
 * One for each worker; one thread. */
#ifndef HG_HOST_GATHER_H
#define HG_HOST_GATHER_H

#include "host/lent.h"
#include "host/shelf.h"
#include "host/wire.h"
#include "journal/reader.h"

/* A file being read. The record read last stays at hand: one that is pushed in several parts is read and checked once.
 */
struct source {
    struct reader reader;
    uint64_t serial; /* of the shelf's file, 0: the reader is not set up */
    bool cached;
    struct record record; /* when cached; its slices point into the reader's window */
    uint64_t next;        /* where reading goes on behind it */
};

/* Where a batch ends. */
struct batch_end {
    struct wire_place place; /* the range's next row; of a list the last item's place */
    uint64_t rows_before;    /* rows of the journal before it; 0: not known */
};

/* A hand-out with the lists that follow it in the message; borrowed from the worker's inbox. */
struct hand {
    struct wire_hand head;
    const uint64_t *held;          /* sorted */
    const struct wire_item *items; /* HAND_LIST */
};

struct gather {
    struct shelf *shelf;
    bool whole_sets;
    const char *clients;          /* names with commas between: whose row sets are taken; NULL: everybody's */
    const _Atomic bool *stopping; /* a long search ends early */
    struct source range, list;    /* apart, so that a retried row does not cost the range its cached record */
    /* Called for damage that was stepped over, and for files that are dropped and no longer used. */
    void (*damaged)(void *arg, struct read_damage damage);
    void (*dropped)(void *arg, uint32_t store, uint64_t base);
    void *arg;
};

void gather_init(struct gather *g, struct shelf *shelf, bool whole_sets, const _Atomic bool *stopping);
void gather_fini(struct gather *g);
/* Give back every byte; what was cached is read again when it is needed. */
void gather_trim(struct gather *g);

/* Fill `rows` (empty before). An error means that no row can be pushed now and none is skipped; `e` says why. A list's
 * rows that cannot be read are left out as lost or, when trying again may help, as RETRY. */
int gather_rows(struct gather *g, const struct hand *hand, struct hg_rows *rows, struct batch_end *end,
                struct err *e) MUST_CHECK;

#endif

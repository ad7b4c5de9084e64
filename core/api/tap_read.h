/* Reading what passes from the journal, for the tap: a bounded look at the row sets between two positions. Blocking;
 * for a worker thread. */
#ifndef HG_API_TAP_READ_H
#define HG_API_TAP_READ_H

#include "access/role.h"
#include "base/buf.h"
#include "journal/journal.h"

enum {
    TAP_SETS = 32,           /* kept of one look */
    TAP_READS = 1000,        /* looked at, at most */
    TAP_BYTES = 4 << 20,     /* of them */
    TAP_ROWS = 5,            /* of a set whose data is shown */
    TAP_ROW_BYTES = 4 << 10, /* a longer row is not shown */
};

struct tap_filter {
    char uuid[UUID_MAX_BYTES + 1], client[CLIENT_MAX + 1]; /* "": all */
};

struct tap_set {
    uint64_t position, uuid_hash;
    uint32_t rows;
    char uuid[UUID_MAX_BYTES + 1], client[CLIENT_MAX + 1];
    struct buf json; /* what is told of it, on one line */
};

struct tap_look {
    struct journal *journal;
    uint64_t at;                      /* in: from here; out: where the next look begins */
    struct journal_mark to;           /* in */
    const struct tap_filter *filters; /* in: a set is kept that fits one of them */
    uint32_t filter_count, keep;      /* keep at most so many, up to TAP_SETS */
    struct tap_set sets[TAP_SETS];
    uint32_t count;
    uint64_t passed; /* rows that nobody looked at */
};

bool tap_fits(const struct tap_filter *f, const struct tap_set *set);
void tap_look(struct tap_look *l);
void tap_look_fini(struct tap_look *l);

#endif

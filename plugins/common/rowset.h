/* The row sets that the rows of a push came in: with HG_WHOLE_SETS they follow each other. */
#ifndef COMMON_ROWSET_H
#define COMMON_ROWSET_H

#include "headgate.h"

/* Rows `from` to `to` of a push: all of one row set, in its order. */
struct rowset {
    size_t from, to;
    int whole; /* 0: rows of it that come without the others: WHEN or a processor left some, or dead letters of it were
                * sent again */
    int gaps;  /* 1: some are left out between the first and the last */
    uint32_t mark; /* of which numbers there are: the same for the same */
};

/* The one that begins with row `from`. */
struct rowset rowset_at(const struct hg_api *api, const struct hg_rows *rows, size_t from);

#endif

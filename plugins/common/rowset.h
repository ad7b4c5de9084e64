/* The row sets that the rows of a push came in: with HG_WHOLE_SETS they follow each other. */
#ifndef COMMON_ROWSET_H
#define COMMON_ROWSET_H

#include "headgate.h"

/* Rows `from` to `to` of a push: all of one row set. */
struct rowset {
    size_t from, to;
    int whole; /* 0: rows of it that come without the others (dead letters that were sent again) */
};

/* The one that begins with row `from`. */
struct rowset rowset_at(const struct hg_api *api, const struct hg_rows *rows, size_t from);

#endif

/* The rows of one row set, sorted by the run that they belong to and by their index. */
#ifndef RIFFYN_PLACE_H
#define RIFFYN_PLACE_H

#include "run.h"

#include "common/rowset.h"

struct member {
    size_t row; /* of the push */
    int64_t index;
    struct run run;
};

struct places {
    struct member *members;
    size_t count, cap;
};

/* Those of the set that have a run; one that has none is judged. 0, or -1: no memory. */
int places_make(struct places *p, const json_t *spec, const struct hg_api *api, struct hg_rows *rows,
                struct rowset set);
void places_fini(struct places *p);

/* Where the run of member `from` ends. */
size_t places_run_end(const struct places *p, size_t from);

#endif

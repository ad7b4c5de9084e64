/* Between a row's JSON and jq's values. */
#ifndef JQ_TREE_H
#define JQ_TREE_H

#include "jq/numbers.h"

#include <jv.h>

enum big_choice { BIG_KEEP, BIG_STRING, BIG_REJECT };

/* What goes on while one row is read or written. */
struct tree {
    const struct hg_api *api;
    int32_t big; /* enum big_choice */
    struct numbers numbers;
    struct strbuf text; /* of one string */
    char why[600];      /* why it cannot be; "" while it can */
    int nomem;
};

/* A value as jq's. Invalid, with `why` or `nomem` set, when it cannot be. */
jv tree_read(struct tree *t, const struct hg_value *value);
/* Appends `value`, which is consumed. 1, or 0 with `why` or `nomem` set. */
int tree_write(struct tree *t, jv value, struct strbuf *out);

#endif

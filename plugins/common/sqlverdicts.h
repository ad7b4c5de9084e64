/* What the rows of a push have come to in a transaction: said to the host only when the commit has held. */
#ifndef COMMON_SQLVERDICTS_H
#define COMMON_SQLVERDICTS_H

#include "common/sqltable.h"

enum { SQLVERDICT_UNDECIDED = 255 }; /* the time was over before it was this row's turn */

struct sqlverdicts {
    unsigned char *of; /* each row: 0 (nothing is against it), SQLVERDICT_UNDECIDED, or enum hg_verdict */
    size_t cap;
};

void sqlverdicts_fini(struct sqlverdicts *v);
int sqlverdicts_room(struct sqlverdicts *v, size_t count); /* -1: no memory */

/* What is known before the server is asked: the rows that the batch refuses. */
void sqlverdicts_begin(struct sqlverdicts *v, struct sqlbatch *b, size_t count);

/* After the commit. What push() returns. */
int sqlverdicts_tell(const struct sqlverdicts *v, struct sqlbatch *b, const struct hg_api *api, struct hg_rows *rows,
                     size_t count);

#endif

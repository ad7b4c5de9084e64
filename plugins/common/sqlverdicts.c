/* A row that is in a transaction is not delivered: the transaction may be rolled back, and its rows go again, alone or
 * in halves. So verdicts are kept here meanwhile. */
#include "common/sqlverdicts.h"

#include <stdlib.h>

void sqlverdicts_fini(struct sqlverdicts *v)
{
    free(v->of);
}

int sqlverdicts_room(struct sqlverdicts *v, size_t count)
{
    if (count <= v->cap)
        return 0;
    unsigned char *grown = realloc(v->of, count);
    if (!grown)
        return -1;
    v->of = grown;
    v->cap = count;
    return 0;
}

void sqlverdicts_begin(struct sqlverdicts *v, struct sqlbatch *b, size_t count)
{
    for (size_t n = 0; n < count; n++)
        v->of[n] = sqlbatch_fault(b, n) ? HG_REJECT : 0;
}

int sqlverdicts_tell(const struct sqlverdicts *v, struct sqlbatch *b, const struct hg_api *api, struct hg_rows *rows,
                     size_t count)
{
    size_t undecided = 0;
    for (size_t n = 0; n < count; n++) {
        const char *why = v->of[n] == HG_REJECT ? sqlbatch_fault(b, n) : NULL;
        if (v->of[n] == SQLVERDICT_UNDECIDED)
            undecided++;
        else
            api->judge(rows, n, v->of[n] ? v->of[n] : HG_OK, 0, why);
    }
    return undecided ? api->not_now(rows, 1, "the time of this push is over; the rest comes with the next") : HG_JUDGED;
}

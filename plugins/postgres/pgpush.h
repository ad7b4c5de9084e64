/* One push into PostgreSQL. */
#ifndef POSTGRES_PGPUSH_H
#define POSTGRES_PGPUSH_H

#include "common/sqlverdicts.h"
#include "pgtable.h"

struct pgpush {
    struct pgconn conn;
    struct pgtable table;
    struct sqlbatch batch;
    struct strbuf copy;    /* some rows as COPY takes them */
    struct strbuf columns; /* "_id, _uuid, …" of this push */
    struct strbuf scratch;
    size_t used;                  /* columns of this push, without the metadata */
    const struct sqlcell **cells; /* of one row, one for each of these */
    size_t cell_cap;
    struct sqlverdicts verdicts;
};

int pgpush_rows(struct pgpush *p, struct hg_rows *rows);
void pgpush_drop(struct pgpush *p); /* closes the session and all that is of it; the next use connects anew */

#endif

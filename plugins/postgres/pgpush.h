/* One push into PostgreSQL. */
#ifndef POSTGRES_PGPUSH_H
#define POSTGRES_PGPUSH_H

#include "pgtable.h"

struct pgpush {
    struct pgconn conn;
    struct pgtable table;
    struct sqlbatch batch;
    struct strbuf copy;    /* rows as COPY takes them */
    struct strbuf columns; /* "_id, _uuid, …" of this push */
    struct strbuf scratch;
    unsigned char *verdicts; /* of each row, until the commit */
    size_t verdict_cap;
};

int pgpush_rows(struct pgpush *p, struct hg_rows *rows);

#endif

/* The table that rows go to: what it looks like, making it, altering it. */
#ifndef POSTGRES_PGTABLE_H
#define POSTGRES_PGTABLE_H

#include "pgconn.h"

#include "common/sqltable.h"

enum { PGTABLE_MARK = 40 };

struct pgtable {
    const char *schema, *table; /* schema may be NULL: the session's search path */
    int json;                   /* one column `data` instead of one for each key */
    int may_create;
    struct strbuf name; /* quoted */
    struct sqltable columns;
    int known;               /* columns and mark hold what the server said in this session */
    char mark[PGTABLE_MARK]; /* digest of its columns: another one means that it was altered */
    char oid[16];
};

int pgtable_init(struct pgtable *t, int may_alter, const struct hg_list *times); /* schema … are set; -1: no memory */
void pgtable_fini(struct pgtable *t);

/* Learns the columns (making the table when it is not there and may be made), and makes the session's temporary table.
 */
enum pgend pgtable_load(struct pgtable *t, struct pgconn *c);

/* Adds and widens columns as the batch wants; PG_FINE: load it again. What the server will never do is noted in
 * columns.refusals. */
enum pgend pgtable_alter(struct pgtable *t, struct pgconn *c);

/* Appends a SELECT of the mark. */
void pgtable_mark(const struct pgtable *t, struct strbuf *sql);

/* What is missing for pushing, as one sentence in `why`; PG_FINE: nothing. */
enum pgend pgtable_probe(struct pgtable *t, struct pgconn *c, char *why, size_t size);

#endif

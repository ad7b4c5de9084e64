/* A destination's table as a pusher knows it, and the rows of one push laid over its columns.
 *
 *     sqltable_put(…)      for every column that the server says is there
 *     sqlbatch_read(…)     which value goes into which column; which columns are missing or too narrow; which rows can
 *                          never be written, with the reason
 *     column.wanted        where it differs from column.kind the table must be altered first; then clear, put, read
 * again
 *
 * One thread; one table for each worker. */
#ifndef COMMON_SQLTABLE_H
#define COMMON_SQLTABLE_H

#include "common/sqlkind.h"
#include "common/sqlname.h"
#include "common/strbuf.h"

enum {
    SQLTABLE_COLUMNS = 2000,
    SQLTABLE_NEW = 250, /* columns that one row may add: more are no table, but a mistake */
    SQLTABLE_KEYS = 512,
    SQLTABLE_REFUSALS = 64,
    SQLTABLE_WHY = 256
};

struct sqlcolumn {
    char name[SQLNAME_MAX + 1];
    enum sql_kind kind;   /* as it is; SQL_NONE: not there yet */
    enum sql_kind wanted; /* as it must be for the rows of this batch */
    size_t row;           /* the last row of the batch that names it, counted from 1 */
    int used;             /* a row of the batch has a value for it */
    size_t place;         /* for the pusher: where it stands among those that are used */
};

/* What the server would not do to a column, ever: rows that need it are refused with its words. */
struct sqlrefusal {
    char name[SQLNAME_MAX + 1];
    enum sql_kind wanted;
    char why[SQLTABLE_WHY];
};

struct sqlkey {
    char key[SQLNAME_MAX + 1];
    size_t len; /* 0: empty */
    uint32_t column;
};

struct sqltable {
    struct sqlcolumn *columns;
    size_t count, cap;
    int may_alter;               /* columns may be added and widened */
    const struct hg_list *times; /* keys whose new columns are SQL_TIME; or NULL */
    struct sql_digits numeric;   /* what SQL_NUMERIC holds here */
    struct sqlkey *keys;         /* found before: a table of SQLTABLE_KEYS places */
    struct sqlrefusal *refusals;
    size_t refused;
};

/* `_id`, `_uuid`, `_index`, `_received`: what every table has beside its data. */
extern const char *const sqltable_metadata[4];

int sqltable_init(struct sqltable *t, struct sql_digits numeric, int may_alter,
                  const struct hg_list *times); /* -1: no memory */
void sqltable_fini(struct sqltable *t);
void sqltable_clear(struct sqltable *t);   /* forgets the columns, keeps the refusals */
void sqltable_forgive(struct sqltable *t); /* forgets the refusals */
int sqltable_put(struct sqltable *t, const char *name, enum sql_kind kind); /* -1: no memory, or too many */
void sqltable_refuse(struct sqltable *t, const struct sqlcolumn *c, const char *why);

struct sqlcell {
    uint32_t column;
    struct hg_value value;
};

struct sqlrow {
    size_t first, count; /* its cells */
    size_t fault;        /* where its reason stands in `reasons`, plus 1; 0: none */
};

struct sqlbatch {
    struct sqlcell *cells;
    struct sqlrow *rows;
    size_t cell_count, cell_cap, row_count, row_cap;
    struct strbuf reasons; /* each with a NUL */
};

void sqlbatch_init(struct sqlbatch *b);
void sqlbatch_fini(struct sqlbatch *b);

/* Reads all rows. 0, or -1: no memory. Cells point into the rows and hold until push() returns. */
int sqlbatch_read(struct sqlbatch *b, struct sqltable *t, const struct hg_api *api, const struct hg_rows *rows);
int sqlbatch_blank(struct sqlbatch *b,
                   size_t count); /* rows without cells, for a pusher that has none; -1: no memory */
void sqlbatch_refuse(struct sqlbatch *b, size_t row, const char *why);
int sqlbatch_wants(const struct sqltable *t);               /* 1: a column must be added or widened first */
const char *sqlbatch_fault(struct sqlbatch *b, size_t row); /* why it can never be written; NULL: it can */

/* The characters of a value as a text column takes them: a text without its quotes, everything else as its JSON.
 * Appended; -1: no memory. */
int sql_value_text(struct strbuf *out, const struct hg_api *api, const struct hg_value *value);

/* A number as a column of whole numbers takes it (3.0 is 3); as sent where it is none. */
void sql_whole_text(struct strbuf *out, struct hg_text json);

#endif

/* Rows of a CSV file with a header: its names become keys (camel.h), a record becomes a data object. What `headgate
 * send` and pullers of files read CSV with. One thread.
 *
 *     csvtable_init(&t, &form);
 *     feed t.csv (csvread.h) until it has a record: csvtable_header(&t);
 *     then for each further record: csvtable_row(&t, &index), and t.row is the object. */
#ifndef COMMON_CSVTABLE_H
#define COMMON_CSVTABLE_H

#include "common/csvcell.h"
#include "common/csvread.h"

enum { CSVTABLE_WHY_MAX = 480 };

struct csvtable_column {
    char *title;   /* as in the header */
    char *key;     /* camelCase */
    size_t number; /* from 1 */
    enum csvcell_type type;
    int typed; /* its type was given by its name */
    int index; /* its cells are the rows' index */
};

struct csvtable {
    struct csvread csv;
    struct csvform form;
    struct csvtable_column *columns;
    size_t count;
    struct strbuf row;          /* the data object; until the next call */
    struct strbuf cell;         /* one that had to be made UTF-8 */
    char why[CSVTABLE_WHY_MAX]; /* what a function that returned -1 says */
};

void csvtable_init(struct csvtable *t, const struct csvform *form); /* which is copied */
void csvtable_fini(struct csvtable *t);
/* Begins with another file, or the same one again: the columns stay until csvtable_header(). */
void csvtable_rewind(struct csvtable *t);

/* The record in t->csv is the header. 0, or -1: a name that cannot be a key, two that become one, no memory. */
int csvtable_header(struct csvtable *t);
/* "column=text,…" (csvcell_type_parse), `*` for all columns that are not named; the column whose cells are the index.
 * By title or key. 0, or -1: no such column or type. */
int csvtable_types(struct csvtable *t, const char *types);
int csvtable_index(struct csvtable *t, const char *column);

/* The record in t->csv, which began on line t->csv.began. `*index`: -1: none. 0, or -1: another number of cells than
 * columns, a cell that is not of its type, no memory. */
int csvtable_row(struct csvtable *t, int64_t *index);

#endif

/* Rows from a file: NDJSON, JSON, CSV and TSV behind one `next`. Reads the file as often as it is begun; between two
 * passes the header and the kind found by the first stay. One thread; memory bounded by the largest row. */
#ifndef HG_CLI_ROWFILE_H
#define HG_CLI_ROWFILE_H

#include "cli/cell.h"
#include "cli/csv.h"
#include "cli/input.h"
#include "cli/jsplit.h"

enum rowfile_format { ROWFILE_UNKNOWN, ROWFILE_NDJSON, ROWFILE_JSON, ROWFILE_CSV };

/* As given on the command line; texts are borrowed. */
struct rowfile_options {
    enum rowfile_format format; /* ROWFILE_UNKNOWN: by the name, then by the first bytes */
    char delimiter;             /* 0: a comma, or a tab for `.tsv` */
    char decimal;
    const char *types; /* "col=text,…" or NULL */
    const char *index; /* a column, or NULL */
};

/* "ndjson", "json", "csv", "tsv" (which also sets the delimiter, unless one was given). ERR_UNKNOWN. */
int rowfile_format(const char *text, struct rowfile_options *options) MUST_CHECK;

struct rowfile_column {
    char *title;   /* as in the header */
    char *key;     /* camelCase */
    size_t number; /* from 1 */
    enum cell_type type;
    bool index;
};

struct rowfile {
    struct input *input; /* borrowed */
    struct rowfile_options options;
    bool documents;    /* rows are whole {"uuid":…} documents */
    bool judged;       /* `documents` is known */
    bool began;        /* this pass has read something */
    struct slice rest; /* of the input's chunk */
    uint64_t line;     /* NDJSON */
    uint64_t blank;    /* empty lines skipped in this pass */
    struct csv csv;
    struct jsplit split;
    struct buf text; /* NDJSON: the line; CSV: the row made of a record */
    struct rowfile_column *columns;
    size_t column_count;
};

struct row {
    struct slice text; /* a data object, or a document; valid until the next call */
    uint64_t line;     /* on which it begins, from 1 */
    uint64_t index;    /* or INDEX_NONE */
};

/* ERR_USAGE: the format cannot be guessed, or the options do not fit it. */
int rowfile_open(struct rowfile *f, struct input *input, const struct rowfile_options *options,
                 struct err *e) MUST_CHECK;
void rowfile_close(struct rowfile *f);
/* Start (again) at the first row. */
int rowfile_begin(struct rowfile *f, struct err *e) MUST_CHECK;
/* 0 with a row; ERR_NOTFOUND at the end; else a fault of the file, `e->text` beginning with "line N: ". */
int rowfile_next(struct rowfile *f, struct row *out, struct err *e) MUST_CHECK;

/* --- columns.c: the header of a CSV file --- */

/* Make f->columns from the header record in f->csv. ERR_SYNTAX, ERR_EXISTS (two columns get one name), ERR_USAGE
 * (--types or --index name no column). */
int columns_read(struct rowfile *f, struct err *e) MUST_CHECK;
void columns_free(struct rowfile *f);
/* The record in f->csv as a data object in f->text. */
int columns_row(struct rowfile *f, struct row *out, struct err *e) MUST_CHECK;

#endif

/* Rows from a file: NDJSON, JSON, CSV and TSV behind one `next`. Reads the file as often as it is begun; between two
 * passes the header and the kind found by the first stay. One thread; memory bounded by the largest row. */
#ifndef HG_CLI_ROWFILE_H
#define HG_CLI_ROWFILE_H

#include "cli/input.h"
#include "cli/jsplit.h"
#include "common/csvtable.h"

enum rowfile_format { ROWFILE_UNKNOWN, ROWFILE_NDJSON, ROWFILE_JSON, ROWFILE_CSV };

/* As given on the command line; texts are borrowed. */
struct rowfile_options {
    enum rowfile_format format; /* ROWFILE_UNKNOWN: by the name, then by the first bytes */
    struct csvform csv;         /* its delimiter 0: a comma, or a tab for `.tsv` */
    bool csv_only;              /* options that mean nothing for other formats were given */
};

/* "ndjson", "json", "csv", "tsv" (which also sets the delimiter, unless one was given). ERR_UNKNOWN. */
int rowfile_format(const char *text, struct rowfile_options *options) MUST_CHECK;

struct rowfile {
    struct input *input; /* borrowed */
    struct rowfile_options options;
    bool documents;    /* rows are whole {"uuid":…} documents */
    bool judged;       /* `documents` is known */
    bool began;        /* this pass has read something */
    struct slice rest; /* of the input's chunk */
    uint64_t line;     /* NDJSON */
    uint64_t blank;    /* empty lines skipped in this pass */
    struct csvtable table;
    struct jsplit split;
    struct buf text; /* NDJSON: the line */
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

#endif

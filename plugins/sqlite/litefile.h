/* One SQLite file and the table in it. One thread. */
#ifndef SQLITE_LITEFILE_H
#define SQLITE_LITEFILE_H

#include "common/sqltable.h"
#include "headgate.h"

#include <sqlite3.h>
#include <sys/types.h>

/* How a step ended. */
enum liteend {
    LITE_FINE,
    LITE_ROW,    /* this row can never be taken */
    LITE_NOT_NOW /* the file, the disk, somebody who holds it */
};

enum { LITE_WHY = 900 };

struct litefile {
    const char *path, *table;
    int json, may_create, wal;
    int64_t busy_ms;
    sqlite3 *db;              /* NULL: not open */
    sqlite3_stmt *insert;     /* NULL: none */
    struct strbuf insert_sql; /* what it was prepared from */
    struct strbuf name;       /* quoted */
    struct sqltable columns;
    unsigned char *digits; /* of each column: 1 where its declared type would make a number of a text of digits */
    size_t digit_cap;
    dev_t device; /* of the file that is open */
    ino_t inode;
    int known;
    int version; /* PRAGMA schema_version as it was read */
    char why[LITE_WHY];
};

int litefile_init(struct litefile *f, int may_alter); /* path … are set; -1: no memory */
void litefile_fini(struct litefile *f);

enum liteend litefile_open(struct litefile *f); /* does nothing when it is open, and still the file at `path` */
void litefile_close(struct litefile *f);
enum liteend litefile_run(struct litefile *f, const char *sql);

/* What a result code means; its words go to `why`. */
enum liteend litefile_fault(struct litefile *f, int code);

/* Within a transaction: learns the columns when the file's schema is another than before (or was never read), making
 * the table when it is not there and may be made. */
enum liteend litefile_load(struct litefile *f);
enum liteend litefile_alter(struct litefile *f); /* adds the columns that the batch wants */

#endif

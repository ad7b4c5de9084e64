/* One push into MariaDB or MySQL. */
#ifndef MYSQL_MYPUSH_H
#define MYSQL_MYPUSH_H

#include "common/sqlverdicts.h"
#include "mytable.h"
#include "myvalues.h"

struct mypush {
    struct myconn conn;
    struct mytable table;
    struct sqlbatch batch;
    struct myvalues values;
    MYSQL_STMT *insert, *look; /* of this session; NULL: not prepared */
    struct strbuf insert_sql;  /* what `insert` was prepared from */
    struct strbuf sql;
    struct sqlverdicts verdicts;
    size_t width; /* columns of this push, with the metadata */
};

void mypush_init(struct mypush *p);
void mypush_fini(struct mypush *p);
void mypush_drop(struct mypush *p); /* closes the session and all that is of it; the next use connects anew */
int mypush_rows(struct mypush *p, struct hg_rows *rows);

#endif

/* The table that rows go to: what it looks like, making it, altering it. */
#ifndef MYSQL_MYTABLE_H
#define MYSQL_MYTABLE_H

#include "myconn.h"

#include "common/sqltable.h"

struct mytable {
    const char *table;
    int json; /* one column `data` instead of one for each key */
    int may_create;
    struct strbuf name; /* quoted */
    struct sqltable columns;
    int known; /* columns hold what the server said */
};

int mytable_init(struct mytable *t, int may_alter, const struct hg_list *times); /* table … are set; -1: no memory */
void mytable_fini(struct mytable *t);

/* Learns the columns, making the table when it is not there and may be made. */
enum myend mytable_load(struct mytable *t, struct myconn *c);

/* Adds and widens columns as the batch wants; MY_FINE: load it again. What the server will never do is noted in
 * columns.refusals. */
enum myend mytable_alter(struct mytable *t, struct myconn *c);

/* Whether a push would have its rights; MY_FINE: as far as can be seen. `why` says what is missing, or what is to come.
 */
enum myend mytable_probe(struct mytable *t, struct myconn *c, char *why, size_t size);

#endif

/* Values of a range of rows, column by column, as a prepared statement takes them. Value `at` = column * rows + row. */
#ifndef MYSQL_MYVALUES_H
#define MYSQL_MYVALUES_H

#include "common/sqltable.h"
#include "headgate.h"

#include <mariadb/mysql.h>

struct myvalues {
    struct strbuf text; /* the bytes of all of them */
    size_t *places;     /* where each begins in `text` */
    char **pointers;
    unsigned long *lengths;
    char *nulls; /* STMT_INDICATOR_… of each */
    size_t cap;  /* of these four */
    MYSQL_BIND *binds;
    size_t bind_cap;
};

void myvalues_fini(struct myvalues *v);
int myvalues_begin(struct myvalues *v, size_t width, size_t rows); /* all NULL; -1: no memory */
void myvalues_metadata(struct myvalues *v, const struct hg_api *api, const struct hg_row *row, size_t rows, size_t n);

/* 0; -1: no memory. */
int myvalues_put(struct myvalues *v, const struct hg_api *api, enum sql_kind kind, const struct hg_value *value,
                 size_t at);

/* Makes `binds` for all rows at once (arrays), or for row n alone. */
void myvalues_bind(struct myvalues *v, size_t width, size_t rows, int arrays, size_t n);

#endif

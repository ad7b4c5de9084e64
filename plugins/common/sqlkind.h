/* Which column takes which JSON value, and what a number's text holds. Pure. */
#ifndef COMMON_SQLKIND_H
#define COMMON_SQLKIND_H

#include "headgate.h"

enum sql_kind {
    SQL_NONE = 0, /* there is no such column, or no kind that could take the value */
    SQL_BOOL,
    SQL_SMALL, /* 16 bits */
    SQL_INT,   /* 32 bits */
    SQL_BIG,   /* 64 bits */
    SQL_DOUBLE,
    SQL_NUMERIC, /* decimal digits */
    SQL_TIME,    /* a point in time */
    SQL_TEXT,
    SQL_JSON,
    SQL_OTHER /* one of the table's own making: the server judges what it is given */
};

struct sql_number {
    int64_t value; /* where it is an integer */
    int integer;   /* 1: a whole number of 64 bits, however it is written (3, 3.0, 3e2) */
    int lossy;     /* 1: a double would not give back every digit */
    int before;    /* digits before the point and after it, written without an exponent */
    int after;
};

void sql_number_read(struct hg_text json, struct sql_number *out);

/* What SQL_NUMERIC holds. */
struct sql_digits {
    int before, after;
};

/* The kind that a column of this kind must have to take the value as well as all that it holds: `column` itself when it
 * fits; SQL_NONE when nothing does. A column that is not there yet (SQL_NONE) gets its first kind: numbers SQL_DOUBLE,
 * or SQL_NUMERIC where digits would be lost; nested values SQL_JSON. */
enum sql_kind sql_kind_for(enum sql_kind column, const struct hg_value *value, struct sql_digits numeric);

/* "a number", "a text" … */
const char *sql_value_word(const struct hg_value *value);

#endif

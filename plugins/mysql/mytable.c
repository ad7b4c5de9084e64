/* Types are chosen so that what was sent can be read back: LONGTEXT with a binary collation (no two texts are equal
 * that are not), DECIMAL with as many digits as it may have, nested values as text, for a column of type JSON would
 * turn numbers into doubles on MySQL. A number that DECIMAL(65,30) cannot hold makes the column a text.
 *
 * Another worker may alter the table at any time. That needs no care here: values go as texts, and the server puts them
 * into whatever the column is then, or says what is wrong. */
#include "mytable.h"

#include <mariadb/mysqld_error.h>
#include <stdio.h>
#include <string.h>

enum { SQL_MAX = 1 << 20, STATEMENT_MIN_MS = 3000 };

/* The first of a kind is what a new column gets; older servers write a width that means nothing. */
static const struct {
    const char *type;
    enum sql_kind kind;
} types[] = {
    {"tinyint(1)", SQL_BOOL},  {"smallint", SQL_SMALL}, {"smallint(6)", SQL_SMALL},
    {"int", SQL_INT},          {"int(11)", SQL_INT},    {"bigint", SQL_BIG},
    {"bigint(20)", SQL_BIG},   {"double", SQL_DOUBLE},  {"decimal(65,30)", SQL_NUMERIC},
    {"datetime(6)", SQL_TIME}, {"longtext", SQL_TEXT},  {"json", SQL_JSON},
};

static enum sql_kind kind_of(const char *type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].type, type) == 0)
            return types[i].kind;
    return SQL_OTHER;
}

static const char *type_of(enum sql_kind kind)
{
    static const char text[] = "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
    for (size_t i = 0; kind != SQL_TEXT && kind != SQL_JSON && i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].kind == kind)
            return types[i].type;
    return text;
}

int mytable_init(struct mytable *t, int may_alter, const struct hg_list *times)
{
    const struct sql_digits numeric = {35, 30};
    strbuf_init(&t->name, SQL_MAX);
    sqlname_quote(&t->name, t->table, '`');
    strbuf_str(&t->name);
    return sqltable_init(&t->columns, numeric, may_alter && !t->json, times) != 0 || t->name.failed ? -1 : 0;
}

void mytable_fini(struct mytable *t)
{
    strbuf_fini(&t->name);
    sqltable_fini(&t->columns);
}

/* Runs the text and forgets it. */
static enum myend run(struct myconn *c, struct strbuf *sql, MYSQL_RES **table)
{
    enum myend end = sql->failed ? myconn_say(c, "no memory") : myconn_run(c, strbuf_str(sql), table);
    strbuf_fini(sql);
    return end;
}

static enum myend create(struct mytable *t, struct myconn *c)
{
    struct strbuf sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql,
                "CREATE TABLE IF NOT EXISTS %s (_id varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY "
                "KEY, _uuid varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, _index bigint, "
                "_received datetime(6) NOT NULL%s%s) ENGINE = InnoDB",
                strbuf_str(&t->name), t->json ? ", data " : "", t->json ? type_of(SQL_TEXT) : "");
    if (t->json && sql.len > 0 && !sql.failed) { /* the check that MariaDB's JSON type stands for */
        strbuf_cut(&sql, sql.len - strlen(") ENGINE = InnoDB"));
        strbuf_adds(&sql, " NOT NULL CHECK (JSON_VALID(data))) ENGINE = InnoDB");
    }
    return run(c, &sql, NULL) == MY_FINE ? MY_FINE : MY_NOT_NOW;
}

static enum myend show(struct mytable *t, struct myconn *c, MYSQL_RES **found)
{
    struct strbuf sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql, "SHOW COLUMNS FROM %s", strbuf_str(&t->name));
    return run(c, &sql, found);
}

static enum myend no_table(struct mytable *t, struct myconn *c)
{
    char why[MY_WHY];
    snprintf(why, sizeof(why), "there is no table %.200s, and CREATE=no", strbuf_str(&t->name));
    return myconn_say(c, why);
}

enum myend mytable_load(struct mytable *t, struct myconn *c)
{
    MYSQL_RES *found = NULL;
    enum myend end = show(t, c, &found);
    if (end != MY_FINE && c->number == ER_NO_SUCH_TABLE) {
        if (!t->may_create)
            return no_table(t, c);
        end = create(t, c);
        if (end == MY_FINE)
            end = show(t, c, &found);
    }
    sqltable_clear(&t->columns);
    for (MYSQL_ROW row; end == MY_FINE && (row = mysql_fetch_row(found)) != NULL;)
        if (sqltable_put(&t->columns, row[0], kind_of(row[1])) != 0)
            end = myconn_say(c, "no memory");
    mysql_free_result(found);
    t->known = end == MY_FINE;
    return end == MY_FINE ? MY_FINE : MY_NOT_NOW;
}

/* --- altering */

/* What must happen to one column. */
static void add_action(const struct sqlcolumn *column, enum sql_kind wanted, struct strbuf *sql)
{
    strbuf_adds(sql, column->kind == SQL_NONE ? "ADD COLUMN " : "MODIFY COLUMN ");
    sqlname_quote(sql, column->name, '`');
    strbuf_addf(sql, " %s NULL", type_of(wanted));
}

/* Rights, locks and the network may change; so may the disk. */
static int is_for_ever(unsigned number)
{
    static const unsigned passing[] = {ER_LOCK_WAIT_TIMEOUT,
                                       ER_LOCK_DEADLOCK,
                                       ER_TABLEACCESS_DENIED_ERROR,
                                       ER_DBACCESS_DENIED_ERROR,
                                       ER_COLUMNACCESS_DENIED_ERROR,
                                       ER_SPECIFIC_ACCESS_DENIED_ERROR,
                                       ER_DISK_FULL,
                                       ER_RECORD_FILE_FULL,
                                       ER_NO_SUCH_TABLE,
                                       ER_QUERY_INTERRUPTED,
                                       ER_STATEMENT_TIMEOUT,
                                       ER_OUT_OF_RESOURCES,
                                       ER_OUTOFMEMORY,
                                       ER_TOO_MANY_CONCURRENT_TRXS,
                                       ER_CANT_LOCK,
                                       ER_GET_ERRNO,
                                       ER_ERROR_ON_RENAME,
                                       ER_ERROR_ON_WRITE,
                                       ER_INTERNAL_ERROR};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (passing[i] == number)
            return 0;
    return number >= 1000 && number < 5000 && (number < 2000 || number >= 3000);
}

static int wants(const struct sqlcolumn *column)
{
    return column->used && column->wanted != column->kind;
}

/* All columns with one statement, so that the table is rewritten once at most. */
static enum myend alter_all(struct mytable *t, struct myconn *c)
{
    struct strbuf sql;
    int first = 1;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql, "ALTER TABLE %s ", strbuf_str(&t->name));
    for (size_t i = 0; i < t->columns.count; i++) {
        if (!wants(&t->columns.columns[i]))
            continue;
        strbuf_adds(&sql, first ? "" : ", ");
        add_action(&t->columns.columns[i], t->columns.columns[i].wanted, &sql);
        first = 0;
    }
    return run(c, &sql, NULL);
}

static enum myend alter_column(struct mytable *t, struct myconn *c, const struct sqlcolumn *column,
                               enum sql_kind wanted)
{
    struct strbuf sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql, "ALTER TABLE %s ", strbuf_str(&t->name));
    add_action(column, wanted, &sql);
    enum myend end = run(c, &sql, NULL);
    if (end == MY_FINE || c->number == ER_DUP_FIELDNAME) /* somebody else was faster, or will be asked again */
        return MY_FINE;
    if (!is_for_ever(c->number))
        return MY_NOT_NOW;
    /* What is there already may not go into a DECIMAL: a text takes it. */
    if (wanted == SQL_NUMERIC && column->kind == SQL_DOUBLE)
        return alter_column(t, c, column, SQL_TEXT);
    sqltable_refuse(&t->columns, column, c->why);
    return MY_FINE;
}

enum myend mytable_alter(struct mytable *t, struct myconn *c)
{
    t->known = 0;
    if (alter_all(t, c) == MY_FINE)
        return MY_FINE;
    if (!is_for_ever(c->number))
        return MY_NOT_NOW;
    for (size_t i = 0; i < t->columns.count; i++) {
        const struct sqlcolumn *column = &t->columns.columns[i];
        if (wants(column) && c->api->time_left(c->host) < STATEMENT_MIN_MS)
            return myconn_say(c, "columns are still being added; the rest comes with the next push");
        if (wants(column) && alter_column(t, c, column, column->wanted) != MY_FINE)
            return MY_NOT_NOW;
    }
    return MY_FINE;
}

/* --- probing */

/* An INSERT of no rows, and what a repeat asks: the server checks the rights and writes nothing. */
enum myend mytable_probe(struct mytable *t, struct myconn *c, char *why, size_t size)
{
    struct strbuf sql;
    MYSQL_RES *found = NULL;
    enum myend end = show(t, c, &found);
    mysql_free_result(found);
    if (end != MY_FINE && c->number == ER_NO_SUCH_TABLE) {
        snprintf(why, size, "there is no table %.200s; %s", strbuf_str(&t->name),
                 t->may_create ? "the first push makes it" : "CREATE=no");
        return t->may_create ? MY_FINE : MY_NOT_NOW;
    }
    if (end == MY_FINE) {
        strbuf_init(&sql, SQL_MAX);
        strbuf_addf(
            &sql,
            "INSERT INTO %s (_id, _uuid, _received) SELECT _id, _uuid, _received FROM %s AS i WHERE 1 = 0 ON DUPLICATE "
            "KEY UPDATE _id = VALUES(_id)",
            strbuf_str(&t->name), strbuf_str(&t->name));
        end = run(c, &sql, NULL);
    }
    if (end != MY_FINE)
        snprintf(why, size, "%s", c->why);
    return end == MY_FINE ? MY_FINE : MY_NOT_NOW;
}

/* Columns are read from the catalog, and their digest with every push, under the lock that the push takes: another
 * worker, another gateway or a person may have altered the table since. That matters for values, not only for errors: a
 * double that goes into a column that became numeric in between would be cut to 15 digits by the cast.
 *
 * A double becomes numeric by way of its text for the same reason.
 *
 * The rows go into a temporary table of the same types first. It lives as long as the session and is emptied by every
 * commit: one that is made for each push would fill the catalog with dead entries. */
#include "pgtable.h"

#include <stdio.h>
#include <string.h>

enum { SQL_MAX = 1 << 20, STATEMENT_MIN_MS = 3000 };

static const struct {
    const char *type;
    enum sql_kind kind;
} types[] = {
    {"boolean", SQL_BOOL},
    {"smallint", SQL_SMALL},
    {"integer", SQL_INT},
    {"bigint", SQL_BIG},
    {"double precision", SQL_DOUBLE},
    {"numeric", SQL_NUMERIC},
    {"timestamp with time zone", SQL_TIME},
    {"text", SQL_TEXT},
    {"jsonb", SQL_JSON},
    {"json", SQL_JSON},
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
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].kind == kind)
            return types[i].type;
    return "text";
}

int pgtable_init(struct pgtable *t, int may_alter, const struct hg_list *times)
{
    const struct sql_digits numeric = {131072, 16383};
    strbuf_init(&t->name, SQL_MAX);
    if (t->schema) {
        sqlname_quote(&t->name, t->schema, '"');
        strbuf_addc(&t->name, '.');
    }
    sqlname_quote(&t->name, t->table, '"');
    strbuf_str(&t->name);
    return sqltable_init(&t->columns, numeric, may_alter && !t->json, times) != 0 || t->name.failed ? -1 : 0;
}

void pgtable_fini(struct pgtable *t)
{
    strbuf_fini(&t->name);
    sqltable_fini(&t->columns);
}

static enum pgend no_memory(struct pgconn *c)
{
    snprintf(c->why, sizeof(c->why), "no memory");
    return PG_NOT_NOW;
}

/* Runs the text and forgets it. */
static enum pgend run(struct pgconn *c, struct strbuf *sql, struct pganswer *a)
{
    enum pgend end = sql->failed ? no_memory(c) : pgconn_run(c, strbuf_str(sql), NULL, NULL, a);
    strbuf_fini(sql);
    return end;
}

/* to_regclass() takes the name as it would stand in a statement, and gives NULL when there is no such table. */
static void add_regclass(struct strbuf *sql, struct pgtable *t)
{
    strbuf_adds(sql, "pg_catalog.to_regclass(");
    sqlname_literal(sql, strbuf_str(&t->name), 0);
    strbuf_addc(sql, ')');
}

void pgtable_mark(const struct pgtable *t, struct strbuf *sql)
{
    strbuf_addf(sql,
                "SELECT pg_catalog.md5(pg_catalog.string_agg(attname || ' ' || atttypid || ' ' || atttypmod, ',' ORDER "
                "BY attnum)) FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
                t->oid);
}

static enum pgend find(struct pgtable *t, struct pgconn *c)
{
    struct strbuf sql;
    struct pganswer a = {.inserted = 0};
    strbuf_init(&sql, SQL_MAX);
    strbuf_adds(&sql, "SELECT ");
    add_regclass(&sql, t);
    strbuf_adds(&sql, "::oid");
    enum pgend end = run(c, &sql, &a);
    t->oid[0] = '\0';
    if (end == PG_FINE && a.table_count == 1 && PQntuples(a.tables[0]) == 1)
        snprintf(t->oid, sizeof(t->oid), "%s", PQgetvalue(a.tables[0], 0, 0));
    pganswer_clear(&a);
    return end;
}

static enum pgend create(struct pgtable *t, struct pgconn *c)
{
    struct strbuf sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(
        &sql,
        "CREATE TABLE IF NOT EXISTS %s (_id text COLLATE \"C\" PRIMARY KEY, _uuid text NOT NULL, _index bigint, "
        "_received timestamptz NOT NULL%s)",
        strbuf_str(&t->name), t->json ? ", data jsonb NOT NULL" : "");
    enum pgend end = run(c, &sql, NULL);
    /* Two that make it at the same time: one of them is told that a name in the catalog is taken. */
    if (end == PG_ROW && strcmp(c->state, "23505") == 0)
        return PG_FINE;
    return end == PG_FINE ? PG_FINE : PG_NOT_NOW;
}

static enum pgend columns_of(struct pgtable *t, struct pgconn *c)
{
    struct strbuf sql;
    struct pganswer a = {.inserted = 0};
    strbuf_init(&sql, SQL_MAX);
    pgtable_mark(t, &sql);
    strbuf_addf(&sql,
                "; SELECT attname, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute "
                "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                t->oid);
    enum pgend end = run(c, &sql, &a);
    sqltable_clear(&t->columns);
    if (end == PG_FINE && a.table_count == 2) {
        snprintf(t->mark, sizeof(t->mark), "%s", PQgetvalue(a.tables[0], 0, 0));
        for (int i = 0; i < PQntuples(a.tables[1]); i++)
            if (sqltable_put(&t->columns, PQgetvalue(a.tables[1], i, 0), kind_of(PQgetvalue(a.tables[1], i, 1))) != 0)
                end = no_memory(c);
    }
    pganswer_clear(&a);
    return end;
}

static enum pgend make_temporary(struct pgtable *t, struct pgconn *c)
{
    struct strbuf sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql,
                "DROP TABLE IF EXISTS pg_temp.headgate_push; CREATE TEMP TABLE headgate_push ON COMMIT DELETE ROWS AS "
                "SELECT * FROM %s WITH NO DATA",
                strbuf_str(&t->name));
    return run(c, &sql, NULL);
}

enum pgend pgtable_load(struct pgtable *t, struct pgconn *c)
{
    enum pgend end = find(t, c);
    if (end == PG_FINE && !t->oid[0] && t->may_create) {
        end = create(t, c);
        if (end == PG_FINE)
            end = find(t, c);
    }
    if (end == PG_FINE && !t->oid[0]) {
        snprintf(c->why, sizeof(c->why), "there is no table %.200s%s", strbuf_str(&t->name),
                 t->may_create ? "" : ", and CREATE=no");
        return PG_NOT_NOW;
    }
    if (end == PG_FINE)
        end = columns_of(t, c);
    if (end == PG_FINE)
        end = make_temporary(t, c);
    t->known = end == PG_FINE;
    return end;
}

/* --- altering */

/* What must happen to one column. */
static void add_action(const struct sqlcolumn *column, struct strbuf *sql)
{
    const char *type = type_of(column->wanted);
    strbuf_adds(sql, column->kind == SQL_NONE ? "ADD COLUMN IF NOT EXISTS " : "ALTER COLUMN ");
    sqlname_quote(sql, column->name, '"');
    if (column->kind == SQL_NONE) {
        strbuf_addf(sql, " %s", type);
        return;
    }
    strbuf_addf(sql, " TYPE %s USING ", type);
    sqlname_quote(sql, column->name, '"');
    strbuf_addf(sql, "::text::%s", type);
}

/* For ever: a name that the system keeps for itself, too many columns, a view or an index that stands on the column.
 * Rights, locks and the network may change. */
static int is_for_ever(const struct pgconn *c)
{
    static const char *const states[] = {"42701", "42611", "54011", "0A000", "42622",
                                         "2BP01", "42809", "42P16", "42804"};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(c->state, states[i]) == 0)
            return 1;
    return c->state[0] == '2' && c->state[1] == '2';
}

static int wants(const struct sqlcolumn *column)
{
    return column->used && column->wanted != column->kind;
}

/* All columns with one statement, so that the table is rewritten once at most; or one of them. */
static enum pgend alter(struct pgtable *t, struct pgconn *c, const struct sqlcolumn *only)
{
    struct strbuf sql;
    int first = 1;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql, "ALTER TABLE %s ", strbuf_str(&t->name));
    for (size_t i = 0; i < t->columns.count; i++) {
        const struct sqlcolumn *column = &t->columns.columns[i];
        if (!wants(column) || (only && only != column))
            continue;
        strbuf_adds(&sql, first ? "" : ", ");
        add_action(column, &sql);
        first = 0;
    }
    return run(c, &sql, NULL);
}

enum pgend pgtable_alter(struct pgtable *t, struct pgconn *c)
{
    t->known = 0;
    enum pgend end = alter(t, c, NULL);
    if (end == PG_FINE || !is_for_ever(c))
        return end == PG_FINE ? PG_FINE : PG_NOT_NOW;
    for (size_t i = 0; i < t->columns.count; i++) {
        const struct sqlcolumn *column = &t->columns.columns[i];
        if (wants(column) && c->api->time_left(c->host) < STATEMENT_MIN_MS) {
            snprintf(c->why, sizeof(c->why), "columns are still being added; the rest comes with the next push");
            return PG_NOT_NOW;
        }
        if (!wants(column) || alter(t, c, column) == PG_FINE)
            continue;
        if (!is_for_ever(c))
            return PG_NOT_NOW;
        sqltable_refuse(&t->columns, column, c->why);
    }
    return PG_FINE;
}

/* --- probing */

enum pgend pgtable_probe(struct pgtable *t, struct pgconn *c, char *why, size_t size)
{
    struct strbuf sql;
    struct pganswer a = {.inserted = 0};
    enum pgend end = find(t, c);
    if (end == PG_FINE && !t->oid[0]) {
        snprintf(why, size, "there is no table %.200s; %s", strbuf_str(&t->name),
                 t->may_create ? "the first push makes it" : "CREATE=no");
        return t->may_create ? PG_FINE : PG_NOT_NOW;
    }
    if (end != PG_FINE) {
        snprintf(why, size, "%s", c->why);
        return end;
    }
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(
        &sql,
        "SELECT pg_catalog.has_table_privilege(%s, 'INSERT'), pg_catalog.has_column_privilege(%s, '_id', 'SELECT'), "
        "pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP')",
        t->oid, t->oid);
    end = run(c, &sql, &a);
    if (end != PG_FINE)
        snprintf(why, size, "%s", c->why);
    static const char *const rights[] = {"INSERT on the table", "SELECT on its column _id", "TEMP on the database"};
    for (int i = 0; end == PG_FINE && i < 3; i++)
        if (PQgetvalue(a.tables[0], 0, i)[0] != 't') {
            snprintf(why, size, "the user has no right to %s", rights[i]);
            end = PG_NOT_NOW;
        }
    pganswer_clear(&a);
    return end == PG_FINE ? PG_FINE : PG_NOT_NOW;
}

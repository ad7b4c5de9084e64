/* The columns that are made here have no type: SQLite then keeps every value as what it is, integer, real or text, and
 * no column ever has to be widened. A table that somebody else made has its types; a column with a numeric one would
 * turn a text of many digits into a double, so what a double cannot hold is refused there.
 *
 * Everything happens within the push's transaction, adding columns too, so that a crash leaves whole pushes only. The
 * file syncs at every commit (synchronous=FULL), whatever its journal. */
#include "litefile.h"

#include "common/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { SQL_MAX = 1 << 20 };

int litefile_init(struct litefile *f, int may_alter)
{
    const struct sql_digits numeric = {0, 0}; /* there is no such kind here */
    strbuf_init(&f->insert_sql, SQL_MAX);
    strbuf_init(&f->name, SQL_MAX);
    sqlname_quote(&f->name, f->table, '"');
    strbuf_str(&f->name);
    return sqltable_init(&f->columns, numeric, may_alter && !f->json, NULL) != 0 || f->name.failed ? -1 : 0;
}

void litefile_close(struct litefile *f)
{
    sqlite3_finalize(f->insert);
    sqlite3_close(f->db);
    f->insert = NULL;
    f->db = NULL;
    f->known = 0;
}

void litefile_fini(struct litefile *f)
{
    litefile_close(f);
    strbuf_fini(&f->insert_sql);
    strbuf_fini(&f->name);
    sqltable_fini(&f->columns);
    free(f->digits);
}

/* A row is to blame for a constraint, a type that a STRICT table refuses, a value beyond SQLite's limits. The disk, the
 * lock, the rights and the file itself are not its fault. */
enum liteend litefile_fault(struct litefile *f, int code)
{
    char all[2 * LITE_WHY];
    snprintf(all, sizeof(all), "%.*s (%s)", LITE_WHY - 80, f->db ? sqlite3_errmsg(f->db) : sqlite3_errstr(code),
             sqlite3_errstr(code));
    reason_line(f->why, sizeof(f->why), all);
    switch (code & 0xFF) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: return LITE_ROW;
    default: return LITE_NOT_NOW;
    }
}

enum liteend litefile_run(struct litefile *f, const char *sql)
{
    int code = sqlite3_exec(f->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? LITE_FINE : litefile_fault(f, code);
}

/* Rows that go into a file that was moved away or removed are lost, and nobody would be told. */
static int is_still_there(const struct litefile *f)
{
    struct stat st;
    return stat(f->path, &st) == 0 && st.st_dev == f->device && st.st_ino == f->inode;
}

static void remember(struct litefile *f)
{
    struct stat st = {.st_ino = 0};
    (void)stat(f->path, &st);
    f->device = st.st_dev;
    f->inode = st.st_ino;
}

enum liteend litefile_open(struct litefile *f)
{
    if (f->db && is_still_there(f))
        return LITE_FINE;
    litefile_close(f);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(f->path, &f->db, flags, NULL);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(f->db, 1);
        sqlite3_busy_timeout(f->db, (int)f->busy_ms);
        remember(f);
        const char *set = f->wal ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512"
                                 : "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA cache_size = -512";
        code = sqlite3_exec(f->db, set, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK)
        return LITE_FINE;
    litefile_fault(f, code);
    litefile_close(f);
    return LITE_NOT_NOW;
}

/* --- the table */

static enum liteend prepare(struct litefile *f, struct strbuf *sql, sqlite3_stmt **s)
{
    int code = sql->failed ? SQLITE_NOMEM : sqlite3_prepare_v2(f->db, strbuf_str(sql), -1, s, NULL);
    strbuf_fini(sql);
    return code == SQLITE_OK ? LITE_FINE : litefile_fault(f, code);
}

static enum liteend schema_version(struct litefile *f, int *version)
{
    struct strbuf sql;
    sqlite3_stmt *s = NULL;
    strbuf_init(&sql, SQL_MAX);
    strbuf_adds(&sql, "PRAGMA schema_version");
    enum liteend end = prepare(f, &sql, &s);
    if (end == LITE_FINE) {
        int code = sqlite3_step(s);
        if (code != SQLITE_ROW)
            end = litefile_fault(f, code) == LITE_FINE ? LITE_FINE : LITE_NOT_NOW;
        else
            *version = sqlite3_column_int(s, 0);
    }
    sqlite3_finalize(s);
    return end;
}

/* Section 3.1 of SQLite's page on data types: would a column so declared make numbers of texts? */
static int has_numeric_affinity(const char *type)
{
    static const char *const others[] = {"CHAR", "CLOB", "TEXT", "BLOB"};
    if (!type[0] || strcasecmp(type, "ANY") == 0)
        return 0;
    if (strcasestr(type, "INT"))
        return 1;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcasestr(type, others[i]))
            return 0;
    return 1;
}

static int note_column(struct litefile *f, const char *name, const char *type)
{
    size_t at = f->columns.count;
    if (at >= f->digit_cap) {
        size_t cap = f->digit_cap ? 2 * f->digit_cap : 64;
        unsigned char *grown = realloc(f->digits, cap);
        if (!grown)
            return -1;
        f->digits = grown;
        f->digit_cap = cap;
    }
    f->digits[at] = (unsigned char)has_numeric_affinity(type);
    return sqltable_put(&f->columns, name, SQL_OTHER);
}

static enum liteend read_columns(struct litefile *f)
{
    struct strbuf sql;
    sqlite3_stmt *s = NULL;
    int code = SQLITE_DONE;
    sqltable_clear(&f->columns);
    strbuf_init(&sql, SQL_MAX);
    strbuf_adds(&sql, "SELECT name, type FROM pragma_table_info(?1)");
    enum liteend end = prepare(f, &sql, &s);
    if (end == LITE_FINE)
        sqlite3_bind_text(s, 1, f->table, -1, SQLITE_STATIC);
    while (end == LITE_FINE && (code = sqlite3_step(s)) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(s, 1);
        if (note_column(f, (const char *)sqlite3_column_text(s, 0), type ? type : "") != 0)
            end = litefile_fault(f, SQLITE_NOMEM);
    }
    if (end == LITE_FINE && code != SQLITE_DONE) {
        litefile_fault(f, code);
        end = LITE_NOT_NOW;
    }
    sqlite3_finalize(s);
    return end;
}

static enum liteend create(struct litefile *f)
{
    struct strbuf sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(
        &sql,
        "CREATE TABLE %s (_id TEXT NOT NULL PRIMARY KEY, _uuid TEXT NOT NULL, _index INTEGER, _received TEXT NOT "
        "NULL%s)",
        strbuf_str(&f->name), f->json ? ", data TEXT NOT NULL" : "");
    enum liteend end = sql.failed ? litefile_fault(f, SQLITE_NOMEM) : litefile_run(f, strbuf_str(&sql));
    strbuf_fini(&sql);
    return end == LITE_FINE ? LITE_FINE : LITE_NOT_NOW;
}

enum liteend litefile_load(struct litefile *f)
{
    int version = 0;
    enum liteend end = schema_version(f, &version);
    if (end != LITE_FINE || (f->known && version == f->version))
        return end;
    f->known = 0;
    end = read_columns(f);
    if (end == LITE_FINE && f->columns.count == 0 && f->may_create) {
        end = create(f);
        if (end == LITE_FINE)
            end = read_columns(f);
    }
    if (end == LITE_FINE && f->columns.count == 0) {
        snprintf(f->why, sizeof(f->why), "there is no table %.200s, and CREATE=no", f->table);
        end = LITE_NOT_NOW;
    }
    if (end == LITE_FINE)
        end = schema_version(f, &f->version);
    f->known = end == LITE_FINE;
    return end;
}

enum liteend litefile_alter(struct litefile *f)
{
    f->known = 0;
    for (size_t i = 0; i < f->columns.count; i++) {
        const struct sqlcolumn *column = &f->columns.columns[i];
        struct strbuf sql;
        if (!column->used || column->wanted == column->kind)
            continue;
        strbuf_init(&sql, SQL_MAX);
        strbuf_addf(&sql, "ALTER TABLE %s ADD COLUMN ", strbuf_str(&f->name));
        sqlname_quote(&sql, column->name, '"');
        int code = sql.failed ? SQLITE_NOMEM : sqlite3_exec(f->db, strbuf_str(&sql), NULL, NULL, NULL);
        strbuf_fini(&sql);
        if (code == SQLITE_OK)
            continue;
        litefile_fault(f, code);
        if ((code & 0xFF) != SQLITE_ERROR) /* SQLITE_ERROR: it will never be a column (too many of them, its name) */
            return LITE_NOT_NOW;
        sqltable_refuse(&f->columns, column, f->why);
    }
    return LITE_FINE;
}

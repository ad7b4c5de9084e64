/* One push is one transaction of prepared inserts, as arrays where the server takes them, one row after the other where
 * it doesn't (MySQL). `ON DUPLICATE KEY UPDATE _id = _id` changes nothing when the row is there, and unlike INSERT
 * IGNORE it lets no error pass; but it stays silent about any other unique key, too. So the server's count is compared:
 * when not all rows were inserted, or the server blames a row, the push is rolled back and done with care. Then the ids
 * that are there already are asked for, and a range that is refused, or not inserted whole, is halved behind a
 * savepoint, and the halves again, until the guilty rows stand alone. Nothing is said of any row before the commit.
 *
 * When the commit's answer is lost nobody knows; the rows come again and are told to be there already. */
#include "mypush.h"

#include "common/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 66, STATEMENT_MIN_MS = 3000, WHY = 200, METADATA = 4 };
static const size_t text_max = (size_t)1 << 30;

struct range {
    size_t from, to;
};

void mypush_init(struct mypush *p)
{
    sqlbatch_init(&p->batch);
    strbuf_init(&p->values.text, text_max);
    strbuf_init(&p->insert_sql, text_max);
    strbuf_init(&p->sql, text_max);
}

static void statements_close(struct mypush *p)
{
    if (p->insert)
        mysql_stmt_close(p->insert);
    if (p->look)
        mysql_stmt_close(p->look);
    p->insert = p->look = NULL;
}

void mypush_drop(struct mypush *p)
{
    statements_close(p);
    myconn_close(&p->conn);
}

void mypush_fini(struct mypush *p)
{
    mypush_drop(p);
    mytable_fini(&p->table);
    sqlbatch_fini(&p->batch);
    myvalues_fini(&p->values);
    strbuf_fini(&p->insert_sql);
    strbuf_fini(&p->sql);
    sqlverdicts_fini(&p->verdicts);
}

/* --- statements */

static enum myend fault(struct mypush *p, MYSQL_STMT *s)
{
    enum myend end = myconn_fault(&p->conn, mysql_stmt_errno(s), mysql_stmt_sqlstate(s), mysql_stmt_error(s));
    if (!p->conn.my)
        statements_close(p);
    return end;
}

static enum myend run(struct mypush *p, const char *sql)
{
    enum myend end = myconn_run(&p->conn, sql, NULL);
    if (!p->conn.my)
        statements_close(p);
    return end;
}

static enum myend prepare_statement(struct mypush *p, MYSQL_STMT **s, const struct strbuf *sql)
{
    if (*s)
        mysql_stmt_close(*s);
    *s = sql->failed ? NULL : mysql_stmt_init(p->conn.my);
    if (!*s)
        return myconn_say(&p->conn, "no memory");
    if (mysql_stmt_prepare(*s, sql->ptr, sql->len) == 0)
        return MY_FINE;
    enum myend end = fault(p, *s);
    if (p->conn.my) {
        mysql_stmt_close(*s);
        *s = NULL;
    }
    return end == MY_ROW ? MY_NOT_NOW : end;
}

/* The insert for the columns of this push; the one of the push before, when they are the same. */
static enum myend prepare_insert(struct mypush *p)
{
    struct strbuf *sql = &p->sql;
    strbuf_clear(sql);
    p->width = METADATA;
    strbuf_addf(sql, "INSERT INTO %s (_id, _uuid, _index, _received", strbuf_str(&p->table.name));
    if (p->table.json) {
        strbuf_adds(sql, ", data");
        p->width++;
    }
    for (size_t i = 0; !p->table.json && i < p->table.columns.count; i++) {
        struct sqlcolumn *c = &p->table.columns.columns[i];
        if (!c->used)
            continue;
        c->place = p->width++;
        strbuf_adds(sql, ", ");
        sqlname_quote(sql, c->name, '`');
    }
    strbuf_adds(sql, ") VALUES (?");
    for (size_t i = 1; i < p->width; i++)
        strbuf_adds(sql, ", ?");
    strbuf_adds(sql, ") ON DUPLICATE KEY UPDATE _id = _id");
    if (p->insert && p->insert_sql.len == sql->len && memcmp(p->insert_sql.ptr, sql->ptr, sql->len) == 0)
        return MY_FINE;
    strbuf_clear(&p->insert_sql);
    enum myend end = prepare_statement(p, &p->insert, sql);
    if (end == MY_FINE)
        strbuf_add(&p->insert_sql, sql->ptr, sql->len);
    return end;
}

/* Is a row with this id there? MY_FINE with `*there`. */
static enum myend look_for(struct mypush *p, const char *id, int *there)
{
    unsigned long length = strlen(id);
    char word[HG_ROW_ID_SIZE];
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_STRING, .buffer = word, .buffer_length = length, .length = &length};
    memcpy(word, id, length); /* NOLINT(bugprone-not-null-terminated-result): its length goes with it */
    if (!p->look) {
        strbuf_clear(&p->sql);
        strbuf_addf(&p->sql, "SELECT 1 FROM %s WHERE _id = ?", strbuf_str(&p->table.name));
        enum myend end = prepare_statement(p, &p->look, &p->sql);
        if (end != MY_FINE)
            return end;
    }
    if (mysql_stmt_bind_param(p->look, &bind) || mysql_stmt_execute(p->look) || mysql_stmt_store_result(p->look))
        return fault(p, p->look);
    *there = mysql_stmt_num_rows(p->look) > 0;
    mysql_stmt_free_result(p->look);
    return MY_FINE;
}

/* --- rows as values */

static enum myend fill_row(struct mypush *p, const struct hg_rows *rows, size_t n, size_t count, size_t place)
{
    const struct hg_api *api = p->conn.api;
    const struct hg_row *row = api->row(rows, n);
    const struct sqlrow *r = &p->batch.rows[n];
    int failed = 0;
    myvalues_metadata(&p->values, api, row, count, place);
    if (p->table.json) {
        const struct hg_value data = {.type = HG_OBJECT, .json = api->data(row)};
        failed = myvalues_put(&p->values, api, SQL_JSON, &data, METADATA * count + place);
    }
    for (size_t i = r->first; !failed && i < r->first + r->count; i++) {
        const struct sqlcell *cell = &p->batch.cells[i];
        const struct sqlcolumn *c = &p->table.columns.columns[cell->column];
        if (c->used)
            failed = myvalues_put(&p->values, api, c->kind, &cell->value, c->place * count + place);
    }
    return failed || p->values.text.failed ? myconn_say(&p->conn, "no memory for the rows") : MY_FINE;
}

/* A row that does not fit a packet of its own can never be taken; the server would end the session over it. */
static enum myend too_large(struct mypush *p)
{
    enum { AROUND = 12 }; /* bytes around a value */
    if (p->values.text.len + AROUND * p->width + 1024 < p->conn.packet_max)
        return MY_FINE;
    myconn_say(&p->conn, "the row is larger than the server's max_allowed_packet");
    return MY_ROW;
}

static enum myend execute(struct mypush *p, size_t count, unsigned long *inserted)
{
    unsigned array = (unsigned)count;
    size_t rounds = p->conn.bulk ? 1 : count;
    for (size_t n = 0; n < rounds; n++) {
        myvalues_bind(&p->values, p->width, count, p->conn.bulk, n);
        if ((p->conn.bulk && mysql_stmt_attr_set(p->insert, STMT_ATTR_ARRAY_SIZE, &array)) ||
            mysql_stmt_bind_param(p->insert, p->values.binds) || mysql_stmt_execute(p->insert))
            return fault(p, p->insert);
        *inserted += (unsigned long)mysql_stmt_affected_rows(p->insert);
    }
    return MY_FINE;
}

/* Inserts the rows of the range that can be written, in statements that the server takes. `*all`: every one of them was
 * inserted. A row that is too large for a statement of its own is refused here. */
static enum myend insert_range(struct mypush *p, const struct hg_rows *rows, struct range r, int *all)
{
    unsigned long inserted = 0, wanted = 0;
    size_t limit = p->conn.packet_max / 2; /* for what is around the values */
    for (size_t n = r.from; n < r.to;) {
        size_t count = 0, bytes = 0, to = n;
        for (; to < r.to; to++) {
            size_t more =
                p->verdicts.of[to] == 0 ? p->conn.api->data(p->conn.api->row(rows, to)).len + 16 * p->width + 256 : 0;
            if (count > 0 && bytes + more > limit)
                break;
            bytes += more;
            count += p->verdicts.of[to] == 0;
        }
        if (count > 0 && myvalues_begin(&p->values, p->width, count) != 0)
            return myconn_say(&p->conn, "no memory for the rows");
        enum myend end = MY_FINE;
        for (size_t place = 0; end == MY_FINE && n < to; n++)
            if (p->verdicts.of[n] == 0)
                end = fill_row(p, rows, n, count, place++);
        if (end == MY_FINE && count == 1)
            end = too_large(p);
        if (end == MY_FINE && count > 0)
            end = execute(p, count, &inserted);
        if (end != MY_FINE)
            return end;
        wanted += count;
    }
    *all = inserted == wanted;
    return MY_FINE;
}

/* --- the transaction */

/* Keeps the words of what went wrong. */
static void roll_back(struct mypush *p, const char *sql)
{
    char why[MY_WHY];
    memcpy(why, p->conn.why, sizeof(why));
    if (p->conn.my && run(p, sql) != MY_FINE)
        mypush_drop(p);
    memcpy(p->conn.why, why, sizeof(why));
}

static enum myend commit(struct mypush *p)
{
    if (run(p, "COMMIT") == MY_FINE)
        return MY_FINE;
    roll_back(p, "ROLLBACK");
    return MY_NOT_NOW;
}

/* All at once. `*whole` is 0 when not every row was inserted; then, and after a failure, nothing was done. */
static enum myend push_plainly(struct mypush *p, const struct hg_rows *rows, size_t count, int *whole)
{
    int all = 0;
    enum myend end = run(p, "START TRANSACTION");
    if (end == MY_FINE)
        end = insert_range(p, rows, (struct range){0, count}, &all);
    *whole = end == MY_FINE && all;
    if (*whole)
        return commit(p);
    roll_back(p, "ROLLBACK");
    return end;
}

static enum myend mark_duplicates(struct mypush *p, const struct hg_rows *rows, struct range r)
{
    char id[HG_ROW_ID_SIZE];
    for (size_t n = r.from; n < r.to; n++) {
        int there = 0;
        p->conn.api->row_id(p->conn.api->row(rows, n), id);
        enum myend end = p->verdicts.of[n] == 0 ? look_for(p, id, &there) : MY_FINE;
        if (end != MY_FINE)
            return end;
        if (there)
            p->verdicts.of[n] = HG_DUPLICATE;
    }
    return MY_FINE;
}

static int nothing_left(const struct mypush *p, struct range r)
{
    for (size_t n = r.from; n < r.to; n++)
        if (p->verdicts.of[n] == 0)
            return 0;
    return 1;
}

/* A range behind a savepoint; when not all of it was inserted, it is as if it was refused. */
static enum myend push_range(struct mypush *p, const struct hg_rows *rows, struct range r)
{
    int all = 0;
    if (nothing_left(p, r))
        return MY_FINE;
    enum myend end = run(p, "SAVEPOINT part");
    if (end == MY_FINE)
        end = insert_range(p, rows, r, &all);
    if (end == MY_FINE && !all) {
        myconn_say(&p->conn, "a unique key of the table other than _id has a value of this row already");
        end = MY_ROW;
    }
    if (end == MY_ROW)
        roll_back(p, "ROLLBACK TO SAVEPOINT part");
    return end;
}

/* One row that was refused. When its id turned up in the meantime (a session that was thought dead had committed) it is
 * a duplicate. */
static enum myend refuse(struct mypush *p, const struct hg_rows *rows, size_t n)
{
    char why[MY_WHY];
    memcpy(why, p->conn.why, sizeof(why));
    enum myend end = mark_duplicates(p, rows, (struct range){n, n + 1});
    if (end == MY_FINE && p->verdicts.of[n] == 0) {
        sqlbatch_refuse(&p->batch, n, why);
        p->verdicts.of[n] = HG_REJECT;
    }
    return end;
}

/* What there was no time for comes again, with the next push; what was done stays. */
static void leave(struct mypush *p, const struct range *left, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t n = left[i].from; n < left[i].to; n++)
            if (p->verdicts.of[n] == 0)
                p->verdicts.of[n] = SQLVERDICT_UNDECIDED;
}

static enum myend push_halves(struct mypush *p, const struct hg_rows *rows, size_t count)
{
    struct range stack[DEPTH_MAX] = {{0, count}};
    for (size_t depth = 1; depth > 0;) {
        if (p->conn.api->time_left(p->conn.host) < STATEMENT_MIN_MS || p->conn.api->stopping(p->conn.host)) {
            leave(p, stack, depth);
            return MY_FINE;
        }
        struct range r = stack[--depth];
        enum myend end = push_range(p, rows, r);
        if (end == MY_FINE)
            continue;
        if (end != MY_ROW || !p->conn.my)
            return end;
        if (r.to - r.from == 1) {
            end = refuse(p, rows, r.from);
            if (end != MY_FINE)
                return end;
            continue;
        }
        stack[depth++] = (struct range){r.from + (r.to - r.from) / 2, r.to};
        stack[depth++] = (struct range){r.from, r.from + (r.to - r.from) / 2};
    }
    return MY_FINE;
}

static enum myend push_carefully(struct mypush *p, const struct hg_rows *rows, size_t count)
{
    sqlverdicts_begin(&p->verdicts, &p->batch, count);
    enum myend end = run(p, "START TRANSACTION");
    if (end == MY_FINE)
        end = mark_duplicates(p, rows, (struct range){0, count});
    if (end == MY_FINE)
        end = push_halves(p, rows, count);
    if (end == MY_FINE)
        return commit(p);
    roll_back(p, "ROLLBACK");
    return end;
}

/* --- the push */

/* A text in a column of times must be one: the server would refuse its zone, or read something else. */
static void refuse_times(struct mypush *p, const struct hg_api *api)
{
    char why[WHY];
    int64_t us;
    for (size_t n = 0; n < p->batch.row_count; n++)
        for (size_t i = p->batch.rows[n].first; i < p->batch.rows[n].first + p->batch.rows[n].count; i++) {
            const struct sqlcell *cell = &p->batch.cells[i];
            const struct sqlcolumn *c = &p->table.columns.columns[cell->column];
            if (c->kind != SQL_TIME || cell->value.type != HG_STR)
                continue;
            strbuf_clear(&p->sql);
            if (sql_value_text(&p->sql, api, &cell->value) == 0 && stamp_read(p->sql.ptr, p->sql.len, &us) == 0)
                continue;
            snprintf(why, sizeof(why), "the text for the column %s is no time as 2026-01-31T12:00:00Z", c->name);
            sqlbatch_refuse(&p->batch, n, why);
        }
}

static enum myend lay_out(struct mypush *p, const struct hg_rows *rows, int *ready)
{
    const struct hg_api *api = p->conn.api;
    size_t count = api->row_count(rows);
    int failed =
        p->table.json ? sqlbatch_blank(&p->batch, count) : sqlbatch_read(&p->batch, &p->table.columns, api, rows);
    if (failed)
        return myconn_say(&p->conn, "no memory for the rows");
    *ready = p->table.json || !sqlbatch_wants(&p->table.columns);
    if (!*ready)
        return mytable_alter(&p->table, &p->conn);
    if (!p->table.json)
        refuse_times(p, api);
    return MY_FINE;
}

/* The table as it must be for these rows, and the rows laid over it. */
static enum myend prepare(struct mypush *p, const struct hg_rows *rows)
{
    enum { ROUNDS = 4 }; /* somebody else may alter it as well */
    int ready = 0;
    enum myend end = myconn_open(&p->conn);
    for (int round = 0; end == MY_FINE && !ready && round < ROUNDS; round++) {
        if (!p->table.known)
            end = mytable_load(&p->table, &p->conn);
        if (end == MY_FINE)
            end = lay_out(p, rows, &ready);
    }
    if (end == MY_FINE && !ready)
        return myconn_say(&p->conn, "the table changes faster than it can be read");
    if (end == MY_FINE)
        end = prepare_insert(p);
    if (!p->conn.my)
        statements_close(p);
    return end;
}

int mypush_rows(struct mypush *p, struct hg_rows *rows)
{
    size_t count = p->conn.api->row_count(rows);
    enum myend end = MY_STALE;
    if (sqlverdicts_room(&p->verdicts, count) != 0)
        return p->conn.api->not_now(rows, 0, "no memory for the rows");
    for (int round = 0; end == MY_STALE && round < 2; round++) {
        int whole = 0;
        end = prepare(p, rows);
        if (end == MY_FINE) {
            sqlverdicts_begin(&p->verdicts, &p->batch, count);
            end = push_plainly(p, rows, count, &whole);
            if (!whole && p->conn.my && (end == MY_FINE || end == MY_ROW))
                end = push_carefully(p, rows, count);
        }
        p->table.known &= end != MY_STALE;
    }
    return end == MY_FINE ? sqlverdicts_tell(&p->verdicts, &p->batch, p->conn.api, rows, count)
                          : p->conn.api->not_now(rows, 0, p->conn.why);
}

/* One push is one transaction. Rows that were never tried before are copied straight into the table: a repeat among
 * them (after a crash nobody knows what was tried) would break the primary key and undo the whole, never stand there
 * twice. Rows that come again go into the session's temporary table first, and from there by INSERT … ON CONFLICT (_id)
 * DO NOTHING. Either way it is two texts to the server.
 *
 * When that fails, or not all rows were inserted, it is rolled back and done with care: which ids are there already is
 * asked first, and a range that is refused is halved behind a savepoint, and the halves again, until the guilty rows
 * stand alone. Nothing is said of any row before the commit.
 *
 * When the commit's answer is lost nobody knows; the rows come again and are told to be there already. */
#include "pgpush.h"

#include "common/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 66, STATEMENT_MIN_MS = 3000, PART = 32 << 10 };
static const size_t text_max = (size_t)1 << 30;

struct range {
    size_t from, to;
};

/* --- rows as COPY's text */

/* COPY's escapes: what separates, and the backslash itself. */
static void copy_text(struct strbuf *out, const char *ptr, size_t len)
{
    const char *end = ptr + len, *from = ptr;
    for (const char *at = ptr; at < end; at++) {
        if (*at != '\\' && *at != '\n' && *at != '\r' && *at != '\t')
            continue;
        strbuf_add(out, from, (size_t)(at - from));
        strbuf_addc(out, '\\');
        strbuf_addc(out, *at == '\n' ? 'n' : *at == '\r' ? 'r' : *at == '\t' ? 't' : '\\');
        from = at + 1;
    }
    strbuf_add(out, from, (size_t)(end - from));
}

static void copy_value(struct pgpush *p, const struct sqlcolumn *column, const struct hg_value *value)
{
    if (value->type == HG_NULL) {
        strbuf_add(&p->copy, "\\N", 2);
    } else if (value->type == HG_NUM) {
        if (column->kind == SQL_SMALL || column->kind == SQL_INT || column->kind == SQL_BIG)
            sql_whole_text(&p->copy, value->json);
        else
            strbuf_add(&p->copy, value->json.ptr, value->json.len);
    } else if (column->kind == SQL_JSON) {
        copy_text(&p->copy, value->json.ptr, value->json.len);
    } else {
        strbuf_clear(&p->scratch);
        p->copy.failed |= sql_value_text(&p->scratch, p->conn.api, value) != 0;
        copy_text(&p->copy, p->scratch.ptr, p->scratch.len);
    }
}

static void copy_metadata(struct pgpush *p, const struct hg_row *row)
{
    const struct hg_api *api = p->conn.api;
    char id[HG_ROW_ID_SIZE], received[STAMP_LEN + 1];
    struct hg_text uuid = api->uuid(row);
    int64_t index = api->index(row);
    api->row_id(row, id);
    stamp_text(api->received(row), received);
    strbuf_adds(&p->copy, id);
    strbuf_addc(&p->copy, '\t');
    copy_text(&p->copy, uuid.ptr, uuid.len);
    if (index < 0)
        strbuf_adds(&p->copy, "\t\\N\t");
    else
        strbuf_addf(&p->copy, "\t%lld\t", (long long)index);
    strbuf_add(&p->copy, received, STAMP_LEN);
}

/* The rows of a range that can be written, on their way out. */
struct source {
    struct pgpush *p;
    const struct hg_rows *rows;
    struct range r; /* what is left of it */
};

static void copy_cells(struct pgpush *p, size_t n)
{
    const struct sqlrow *r = &p->batch.rows[n];
    memset(p->cells, 0, p->used * sizeof(*p->cells));
    for (size_t i = r->first; i < r->first + r->count; i++) {
        const struct sqlcolumn *c = &p->table.columns.columns[p->batch.cells[i].column];
        if (c->used)
            p->cells[c->place] = &p->batch.cells[i];
    }
    for (size_t i = 0; i < p->used; i++) {
        strbuf_addc(&p->copy, '\t');
        if (p->cells[i])
            copy_value(p, &p->table.columns.columns[p->cells[i]->column], &p->cells[i]->value);
        else
            strbuf_add(&p->copy, "\\N", 2);
    }
}

static void copy_row(struct pgpush *p, const struct hg_rows *rows, size_t n)
{
    const struct hg_row *row = p->conn.api->row(rows, n);
    copy_metadata(p, row);
    if (p->table.json) {
        struct hg_text data = p->conn.api->data(row);
        strbuf_addc(&p->copy, '\t');
        copy_text(&p->copy, data.ptr, data.len);
    } else {
        copy_cells(p, n);
    }
    strbuf_addc(&p->copy, '\n');
}

static int source_more(void *self, struct strbuf *out)
{
    struct source *s = self;
    for (; s->r.from < s->r.to && out->len < PART; s->r.from++)
        if (s->p->verdicts.of[s->r.from] == 0)
            copy_row(s->p, s->rows, s->r.from);
    return s->r.from < s->r.to;
}

static size_t writable(const struct pgpush *p, struct range r)
{
    size_t count = 0;
    for (size_t n = r.from; n < r.to; n++)
        count += p->verdicts.of[n] == 0;
    return count;
}

/* The columns of this push, and a place for each. -1: no memory. */
static int name_columns(struct pgpush *p)
{
    p->used = 0;
    strbuf_clear(&p->columns);
    strbuf_adds(&p->columns, "_id, _uuid, _index, _received");
    if (p->table.json)
        strbuf_adds(&p->columns, ", data");
    for (size_t i = 0; !p->table.json && i < p->table.columns.count; i++) {
        struct sqlcolumn *c = &p->table.columns.columns[i];
        if (!c->used)
            continue;
        c->place = p->used++;
        strbuf_adds(&p->columns, ", ");
        sqlname_quote(&p->columns, c->name, '"');
    }
    if (p->used > p->cell_cap) {
        const struct sqlcell **cells = realloc((void *)p->cells, p->used * sizeof(*cells));
        if (!cells)
            return -1;
        p->cells = cells;
        p->cell_cap = p->used;
    }
    return p->columns.failed ? -1 : 0;
}

/* --- the transaction */

static const char begin[] = "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; LOCK TABLE ";

static const char temporary[] = "pg_temp.headgate_push";

static void add_copy(struct strbuf *sql, struct pgpush *p, const char *into)
{
    strbuf_addf(sql, "; COPY %s (%s) FROM STDIN", into, strbuf_str(&p->columns));
}

static void add_insert(struct strbuf *sql, struct pgpush *p)
{
    const char *columns = strbuf_str(&p->columns);
    strbuf_addf(sql, "; INSERT INTO %s (%s) SELECT %s FROM pg_temp.headgate_push ON CONFLICT (_id) DO NOTHING",
                strbuf_str(&p->table.name), columns, columns);
}

static void add_begin(struct strbuf *sql, struct pgpush *p)
{
    strbuf_adds(sql, begin);
    strbuf_adds(sql, strbuf_str(&p->table.name));
    strbuf_adds(sql, " IN ROW EXCLUSIVE MODE; ");
    pgtable_mark(&p->table, sql);
}

static enum pgend no_memory(struct pgpush *p)
{
    snprintf(p->conn.why, sizeof(p->conn.why), "no memory for the rows");
    return PG_NOT_NOW;
}

static enum pgend run(struct pgpush *p, struct strbuf *sql, struct source *source, const char *first,
                      struct pganswer *a)
{
    const struct pgcopy copy = {source_more, source, &p->copy};
    enum pgend end =
        sql->failed ? no_memory(p) : pgconn_run(&p->conn, strbuf_str(sql), source ? &copy : NULL, first, a);
    strbuf_fini(sql);
    return end;
}

/* PG_FINE also when the connection is gone: then the server rolls back by itself. Keeps the words of what went wrong.
 */
static void roll_back(struct pgpush *p, const char *to)
{
    char why[PG_WHY];
    memcpy(why, p->conn.why, sizeof(why));
    if (p->conn.pg && pgconn_run(&p->conn, to, NULL, NULL, NULL) != PG_FINE)
        pgconn_close(&p->conn);
    memcpy(p->conn.why, why, sizeof(why));
}

static enum pgend commit(struct pgpush *p)
{
    enum pgend end = pgconn_run(&p->conn, "COMMIT", NULL, NULL, NULL);
    if (end != PG_FINE)
        roll_back(p, "ROLLBACK");
    return end == PG_FINE ? PG_FINE : PG_NOT_NOW;
}

static int all_new(const struct pgpush *p, const struct hg_rows *rows, size_t count)
{
    const struct hg_api *api = p->conn.api;
    for (size_t n = 0; n < count; n++)
        if (api->attempt(api->row(rows, n)) != 1 || api->origin(api->row(rows, n)) != HG_LIVE)
            return 0;
    return 1;
}

/* All at once. `*whole` is 0 when not every row was inserted; then, and after a failure, nothing was done. */
static enum pgend push_plainly(struct pgpush *p, const struct hg_rows *rows, size_t count, int *whole)
{
    struct strbuf sql;
    struct pganswer a = {.inserted = 0};
    strbuf_init(&sql, text_max);
    struct source source = {p, rows, {0, count}};
    add_begin(&sql, p);
    if (all_new(p, rows, count)) {
        add_copy(&sql, p, strbuf_str(&p->table.name));
    } else {
        add_copy(&sql, p, temporary);
        add_insert(&sql, p);
    }
    enum pgend end = run(p, &sql, &source, p->table.mark, &a);
    *whole = end == PG_FINE && a.inserted == (long)writable(p, (struct range){0, count});
    pganswer_clear(&a);
    if (*whole)
        return commit(p);
    roll_back(p, "ROLLBACK");
    return end;
}

static void note_duplicates(struct pgpush *p, const struct hg_rows *rows, struct range r, const PGresult *found)
{
    char id[HG_ROW_ID_SIZE];
    int at = 0, count = PQntuples(found);
    for (size_t n = r.from; n < r.to && at < count; n++) {
        p->conn.api->row_id(p->conn.api->row(rows, n), id);
        if (p->verdicts.of[n] == 0 && strcmp(id, PQgetvalue(found, at, 0)) == 0) {
            p->verdicts.of[n] = HG_DUPLICATE;
            at++;
        }
    }
}

/* A range behind a savepoint. The ids that are there come in the order of the rows, which is that of the temporary
 * table: `ctid` numbers what COPY wrote. */
static enum pgend push_range(struct pgpush *p, const struct hg_rows *rows, struct range r)
{
    struct strbuf sql;
    struct pganswer a = {.inserted = 0};
    strbuf_init(&sql, text_max);
    struct source source = {p, rows, r};
    if (writable(p, r) == 0)
        return PG_FINE;
    strbuf_adds(&sql, "SAVEPOINT part; TRUNCATE pg_temp.headgate_push");
    add_copy(&sql, p, temporary);
    strbuf_addf(&sql, "; SELECT i._id FROM pg_temp.headgate_push i JOIN %s t ON t._id = i._id ORDER BY i.ctid",
                strbuf_str(&p->table.name));
    add_insert(&sql, p);
    strbuf_adds(&sql, "; RELEASE SAVEPOINT part");
    enum pgend end = run(p, &sql, &source, NULL, &a);
    if (end == PG_FINE)
        note_duplicates(p, rows, r, a.tables[0]);
    pganswer_clear(&a);
    if (end == PG_ROW)
        roll_back(p, "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part");
    return end;
}

/* What there was no time for comes again, with the next push; what was done stays. */
static void leave(struct pgpush *p, const struct range *left, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t n = left[i].from; n < left[i].to; n++)
            if (p->verdicts.of[n] == 0)
                p->verdicts.of[n] = SQLVERDICT_UNDECIDED;
}

static enum pgend push_halves(struct pgpush *p, const struct hg_rows *rows, size_t count)
{
    struct range stack[DEPTH_MAX] = {{0, count}};
    for (size_t depth = 1; depth > 0;) {
        if (p->conn.api->time_left(p->conn.host) < STATEMENT_MIN_MS || p->conn.api->stopping(p->conn.host)) {
            leave(p, stack, depth);
            return PG_FINE;
        }
        struct range r = stack[--depth];
        enum pgend end = push_range(p, rows, r);
        if (end == PG_FINE)
            continue;
        if (end != PG_ROW || !p->conn.pg)
            return end;
        if (r.to - r.from == 1) {
            sqlbatch_refuse(&p->batch, r.from, p->conn.why);
            p->verdicts.of[r.from] = HG_REJECT;
            continue;
        }
        stack[depth++] = (struct range){r.from + (r.to - r.from) / 2, r.to};
        stack[depth++] = (struct range){r.from, r.from + (r.to - r.from) / 2};
    }
    return PG_FINE;
}

static enum pgend push_carefully(struct pgpush *p, const struct hg_rows *rows, size_t count)
{
    struct strbuf sql;
    struct pganswer a = {.inserted = 0};
    sqlverdicts_begin(&p->verdicts, &p->batch, count);
    strbuf_init(&sql, text_max);
    add_begin(&sql, p);
    enum pgend end = run(p, &sql, NULL, NULL, &a);
    if (end == PG_FINE && (a.table_count != 1 || strcmp(PQgetvalue(a.tables[0], 0, 0), p->table.mark) != 0))
        end = PG_STALE;
    pganswer_clear(&a);
    if (end == PG_FINE)
        end = push_halves(p, rows, count);
    if (end == PG_FINE)
        return commit(p);
    roll_back(p, "ROLLBACK");
    return end;
}

/* --- the push */

/* The table as it must be for these rows, and the rows laid over it. */
static enum pgend prepare(struct pgpush *p, const struct hg_rows *rows)
{
    enum { ROUNDS = 4 }; /* somebody else may alter it as well */
    enum pgend end = pgconn_open(&p->conn);
    for (int round = 0; end == PG_FINE && round < ROUNDS; round++) {
        if (!p->table.known)
            end = pgtable_load(&p->table, &p->conn);
        if (end != PG_FINE)
            break;
        if (p->table.json)
            return sqlbatch_blank(&p->batch, p->conn.api->row_count(rows)) == 0 ? PG_FINE : no_memory(p);
        if (sqlbatch_read(&p->batch, &p->table.columns, p->conn.api, rows) != 0)
            return no_memory(p);
        if (!sqlbatch_wants(&p->table.columns))
            return PG_FINE;
        end = pgtable_alter(&p->table, &p->conn);
    }
    if (end == PG_FINE)
        snprintf(p->conn.why, sizeof(p->conn.why), "the table changes faster than it can be read");
    return PG_NOT_NOW;
}

void pgpush_drop(struct pgpush *p)
{
    pgconn_close(&p->conn);
    p->table.known = 0; /* the temporary table goes with its session */
}

int pgpush_rows(struct pgpush *p, struct hg_rows *rows)
{
    size_t count = p->conn.api->row_count(rows);
    enum pgend end = PG_STALE;
    if (!p->conn.pg)
        pgpush_drop(p);
    if (sqlverdicts_room(&p->verdicts, count) != 0)
        return p->conn.api->not_now(rows, 0, "no memory for the rows");
    for (int round = 0; end == PG_STALE && round < 2; round++) {
        int whole = 0;
        end = prepare(p, rows);
        if (end != PG_FINE)
            break;
        if (name_columns(p) != 0) {
            end = no_memory(p);
            break;
        }
        sqlverdicts_begin(&p->verdicts, &p->batch, count);
        end = push_plainly(p, rows, count, &whole);
        if (!whole && p->conn.pg && (end == PG_FINE || end == PG_ROW))
            end = push_carefully(p, rows, count);
        p->table.known &= end != PG_STALE && p->conn.pg != NULL;
    }
    return end == PG_FINE ? sqlverdicts_tell(&p->verdicts, &p->batch, p->conn.api, rows, count)
                          : p->conn.api->not_now(rows, 0, p->conn.why);
}

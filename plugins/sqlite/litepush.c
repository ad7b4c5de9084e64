/* One push is one transaction, row by row: a row that is refused undoes itself alone, so none has to be looked for.
 * SQLite says of each whether it was inserted. Nothing is said of any row before the commit. */
#include "litepush.h"

#include "common/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METADATA = 4, WHY = 200 };

/* --- values */

static int bind_number(sqlite3_stmt *s, int at, struct hg_text json, int numeric_column)
{
    struct sql_number n;
    char text[64];
    sql_number_read(json, &n);
    if (n.integer)
        return sqlite3_bind_int64(s, at, n.value);
    if (!n.lossy && json.len < sizeof(text)) {
        memcpy(text, json.ptr, json.len);
        text[json.len] = '\0';
        return sqlite3_bind_double(s, at, strtod(text, NULL));
    }
    return numeric_column ? SQLITE_MISMATCH
                          : sqlite3_bind_text64(s, at, json.ptr, json.len, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_value(struct litepush *p, int at, const struct sqlcell *cell)
{
    sqlite3_stmt *s = p->file.insert;
    switch ((enum hg_value_type)cell->value.type) {
    case HG_NULL: return SQLITE_OK;
    case HG_TRUE:
    case HG_FALSE: return sqlite3_bind_int(s, at, cell->value.type == HG_TRUE);
    case HG_NUM: return bind_number(s, at, cell->value.json, p->file.digits[cell->column]);
    case HG_STR:
    case HG_ARRAY:
    case HG_OBJECT: break;
    }
    strbuf_clear(&p->scratch);
    if (sql_value_text(&p->scratch, p->api, &cell->value) != 0)
        return SQLITE_NOMEM;
    return sqlite3_bind_text64(s, at, p->scratch.len ? p->scratch.ptr : "", p->scratch.len, SQLITE_TRANSIENT,
                               SQLITE_UTF8);
}

static int bind_metadata(struct litepush *p, const struct hg_row *row)
{
    sqlite3_stmt *s = p->file.insert;
    char id[HG_ROW_ID_SIZE], received[STAMP_LEN + 1];
    struct hg_text uuid = p->api->uuid(row);
    int64_t index = p->api->index(row);
    p->api->row_id(row, id);
    stamp_text(p->api->received(row), received);
    int code = sqlite3_bind_text(s, 1, id, -1, SQLITE_TRANSIENT);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text64(s, 2, uuid.ptr, uuid.len, SQLITE_STATIC, SQLITE_UTF8);
    if (code == SQLITE_OK && index >= 0)
        code = sqlite3_bind_int64(s, 3, index);
    return code == SQLITE_OK ? sqlite3_bind_text(s, 4, received, -1, SQLITE_TRANSIENT) : code;
}

static int bind_row(struct litepush *p, const struct hg_rows *rows, size_t n)
{
    const struct hg_row *row = p->api->row(rows, n);
    const struct sqlrow *r = &p->batch.rows[n];
    sqlite3_clear_bindings(p->file.insert);
    int code = bind_metadata(p, row);
    if (code == SQLITE_OK && p->file.json) {
        struct hg_text data = p->api->data(row);
        return sqlite3_bind_text64(p->file.insert, METADATA + 1, data.ptr, data.len, SQLITE_STATIC, SQLITE_UTF8);
    }
    for (size_t i = r->first; code == SQLITE_OK && i < r->first + r->count; i++) {
        const struct sqlcolumn *c = &p->file.columns.columns[p->batch.cells[i].column];
        if (c->used)
            code = bind_value(p, METADATA + 1 + (int)c->place, &p->batch.cells[i]);
    }
    return code;
}

/* --- the statement */

static void insert_text(struct litepush *p, struct strbuf *sql)
{
    size_t place = 0;
    strbuf_addf(sql, "INSERT INTO %s (_id, _uuid, _index, _received%s", strbuf_str(&p->file.name),
                p->file.json ? ", data" : "");
    for (size_t i = 0; !p->file.json && i < p->file.columns.count; i++) {
        struct sqlcolumn *c = &p->file.columns.columns[i];
        if (!c->used)
            continue;
        c->place = place++;
        strbuf_adds(sql, ", ");
        sqlname_quote(sql, c->name, '"');
    }
    strbuf_adds(sql, ") VALUES (?, ?, ?, ?");
    for (place += p->file.json != 0; place > 0; place--)
        strbuf_adds(sql, ", ?");
    strbuf_adds(sql, ") ON CONFLICT (_id) DO NOTHING");
}

/* That of the push before, when it is the same. (SQLite prepares it anew by itself when the schema changes.) */
static enum liteend prepare_insert(struct litepush *p)
{
    struct litefile *f = &p->file;
    strbuf_clear(&p->scratch);
    insert_text(p, &p->scratch);
    if (p->scratch.failed)
        return litefile_fault(f, SQLITE_NOMEM);
    if (f->insert && f->insert_sql.len == p->scratch.len &&
        memcmp(f->insert_sql.ptr, p->scratch.ptr, p->scratch.len) == 0)
        return LITE_FINE;
    sqlite3_finalize(f->insert);
    f->insert = NULL;
    strbuf_clear(&f->insert_sql);
    strbuf_add(&f->insert_sql, p->scratch.ptr, p->scratch.len);
    int code = sqlite3_prepare_v3(f->db, strbuf_str(&f->insert_sql), -1, SQLITE_PREPARE_PERSISTENT, &f->insert, NULL);
    if (code == SQLITE_OK)
        return LITE_FINE;
    litefile_fault(f, code);
    strbuf_clear(&f->insert_sql);
    return LITE_NOT_NOW;
}

static enum liteend insert_row(struct litepush *p, const struct hg_rows *rows, size_t n)
{
    int code = bind_row(p, rows, n);
    if (code == SQLITE_OK) {
        code = sqlite3_step(p->file.insert);
        if (code == SQLITE_DONE)
            p->verdicts.of[n] = sqlite3_changes(p->file.db) ? HG_OK : HG_DUPLICATE;
    } else if (code == SQLITE_MISMATCH) {
        sqlbatch_refuse(&p->batch, n, "a number would lose digits in its column, which has a numeric type");
        p->verdicts.of[n] = HG_REJECT;
        return LITE_FINE;
    }
    enum liteend end = code == SQLITE_OK || code == SQLITE_DONE ? LITE_FINE : litefile_fault(&p->file, code);
    sqlite3_reset(p->file.insert);
    if (end == LITE_ROW) {
        sqlbatch_refuse(&p->batch, n, p->file.why);
        p->verdicts.of[n] = HG_REJECT;
        return LITE_FINE;
    }
    return end;
}

/* --- the push */

static enum liteend no_memory(struct litepush *p)
{
    return litefile_fault(&p->file, SQLITE_NOMEM);
}

/* The table as it must be for these rows, and the rows laid over it. */
static enum liteend lay_out(struct litepush *p, const struct hg_rows *rows)
{
    enum { ROUNDS = 2 }; /* the second finds what the first added, or refused */
    enum liteend end = LITE_FINE;
    for (int round = 0; end == LITE_FINE && round <= ROUNDS; round++) {
        end = litefile_load(&p->file);
        if (end != LITE_FINE)
            return end;
        if (p->file.json)
            return sqlbatch_blank(&p->batch, p->api->row_count(rows)) == 0 ? LITE_FINE : no_memory(p);
        if (sqlbatch_read(&p->batch, &p->file.columns, p->api, rows) != 0)
            return no_memory(p);
        if (!sqlbatch_wants(&p->file.columns))
            return LITE_FINE;
        end = litefile_alter(&p->file);
    }
    return end;
}

static enum liteend push_all(struct litepush *p, const struct hg_rows *rows, size_t count)
{
    enum liteend end = lay_out(p, rows);
    if (end == LITE_FINE)
        end = prepare_insert(p);
    for (size_t n = 0; end == LITE_FINE && n < count; n++) {
        p->verdicts.of[n] = sqlbatch_fault(&p->batch, n) ? HG_REJECT : 0;
        if (p->verdicts.of[n] == 0)
            end = insert_row(p, rows, n);
    }
    if (end == LITE_FINE)
        end = litefile_run(&p->file, "COMMIT") == LITE_FINE ? LITE_FINE : LITE_NOT_NOW;
    return end;
}

int litepush_rows(struct litepush *p, struct hg_rows *rows)
{
    char why[LITE_WHY];
    size_t count = p->api->row_count(rows);
    if (sqlverdicts_room(&p->verdicts, count) != 0)
        return p->api->not_now(rows, 0, "no memory for the rows");
    enum liteend end = litefile_open(&p->file);
    if (end == LITE_FINE)
        end = litefile_run(&p->file, "BEGIN IMMEDIATE");
    if (end == LITE_FINE)
        end = push_all(p, rows, count);
    if (end != LITE_FINE) { /* closed, so that a file that was replaced or mended is found as it is then */
        memcpy(why, p->file.why, sizeof(why));
        litefile_close(&p->file);
        return p->api->not_now(rows, 0, why);
    }
    return sqlverdicts_tell(&p->verdicts, &p->batch, p->api, rows, count);
}

enum liteend litepush_probe(struct litepush *p, char *why, size_t size)
{
    enum liteend end = litefile_open(&p->file);
    if (end == LITE_FINE)
        end = litefile_run(&p->file, "BEGIN IMMEDIATE");
    if (end == LITE_FINE)
        end = litefile_load(&p->file);
    snprintf(why, size, "%s", p->file.why);
    litefile_close(&p->file); /* rolls back */
    return end == LITE_FINE ? LITE_FINE : LITE_NOT_NOW;
}

/* Every value goes as a text in a parameter: the server reads a number's text with all its digits, and turns it into
 * whatever the column is. Booleans are 1 and 0, as they are to the server; a time is the UTC of what was sent. */
#include "myvalues.h"

#include "common/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIME_LEN = 26 }; /* 2026-01-31 12:00:00.123456 */

static int room(struct myvalues *v, size_t width, size_t rows)
{
    size_t need = width * rows;
    if (width > v->bind_cap) {
        MYSQL_BIND *binds = realloc(v->binds, width * sizeof(*binds));
        if (!binds)
            return -1;
        v->binds = binds;
        v->bind_cap = width;
    }
    if (need <= v->cap)
        return 0;
    size_t *places = realloc(v->places, need * sizeof(*places));
    v->places = places ? places : v->places;
    char **pointers = realloc(v->pointers, need * sizeof(*pointers));
    v->pointers = pointers ? pointers : v->pointers;
    unsigned long *lengths = realloc(v->lengths, need * sizeof(*lengths));
    v->lengths = lengths ? lengths : v->lengths;
    char *nulls = realloc(v->nulls, need);
    v->nulls = nulls ? nulls : v->nulls;
    if (!places || !pointers || !lengths || !nulls)
        return -1;
    v->cap = need;
    return 0;
}

int myvalues_begin(struct myvalues *v, size_t width, size_t rows)
{
    strbuf_clear(&v->text);
    if (room(v, width, rows) != 0)
        return -1;
    memset(v->nulls, STMT_INDICATOR_NULL, width * rows);
    memset(v->lengths, 0, width * rows * sizeof(*v->lengths));
    memset(v->places, 0, width * rows * sizeof(*v->places));
    return 0;
}

void myvalues_fini(struct myvalues *v)
{
    strbuf_fini(&v->text);
    free(v->places);
    free((void *)v->pointers);
    free(v->lengths);
    free(v->nulls);
    free(v->binds);
    *v = (struct myvalues){.cap = 0};
}

/* What was added to the text since `from` is the value at `at`. */
static void put(struct myvalues *v, size_t at, size_t from)
{
    v->places[at] = from;
    v->lengths[at] = v->text.len - from;
    v->nulls[at] = STMT_INDICATOR_NONE;
}

/* RFC 3339 as the server's datetime: a space, no zone. */
static void add_time(struct strbuf *out, int64_t us)
{
    char text[STAMP_LEN + 1];
    stamp_text(us, text);
    text[10] = ' ';
    strbuf_add(out, text, TIME_LEN);
}

void myvalues_metadata(struct myvalues *v, const struct hg_api *api, const struct hg_row *row, size_t rows, size_t n)
{
    char id[HG_ROW_ID_SIZE];
    struct hg_text uuid = api->uuid(row);
    int64_t index = api->index(row);
    size_t from = v->text.len;
    api->row_id(row, id);
    strbuf_adds(&v->text, id);
    put(v, n, from);
    from = v->text.len;
    strbuf_add(&v->text, uuid.ptr, uuid.len);
    put(v, rows + n, from);
    from = v->text.len;
    if (index >= 0) {
        strbuf_addf(&v->text, "%lld", (long long)index);
        put(v, 2 * rows + n, from);
        from = v->text.len;
    }
    add_time(&v->text, api->received(row));
    put(v, 3 * rows + n, from);
}

static int add_value(struct strbuf *out, const struct hg_api *api, enum sql_kind kind, const struct hg_value *value)
{
    size_t from = out->len;
    int64_t us;
    if (value->type == HG_TRUE || value->type == HG_FALSE) {
        if (kind == SQL_JSON)
            strbuf_add(out, value->json.ptr, value->json.len);
        else
            strbuf_addc(out, value->type == HG_TRUE ? '1' : '0');
    } else if (value->type == HG_NUM && (kind == SQL_SMALL || kind == SQL_INT || kind == SQL_BIG)) {
        sql_whole_text(out, value->json);
    } else if (kind == SQL_JSON) {
        strbuf_add(out, value->json.ptr, value->json.len);
    } else if (sql_value_text(out, api, value) != 0) {
        return -1;
    } else if (kind == SQL_TIME && stamp_read(out->ptr + from, out->len - from, &us) == 0) {
        strbuf_cut(out, from);
        add_time(out, us);
    }
    return out->failed ? -1 : 0;
}

int myvalues_put(struct myvalues *v, const struct hg_api *api, enum sql_kind kind, const struct hg_value *value,
                 size_t at)
{
    size_t from = v->text.len;
    if (value->type == HG_NULL)
        return 0;
    int result = add_value(&v->text, api, kind, value);
    put(v, at, from);
    return result;
}

void myvalues_bind(struct myvalues *v, size_t width, size_t rows, int arrays, size_t n)
{
    char *text = v->text.ptr;
    memset(v->binds, 0, width * sizeof(*v->binds));
    for (size_t i = 0; i < width * rows; i++)
        v->pointers[i] = text + v->places[i];
    for (size_t i = 0; i < width; i++) {
        MYSQL_BIND *b = &v->binds[i];
        size_t at = i * rows + n;
        b->buffer_type = MYSQL_TYPE_STRING;
        b->length = &v->lengths[at];
        b->u.indicator = &v->nulls[at];
        b->buffer = arrays ? (void *)&v->pointers[at] : v->pointers[at];
        if (!arrays) {
            b->buffer_length = v->lengths[at];
            b->buffer_type = v->nulls[at] == STMT_INDICATOR_NULL ? MYSQL_TYPE_NULL : MYSQL_TYPE_STRING;
            b->u.indicator = NULL;
        }
    }
}

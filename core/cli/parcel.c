/* Request bodies of `headgate send`. */
#include "cli/parcel.h"

#include "rows/rows.h"

#include <inttypes.h>
#include <stdlib.h>

enum { FRAME = 64 }; /* bytes around a row in the body: {"index":N,"data":} */

int parcel_init(struct parcel *p, size_t max_rows, bool documents)
{
    *p = (struct parcel){.max = max_rows, .documents = documents};
    buf_init(&p->data, (size_t)2 * JSPLIT_VALUE_MAX);
    buf_init(&p->body, (size_t)3 * JSPLIT_VALUE_MAX);
    p->rows = calloc(max_rows, sizeof *p->rows);
    return p->rows == NULL ? ERR_NOMEM : ERR_OK;
}

void parcel_fini(struct parcel *p)
{
    free(p->rows);
    buf_free(&p->data);
    buf_free(&p->body);
    *p = (struct parcel){0};
}

void parcel_clear(struct parcel *p)
{
    buf_clear(&p->data);
    p->count = 0;
}

bool parcel_takes(const struct parcel *p, const struct row *row)
{
    return p->count == 0 || (p->count < p->max && p->data.len + p->count * FRAME + row->text.len <= PARCEL_BYTES);
}

int parcel_add(struct parcel *p, const struct row *row)
{
    CHECK(p->count < p->max);
    size_t from = p->data.len;
    int code = buf_add(&p->data, row->text.ptr, row->text.len);
    if (code == ERR_OK)
        p->rows[p->count++] =
            (struct parcel_row){.from = from, .len = row->text.len, .line = row->line, .index = row->index};
    return code;
}

static int build_row(struct parcel *p, size_t i, bool first)
{
    struct parcel_row *row = &p->rows[i];
    int code = first || p->documents ? ERR_OK : buf_addc(&p->body, ',');
    if (code == ERR_OK && !p->documents)
        code = buf_addc(&p->body, '{');
    if (code == ERR_OK && row->index != INDEX_NONE && !p->documents)
        code = buf_addf(&p->body, "\"index\":%" PRIu64 ",", row->index);
    if (code == ERR_OK && !p->documents)
        code = buf_adds(&p->body, "\"data\":");
    row->at = p->body.len;
    if (code == ERR_OK)
        code = buf_add(&p->body, p->data.ptr + row->from, row->len);
    if (p->documents) /* a document over many lines becomes one: newlines stand only between its tokens */
        for (size_t k = row->at; code == ERR_OK && k < p->body.len; k++)
            if (p->body.ptr[k] == '\n' || p->body.ptr[k] == '\r')
                p->body.ptr[k] = ' ';
    return code == ERR_OK ? buf_addc(&p->body, p->documents ? '\n' : '}') : code;
}

int parcel_build(struct parcel *p, const char *uuid, size_t from, size_t count)
{
    CHECK(from + count <= p->count);
    int code = ERR_OK;
    buf_clear(&p->body);
    p->body_from = from;
    p->body_count = count;
    if (!p->documents) {
        code = buf_adds(&p->body, "{\"uuid\":");
        if (code == ERR_OK)
            code = buf_add_json(&p->body, slice_of(uuid));
        if (code == ERR_OK)
            code = buf_adds(&p->body, ",\"rows\":[");
    }
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = build_row(p, from + i, i == 0);
    if (code == ERR_OK && !p->documents)
        code = buf_adds(&p->body, "]}");
    return code;
}

uint64_t parcel_line_of_byte(const struct parcel *p, uint64_t byte)
{
    for (size_t i = p->body_count; i > 0; i--)
        if (p->rows[p->body_from + i - 1].at <= byte)
            return p->rows[p->body_from + i - 1].line;
    return 0;
}

uint64_t parcel_line_of_row(const struct parcel *p, uint64_t row)
{
    return row < p->body_count ? p->rows[p->body_from + row].line : 0;
}

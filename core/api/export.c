/* The rows of the journal as NDJSON, a page at a time: what is durable, from a moment on, or of one uuid.
 *
 * A page has PAGE_BYTES and looks at SCAN_BYTES, then its last line says where to go on: the gateway holds one page of
 * one request in memory, however much there is, and the journal is read by a worker thread. A caller that is bound to a
 * client gets that client's rows only. */
#include "api/api.h"

#include "base/sys.h"
#include "supervise/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = 4 << 20, SCAN_BYTES = 64 << 20, UUID_PAGE = 20, LINE_BYTES_MAX = 96 << 20 };

struct export
{
    uv_work_t work;
    struct api *api;
    struct http_request *request;
    char uuid[UUID_MAX_BYTES + 1], client[CLIENT_MAX + 1];
    int64_t from_us, to_us;
    uint64_t at, limit; /* position to go on with; end of what is durable */
    bool more;
    struct buf out;
    int code;
};

/* --- lines --- */

/* Newlines stand between tokens only. */
static int add_data(struct buf *b, struct slice data)
{
    size_t before = b->len;
    int code = buf_add(b, data.ptr, data.len);
    for (size_t i = before; code == ERR_OK && i < b->len; i++)
        if (b->ptr[i] == '\n' || b->ptr[i] == '\r')
            b->ptr[i] = ' ';
    return code;
}

static int add_row(struct buf *b, const struct epoch *epoch, const struct record *record, uint32_t row,
                   struct slice uuid)
{
    char id[ROW_ID_LEN + 1];
    struct row_span span = record_span(record, row);
    row_id_text(epoch, record->position, row, id);
    int code = buf_addf(b, "{\"id\":\"%s\",\"uuid\":", id);
    if (code == ERR_OK)
        code = buf_add_json(b, uuid);
    if (code == ERR_OK && span.index != INDEX_NONE)
        code = buf_addf(b, ",\"index\":%llu", (unsigned long long)span.index);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"received\":");
    if (code == ERR_OK)
        code = api_time(b, record->received_us);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"tags\":");
    if (code == ERR_OK)
        code = api_tags(b, record->context);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"data\":");
    if (code == ERR_OK)
        code = add_data(b, record_row(record, row));
    return code == ERR_OK ? buf_adds(b, "}\n") : code;
}

static int add_record(struct export *x, const struct record *record)
{
    struct slice uuid = {"", 0}, client = {"", 0};
    struct journal_segment segment;
    (void)context_get(record->context, CONTEXT_UUID, &uuid);
    (void)context_get(record->context, CONTEXT_CLIENT, &client);
    if (record->received_us < x->from_us || record->received_us >= x->to_us ||
        (x->uuid[0] != '\0' && !slice_is(uuid, x->uuid)) || (x->client[0] != '\0' && !slice_is(client, x->client)))
        return ERR_OK;
    int code = journal_segment_at(x->api->journal, record->position, &segment);
    for (uint32_t row = 0; code == ERR_OK && row < record->rows; row++)
        code = add_row(&x->out, &segment.epoch, record, row, uuid);
    return code;
}

/* --- a page; worker thread --- */

/* There is nothing more in the segment: where the next one begins. */
static uint64_t behind_segment(const struct export *x)
{
    struct journal_segment s;
    if (journal_segment_at(x->api->journal, x->at, &s) != ERR_OK)
        return x->limit;
    uint64_t to = s.first > x->at ? s.first : s.end;
    return to > x->at && to < x->limit ? to : x->limit;
}

static int scan(struct export *x)
{
    const struct row_source source = source_of(x->api->journal);
    void *session = NULL;
    struct record record;
    uint64_t stop = x->limit - x->at > SCAN_BYTES ? x->at + SCAN_BYTES : x->limit;
    int code = ERR_OK;
    while (code == ERR_OK && x->at < stop && x->out.len < PAGE_BYTES) {
        code = source.next(source.arg, &session, &x->at, x->limit, &record);
        if (code == ERR_OK) {
            code = add_record(x, &record);
        } else if (code == ERR_NOTFOUND) {
            x->at = behind_segment(x);
            code = ERR_OK;
        }
    }
    source.end(source.arg, &session);
    x->more = x->at < x->limit;
    return code;
}

/* The newest first, as receipts are. */
static int of_uuid(struct export *x)
{
    uint64_t positions[UUID_PAGE + 1];
    uint32_t found = 0, i = 0;
    struct buf copy;
    struct record record;
    buf_init(&copy, LINE_BYTES_MAX);
    int code = journal_find_uuid(x->api->journal, slice_of(x->uuid), x->at, positions, UUID_PAGE + 1, &found);
    for (; code == ERR_OK && i < found && i < UUID_PAGE && x->out.len < PAGE_BYTES; i++) {
        code = journal_read(x->api->journal, positions[i], &copy, &record);
        code = code == ERR_OK ? add_record(x, &record) : code == ERR_GONE ? ERR_OK : code;
        x->at = positions[i];
    }
    buf_free(&copy);
    x->more = i < found;
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

static void run(uv_work_t *work)
{
    struct export *x = work->data;
    x->code = x->uuid[0] != '\0' ? of_uuid(x) : scan(x);
    if (x->code == ERR_OK)
        x->code = x->more ? buf_addf(&x->out, "{\"next\":\"%llu\"}\n", (unsigned long long)x->at)
                          : buf_adds(&x->out, "{\"next\":null}\n");
}

static void ran(uv_work_t *work, int status)
{
    struct export *x = work->data;
    (void)status;
    x->api->works--;
    api_text(x->request, 200, "application/x-ndjson", &x->out, x->code);
    free(x);
}

/* --- what is asked for --- */

static bool read_moment(const struct http_request *r, const char *name, int64_t *wall_us)
{
    char text[64] = "";
    long len = http_query(r, name, text, sizeof text);
    return len == -1 || len == 0 || (len > 0 && api_time_parse(text, wall_us) == ERR_OK);
}

static bool read_wish(struct export *x, const struct http_request *r)
{
    x->to_us = INT64_MAX;
    x->limit = journal_durable(x->api->journal).position;
    if (http_query(r, "uuid", x->uuid, sizeof x->uuid) == -2 || !read_moment(r, "from", &x->from_us) ||
        !read_moment(r, "to", &x->to_us))
        return false;
    x->at = x->uuid[0] != '\0' ? UINT64_MAX : api_segment_of(x->api, x->from_us).first;
    return api_number(r, "after", &x->at) && (x->uuid[0] != '\0' || x->at <= x->limit);
}

void api_export(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)params;
    struct export *x = calloc(1, sizeof *x);
    if (x == NULL) {
        api_error(r, ERR_NOMEM, "out of memory");
        return;
    }
    x->api = api;
    x->request = r;
    memcpy(x->client, r->caller.client, sizeof x->client);
    if (!read_wish(x, r)) {
        free(x);
        api_problem(
            r, 400, "syntax",
            "from and to take 2026-01-31T12:00:00Z or a duration such as 2h (that long ago), after the `next` of "
            "the page before");
        return;
    }
    buf_init(&x->out, LINE_BYTES_MAX);
    x->work.data = x;
    api->works++;
    CHECK(uv_queue_work(api->loop, &x->work, run, ran) == 0);
}

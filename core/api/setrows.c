/* The rows of a row set: GET /v1/batches/{id}/rows, as long as the journal keeps them. Read on a worker thread, a page
 * at a time; the bytes of each row are those that came in. */
#include "api/api.h"

#include "base/sys.h"

#include <stdlib.h>

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, RECORD_MAX = 80 << 20 };

struct rows_job {
    uv_work_t work;
    struct api *api;
    struct http_request *request;
    uint64_t position, after, limit;
    struct journal_segment segment;
    struct buf out;
    int code;
};

static bool theirs(const struct http_request *r, const struct record *record)
{
    struct slice client;
    return r->caller.client[0] == '\0' ||
           (context_get(record->context, CONTEXT_CLIENT, &client) && slice_is(client, r->caller.client));
}

static int add_row(struct buf *b, const struct record *record, uint32_t i, bool more)
{
    struct row_span span = record_span(record, i);
    struct slice row = record_row(record, i);
    int code = buf_addf(b, "%s{\"row\":%u", more ? "," : "", i);
    if (code == ERR_OK && span.index != INDEX_NONE)
        code = buf_addf(b, ",\"index\":%llu", (unsigned long long)span.index);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"data\":");
    if (code == ERR_OK)
        code = buf_add(b, row.ptr, row.len);
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

static int add_rows(struct rows_job *job, const struct record *record)
{
    uint64_t end = job->after + job->limit < record->rows ? job->after + job->limit : record->rows;
    int code = buf_adds(&job->out, "{\"rows\":[");
    for (uint64_t i = job->after; code == ERR_OK && i < end; i++)
        code = add_row(&job->out, record, (uint32_t)i, i > job->after);
    if (code == ERR_OK)
        code = end < record->rows ? buf_addf(&job->out, "],\"next\":\"%llu\"}\n", (unsigned long long)end)
                                  : buf_adds(&job->out, "],\"next\":null}\n");
    return code;
}

static void run(uv_work_t *work)
{
    struct rows_job *job = work->data;
    struct buf copy;
    struct record record;
    buf_init(&copy, RECORD_MAX);
    job->code = journal_read(job->api->journal, job->position, &copy, &record);
    if (job->code == ERR_OK && !theirs(job->request, &record))
        job->code = ERR_NOTFOUND;
    if (job->code == ERR_OK)
        job->code = add_rows(job, &record);
    buf_free(&copy);
}

static void done(uv_work_t *work, int status)
{
    struct rows_job *job = work->data;
    (void)status;
    job->api->works--;
    if (job->code == ERR_OK)
        api_json(job->request, 200, &job->out, ERR_OK);
    else
        api_error(job->request, job->code,
                  job->code == ERR_NOTFOUND ? "no row set with this id was ever accepted here" : err_text(job->code));
    buf_free(&job->out);
    free(job);
}

void api_batch_rows(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct epoch epoch;
    uint64_t limit = PAGE_DEFAULT, after = 0;
    if (!api_number(r, "limit", &limit) || !api_number(r, "after", &after)) {
        api_problem(r, 400, "syntax", "limit is a number, after the `next` of the answer before");
        return;
    }
    struct rows_job *job = calloc(1, sizeof *job);
    int code = job == NULL ? ERR_NOMEM : batch_id_parse(slice_of(params->text[0]), &epoch, &job->position);
    if (code == ERR_OK)
        code = journal_find_batch(api->journal, &epoch, job->position, &job->segment);
    if (code != ERR_OK) {
        free(job);
        api_error(r, code == ERR_NOMEM || code == ERR_GONE ? code : ERR_NOTFOUND,
                  code == ERR_GONE ? "this row set was here, but it is no longer kept" : "there is no such row set");
        return;
    }
    job->work.data = job;
    job->api = api;
    job->request = r;
    job->limit = limit < PAGE_MAX ? limit : PAGE_MAX;
    job->after = after < UINT32_MAX ? after : UINT32_MAX;
    buf_init(&job->out, API_BODY_MAX + RECORD_MAX);
    api->works++;
    CHECK(uv_queue_work(api->loop, &job->work, run, done) == 0);
}

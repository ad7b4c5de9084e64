/* Receipts: where each pusher is with a row set. Put together from the record in the journal, the settle streams (what
 * was not simply delivered), and the delivery state in memory (what is not settled yet).
 *
 * Three steps, because files are read on a worker thread and the state belongs to the loop: find the records; take a
 * picture of every pusher (picture.c); read the settle streams and count. */
#include "api/api.h"
#include "api/picture.h"

#include "base/hash.h"
#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 20,
    RECORD_MAX = 80 << 20,
    TAGS_BYTES = 32 << 10,
    SETS_LOOK = 100000, /* entries of the index that one request looks at */
};

struct receipt_job {
    uv_work_t work;
    struct api *api;
    struct batch batches[PAGE];
    uint32_t count, done;
    struct pictures pictures; /* of batch `done` */
    bool by_uuid, by_time;
    bool tells_who; /* who steered what */
    int64_t from_us, to_us;
    uint32_t limit;
    char client[CLIENT_MAX + 1]; /* "": of whomever they are */
    struct buf uuid;
    uint64_t before, next;
    struct buf out;
    bool more;
    int code;
    void (*answer)(struct receipt_job *job);
    void *arg;
};

/* --- step 1: the records (worker thread) --- */

static bool theirs(const struct receipt_job *job, const struct record *record)
{
    struct slice client;
    return job->client[0] == '\0' ||
           (context_get(record->context, CONTEXT_CLIENT, &client) && slice_is(client, job->client));
}

static void set_client(char out[CLIENT_MAX + 1], struct slice context)
{
    struct slice client;
    out[0] = '\0';
    if (context_get(context, CONTEXT_CLIENT, &client) && client.len <= CLIENT_MAX) {
        memcpy(out, client.ptr, client.len);
        out[client.len] = '\0';
    }
}

static int load_batch(struct receipt_job *job, uint64_t position, struct slice want_uuid)
{
    struct buf copy;
    struct record record;
    struct batch *b = &job->batches[job->count];
    buf_init(&copy, RECORD_MAX);
    int code = journal_segment_at(job->api->journal, position, &b->segment);
    if (code == ERR_OK && position < b->segment.first)
        code = ERR_GONE;
    if (code == ERR_OK)
        code = journal_read(job->api->journal, position, &copy, &record);
    struct slice uuid = {"", 0};
    if (code == ERR_OK &&
        (!context_get(record.context, CONTEXT_UUID, &uuid) || (want_uuid.ptr != NULL && !slice_eq(uuid, want_uuid))))
        code = ERR_NOTFOUND;
    if (code == ERR_OK && !theirs(job, &record))
        code = ERR_NOTFOUND;
    if (code == ERR_OK) {
        b->position = position;
        b->rows = record.rows;
        b->received_us = record.received_us;
        b->uuid_hash = hash_bytes(uuid);
        set_client(b->client, record.context);
        buf_init(&b->uuid, UUID_MAX_BYTES);
        buf_init(&b->tags, TAGS_BYTES);
        job->count++;
        code = buf_add(&b->uuid, uuid.ptr, uuid.len);
        if (code == ERR_OK)
            code = api_tags(&b->tags, record.context);
    }
    buf_free(&copy);
    return code;
}

static void find_by_uuid(struct receipt_job *job)
{
    uint64_t positions[PAGE + 1];
    uint32_t found = 0;
    job->code = journal_find_uuid(job->api->journal, buf_slice(&job->uuid), job->before, positions, PAGE + 1, &found);
    for (uint32_t i = 0; job->code == ERR_OK && i < found && i < PAGE; i++) {
        int code = load_batch(job, positions[i], buf_slice(&job->uuid));
        if (code != ERR_NOTFOUND && code != ERR_GONE && code != ERR_DAMAGED)
            job->code = code;
    }
    if (found > PAGE)
        job->next = positions[PAGE - 1];
}

/* What went, or is not theirs after all, is left out: a page may hold less than it could, or nothing. */
static void find_by_time(struct receipt_job *job)
{
    uint64_t positions[PAGE], before = job->before;
    uint32_t found = 0;
    struct journal_sets what = {.from_us = job->from_us, .to_us = job->to_us};
    if (job->client[0] != '\0')
        what.client = slice_of(job->client);
    job->code = journal_find_sets(job->api->journal, &what, &before, SETS_LOOK, positions, job->limit, &found);
    for (uint32_t i = 0; job->code == ERR_OK && i < found; i++) {
        int code = load_batch(job, positions[i], (struct slice){NULL, 0});
        if (code != ERR_NOTFOUND && code != ERR_GONE && code != ERR_DAMAGED)
            job->code = code;
    }
    job->next = before;
}

/* --- the text --- */

static int add_receipt(struct receipt_job *job, const struct batch *b)
{
    char id[BATCH_ID_LEN + 1];
    batch_id_text(&b->segment.epoch, b->position, id);
    struct buf *out = &job->out;
    int code = buf_addf(out, "{\"id\":\"%s\",\"uuid\":", id);
    if (code == ERR_OK)
        code = buf_add_json(out, buf_slice(&b->uuid));
    if (code == ERR_OK)
        code = buf_addf(out, ",\"rows\":%u,\"received\":", b->rows);
    if (code == ERR_OK)
        code = api_time(out, b->received_us);
    if (code == ERR_OK && b->client[0] != '\0') {
        code = buf_adds(out, ",\"client\":");
        if (code == ERR_OK)
            code = buf_add_json(out, slice_of(b->client));
    }
    if (code == ERR_OK)
        code = buf_adds(out, ",\"tags\":");
    if (code == ERR_OK)
        code = buf_add(out, b->tags.ptr, b->tags.len);
    if (code == ERR_OK)
        code = buf_addc(out, ',');
    if (code == ERR_OK)
        code = pictures_write(&job->pictures, out);
    return code == ERR_OK ? buf_addc(out, '}') : code;
}

/* --- the steps in turn --- */

static void job_free(struct receipt_job *job)
{
    for (uint32_t i = 0; i < job->count; i++) {
        buf_free(&job->batches[i].uuid);
        buf_free(&job->batches[i].tags);
    }
    pictures_free(&job->pictures);
    buf_free(&job->uuid);
    buf_free(&job->out);
    free(job);
}

static void job_end(struct receipt_job *job)
{
    job->answer(job);
    job_free(job);
}

static void run_find(uv_work_t *work)
{
    struct receipt_job *job = work->data;
    if (job->by_uuid)
        find_by_uuid(job);
    else if (job->by_time)
        find_by_time(job);
    else
        job->code = load_batch(job, job->before, (struct slice){NULL, 0});
}

static void run_count(uv_work_t *work)
{
    struct receipt_job *job = work->data;
    const struct batch *b = &job->batches[job->done];
    if (job->code == ERR_OK)
        job->code = pictures_count(&job->pictures, b, job->tells_who);
    if (job->code == ERR_OK)
        job->code = api_comma(&job->out, &job->more);
    if (job->code == ERR_OK)
        job->code = add_receipt(job, b);
}

static void next_batch(struct receipt_job *job);

static void count_done(uv_work_t *work, int status)
{
    struct receipt_job *job = work->data;
    (void)status;
    job->api->works--;
    pictures_free(&job->pictures);
    job->done++;
    next_batch(job);
}

static void next_batch(struct receipt_job *job)
{
    if (job->code == ERR_OK && job->done < job->count)
        job->code = pictures_take(job->api, &job->batches[job->done], &job->pictures);
    if (job->code != ERR_OK || job->done == job->count) {
        job_end(job);
        return;
    }
    job->api->works++;
    CHECK(uv_queue_work(job->api->loop, &job->work, run_count, count_done) == 0);
}

static void find_done(uv_work_t *work, int status)
{
    struct receipt_job *job = work->data;
    (void)status;
    job->api->works--;
    next_batch(job);
}

static struct receipt_job *job_new(struct api *api, void (*answer)(struct receipt_job *job), void *arg)
{
    struct receipt_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->work.data = job;
    job->api = api;
    job->answer = answer;
    job->arg = arg;
    buf_init(&job->out, API_BODY_MAX);
    buf_init(&job->uuid, UUID_MAX_BYTES);
    return job;
}

/* For this request's answer: a caller that is bound to a client is shown that client's only. */
static struct receipt_job *job_for(struct api *api, void (*answer)(struct receipt_job *job), struct http_request *r)
{
    struct receipt_job *job = job_new(api, answer, r);
    if (job != NULL) {
        memcpy(job->client, r->caller.client, sizeof job->client);
        job->tells_who = r->listener == LISTENER_ADMIN && job->client[0] == '\0';
    }
    return job;
}

static void job_start(struct receipt_job *job)
{
    job->api->works++;
    CHECK(uv_queue_work(job->api->loop, &job->work, run_find, find_done) == 0);
}

/* --- routes --- */

static const char gone[] = "this row set was here, but it is no longer kept (journal.keep, journal.keep_bytes)";
static const char unknown[] = "no row set with this id was ever accepted here";

static void answer_batch(struct receipt_job *job)
{
    struct http_request *r = job->arg;
    if (job->code == ERR_OK)
        job->code = buf_addc(&job->out, '\n');
    if (job->code != ERR_OK)
        api_error(r, job->code,
                  job->code == ERR_GONE       ? gone
                  : job->code == ERR_NOTFOUND ? unknown
                                              : err_text(job->code));
    else
        api_json(r, 200, &job->out, ERR_OK);
}

void api_batch(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct epoch epoch;
    uint64_t position;
    struct journal_segment segment;
    if (batch_id_parse(slice_of(params->text[0]), &epoch, &position) != ERR_OK) {
        api_problem(r, 404, "not-found", "this is not the id of a row set; ids come with the 202");
        return;
    }
    int code = journal_find_batch(api->journal, &epoch, position, &segment);
    if (code == ERR_GONE || code == ERR_NOTFOUND) {
        api_error(r, code, code == ERR_GONE ? gone : unknown);
        return;
    }
    struct receipt_job *job = job_for(api, answer_batch, r);
    if (job == NULL) {
        api_error(r, ERR_NOMEM, "out of memory");
        return;
    }
    job->before = position;
    job_start(job);
}

static void answer_page(struct receipt_job *job)
{
    struct http_request *r = job->arg;
    struct buf b;
    buf_init(&b, API_BODY_MAX);
    int code = job->code;
    if (code == ERR_OK && job->by_uuid && job->count == 0 && job->before == UINT64_MAX)
        code = ERR_NOTFOUND;
    if (code != ERR_OK) {
        api_error(r, code, code == ERR_NOTFOUND ? "no row set of this uuid is here" : err_text(code));
        return;
    }
    code = buf_addc(&b, '{');
    if (code == ERR_OK && job->by_uuid) {
        code = buf_adds(&b, "\"uuid\":");
        if (code == ERR_OK)
            code = buf_add_json(&b, buf_slice(&job->uuid));
        if (code == ERR_OK)
            code = buf_addc(&b, ',');
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "\"batches\":[");
    if (code == ERR_OK)
        code = buf_add(&b, job->out.ptr, job->out.len);
    if (code == ERR_OK)
        code = job->next == 0 ? buf_adds(&b, "],\"next\":null}\n")
                              : buf_addf(&b, "],\"next\":\"%llu\"}\n", (unsigned long long)job->next);
    api_json(r, 200, &b, code);
}

/* Where a page goes on; the sentence for what is wrong with it, or NULL. */
static const char *read_after(const struct http_request *r, uint64_t *before)
{
    *before = UINT64_MAX;
    return api_number(r, "after", before) ? NULL : "after is the next of the answer before";
}

/* Begins the search, or says what is wrong with the request. */
static void start_or_refuse(struct receipt_job *job, struct http_request *r, const char *wrong)
{
    if (wrong == NULL) {
        job_start(job);
        return;
    }
    job_free(job);
    api_problem(r, 422, "schema", wrong);
}

void api_receipts(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct receipt_job *job = job_for(api, answer_page, r);
    int code = job == NULL ? ERR_NOMEM : buf_adds(&job->uuid, params->text[0]);
    if (code != ERR_OK) {
        if (job != NULL)
            job_free(job);
        api_error(r, code == ERR_NOMEM ? code : ERR_NOTFOUND,
                  code == ERR_NOMEM ? "out of memory" : "no row set of this uuid is here");
        return;
    }
    job->by_uuid = true;
    start_or_refuse(job, r, read_after(r, &job->before));
}

/* A moment of the query; the sentence for what is wrong with it, or NULL. */
static const char *read_moment(const struct http_request *r, const char *name, int64_t *us)
{
    char text[64];
    long len = http_query(r, name, text, sizeof text);
    if (len == -2 || (len > 0 && api_time_parse(text, us) != ERR_OK))
        return "from and to are RFC 3339, or a duration back from now such as 2h";
    return NULL;
}

static const char *read_wish(const struct http_request *r, struct receipt_job *job)
{
    char text[CLIENT_MAX + 1];
    uint64_t limit = PAGE;
    const char *wrong = read_moment(r, "from", &job->from_us);
    if (wrong == NULL)
        wrong = read_moment(r, "to", &job->to_us);
    long len = http_query(r, "client", text, sizeof text);
    if (len == -2 || (len > 0 && !client_valid(slice_of(text))))
        return "client is 1 to 64 letters, digits and ._@-";
    if (len > 0 && job->client[0] != '\0' && strcmp(text, job->client) != 0)
        job->from_us = job->to_us; /* others' are not there */
    if (len > 0 && job->client[0] == '\0')
        memcpy(job->client, text, sizeof text);
    if (!api_number(r, "limit", &limit) || limit < 1)
        return "limit is a number from 1";
    job->limit = limit < PAGE ? (uint32_t)limit : PAGE;
    return wrong != NULL ? wrong : read_after(r, &job->before);
}

void api_rowsets(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct receipt_job *job = job_for(api, answer_page, r);
    (void)params;
    if (job == NULL) {
        api_error(r, ERR_NOMEM, "out of memory");
        return;
    }
    job->by_time = true;
    job->from_us = INT64_MIN;
    job->to_us = INT64_MAX;
    start_or_refuse(job, r, read_wish(r, job));
}

/* --- waiting for a receipt --- */

static bool settled_everywhere(struct api *api, const struct receipt_waiter *w)
{
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        struct pusher_view view;
        if (r->pusher == NULL || !pusher_takes(r->pusher, w->position))
            continue;
        pusher_view(r->pusher, w->position, w->rows, w->uuid_hash, &view);
        if (view.pending + view.waiting + view.parked > 0)
            return false;
    }
    return true;
}

static void answer_waiter(struct receipt_job *job)
{
    struct receipt_waiter *w = job->arg;
    w->done(w->arg, job->code, buf_slice(&job->out));
}

void receipts_wait(struct api *api, struct receipt_waiter *w)
{
    w->ready = false;
    w->next = api->waiters;
    api->waiters = w;
    receipts_look(api);
}

void receipts_make(struct api *api, struct receipt_waiter *w)
{
    struct receipt_job *job = job_new(api, answer_waiter, w);
    if (job == NULL) {
        w->done(w->arg, ERR_NOMEM, (struct slice){NULL, 0});
        return;
    }
    job->before = w->position;
    job_start(job);
}

void receipts_look(struct api *api)
{
    int64_t now = clock_ms();
    steer_look(api);
    for (struct receipt_waiter **at = &api->waiters; *at != NULL;) {
        struct receipt_waiter *w = *at;
        bool settled = settled_everywhere(api, w);
        if (!settled && w->until_ms > now && !api->stopping) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        struct receipt_job *job = settled ? job_new(api, answer_waiter, w) : NULL;
        if (job == NULL) {
            w->done(w->arg, ERR_TIMEOUT, (struct slice){NULL, 0});
            continue;
        }
        job->before = w->position;
        job_start(job);
    }
}

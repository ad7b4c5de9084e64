/* Replays over HTTP: start one, look at them, end one. A replay's id is `<pusher>.<number>`. */
#include "api/api.h"

#include "base/hash.h"
#include "base/sys.h"
#include "supervise/source.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add_replay(struct buf *b, const struct runner *r, const struct replay_job *job)
{
    const struct cursor_replay *c = &job->c;
    return buf_addf(
        b,
        "{\"id\":\"%s.%llu\",\"pusher\":\"%s\",\"state\":\"%s\",\"rows\":%llu,\"sent\":%llu,\"duplicate\":%llu,"
        "\"gone\":%llu}",
        r->name, (unsigned long long)c->id, r->name, replay_word(job), (unsigned long long)(c->sent + c->duplicate),
        (unsigned long long)c->sent, (unsigned long long)c->duplicate, (unsigned long long)c->gone);
}

/* --- what is asked for --- */

struct wish {
    json_t *body;
    struct runner *runner;
    struct cursor_replay replay;
    bool dry;
    const char *fault;
    int status;
};

static bool refuse(struct wish *w, int status, const char *fault)
{
    w->status = status;
    w->fault = fault;
    return false;
}

/* The last segment that was begun at or before a time, else the oldest: replay chooses whole segments. */
struct journal_segment api_segment_of(struct api *api, int64_t wall_us)
{
    struct journal_segment s, found = {0};
    uint64_t at = 0;
    while (journal_segment_at(api->journal, at, &s) == ERR_OK && (at == 0 || s.created_us <= wall_us)) {
        found = s;
        if (s.head || s.end <= at)
            break;
        at = s.end;
    }
    return found;
}

/* Up to what is durable now. */
static void end_now(struct api *api, struct wish *w)
{
    struct journal_mark mark = journal_durable(api->journal);
    w->replay.to = mark.position;
    w->replay.to_row = mark.rows;
}

/* Up to the end of a segment: the rows before that are told by the one after it. */
static void end_with(struct api *api, struct wish *w, const struct journal_segment *segment)
{
    struct journal_segment next;
    end_now(api, w);
    if (journal_segment_at(api->journal, segment->end, &next) != ERR_OK || segment->end >= next.first)
        return;
    w->replay.to = segment->end;
    w->replay.to_row = next.first_row;
}

static void begin_in(struct wish *w, const struct journal_segment *segment)
{
    w->replay.next = (struct place){segment->first, 0};
    w->replay.row = segment->first_row;
}

static bool read_batch(struct api *api, struct wish *w, const char *id)
{
    struct epoch epoch;
    struct journal_segment segment;
    struct record record = {0};
    struct buf copy;
    uint64_t position;
    if (batch_id_parse(slice_of(id), &epoch, &position) != ERR_OK ||
        journal_find_batch(api->journal, &epoch, position, &segment) != ERR_OK)
        return refuse(w, 404, "this row set is not here (any more)");
    buf_init(&copy, 80 << 20);
    int code = journal_read(api->journal, position, &copy, &record);
    buf_free(&copy);
    if (code != ERR_OK)
        return refuse(w, 404, "this row set cannot be read");
    w->replay.next = (struct place){position, 0};
    w->replay.to = position + record.length;
    w->replay.row = record.first_row;
    w->replay.to_row = record.first_row + record.rows;
    return true;
}

static bool read_times(struct api *api, struct wish *w)
{
    const char *from = json_string_value(json_object_get(w->body, "from"));
    const char *to = json_string_value(json_object_get(w->body, "to"));
    int64_t from_us, to_us;
    if (from == NULL)
        return refuse(w, 422, "say what: from (and to), or batch, or uuid");
    if (api_time_parse(from, &from_us) != ERR_OK || (to != NULL && api_time_parse(to, &to_us) != ERR_OK))
        return refuse(w, 422,
                      "from and to are times such as 2026-01-31T12:00:00Z, or durations such as 2h (that long ago)");
    struct journal_segment first = api_segment_of(api, from_us);
    begin_in(w, &first);
    end_now(api, w);
    if (to != NULL) {
        struct journal_segment last = api_segment_of(api, to_us);
        if (last.created_us <= to_us)
            end_with(api, w, &last);
        else
            w->replay.to = 0; /* all there is came later */
    }
    return true;
}

static bool read_wish(struct api *api, struct wish *w)
{
    const char *name = json_string_value(json_object_get(w->body, "pusher"));
    const char *batch = json_string_value(json_object_get(w->body, "batch"));
    const char *uuid = json_string_value(json_object_get(w->body, "uuid"));
    json_t *rate = json_object_get(w->body, "rate");
    if (name == NULL)
        return refuse(w, 422, "the body is a JSON object with \"pusher\" and what to send: from/to, batch or uuid");
    w->runner = supervisor_find(api->supervisor, slice_of(name));
    if (w->runner == NULL || w->runner->pusher == NULL)
        return refuse(w, 404, "there is no such pusher, or it has never run");
    if (rate != NULL &&
        (!json_is_integer(rate) || json_integer_value(rate) < 1 || json_integer_value(rate) > 1000000000))
        return refuse(w, 422, "rate is a number of rows a second, from 1");
    w->replay.rate = rate == NULL ? 0 : (uint32_t)json_integer_value(rate);
    w->replay.new_ids = json_is_true(json_object_get(w->body, "new_ids"));
    w->dry = json_is_true(json_object_get(w->body, "dry_run"));
    if (batch != NULL)
        return read_batch(api, w, batch);
    if (uuid != NULL) {
        end_now(api, w);
        struct journal_segment oldest = {0};
        if (journal_segment_at(api->journal, 0, &oldest) == ERR_OK)
            begin_in(w, &oldest);
        w->replay.only_uuid = hash_bytes(slice_of(uuid));
        return true;
    }
    return read_times(api, w);
}

/* How many rows a replay would send: walks the journal on a worker thread. */
struct dry_job {
    uv_work_t work;
    struct api *api;
    struct http_request *request;
    struct cursor_replay replay;
    char name[128];
    uint64_t rows, gone;
    int code;
};

static void dry_run(uv_work_t *work)
{
    struct dry_job *job = work->data;
    struct row_source source = source_of(job->api->journal);
    void *session = NULL;
    uint64_t at = job->replay.next.position;
    struct journal_segment first;
    if (journal_segment_at(job->api->journal, at, &first) == ERR_OK && at < first.first &&
        first.first_row > job->replay.row)
        job->gone = first.first_row - job->replay.row; /* retention took it just now */
    while (at < job->replay.to) {
        struct record record;
        struct slice uuid = {"", 0};
        job->code = source.next(source.arg, &session, &at, job->replay.to, &record);
        if (job->code == ERR_NOTFOUND) { /* the end of this segment */
            struct journal_segment s;
            if (journal_segment_at(job->api->journal, at, &s) != ERR_OK || s.head || s.end <= at)
                break;
            at = s.end;
            continue;
        }
        if (job->code != ERR_OK)
            break;
        (void)context_get(record.context, CONTEXT_UUID, &uuid);
        if (job->replay.only_uuid == 0 || hash_bytes(uuid) == job->replay.only_uuid)
            job->rows += record.rows;
    }
    source.end(source.arg, &session);
    if (job->code == ERR_NOTFOUND)
        job->code = ERR_OK;
}

static void dry_done(uv_work_t *work, int status)
{
    struct dry_job *job = work->data;
    (void)status;
    job->api->works--;
    struct buf b;
    buf_init(&b, 1024);
    int code = job->code;
    if (code == ERR_OK)
        code = buf_addf(&b,
                        "{\"id\":null,\"pusher\":\"%s\",\"state\":\"dry-run\",\"rows\":%llu,\"sent\":0,\"duplicate\":0,"
                        "\"gone\":%llu}\n",
                        job->name, (unsigned long long)job->rows, (unsigned long long)job->gone);
    api_json(job->request, 200, &b, code);
    free(job);
}

static void start_dry(struct api *api, struct http_request *r, const struct wish *w)
{
    struct dry_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        api_error(r, ERR_NOMEM, "out of memory");
        return;
    }
    job->work.data = job;
    job->api = api;
    job->request = r;
    job->replay = w->replay;
    snprintf(job->name, sizeof job->name, "%s", w->runner->name);
    api->works++;
    CHECK(uv_queue_work(api->loop, &job->work, dry_run, dry_done) == 0);
}

void api_replay_start(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)params;
    struct wish w = {.body = json_loadb(r->body.ptr == NULL ? "" : r->body.ptr, r->body.len, 0, NULL)};
    if (!read_wish(api, &w)) {
        api_problem(r, w.status, w.status == 404 ? "not-found" : "schema", w.fault);
        json_decref(w.body);
        return;
    }
    json_decref(w.body);
    if (w.dry) {
        start_dry(api, r, &w);
        return;
    }
    uint64_t id;
    struct buf b;
    int code = pusher_replay(w.runner->pusher, &w.replay, &id);
    if (code != ERR_OK) {
        api_error(r, code,
                  code == ERR_LIMIT ? "this pusher has as many replays as it can; end one first" : err_text(code));
        return;
    }
    buf_init(&b, 1024);
    code = add_replay(&b, w.runner, &w.runner->pusher->replays[w.runner->pusher->replay_count - 1]);
    if (code == ERR_OK)
        code = buf_addc(&b, '\n');
    supervisor_step(api->supervisor, w.runner);
    api_json(r, 202, &b, code);
}

void api_replay_list(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)params;
    struct buf b;
    bool more = false;
    buf_init(&b, API_BODY_MAX);
    int code = buf_adds(&b, "{\"replays\":[");
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *runner = container_of(it, struct runner, link);
        for (uint32_t i = 0; runner->pusher != NULL && code == ERR_OK && i < runner->pusher->replay_count; i++) {
            code = api_comma(&b, &more);
            if (code == ERR_OK)
                code = add_replay(&b, runner, &runner->pusher->replays[i]);
        }
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "]}\n");
    api_json(r, 200, &b, code);
}

static struct replay_job *find(struct api *api, struct http_request *r, const char *id, struct runner **runner)
{
    const char *dot = strrchr(id, '.');
    *runner = dot == NULL ? NULL : supervisor_find(api->supervisor, slice_make(id, (size_t)(dot - id)));
    uint64_t number = dot == NULL ? 0 : strtoull(dot + 1, NULL, 10);
    for (uint32_t i = 0; *runner != NULL && (*runner)->pusher != NULL && i < (*runner)->pusher->replay_count; i++)
        if ((*runner)->pusher->replays[i].c.id == number)
            return &(*runner)->pusher->replays[i];
    api_problem(r, 404, "not-found", "there is no such replay; GET /v1/replays lists them");
    return NULL;
}

static void show(struct http_request *r, const struct runner *runner, const struct replay_job *job)
{
    struct buf b;
    buf_init(&b, 1024);
    int code = add_replay(&b, runner, job);
    if (code == ERR_OK)
        code = buf_addc(&b, '\n');
    api_json(r, 200, &b, code);
}

void api_replay_show(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct runner *runner;
    const struct replay_job *job = find(api, r, params->text[0], &runner);
    if (job != NULL)
        show(r, runner, job);
}

void api_replay_end(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct runner *runner;
    struct replay_job *job = find(api, r, params->text[0], &runner);
    if (job == NULL)
        return;
    pusher_replay_end(runner->pusher, job->c.id);
    show(r, runner, job);
    supervisor_step(api->supervisor, runner);
}

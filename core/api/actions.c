/* What was done, into the audit log: every POST and DELETE that reached its route, with its answer's status, and what
 * signals ask for. It is noted right before the answer goes out, in one place, so a new route cannot forget to. Who was
 * refused at the door (401, 403) stands among the refusals.
 *
 * A line is written before its answer, so a daemon that is killed has it of everything that anybody was told; it is
 * made durable by a worker right after (many in a row share one fsync), as the loop must not wait for a disk. A line
 * that cannot be written does not undo what was done, and is no reason to refuse the next: on a full disk it is just
 * actions that make room again. But it is said: in the answer, in the log, as an alert and as a metric. */
#include "api/parts.h"

#include <stdlib.h>

enum { AUDIT_LIMIT = 100, AUDIT_LIMIT_MAX = 1000 };

/* --- making it durable --- */

static void failed(struct daemon *d, const struct err *e)
{
    d->audit_fault = *e;
    d->audit_faults++;
}

static void sync_run(uv_work_t *work)
{
    struct daemon *d = work->data;
    d->audit_synced = (struct err){0};
    d->audit_synced.code = audit_sync(d->data_dir, &d->audit_synced);
}

static void sync_begin(struct daemon *d);

static void sync_done(uv_work_t *work, int status)
{
    struct daemon *d = work->data;
    (void)status;
    d->api.works--;
    d->audit_syncing = false;
    if (d->audit_synced.code != ERR_OK) {
        failed(d, &d->audit_synced);
        LOG(LOG_ERROR, "audit.not_synced", d->audit_synced.text);
    }
    if (d->audit_unsynced)
        sync_begin(d);
}

static void sync_begin(struct daemon *d)
{
    d->audit_unsynced = true;
    if (d->audit_syncing)
        return;
    d->audit_unsynced = false;
    d->audit_syncing = true;
    d->audit_work.data = d;
    d->api.works++;
    CHECK(uv_queue_work(&d->loop, &d->audit_work, sync_run, sync_done) == 0);
}

/* --- notes --- */

static bool note(struct daemon *d, const struct audit_note *n)
{
    struct err e = {0};
    char who[200], path[300], why[AUDIT_WHY_MAX + 1];
    snprintf(who, sizeof who, SLICE_FMT, SLICE_ARG(n->who));
    snprintf(path, sizeof path, "%.*s", (int)(n->path.len < 299 ? n->path.len : 299),
             n->path.len > 0 ? n->path.ptr : "");
    snprintf(why, sizeof why, SLICE_FMT, SLICE_ARG(n->why));
    LOG(LOG_INFO, "audit", n->action, LOG_S("who", who), LOG_S("path", path), LOG_S("why", why),
        LOG_N("status", n->status));
    if (audit_append(d->data_dir, n, d->settings->audit_max_bytes / 2, &e) != ERR_OK) {
        failed(d, &e);
        LOG(LOG_ERROR, "audit.not_written", e.text, LOG_S("action", n->action));
        return false;
    }
    d->audit_fault.code = ERR_OK;
    sync_begin(d);
    return true;
}

/* "api_pusher_pause" as "pusher.pause". */
static void action_of(const char *route, char out[64])
{
    snprintf(out, 64, "%s", strncmp(route, "api_", 4) == 0 ? route + 4 : route);
    char *first = strchr(out, '_');
    if (first != NULL)
        *first = '.';
}

/* What was sent, for the few whose body says what was chosen. Never for others: a body may hold a key
 * (`session_begin`). */
static struct slice body_of(const struct http_request *r, const char *route)
{
    static const char *const told[] = {"api_replay_start", "api_dead_retry"};
    for (size_t i = 0; i < COUNT_OF(told); i++)
        if (strcmp(told[i], route) == 0)
            return r->body;
    return slice_make(NULL, 0);
}

const char *daemon_note_answer(void *arg, const struct http_request *r, int status)
{
    struct daemon *d = arg;
    char action[64], why[AUDIT_WHY_MAX + 1] = "";
    const char *route = r->method == HTTP_POST || r->method == HTTP_DELETE ? api_route_name(r) : NULL;
    if (route == NULL || status == 401 || status == 403)
        return NULL;
    action_of(route, action);
    long len = http_query(r, "why", why, sizeof why);
    const struct audit_note n = {
        .action = action,
        .who = slice_of(r->caller.who[0] == '\0' ? "anybody" : r->caller.who),
        .peer = slice_of(r->peer),
        .path = r->path,
        .query = r->query,
        .body = body_of(r, route),
        .why = slice_make(why, len > 0 ? (size_t)len : 0),
        .status = status,
    };
    return note(d, &n) ? NULL : "Headgate-Audit: not-written\r\n";
}

void daemon_note_action(struct daemon *d, const char *action, const char *who)
{
    const struct audit_note n = {.action = action, .who = slice_of(who)};
    (void)note(d, &n);
}

const char *daemon_audit_fault(const struct daemon *d)
{
    return d->audit_fault.code == ERR_OK ? NULL : d->audit_fault.text;
}

uint64_t daemon_audit_faults(const struct daemon *d)
{
    return d->audit_faults;
}

/* --- looking --- */

struct audit_job {
    uv_work_t work;
    struct api *api;
    struct http_request *request;
    char *dir;
    int64_t since_us;
    uint32_t limit;
    struct buf entries;
    int code;
    struct err err;
};

static void look(uv_work_t *work)
{
    struct audit_job *job = work->data;
    job->code = audit_read(job->dir, job->since_us, job->limit, &job->entries, &job->err);
}

static void looked(uv_work_t *work, int status)
{
    struct audit_job *job = work->data;
    struct buf b;
    (void)status;
    job->api->works--;
    buf_init(&b, API_BODY_MAX);
    int code = buf_adds(&b, "{\"audit\":[");
    if (code == ERR_OK)
        code = buf_add(&b, job->entries.ptr, job->entries.len);
    if (code == ERR_OK)
        code = buf_adds(&b, "]}\n");
    if (job->code == ERR_OK) {
        api_json(job->request, 200, &b, code);
    } else {
        api_error(job->request, job->code, job->err.text);
        buf_free(&b);
    }
    buf_free(&job->entries);
    free(job->dir);
    free(job);
}

void api_audit(struct api *api, struct http_request *r, const struct api_params *params)
{
    char since[64] = "";
    int64_t since_us = 0;
    uint64_t limit = AUDIT_LIMIT;
    (void)params;
    if (http_query(r, "since", since, sizeof since) == -2 || !api_number(r, "limit", &limit) ||
        (since[0] != '\0' && api_time_parse(since, &since_us) != ERR_OK)) {
        api_problem(r, 400, "syntax", "since takes 2026-01-31T12:00:00Z or a duration such as 2h, limit a number");
        return;
    }
    struct audit_job *job = calloc(1, sizeof *job);
    char *dir = job == NULL ? NULL : strdup(daemon_data_dir(api->daemon));
    if (dir == NULL) {
        free(job);
        api_error(r, ERR_NOMEM, "out of memory");
        return;
    }
    *job = (struct audit_job){.api = api,
                              .request = r,
                              .dir = dir,
                              .since_us = since_us,
                              .limit = limit < AUDIT_LIMIT_MAX ? (uint32_t)limit : AUDIT_LIMIT_MAX};
    job->work.data = job;
    buf_init(&job->entries, API_BODY_MAX);
    api->works++;
    CHECK(uv_queue_work(api->loop, &job->work, look, looked) == 0);
}

/* The routes of rows in: what is checked of a head before its body is read, and what is done with the body.
 *
 * An intake belongs to one loop. The body is scanned where it lies, in one pass; a valid one goes to the journal
 * (commit.c) and is answered when it is durable, an invalid one is answered with all its faults. Every answer of the
 * listeners passes through here once more, to be counted and, if it is a refusal, noted. */
#include "api/intake.h"

#include "api/pending.h"
#include "api/site.h"
#include "base/sys.h"

#include <poll.h>
#include <stdlib.h>

enum {
    ANSWER_MAX = 256 << 20,
    SCAN_KEEP = 1 << 20, /* memory the scanner may keep between requests */
};

const double request_bounds[REQUEST_BUCKETS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};

enum path { PATH_ROWS, PATH_DATA, PATH_BATCH, PATH_OTHER };

static enum path path_of(const struct http_request *r)
{
    static const char *const paths[] = {[PATH_ROWS] = "/v1/rows", [PATH_DATA] = "/data", [PATH_BATCH] = "/data/batch"};
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (slice_is(r->path, paths[i]))
            return (enum path)i;
    return PATH_OTHER;
}

static struct intake *intake_of(void *arg)
{
    struct intake *i = arg;
    CHECK_MAGIC(i, INTAKE_MAGIC);
    return i;
}

/* --- the head --- */

static enum media media_type(const struct http_request *r, enum path path)
{
    struct slice type;
    if (path != PATH_ROWS || !http_field(r, "content-type", &type))
        return MEDIA_JSON; /* the older paths ignore it */
    return media_of(type);
}

static bool caller_refused(const struct intake *i, struct http_request *r, struct http_problem *out)
{
    static const struct access_need need = {.roles = ROLE_INGEST, .own = true};
    struct access_denial why;
    if (access_allows(i->options.access, r, i->options.auth, &need, &why))
        return false;
    *out = (struct http_problem){.status = why.status,
                                 .word = why.word,
                                 .detail = why.detail,
                                 .challenge = why.challenge,
                                 .retry_after = why.retry_after};
    return true;
}

/* At the head with no rows: whether there is something left; so a client that owes is not read from. */
static bool over_quota(const struct intake *i, const struct http_request *r, uint64_t rows, uint64_t bytes,
                       struct http_problem *out)
{
    struct quota *q = i->options.quota;
    uint32_t wait = q == NULL ? 0 : quota_take(q, r->caller.client, rows, bytes, clock_ms());
    if (wait == 0)
        return false;
    *out = refusal_plain(429, "quota", "this client has used up what it may post in a second; send it again later");
    out->retry_after = wait;
    return true;
}

/* The same for what waits in the journal. What is let in is counted until the request is over. */
static bool over_backlog(const struct intake *i, const struct http_request *r, uint64_t bytes, struct http_problem *out)
{
    struct backlog *b = i->options.backlog;
    uint32_t wait = b == NULL ? 0 : backlog_take(b, r->caller.client, bytes, clock_ms());
    if (wait == 0)
        return false;
    *out = refusal_plain(429, "undelivered", "this client has as much undelivered as it may have; send it again later");
    out->retry_after = wait;
    return true;
}

/* The first thing that is wrong with a head. */
static bool head_refused(const struct intake *i, struct http_request *r, enum path path, struct http_problem *out)
{
    struct slice key;
#define REFUSE(s, w, d) (*out = refusal_plain((s), (w), (d)), true)
    if (r->method != HTTP_POST)
        return REFUSE(405, "method", "rows are sent with POST");
    if (site_foreign(r))
        return REFUSE(403, "forbidden", "a page of another site may not send rows");
    if (caller_refused(i, r, out))
        return true;
    if (over_quota(i, r, 0, 0, out) || over_backlog(i, r, 0, out))
        return true;
    const char *refusing = atomic_load(&i->refusing);
    if (refusing != NULL)
        return REFUSE(503, atomic_load(&i->refusing_word), refusing);
    if (http_field(r, "idempotency-key", &key) && !key_valid(key))
        return REFUSE(400, "key", "an Idempotency-Key is 1 to 255 visible ASCII characters");
    if (media_type(r, path) == MEDIA_OTHER)
        return REFUSE(415, "media", "send application/json or application/x-ndjson, in UTF-8");
    if (!r->has_body)
        return REFUSE(411, "length", "a body with its Content-Length, or in chunks, is needed");
#undef REFUSE
    return false;
}

static int on_head(void *arg, struct http_request *r)
{
    struct intake *i = intake_of(arg);
    enum path path = path_of(r);
    struct http_problem problem;
    const struct http_routes *other = &i->options.other;
    if (path == PATH_OTHER && other->request != NULL)
        return other->head == NULL ? 0 : other->head(other->arg, r);
    if (path == PATH_OTHER) {
        refuse_plain(r, 404, "not-found", "there is nothing at this path");
        return 1;
    }
    if (!head_refused(i, r, path, &problem))
        return 0;
    http_problem(r, &problem);
    return 1;
}

/* --- the body --- */

static bool key_take(struct pending *p)
{
    struct http_request *r = p->request;
    if (!http_field(r, "idempotency-key", &p->key.key))
        return true;
    p->keyed = true;
    p->key.path = r->path;
    p->key.client = slice_of(r->caller.client);
    p->key.hash = journal_key_hash(p->key.client, r->path, p->key.key);
    struct intake *i = p->intake;
    return EVP_DigestInit_ex(i->hash, i->sha256, NULL) == 1 &&
           EVP_DigestUpdate(i->hash, r->body.ptr, r->body.len) == 1 &&
           EVP_DigestFinal_ex(i->hash, p->key.digest, NULL) == 1;
}

static uint64_t rows_of(const struct row_set *sets, uint32_t count)
{
    uint64_t rows = 0;
    for (uint32_t k = 0; k < count; k++)
        rows += sets[k].rows;
    return rows;
}

/* Its client pays for it. */
static bool let_in(struct pending *p, uint64_t rows, struct http_problem *why)
{
    struct http_request *r = p->request;
    if (over_backlog(p->intake, r, r->body.len, why))
        return false;
    p->taken_bytes = p->intake->options.backlog == NULL ? 0 : r->body.len;
    return !over_quota(p->intake, r, rows, r->body.len, why);
}

static void take(struct intake *i, struct http_request *r, bool older, bool ndjson)
{
    uint32_t count;
    struct http_problem problem;
    const struct row_set *sets = scan_sets(i->scan, &count);
    struct pending *p = pending_take(i, r);
    if (p == NULL) {
        refuse_code(r, ERR_NOMEM);
        return;
    }
    if (!let_in(p, rows_of(sets, count), &problem)) {
        http_problem(r, &problem);
        pending_give(&p);
        return;
    }
    p->older = older;
    p->ndjson = ndjson;
    p->wait_s = prefer_wait(r, WAIT_MAX_S);
    int code = key_take(p) ? pending_build(p, sets, count) : ERR_NOMEM;
    if (code == ERR_OK) {
        pending_submit(p);
        return;
    }
    if (code == ERR_NOMEM)
        refuse_code(r, code);
    else
        refuse_plain(r, 503, "memory", "no room in http.max_memory for this request; send it again");
    pending_give(&p);
}

static void on_request(void *arg, struct http_request *r)
{
    struct intake *i = intake_of(arg);
    enum path path = path_of(r);
    if (path == PATH_OTHER) {
        i->options.other.request(i->options.other.arg, r);
        return;
    }
    const struct intake_rules *rules = &i->options.rules;
    bool older = path != PATH_ROWS, ndjson = media_type(r, path) == MEDIA_NDJSON;
    const struct scan_rules scan = {
        .max_rows = rules->max_rows,
        .max_depth = rules->max_depth,
        .any_keys = rules->any_keys || older,
        .ndjson = ndjson,
        .single = path == PATH_DATA,
        .batch = path == PATH_BATCH,
    };
    int code = scan_body(i->scan, &scan, r->body);
    if (code == ERR_OK)
        take(i, r, older, ndjson);
    else
        refuse_faults(i, r, code, older, ndjson);
    scan_trim(i->scan, SCAN_KEEP);
}

/* --- every answer --- */

size_t request_bucket(int64_t spent_ns)
{
    size_t bucket = 0;
    while (bucket < REQUEST_BUCKETS && (double)spent_ns > request_bounds[bucket] * 1e9)
        bucket++;
    return bucket;
}

static void count_answer(struct intake *i, const struct http_request *r, int status)
{
    int64_t spent = r->began_ns > 0 ? clock_ns() - r->began_ns : 0;
    size_t bucket = request_bucket(spent);
    if (status >= 100 && status < 600)
        atomic_fetch_add_explicit(&i->status[status - 100], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&i->seconds[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&i->seconds_ns, (uint64_t)spent, memory_order_relaxed);
}

static void on_answered(void *arg, const struct http_request *r, int status, struct slice detail)
{
    struct intake *i = intake_of(arg);
    count_answer(i, r, status);
    if (status < 400)
        return;
    struct refusal_note note = i->note;
    note.status = status;
    note.peer = slice_of(r->peer);
    note.method = r->method_text;
    note.path = r->path;
    if (note.detail.len == 0)
        note.detail = detail;
    refusals_add(i->options.refusals, &note);
}

struct http_routes intake_routes(struct intake *i)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    return (struct http_routes){.head = on_head, .request = on_request, .answered = on_answered, .arg = i};
}

void intake_count(const struct intake *i, struct intake_counts *sum)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    sum->rows += atomic_load_explicit(&i->rows, memory_order_relaxed);
    sum->bytes += atomic_load_explicit(&i->bytes, memory_order_relaxed);
    for (size_t k = 0; k < COUNT_OF(i->durable); k++)
        sum->durable[k] += atomic_load_explicit(&i->durable[k], memory_order_relaxed);
    sum->seconds_sum += (double)atomic_load_explicit(&i->seconds_ns, memory_order_relaxed) / 1e9;
    for (size_t k = 0; k < COUNT_OF(i->status); k++)
        sum->status[k] += atomic_load_explicit(&i->status[k], memory_order_relaxed);
    for (size_t k = 0; k < COUNT_OF(i->seconds); k++)
        sum->seconds[k] += atomic_load_explicit(&i->seconds[k], memory_order_relaxed);
}

/* --- life --- */

static void wake(void *arg)
{
    struct intake *i = arg;
    uv_async_send(&i->async); /* from the commit thread */
}

static void on_async(uv_async_t *async)
{
    pending_collect(async->data);
}

/* All that was readable has been read; is there something again? */
static bool loop_is_quiet(const uv_loop_t *loop)
{
    struct pollfd events = {.fd = uv_backend_fd(loop), .events = POLLIN};
    return poll(&events, 1, 0) == 0;
}

static void on_polled(uv_check_t *polled)
{
    struct intake *i = polled->data;
    if (i->appended > 0)
        pending_turn(i, i->appended == 1 && loop_is_quiet(i->loop));
}

/* What was appended by a timer must not wait for the next event. */
static void on_polling(uv_prepare_t *polling)
{
    pending_turn(polling->data, false);
}

static void handles_start(struct intake *i)
{
    CHECK(uv_check_init(i->loop, &i->polled) == 0 && uv_check_start(&i->polled, on_polled) == 0);
    CHECK(uv_prepare_init(i->loop, &i->polling) == 0 && uv_prepare_start(&i->polling, on_polling) == 0);
    i->async.data = i->polled.data = i->polling.data = i;
    i->handles = 3;
}

static void tools_free(struct intake *i)
{
    scan_free(&i->scan);
    EVP_MD_CTX_free(i->hash);
    EVP_MD_free(i->sha256);
}

int intake_open(struct intake **out, uv_loop_t *loop, const struct intake_options *options)
{
    struct intake *i = calloc(1, sizeof *i);
    if (i == NULL)
        return ERR_NOMEM;
    i->scan = scan_new();
    i->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    i->hash = EVP_MD_CTX_new();
    if (i->scan == NULL || i->sha256 == NULL || i->hash == NULL || EVP_DigestInit_ex(i->hash, i->sha256, NULL) != 1 ||
        uv_async_init(loop, &i->async, on_async) != 0) {
        tools_free(i);
        free(i);
        return ERR_NOMEM;
    }
    i->magic = INTAKE_MAGIC;
    i->loop = loop;
    i->options = *options;
    handles_start(i);
    i->committed.wake = wake;
    i->committed.arg = i;
    buf_init(&i->answer, ANSWER_MAX);
    *out = i;
    return ERR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct intake *i = handle->data;
    if (--i->handles > 0)
        return;
    void (*closed)(void *arg) = i->closed;
    void *arg = i->closed_arg;
    pendings_free(i);
    tools_free(i);
    buf_free(&i->answer);
    i->magic = 0;
    free(i);
    if (closed != NULL)
        closed(arg);
}

void intake_close(struct intake *i, void (*closed)(void *arg), void *arg)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    CHECK(i->busy == 0);
    i->closed = closed;
    i->closed_arg = arg;
    uv_close((uv_handle_t *)&i->async, on_closed);
    uv_close((uv_handle_t *)&i->polled, on_closed);
    uv_close((uv_handle_t *)&i->polling, on_closed);
}

void intake_set_rules(struct intake *i, const struct intake_rules *rules)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    i->options.rules = *rules;
}

void intake_set_refusing(struct intake *i, const char *reason)
{
    intake_set_refusing_as(i, "draining", reason);
}

void intake_set_refusing_as(struct intake *i, const char *word, const char *reason)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    atomic_store(&i->refusing_word, word);
    atomic_store(&i->refusing, reason);
}

uint32_t intake_busy(const struct intake *i)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    return i->busy;
}

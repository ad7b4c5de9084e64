/* Rows in over a real server, with a journal that the test holds, fails and looks into. */
#include "http_bench.h"

#include "api/intake.h"

#include "fake_journal.h"

#include "base/log.h"

struct desk {
    struct bench b;
    struct journal *journal;
    struct intake *intake;
    struct keyring *keyring;
    struct refusals *refusals;
    struct intake_wait *waiting[8];
    int waits;
    int wait_code; /* of a wait that is done at once; -1: later */
};

static struct desk d;

static void on_wait(void *arg, struct intake_wait *w)
{
    struct desk *desk = arg;
    if (desk->wait_code >= 0) {
        w->done(w->arg, desk->wait_code, SLICE_LIT("{\"outcome\":\"delivered\"}"));
        return;
    }
    desk->waiting[desk->waits++] = w;
    sem_post(&desk->b.event);
}

static void other_request(void *arg, struct http_request *r)
{
    (void)arg;
    answer_text(r, SLICE_LIT("other"));
}

static void desk_open(struct desk *desk, bool with_other, uint64_t budget)
{
    memset(desk, 0, sizeof *desk);
    struct bench *b = &desk->b;
    bent_sys = sys_plain;
    bent_sys.clock = bent_clock;
    sys = &bent_sys;
    signal(SIGPIPE, SIG_IGN);
    b->budget.max = budget;
    sem_init(&b->done, 0, 0);
    sem_init(&b->event, 0, 0);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    uv_async_init(&b->loop, &b->async, bench_async);
    b->async.data = b;
    desk->wait_code = -1;
    desk->journal = fake_open();
    desk->keyring = keyring_new();
    desk->refusals = refusals_new();
    const struct intake_options options = {
        .journal = desk->journal,
        .keyring = desk->keyring,
        .refusals = desk->refusals,
        .rules = {.max_rows = 1000, .max_depth = 8},
        .other = {.request = with_other ? other_request : NULL},
        .wait = on_wait,
        .wait_arg = desk,
    };
    assert_int_equal(intake_open(&desk->intake, &b->loop, &options), ERR_OK);
    const struct http_routes routes = intake_routes(desk->intake);
    struct http_limits limits = bench_limits;
    limits.max_body = 8 << 20;
    assert_int_equal(http_server_new(&b->server, &b->loop, &limits, &b->budget, &routes), ERR_OK);
    assert_int_equal(http_server_listen(b->server, &(struct http_listen){.address = "127.0.0.1:0"}, b->address, NULL),
                     ERR_OK);
    pthread_create(&b->thread, NULL, bench_run, b);
}

static void desk_intake_closed(void *arg)
{
    struct desk *desk = arg;
    desk->b.closed = true;
}

static void desk_server_closed(void *arg)
{
    struct desk *desk = arg;
    fake_close(desk->journal);
    intake_close(desk->intake, desk_intake_closed, desk);
}

static void desk_job_close(struct bench *b, void *arg)
{
    struct desk *desk = arg;
    http_server_close(b->server, desk_server_closed, desk);
    uv_close((uv_handle_t *)&b->async, NULL);
}

static void desk_close(struct desk *desk)
{
    struct bench *b = &desk->b;
    fake_set(desk->journal, false, 0, 0);
    on_loop(b, desk_job_close, desk);
    pthread_join(b->thread, NULL);
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    assert_int_equal(b->budget.used, 0);
    keyring_free(&desk->keyring);
    refusals_free(&desk->refusals);
    sem_destroy(&b->done);
    sem_destroy(&b->event);
    bent_clock_ms = 0;
}

static int setup(void **unused)
{
    (void)unused;
    desk_open(&d, false, 1 << 24);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    desk_close(&d);
    return 0;
}

/* --- asking --- */

static void post(int fd, const char *path, const char *fields, const char *body)
{
    char head[1500];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: h:80\r\n%sContent-Length: %zu\r\n\r\n", path, fields,
             strlen(body));
    say(fd, head);
    say(fd, body);
}

static struct reply ask(const char *path, const char *fields, const char *body)
{
    struct reply r;
    int fd = dial(&d.b);
    post(fd, path, fields, body);
    hear_one(fd, false, &r);
    close(fd);
    return r;
}

static void expect(const char *path, const char *fields, const char *body, int status, const char *part)
{
    struct reply r = ask(path, fields, body);
    if (r.status != status || strstr(r.body, part) == NULL)
        fail_msg("%s %s %s: %d %s", path, fields, body, r.status, r.body);
    reply_free(&r);
}

static char *id_of(const struct reply *r)
{
    const char *at = strstr(r->body, "\"id\":\"");
    assert_non_null(at);
    return strndup(at + 6, BATCH_ID_LEN);
}

#define ROW  "{\"uuid\":\"u\",\"row\":{\"index\":3,\"data\":{\"keyOne\":1}}}"
#define ROW2 "{\"uuid\":\"u\",\"row\":{\"index\":3,\"data\":{\"keyOne\":2}}}"

/* --- what is taken --- */

static void test_a_row(void **unused)
{
    (void)unused;
    struct reply r = ask("/v1/rows", "Content-Type: application/json\r\n", ROW);
    assert_int_equal(r.status, 202);
    char *id = id_of(&r), expected[300];
    snprintf(expected, sizeof expected, "{\"id\":\"%s\",\"uuid\":\"u\",\"rows\":1,\"durability\":\"fsync\"}", id);
    assert_string_equal(r.body, expected);
    snprintf(expected, sizeof expected, "\r\nLocation: /v1/batches/%s\r\n", id);
    assert_non_null(strstr(r.head, expected));
    free(id);
    reply_free(&r);
    struct fake_record *k = &d.journal->records[0];
    assert_int_equal(d.journal->count, 1);
    assert_int_equal(k->rows, 1);
    assert_int_equal(k->spans[0].index, 3);
    assert_memory_equal(k->data + k->spans[0].offset, "{\"keyOne\":1}", 12);
    assert_int_equal(k->spans[0].length, 12);
    struct slice uuid;
    assert_true(context_get(slice_make(k->context, k->context_len), CONTEXT_UUID, &uuid) && slice_is(uuid, "u"));
}

static void test_context(void **unused)
{
    (void)unused;
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    char fields[200];
    snprintf(fields, sizeof fields, "traceparent: %s\r\nIdempotency-Key: k1\r\n", trace);
    expect("/v1/rows", fields, "{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"site\":\"a\"}}", 202, "\"rows\":0");
    const struct fake_record *k = &d.journal->records[0];
    struct slice context = slice_make(k->context, k->context_len), v;
    assert_true(context_get(context, CONTEXT_TRACEPARENT, &v) && slice_is(v, trace));
    assert_true(context_get(context, CONTEXT_KEY, &v) && slice_is(v, "k1"));
    assert_true(context_get(context, CONTEXT_PATH, &v) && slice_is(v, "/v1/rows"));
    assert_true(context_get(context, CONTEXT_DIGEST, &v) && v.len == KEY_DIGEST);
    assert_true(context_get(context, CONTEXT_DOCUMENTS, &v) && v.len == 4 && v.ptr[0] == 1);
    assert_true(context_get(context, CONTEXT_TAG, &v) && slice_is(v, "\4sitea"));
    assert_int_equal(k->context_len % 8, 0);
}

static void test_ndjson(void **unused)
{
    (void)unused;
    struct reply r = ask("/v1/rows", "Content-Type: application/x-ndjson\r\n", ROW "\n" ROW2 "\n");
    assert_int_equal(r.status, 202);
    assert_non_null(strstr(r.head, "Content-Type: application/x-ndjson\r\n"));
    assert_null(strstr(r.head, "Location"));
    assert_int_equal(d.journal->count, 2);
    assert_int_equal(d.journal->records[1].data_len, strlen(ROW2));
    assert_memory_equal(d.journal->records[1].data, ROW2, strlen(ROW2));
    assert_non_null(strstr(strstr(r.body, "\"rows\":1"), "}\n{\"id\":"));
    assert_int_equal(r.body[r.len - 1], '\n');
    reply_free(&r);
    char many[40 * 200 + 1] = "";
    for (int i = 0; i < 200; i++)
        strcat(many, "{\"uuid\":\"x\",\"row\":{\"data\":{}}}\n");
    expect("/v1/rows", "Content-Type: application/ndjson\r\n", many, 202, "\"id\"");
    assert_int_equal(d.journal->count, 202);
}

static void test_ignored_keys(void **unused)
{
    (void)unused;
    expect("/v1/rows", "", "{\"uuid\":\"u\",\"row\":{\"indx\":1,\"data\":{}},\"more\":1}", 202,
           ",\"ignored\":[\"/row/indx\",\"/more\"]}");
}

static void test_durability_is_said(void **unused)
{
    (void)unused;
    d.journal->durability = DURABILITY_INTERVAL;
    expect("/v1/rows", "", ROW, 202, "\"durability\":\"interval\"");
    d.journal->durability = DURABILITY_NONE;
    expect("/v1/rows", "", ROW, 202, "\"durability\":\"none\"");
}

static void test_older_paths(void **unused)
{
    (void)unused;
    struct reply r =
        ask("/data", "Content-Type: text/plain\r\n", "{\"uuid\":\"u\",\"row\":{\"data\":{\"Any Key\":1}}}");
    assert_int_equal(r.status, 202);
    assert_int_equal(r.len, 0);
    assert_non_null(strstr(r.head, "Content-Length: 0\r\n"));
    reply_free(&r);
    expect("/data/batch", "", "{\"uuid\":\"u\",\"rows\":[{\"data\":{}}]}", 202, "");
    expect("/data/batch", "", "{\"uuid\":\"u\",\"rows\":[{\"index\":1.5,\"data\":{}}]}", 422,
           "{\"detail\":[{\"loc\":[\"body\",\"rows\",0,\"index\"],\"msg\":\"");
    expect("/data", "", "no json", 422, "\"type\":\"json_invalid\"");
    expect("/data", "", "{\"uuid\":\"u\",\"rows\":[]}", 422, "\"detail\":[");
    assert_int_equal(d.journal->count, 2);
}

/* --- what is refused --- */

static void test_faults(void **unused)
{
    (void)unused;
    expect("/v1/rows", "", "{\"uuid\":1,\"row\":{\"data\":{\"A\":1}}}", 422,
           "\"status\":422,\"detail\":\"2 faults; the first: ");
    expect("/v1/rows", "", "{\"uuid\":1,\"row\":{\"data\":{\"A\":1}}}", 422,
           "{\"pointer\":\"/row/data/A\",\"detail\":\"");
    expect("/v1/rows", "", "{\n  tru", 400, "\"line\":2,\"column\":3,\"byte\":4}");
    expect("/v1/rows", "", "", 400, "problems/syntax");
    expect("/v1/rows", "Content-Type: application/x-ndjson\r\n", ROW "\n{\"uuid\":1}\n", 422, "\"line\":2}");
    char many[12 * 1001 + 40] = "{\"uuid\":\"u\",\"rows\":[{\"data\":{}}";
    for (int i = 0; i < 1000; i++)
        strcat(many, ",{\"data\":{}}");
    strcat(many, "]}");
    expect("/v1/rows", "", many, 413, "problems/too-large");
    assert_int_equal(d.journal->count, 0);
}

static void test_heads(void **unused)
{
    (void)unused;
    static const struct {
        const char *path, *fields;
        int status;
    } all[] = {
        {"/", "", 404},
        {"/v1/rows/", "", 404},
        {"/v1/rowsx", "", 404},
        {"/v1/rows?x=y", "", 202},
        {"/v1/rows", "Origin: http://evil\r\n", 403},
        {"/v1/rows", "Origin: null\r\n", 403},
        {"/v1/rows", "Origin: http://h\r\n", 202},
        {"/v1/rows", "Origin: http://H:80\r\n", 202},
        {"/v1/rows", "Origin: http://h:81\r\n", 403},
        {"/v1/rows", "Origin: http://xh:80\r\n", 403},
        {"/v1/rows", "Origin: https://h:80\r\n", 202},
        {"/v1/rows", "Origin: ftp://h:80\r\n", 403},
        {"/v1/rows", "Sec-Fetch-Site: cross-site\r\n", 403},
        {"/v1/rows", "Sec-Fetch-Site: same-origin\r\n", 202},
        {"/data", "Sec-Fetch-Site: cross-site\r\n", 403},
        {"/v1/rows", "Content-Type: text/plain\r\n", 415},
        {"/v1/rows", "Content-Type: text/plain; application/json\r\n", 415},
        {"/v1/rows", "Content-Type: application/jsonx\r\n", 415},
        {"/v1/rows", "Content-Type: application/json; charset=latin-1\r\n", 415},
        {"/v1/rows", "Content-Type: application/json; charset\r\n", 415},
        {"/v1/rows", "Content-Type: application/json;\r\n", 202},
        {"/v1/rows", "Content-Type: Application/JSON ; Charset=\"UTF-8\" ; x=y\r\n", 202},
        {"/v1/rows", "Content-Type: application/vnd.a.b+json\r\n", 202},
        {"/v1/rows", "Content-Type: application/+json\r\n", 415},
        {"/v1/rows", "Content-Type: text/x+json\r\n", 415},
        {"/v1/rows", "Content-Type:\r\n", 415},
        {"/v1/rows", "Idempotency-Key:\r\n", 400},
        {"/v1/rows", "Idempotency-Key: a b\r\n", 400},
        {"/v1/rows", "Idempotency-Key: \xC3\xA9\r\n", 400},
        {"/v1/rows", "Expect: else\r\n", 417},
    };
    for (size_t i = 0; i < COUNT_OF(all); i++)
        expect(all[i].path, all[i].fields, ROW, all[i].status, "");
    char key[400];
    for (int len = 255; len <= 256; len++) {
        snprintf(key, sizeof key, "Idempotency-Key: %0*d\r\n", len, 1);
        expect("/v1/rows", key, ROW, len == 255 ? 202 : 400, "");
    }
}

static void expect_raw(const char *text, int status, const char *part)
{
    struct reply r;
    int fd = dial(&d.b);
    say(fd, text);
    hear_one(fd, false, &r);
    assert_int_equal(r.status, status);
    if (strstr(r.head, part) == NULL)
        fail_msg("%s", r.head);
    reply_free(&r);
    close(fd);
}

static void test_methods_and_lengths(void **unused)
{
    (void)unused;
    expect_raw("GET /v1/rows HTTP/1.1\r\nHost: h\r\n\r\n", 405, "Allow: POST\r\n");
    expect_raw("PUT /data HTTP/1.1\r\nHost: h\r\n\r\n", 405, "Allow: POST\r\n");
    expect_raw("POST /v1/rows HTTP/1.1\r\nHost: h\r\n\r\n" ROW, 411, "Connection: close\r\n");
    expect_raw("POST /v1/rows HTTP/1.0\r\nOrigin: http://h\r\nContent-Length: 0\r\n\r\n", 403, "");
}

static void test_other_paths(void **unused)
{
    (void)unused;
    desk_close(&d);
    desk_open(&d, true, 1 << 24);
    expect("/elsewhere", "", "x", 200, "other");
    expect("/v1/rows", "", ROW, 202, "");
}

static void test_journal_says_no(void **unused)
{
    (void)unused;
    static const struct {
        int code, status;
        const char *word;
    } all[] = {{ERR_FULL, 503, "/problems/budget"},     {ERR_IO, 503, "/problems/disk"},
               {ERR_CLOSED, 503, "/problems/draining"}, {ERR_LIMIT, 413, "/problems/too-large"},
               {ERR_NOMEM, 503, "/problems/memory"},    {ERR_INTERNAL, 503, "/problems/unavailable"}};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        fake_set(d.journal, false, all[i].code, 0);
        struct reply r = ask("/v1/rows", "Idempotency-Key: k\r\n", ROW);
        assert_int_equal(r.status, all[i].status);
        assert_non_null(strstr(r.body, all[i].word));
        assert_int_equal(strstr(r.head, "Retry-After: ") != NULL, all[i].status == 503);
        reply_free(&r);
        fake_set(d.journal, false, 0, all[i].code);
        expect("/v1/rows", "Idempotency-Key: k\r\n", ROW, all[i].status, all[i].word);
    }
    fake_set(d.journal, false, 0, 0); /* nothing of it was remembered */
    struct reply r = ask("/v1/rows", "Idempotency-Key: k\r\n", ROW);
    assert_int_equal(r.status, 202);
    assert_null(strstr(r.head, "Replayed"));
    reply_free(&r);
}

static void test_refusing(void **unused)
{
    (void)unused;
    intake_set_refusing(d.intake, "about to stop");
    expect("/v1/rows", "", ROW, 503, "\"detail\":\"about to stop\"");
    intake_set_refusing_as(d.intake, "budget", "full");
    expect("/data", "", ROW, 503, "/problems/budget");
    intake_set_refusing(d.intake, NULL);
    expect("/v1/rows", "", ROW, 202, "");
}

static void job_rules(struct bench *b, void *arg)
{
    (void)b;
    const struct intake_rules rules = {.max_rows = 1, .max_depth = 1, .any_keys = true};
    (void)arg;
    intake_set_rules(d.intake, &rules);
}

static void test_rules_change(void **unused)
{
    (void)unused;
    expect("/v1/rows", "", "{\"uuid\":\"u\",\"row\":{\"data\":{\"A\":1}}}", 422, "");
    on_loop(&d.b, job_rules, NULL);
    expect("/v1/rows", "", "{\"uuid\":\"u\",\"row\":{\"data\":{\"A\":1}}}", 202, "");
    expect("/v1/rows", "", "{\"uuid\":\"u\",\"row\":{\"data\":{\"A\":[1]}}}", 422, "");
    expect("/v1/rows", "", "{\"uuid\":\"u\",\"rows\":[{\"data\":{}},{\"data\":{}}]}", 413, "");
}

/* What a request costs beside its body is paid for: many tiny documents weigh more than they are long. */
static void test_no_memory_for_the_rest(void **unused)
{
    (void)unused;
    desk_close(&d);
    desk_open(&d, false, 120000);
    char many[40 * 900 + 1] = "";
    for (int i = 0; i < 900; i++)
        strcat(many, "{\"uuid\":\"x\",\"row\":{\"data\":{}}}\n");
    struct reply r = ask("/v1/rows", "Content-Type: application/x-ndjson\r\n", many);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "/problems/memory"));
    assert_non_null(strstr(r.head, "Retry-After: "));
    reply_free(&r);
    expect("/v1/rows", "", ROW, 202, "");
    assert_int_equal(d.journal->count, 1);
}

/* --- keys --- */

static void test_a_repeat(void **unused)
{
    (void)unused;
    struct reply first = ask("/v1/rows", "Idempotency-Key: k\r\n", ROW);
    struct reply again = ask("/v1/rows", "Idempotency-Key: k\r\n", ROW);
    assert_int_equal(again.status, 202);
    assert_string_equal(again.body, first.body);
    assert_null(strstr(first.head, "Idempotency-Replayed"));
    assert_non_null(strstr(again.head, "Idempotency-Replayed: true\r\n"));
    reply_free(&first);
    reply_free(&again);
    expect("/v1/rows", "Idempotency-Key: k\r\n", ROW2, 422, "/problems/key");
    assert_int_equal(d.journal->count, 1);
    expect("/v1/rows", "Idempotency-Key: other\r\n", ROW, 202, "");
    expect("/data", "Idempotency-Key: k\r\n", ROW, 202, ""); /* another path is another key */
    assert_int_equal(d.journal->count, 3);
}

static void test_a_repeat_of_many_documents(void **unused)
{
    (void)unused;
    const char *fields = "Content-Type: application/x-ndjson\r\nIdempotency-Key: k\r\n";
    struct reply first = ask("/v1/rows", fields, ROW "\n" ROW2 "\n" ROW "\n");
    struct reply again = ask("/v1/rows", fields, ROW "\n" ROW2 "\n" ROW "\n");
    assert_int_equal(first.status, 202);
    assert_string_equal(again.body, first.body);
    reply_free(&first);
    reply_free(&again);
    assert_int_equal(d.journal->count, 3);
}

static void test_keys_that_cannot_be_looked_up(void **unused)
{
    (void)unused;
    expect("/v1/rows", "Idempotency-Key: k\r\n", ROW, 202, "");
    d.journal->unreadable = ERR_IO;
    expect("/v1/rows", "Idempotency-Key: k\r\n", ROW, 503, "/problems/disk");
    d.journal->unreadable = ERR_GONE; /* it does not linger any more */
    expect("/v1/rows", "Idempotency-Key: k\r\n", ROW, 202, "");
    d.journal->unreadable = ERR_OK;
    assert_int_equal(d.journal->count, 2);
}

static void job_busy(struct bench *b, void *arg)
{
    (void)b;
    *(uint32_t *)arg = intake_busy(d.intake);
}

static void wait_busy(uint32_t wanted)
{
    uint32_t busy = UINT32_MAX;
    for (int i = 0; i < GUARD_MS && busy != wanted; i++) {
        on_loop(&d.b, job_busy, &busy);
        poll(NULL, 0, 1);
    }
    assert_int_equal(busy, wanted);
}

static void test_repeats_in_flight(void **unused)
{
    (void)unused;
    enum { MANY = 8 };
    int fds[MANY];
    char *id = NULL;
    fake_set(d.journal, true, 0, 0);
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial(&d.b);
        post(fds[i], "/v1/rows", "Idempotency-Key: k\r\n", ROW);
        wait_busy((uint32_t)i + 1);
    }
    expect("/v1/rows", "Idempotency-Key: k\r\n", ROW2, 422, "/problems/key");
    fake_set(d.journal, false, 0, 0);
    int replayed = 0;
    for (int i = 0; i < MANY; i++) {
        struct reply r;
        hear_one(fds[i], false, &r);
        assert_int_equal(r.status, 202);
        replayed += strstr(r.head, "Idempotency-Replayed: true\r\n") != NULL;
        char *one = id_of(&r);
        assert_true(id == NULL || strcmp(id, one) == 0);
        free(id);
        id = one;
        reply_free(&r);
        close(fds[i]);
    }
    free(id);
    assert_int_equal(replayed, MANY - 1);
    assert_int_equal(d.journal->count, 1);
    wait_busy(0);
}

static void test_repeats_of_what_fails(void **unused)
{
    (void)unused;
    int one = dial(&d.b), two = dial(&d.b);
    fake_set(d.journal, true, 0, ERR_IO);
    post(one, "/v1/rows", "Idempotency-Key: k\r\n", ROW);
    wait_busy(1);
    post(two, "/v1/rows", "Idempotency-Key: k\r\n", ROW);
    wait_busy(2);
    fake_set(d.journal, false, 0, ERR_IO);
    assert_int_equal(hear(one), 503);
    assert_int_equal(hear(two), 503);
    close(one);
    close(two);
}

static void test_gone_while_in_flight(void **unused)
{
    (void)unused;
    fake_set(d.journal, true, 0, 0);
    int fd = dial(&d.b);
    post(fd, "/v1/rows", "", ROW);
    wait_busy(1);
    const struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    fake_set(d.journal, false, 0, 0);
    wait_busy(0);
    assert_int_equal(d.journal->count, 1);
}

/* --- Prefer: wait --- */

static void job_done(struct bench *b, void *arg)
{
    (void)b;
    const int *code = arg;
    struct intake_wait *w = d.waiting[--d.waits];
    w->done(w->arg, *code, SLICE_LIT("{\"outcome\":\"delivered\"}"));
}

static void test_waiting(void **unused)
{
    (void)unused;
    int ok = ERR_OK, late = ERR_TIMEOUT, fd = dial(&d.b);
    struct reply r;
    post(fd, "/v1/rows", "Prefer: respond-async, wait=20\r\n", ROW);
    wait_sem(&d.b.event);
    assert_int_equal(d.b.budget.used, 0); /* the body is not kept meanwhile */
    assert_int_equal(d.waiting[0]->rows, 1);
    assert_int_equal(d.waiting[0]->position, d.journal->records[0].position);
    assert_int_equal(d.waiting[0]->uuid_hash, hash_bytes(SLICE_LIT("u")));
    assert_in_range(d.waiting[0]->until_ms - clock_ms(), 15000, 20000);
    on_loop(&d.b, job_done, &ok);
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "{\"outcome\":\"delivered\"}");
    reply_free(&r);
    post(fd, "/v1/rows", "Prefer: wait=20\r\n", ROW);
    wait_sem(&d.b.event);
    on_loop(&d.b, job_done, &late);
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 202);
    assert_non_null(strstr(r.body, "\"id\""));
    reply_free(&r);
    static const char *const not_waits[] = {"Prefer: wait=0\r\n", "Prefer: wait=x\r\n", "Prefer: wait\r\n",
                                            "Prefer: waits=5\r\n", "Prefer: return=minimal; wait=5\r\n"};
    for (size_t i = 0; i < COUNT_OF(not_waits); i++) {
        post(fd, "/v1/rows", not_waits[i], ROW);
        assert_int_equal(hear(fd), 202);
    }
    post(fd, "/data", "Prefer: wait=5\r\n", ROW);
    assert_int_equal(hear(fd), 202);
    post(fd, "/v1/rows", "Prefer: wait=99999999999\r\n", ROW);
    wait_sem(&d.b.event);
    assert_in_range(d.waiting[0]->until_ms - clock_ms(), WAIT_MAX_S * 1000 - 5000, WAIT_MAX_S * 1000);
    on_loop(&d.b, job_done, &ok);
    assert_int_equal(hear(fd), 200);
    close(fd);
}

static void test_waiting_for_many(void **unused)
{
    (void)unused;
    static char body[40 * 900];
    const char *fields = "Content-Type: application/x-ndjson\r\nPrefer: wait=5\r\n";
    int ok = ERR_OK, fd = dial(&d.b);
    struct reply r;
    post(fd, "/v1/rows", fields, ROW "\n" ROW2 "\n");
    wait_sem(&d.b.event);
    on_loop(&d.b, job_done, &ok);
    wait_sem(&d.b.event);
    on_loop(&d.b, job_done, &ok);
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "{\"outcome\":\"delivered\"}\n{\"outcome\":\"delivered\"}\n");
    reply_free(&r);
    for (int i = 0; i < 900; i++)
        strcat(body, "{\"uuid\":\"x\",\"row\":{\"data\":{}}}\n");
    d.wait_code = ERR_OK; /* at once, every one of them */
    post(fd, "/v1/rows", fields, body);
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.len, 900 * strlen("{\"outcome\":\"delivered\"}\n"));
    reply_free(&r);
    d.wait_code = ERR_TIMEOUT;
    post(fd, "/v1/rows", fields, body);
    assert_int_equal(hear(fd), 202);
    close(fd);
}

/* --- counts and refusals --- */

static void test_counts(void **unused)
{
    (void)unused;
    struct intake_counts counts = {0};
    expect("/v1/rows", "", "{\"uuid\":\"u\",\"rows\":[{\"data\":{}},{\"data\":{}}]}", 202, "");
    expect("/v1/rows", "Idempotency-Key: k\r\n", ROW, 202, "");
    expect("/v1/rows", "Idempotency-Key: k\r\n", ROW, 202, "");
    expect("/v1/rows", "", "{}", 422, "");
    expect_raw("junk\r\n", 400, "");
    settle(&d.b);
    intake_count(d.intake, &counts);
    assert_int_equal(counts.rows, 3); /* a repeat brings none */
    assert_int_equal(counts.status[102], 3);
    assert_int_equal(counts.status[322], 1);
    assert_int_equal(counts.status[300], 1);
    uint64_t timed = 0;
    for (size_t i = 0; i <= REQUEST_BUCKETS; i++)
        timed += counts.seconds[i];
    assert_int_equal(timed, 5);
    assert_true(counts.seconds_sum > 0);
}

static void test_refusals_are_kept(void **unused)
{
    (void)unused;
    struct buf b;
    buf_init(&b, 1 << 20);
    expect("/v1/rows", "", "{\"uuid\":\"mine\",\"rows\":[{\"data\":{\"A\":1}}]}", 422, "");
    expect_raw("GET /v1/rows HTTP/1.1\r\nHost : h\r\n\r\n", 400, "");
    settle(&d.b);
    assert_int_equal(refusals_print(d.refusals, &b), ERR_OK);
    const char *text = buf_str(&b);
    const char *http = strstr(text, "\"status\":400,\"peer\":\"127.0.0.1:");
    const char *mine = strstr(text, "\"status\":422,\"peer\":\"127.0.0.1:");
    assert_non_null(http);
    assert_true(mine > http); /* newest first */
    assert_non_null(
        strstr(mine, "\"method\":\"POST\",\"path\":\"/v1/rows\",\"uuid\":\"mine\",\"type\":\"camel_case\""));
    assert_non_null(strstr(mine, "\"pointer\":\"/rows/0/data/A\",\"line\":1}"));
    buf_clear(&b);
    for (int i = 0; i < 120; i++)
        expect("/v1/rows", "", "{}", 422, "");
    settle(&d.b);
    assert_int_equal(refusals_print(d.refusals, &b), ERR_OK);
    int count = 0;
    for (const char *at = buf_str(&b); (at = strstr(at, "\"time\":")) != NULL; at++)
        count++;
    assert_int_equal(count, REFUSALS_KEPT);
    assert_null(strstr(buf_str(&b), "mine"));
    for (size_t max = 0; max < 300; max++) { /* too small a buffer is an error */
        struct buf small;
        buf_init(&small, max);
        assert_int_equal(refusals_print(d.refusals, &small), ERR_LIMIT);
        buf_free(&small);
    }
    buf_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_row),
        TEST(test_context),
        TEST(test_ndjson),
        TEST(test_ignored_keys),
        TEST(test_durability_is_said),
        TEST(test_older_paths),
        TEST(test_faults),
        TEST(test_heads),
        TEST(test_methods_and_lengths),
        TEST(test_other_paths),
        TEST(test_journal_says_no),
        TEST(test_refusing),
        TEST(test_rules_change),
        TEST(test_no_memory_for_the_rest),
        TEST(test_a_repeat),
        TEST(test_a_repeat_of_many_documents),
        TEST(test_keys_that_cannot_be_looked_up),
        TEST(test_repeats_in_flight),
        TEST(test_repeats_of_what_fails),
        TEST(test_gone_while_in_flight),
        TEST(test_waiting),
        TEST(test_waiting_for_many),
        TEST(test_counts),
        TEST(test_refusals_are_kept),
    };
    log_setup(LOG_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

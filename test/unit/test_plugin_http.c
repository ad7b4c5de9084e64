/* The http pusher against a real server: what a request looks like, what each answer means for the rows, and that
 * nothing but a row's own fault is ever held against it. */
#include "pushed.h"
#include "scratch.h"
#include "testkit.h"
#include "webserver.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/http.so";

struct box {
    struct testkit *kit;
    struct web *web;
    struct web_reply reply; /* what each request is answered, unless: */
    const char *guilty[4];  /* a request with one of these texts is answered `guilty_status` */
    int guilty_status;
    size_t fine; /* after this many good answers `reply` is given; 0: always */
    size_t given;
    struct testkit *stop_kit; /* is told to stop once a request has come in */
};

static void respond(void *arg, const struct web_request *request, struct web_reply *reply)
{
    struct box *b = arg;
    if (b->stop_kit)
        testkit_stopping(b->stop_kit, 1);
    for (int i = 0; i < 4; i++) {
        if (b->guilty[i] && strstr(request->body, b->guilty[i])) {
            reply->status = b->guilty_status;
            snprintf(reply->body, sizeof(reply->body), "no to\n%s", b->guilty[i]);
            return;
        }
    }
    if (b->given++ >= b->fine)
        *reply = b->reply;
}

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    b->reply.status = 200;
    b->guilty_status = 422;
    b->kit = testkit_load(plugin);
    b->web = web_start(respond, b, NULL, 0);
    *state = b;
    if (b->kit)
        testkit_set(b->kit, "URL", web_url(b->web));
    return b->kit ? 0 : -1;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    testkit_free(&b->kit);
    web_stop(&b->web);
    free(b);
    return 0;
}

static void start(struct box *b)
{
    pushed_start(b->kit);
}

static void rows(struct box *b, size_t count)
{
    char json[128];
    for (size_t i = 0; i < count; i++) {
        snprintf(json, sizeof(json), "{\"uuid\":\"u\",\"row\":{\"data\":{\"n\":\"<%zu>\"}}}",
                 testkit_row_count(b->kit));
        assert_int_equal(testkit_rows(b->kit, json), 1);
    }
}

/* Pushes and checks the result and that each row's verdict is the letter: o d r x for OK DUPLICATE RETRY REJECT, - for
 * none. */
static void push_gives(struct box *b, int result, const char *verdicts)
{
    web_count(b->web); /* what was set until here is seen there */
    pushed_gives(b->kit, 0, result, verdicts);
    web_count(b->web);
}

static void reply_set(struct box *b, int status, const char *fields, const char *body)
{
    b->reply = (struct web_reply){.status = status};
    snprintf(b->reply.fields, sizeof(b->reply.fields), "%s", fields);
    snprintf(b->reply.body, sizeof(b->reply.body), "%s", body);
}

/* --- what is sent --- */

static void row_text(struct box *b, size_t n, char *out, size_t size)
{
    snprintf(out, size,
             "{\"id\":\"%s\",\"uuid\":\"u\",\"received\":\"2026-01-31T12:00:00.000000Z\",\"data\":{\"n\":\"<%zu>\"}}",
             testkit_row_id(b->kit, n), n);
}

static void test_shapes(void **state)
{
    struct box *b = *state;
    char one[256], two[256], expected[600];
    rows(b, 2);
    row_text(b, 0, one, sizeof(one));
    row_text(b, 1, two, sizeof(two));
    start(b);
    push_gives(b, HG_JUDGED, "oo");
    snprintf(expected, sizeof(expected), "[%s,%s]", one, two);
    const struct web_request *r = web_request(b->web, 0);
    assert_string_equal(r->body, expected);
    assert_memory_equal(r->head, "POST /rows HTTP/1.1\r\n", 21);
    assert_string_equal(web_field(r, "content-type"), "application/json");
    assert_string_equal(web_field(r, "expect"), "");
    assert_int_equal(web_count(b->web), 1);

    testkit_set(b->kit, "BODY", "ndjson");
    testkit_set(b->kit, "METHOD", "PUT");
    start(b);
    push_gives(b, HG_JUDGED, "oo");
    snprintf(expected, sizeof(expected), "%s\n%s\n", one, two);
    r = web_request(b->web, 1);
    assert_string_equal(r->body, expected);
    assert_memory_equal(r->head, "PUT ", 4);
    assert_string_equal(web_field(r, "content-type"), "application/x-ndjson");

    testkit_set(b->kit, "BODY", "single");
    start(b);
    push_gives(b, HG_JUDGED, "oo");
    assert_int_equal(web_count(b->web), 4);
    assert_string_equal(web_request(b->web, 2)->body, one);
    assert_string_equal(web_request(b->web, 3)->body, two);
}

static void test_fields(void **state)
{
    struct box *b = *state;
    rows(b, 1);
    testkit_set(b->kit, "HEADERS", "X-One=1, content-type=application/vnd.rows+json");
    testkit_set(b->kit, "TOKEN", "s3cret");
    start(b);
    push_gives(b, HG_JUDGED, "o");
    const struct web_request *r = web_request(b->web, 0);
    assert_string_equal(web_field(r, "x-one"), "1");
    assert_string_equal(web_field(r, "content-type"), "application/vnd.rows+json");
    assert_null(strstr(strstr(r->head, "ontent-") + 1, "ontent-T")); /* once */
    assert_string_equal(web_field(r, "authorization"), "Bearer s3cret");
    testkit_set(b->kit, "TOKEN", NULL);
    testkit_set(b->kit, "USER", "Aladdin");
    testkit_set(b->kit, "PASSWORD", "open sesame");
    start(b);
    push_gives(b, HG_JUDGED, "o");
    assert_string_equal(web_field(web_request(b->web, 1), "authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

static void unpack(const struct web_request *r, char *out, size_t size)
{
    z_stream z = {
        .next_in = (Bytef *)r->body, .avail_in = (uInt)r->len, .next_out = (Bytef *)out, .avail_out = (uInt)size};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    out[z.total_out] = '\0';
    inflateEnd(&z);
}

static void signature_check(const struct web_request *r, const char *secret)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len;
    char expected[128] = "sha256=", text[8192];
    int used = snprintf(text, sizeof(text), "%s.", web_field(r, "x-headgate-timestamp"));
    long long age = (long long)time(NULL) - atoll(text);
    assert_in_range(age, 0, 60);
    assert_true((size_t)used + r->len < sizeof(text));
    memcpy(text + used, r->body, r->len);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)text, (size_t)used + r->len, mac, &len);
    for (unsigned i = 0; i < len; i++)
        snprintf(expected + 7 + 2 * i, 3, "%02x", mac[i]);
    assert_string_equal(web_field(r, "x-headgate-signature"), expected);
}

static void test_signed_and_packed(void **state)
{
    struct box *b = *state;
    char text[1024];
    rows(b, 2);
    testkit_set(b->kit, "HMAC_SECRET", "it is a secret");
    start(b);
    push_gives(b, HG_JUDGED, "oo");
    signature_check(web_request(b->web, 0), "it is a secret");
    testkit_set(b->kit, "COMPRESS", "gzip");
    start(b);
    push_gives(b, HG_JUDGED, "oo");
    signature_check(web_request(b->web, 1), "it is a secret");
    assert_string_equal(web_field(web_request(b->web, 1), "content-encoding"), "gzip");
    unpack(web_request(b->web, 1), text, sizeof(text) - 1);
    assert_string_equal(text, web_request(b->web, 0)->body);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    signature_check(web_request(b->web, 2), "it is a secret");
}

static void test_idempotency_key(void **state)
{
    struct box *b = *state;
    char key[256], *dot;
    rows(b, 4);
    start(b);
    push_gives(b, HG_JUDGED, "ooo");
    push_gives(b, HG_JUDGED, "ooo");
    push_gives(b, HG_JUDGED, "oooo");
    snprintf(key, sizeof(key), "%s", web_field(web_request(b->web, 0), "idempotency-key"));
    assert_string_equal(web_field(web_request(b->web, 1), "idempotency-key"), key);
    assert_string_not_equal(web_field(web_request(b->web, 2), "idempotency-key"), key);
    dot = strchr(key, '.');
    *dot = '\0';
    assert_string_equal(key, testkit_row_id(b->kit, 0));
    assert_memory_equal(dot + 1, testkit_row_id(b->kit, 2), strlen(testkit_row_id(b->kit, 2)));
    assert_non_null(strstr(dot + 1, ".3."));
}

/* --- what answers mean --- */

static void test_statuses(void **state)
{
    struct box *b = *state;
    static const int fine[] = {200, 201, 202, 204, 207, 299};
    static const int waits[] = {300, 301, 302, 304, 307, 308, 401, 402, 403, 404, 405, 407, 408, 409,
                                410, 415, 418, 425, 429, 451, 499, 500, 501, 502, 503, 504, 599};
    static const int guilty[] = {400, 413, 422};
    rows(b, 3);
    start(b);
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        reply_set(b, fine[i], "", "");
        push_gives(b, HG_JUDGED, "ooo");
    }
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        char said[32];
        snprintf(said, sizeof(said), "HTTP %d", waits[i]);
        reply_set(b, waits[i], "Location: http://127.0.0.1:1/\r\nWWW-Authenticate: Basic\r\n",
                  waits[i] == 304 ? "" : "because"); /* 304 has none */
        web_forget(b->web);
        push_gives(b, HG_NOT_NOW, "---");
        assert_memory_equal(testkit_push_reason(b->kit), said, strlen(said));
        assert_true(waits[i] == 304 || strstr(testkit_push_reason(b->kit), ": because"));
        assert_int_equal(web_count(b->web), 1); /* not followed, not repeated */
    }
    for (size_t i = 0; i < sizeof(guilty) / sizeof(guilty[0]); i++) {
        b->guilty[0] = "<1>";
        b->guilty_status = guilty[i];
        reply_set(b, 200, "", "");
        push_gives(b, HG_JUDGED, "oxo");
        assert_non_null(strstr(testkit_reason(b->kit, 1), ": no to <1>"));
        testkit_set(b->kit, "BODY", i == 0 ? "ndjson" : "array");
    }
}

static void test_halving(void **state)
{
    struct box *b = *state;
    rows(b, 32);
    start(b);
    b->guilty[0] = "<3>";
    b->guilty[1] = "<17>";
    b->guilty[2] = "<31>";
    push_gives(b, HG_JUDGED,
               "oooxooooooooooooo"
               "xooooooooooooox");
    size_t accepted[32] = {0};
    for (size_t i = 0; i < web_count(b->web); i++) { /* no row was taken twice by the far end */
        const char *body = web_request(b->web, i)->body;
        if (strstr(body, "<3>") || strstr(body, "<17>") || strstr(body, "<31>"))
            continue;
        for (size_t n = 0; n < 32; n++) {
            char text[16];
            snprintf(text, sizeof(text), "<%zu>", n);
            accepted[n] += strstr(body, text) != NULL;
        }
    }
    for (size_t n = 0; n < 32; n++)
        assert_int_equal(accepted[n], n != 3 && n != 17 && n != 31);
    assert_true(web_count(b->web) < 40);
}

/* The far end goes away while a batch is being halved: what it took stays taken, the rest comes again. */
static void test_halving_broken_off(void **state)
{
    struct box *b = *state;
    rows(b, 8);
    start(b);
    b->guilty[0] = "<2>";
    b->fine = 2;
    reply_set(b, 503, "Retry-After: 7\r\n", "");
    push_gives(b, HG_NOT_NOW, "ooxo----");
    assert_int_equal(testkit_push_after(b->kit), 7000);
    b->given = 0;
    b->fine = 3;
    testkit_set(b->kit, "BODY", "single");
    start(b);
    push_gives(b, HG_NOT_NOW, "ooxo----");
}

static void test_retry_after(void **state)
{
    struct box *b = *state;
    char text[128];
    time_t then = time(NULL) + 100;
    struct tm tm;
    rows(b, 1);
    start(b);
    reply_set(b, 429, "Retry-After: 3\r\n", "");
    push_gives(b, HG_NOT_NOW, "-");
    assert_int_equal(testkit_push_after(b->kit), 3000);
    strftime(text, sizeof(text), "retry-after:  %a, %d %b %Y %H:%M:%S GMT \r\n", gmtime_r(&then, &tm));
    reply_set(b, 503, text, "");
    push_gives(b, HG_NOT_NOW, "-");
    assert_in_range(testkit_push_after(b->kit), 90000, 100000);
    reply_set(b, 503, "", "");
    push_gives(b, HG_NOT_NOW, "-");
    assert_int_equal(testkit_push_after(b->kit), 0);
}

static void test_judged_answers(void **state)
{
    struct box *b = *state;
    rows(b, 4);
    start(b);
    reply_set(b, 207, "",
              "{\"rows\":[{\"n\":1,\"verdict\":\"reject\",\"reason\":\"too "
              "old\"},{\"n\":2,\"verdict\":\"retry\",\"after\":1500},"
              "{\"n\":3,\"verdict\":\"duplicate\"}], \"more\":1}");
    push_gives(b, HG_JUDGED, "oxrd");
    assert_string_equal(testkit_reason(b->kit, 1), "too old");
    assert_int_equal(testkit_after(b->kit, 2), 1500);
    reply_set(b, 200, "", "{\"rows\":[{\"n\":0,\"verdict\":\"ok\"},{\"n\":3,\"verdict\":\"reject\"}]}");
    push_gives(b, HG_JUDGED, "ooox");
    assert_string_not_equal(testkit_reason(b->kit, 3), "");
    static const char *const plain[] = {"ok", "{}",           "{\"rows\":[]}", "{\"rows\":[{\"id\":1}]}",
                                        "[1", "{\"rows\":4}", "null"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        reply_set(b, 200, "", plain[i]);
        push_gives(b, HG_JUDGED, "oooo");
    }
    static const char *const odd[] = {"{\"rows\":[{\"n\":0,\"verdict\":\"reject\"}",
                                      "{\"rows\":[{\"n\":0,\"verdict\":\"reject\"},{\"n\":4,\"verdict\":\"ok\"}]}",
                                      "{\"rows\":[{\"n\":-1,\"verdict\":\"ok\"}]}",
                                      "{\"rows\":[{\"n\":0,\"verdict\":\"maybe\"}]}",
                                      "{\"rows\":[{\"verdict\":\"reject\"}]}"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        reply_set(b, 200, "", odd[i]);
        push_gives(b, HG_NOT_NOW, "----");
    }
    reply_set(b, 200, "", "{\"rows\":[{\"n\":0,\"verdict\":\"reject\"}]}");
    b->reply.filler = 5 * 1024 * 1024; /* too long to be read whole */
    push_gives(b, HG_NOT_NOW, "----");
    reply_set(b, 200, "", "thanks");
    b->reply.filler = 5 * 1024 * 1024;
    push_gives(b, HG_JUDGED, "oooo");
}

/* --- no answer --- */

static void test_no_answer(void **state)
{
    struct box *b = *state;
    static const enum web_how hows[] = {WEB_CLOSE, WEB_CUT, WEB_CHUNK_CUT};
    rows(b, 2);
    start(b);
    for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
        reply_set(b, 200, "", "some");
        b->reply.how = hows[i];
        push_gives(b, HG_NOT_NOW, "--");
        assert_string_not_equal(testkit_push_reason(b->kit), "");
        reply_set(b, 200, "", "some");
        push_gives(b, HG_JUDGED, "oo"); /* over a new connection */
    }
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", web_dead_port());
    testkit_set(b->kit, "URL", url);
    start(b);
    push_gives(b, HG_NOT_NOW, "--");
    assert_non_null(strstr(testkit_push_reason(b->kit), "onnect"));
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "onnect"));
}

static void test_timeouts(void **state)
{
    struct box *b = *state;
    rows(b, 2);
    b->reply.how = WEB_HANG;
    testkit_set(b->kit, "REQUEST_TIMEOUT", "150ms");
    start(b);
    push_gives(b, HG_NOT_NOW, "--");
    assert_non_null(strstr(testkit_push_reason(b->kit), "imed out"));
    testkit_set(b->kit, "REQUEST_TIMEOUT", "1h");
    testkit_time_left(b->kit, 300); /* the push's own end comes first */
    start(b);
    push_gives(b, HG_NOT_NOW, "--");
    assert_non_null(strstr(testkit_push_reason(b->kit), "imed out"));
    struct web *unasked =
        web_start(respond, b, NULL, 0); /* the other one may see a request after its sender has gone */
    testkit_set(b->kit, "URL", web_url(unasked));
    start(b);
    testkit_time_left(b->kit, 50);
    push_gives(b, HG_NOT_NOW, "--");
    assert_int_equal(web_count(unasked), 0);
    web_stop(&unasked);
}

static void test_stop(void **state)
{
    struct box *b = *state;
    rows(b, 2);
    start(b);
    testkit_stopping(b->kit, 1);
    push_gives(b, HG_NOT_NOW, "--");
    assert_int_equal(web_count(b->web), 0);
    testkit_stopping(b->kit, 0);
    b->reply.how = WEB_HANG;
    b->stop_kit = b->kit; /* in the middle of a request that would take 20 s */
    time_t before = time(NULL);
    push_gives(b, HG_NOT_NOW, "--");
    assert_string_equal(testkit_push_reason(b->kit), "stopping");
    assert_in_range(time(NULL) - before, 0, 10);
}

static void test_probe(void **state)
{
    struct box *b = *state;
    static const struct {
        int status, result;
    } cases[] = {{200, HG_OPEN_OK},      {404, HG_OPEN_OK},      {405, HG_OPEN_OK},     {401, HG_OPEN_NOT_NOW},
                 {403, HG_OPEN_NOT_NOW}, {500, HG_OPEN_NOT_NOW}, {503, HG_OPEN_NOT_NOW}};
    rows(b, 1);
    start(b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reply_set(b, cases[i].status, "", "body");
        web_count(b->web);
        assert_int_equal(testkit_probe(b->kit), cases[i].result);
        assert_memory_equal(web_request(b->web, web_count(b->web) - 1)->head, "HEAD ", 5);
        reply_set(b, 200, "", ""); /* and pushes still work in between */
        push_gives(b, HG_JUDGED, "o");
        assert_memory_equal(web_request(b->web, web_count(b->web) - 1)->head, "POST ", 5);
    }
}

/* --- settings --- */

static void broken(struct box *b, const char *name, const char *value, const char *said)
{
    testkit_set(b->kit, name, value);
    int rc = testkit_start(b->kit);
    if (rc != HG_OPEN_BROKEN || !strstr(testkit_fault(b->kit), said))
        fail_msg("%s=%s: %d: %s", name, value, rc, testkit_fault(b->kit));
    testkit_set(b->kit, name, NULL);
}

static void test_settings_refused(void **state)
{
    struct box *b = *state;
    broken(b, "TOKEN", "a\r\nX-Evil: 1", "control");
    broken(b, "PROXY", "a\nb", "control");
    broken(b, "HEADERS", "X-A=1\r\nX-Evil: 1", "cannot be sent");
    broken(b, "HEADERS", "X-A\r\nX-Evil: 1=1", "cannot be sent");
    broken(b, "HEADERS", "X A=1", "cannot be sent");
    broken(b, "HEADERS", "Content-Length=1", "cannot be sent");
    broken(b, "HEADERS", "transfer-encoding=chunked", "cannot be sent");
    broken(b, "PASSWORD", "x", "user");
    broken(b, "CERT", "/x", "both");
    testkit_set(b->kit, "TOKEN", "a");
    broken(b, "USER", "x", "token");
    broken(b, "HEADERS", "authorization=x", "not both");
    testkit_set(b->kit, "TOKEN", NULL);
    testkit_set(b->kit, "CA", "/nowhere/ca.pem");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW); /* a file that may be mounted later */
    testkit_set(b->kit, "CA", NULL);
    broken(b, "URL", "http://user:pass@127.0.0.1/", "USER");
    broken(b, "URL", "http://127.0.0.1/a\r\nHost: b", "not a URL");
    broken(b, "URL", "ftp://127.0.0.1/", "");
}

/* Rows go where the settings say, whatever the surroundings want. */
static void test_no_proxy_from_environment(void **state)
{
    struct box *b = *state;
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", web_dead_port());
    setenv("http_proxy", proxy, 1);
    setenv("ALL_PROXY", proxy, 1);
    rows(b, 1);
    start(b);
    push_gives(b, HG_JUDGED, "o");
    testkit_set(b->kit, "PROXY", proxy);
    start(b);
    push_gives(b, HG_NOT_NOW, "-");
    testkit_set(b->kit, "PROXY", web_url(b->web)); /* the server itself as a proxy */
    testkit_set(b->kit, "URL", "http://far.invalid/x");
    setenv("no_proxy", "far.invalid", 1);
    start(b);
    push_gives(b, HG_JUDGED, "o");
    assert_memory_equal(web_request(b->web, 1)->head, "POST http://far.invalid/x ", 26);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    unsetenv("no_proxy");
}

/* --- TLS --- */

static void tls_expect(struct box *b, int result)
{
    start(b);
    push_gives(b, result, result == HG_JUDGED ? "o" : "-");
}

static void test_tls(void **state)
{
    struct box *b = *state;
    char *folder = scratch_make();
    rows(b, 1);
    web_stop(&b->web);
    b->web = web_start(respond, b, folder, 0);
    testkit_set(b->kit, "URL", web_url(b->web));
    tls_expect(b, HG_NOT_NOW); /* nobody vouches for it */
    testkit_set(b->kit, "VERIFY", "no");
    tls_expect(b, HG_JUDGED);
    assert_non_null(testkit_log(b->kit, 0, NULL));
    testkit_set(b->kit, "VERIFY", "yes");
    testkit_set(b->kit, "CA", scratch_path(folder, "cert.pem"));
    tls_expect(b, HG_JUDGED);
    testkit_stop(b->kit);
    web_stop(&b->web);
    b->web = web_start(respond, b, folder, 1);
    testkit_set(b->kit, "URL", web_url(b->web));
    tls_expect(b, HG_NOT_NOW); /* it wants a certificate */
    testkit_set(b->kit, "CERT", scratch_path(folder, "cert.pem"));
    testkit_set(b->kit, "KEY", scratch_path(folder, "key.pem"));
    tls_expect(b, HG_JUDGED);
    scratch_remove(&folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, box_make, box_drop)
    const struct CMUnitTest tests[] = {
        TEST(shapes),
        TEST(fields),
        TEST(signed_and_packed),
        TEST(idempotency_key),
        TEST(statuses),
        TEST(halving),
        TEST(halving_broken_off),
        TEST(retry_after),
        TEST(judged_answers),
        TEST(no_answer),
        TEST(timeouts),
        TEST(stop),
        TEST(probe),
        TEST(settings_refused),
        TEST(no_proxy_from_environment),
        TEST(tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

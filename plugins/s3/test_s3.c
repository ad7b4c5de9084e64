/* The s3 pusher against a server of our own: signatures by the examples of the specification, what a request looks
 * like, and what each answer means for the rows. Real servers are in test/servers. */
#include "pushed.h"
#include "testkit.h"
#include "webserver.h"

#include "common/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/s3.so";

/* --- signatures --- */

/* https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, the last two of its examples. */
static void test_signatures(void **state)
{
    static const struct {
        const char *query, *signature;
    } examples[] = {
        {"lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };
    const struct sigv4_keys keys = {"s3", "us-east-1", "AKIAIOSFODNN7EXAMPLE",
                                    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const struct sigv4_request request = {
            "GET", "examplebucket.s3.amazonaws.com", "/", examples[i].query, NULL, 0, 1369353600};
        struct sigv4_lines lines;
        assert_int_equal(sigv4_sign(&keys, &request, &lines), 0);
        assert_int_equal(lines.count, 3);
        assert_string_equal(lines.text[0], "X-Amz-Date: 20130524T000000Z");
        assert_non_null(strstr(lines.text[2], examples[i].signature));
    }
    const struct sigv4_keys with_token = {"s3", "us-east-1", "a", "b", "token"};
    const struct sigv4_request request = {"GET", "h", "/", "", NULL, 0, 0};
    struct sigv4_lines lines;
    assert_int_equal(sigv4_sign(&with_token, &request, &lines), 0);
    assert_string_equal(lines.text[3], "X-Amz-Security-Token: token");
    assert_non_null(strstr(lines.text[2], "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"));
}

/* --- a server --- */

struct box {
    struct testkit *kit;
    struct web *web;
    struct web_reply replies[8]; /* to the n-th request; the last one from then on */
    size_t reply_count, given;
};

static void respond(void *arg, const struct web_request *request, struct web_reply *reply)
{
    struct box *b = arg;
    size_t n = b->given < b->reply_count ? b->given : b->reply_count - 1;
    (void)request;
    b->given++;
    *reply = b->replies[n];
}

static void replies(struct box *b, size_t count, ...)
{
    va_list args;
    va_start(args, count);
    web_forget(b->web);
    b->given = 0;
    b->reply_count = count;
    for (size_t i = 0; i < count; i++) {
        int status = va_arg(args, int);
        b->replies[i] = (struct web_reply){.status = status, .how = status ? WEB_ANSWER : WEB_CLOSE};
        snprintf(b->replies[i].fields, sizeof(b->replies[i].fields), "ETag: \"tag-%zu\"\r\n", i);
        snprintf(b->replies[i].body, sizeof(b->replies[i].body), "%s", va_arg(args, const char *));
    }
    va_end(args);
}

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    char url[256];
    b->kit = testkit_load(plugin);
    b->web = web_start(respond, b, NULL, 0);
    *state = b;
    if (!b->kit)
        return -1;
    snprintf(url, sizeof(url), "%s", web_url(b->web));
    *strstr(url, "/rows") = '\0';
    testkit_set(b->kit, "URL", url);
    testkit_set(b->kit, "BUCKET", "bin");
    testkit_set(b->kit, "ACCESS_KEY", "access");
    testkit_set(b->kit, "SECRET_KEY", "secret");
    testkit_set(b->kit, "PREFIX", "%Y/{line}/");
    replies(b, 1, 200, "");
    return 0;
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

static void push_gives(struct box *b, int result, const char *verdicts)
{
    web_count(b->web);
    pushed_gives(b->kit, 0, result, verdicts);
}

/* Method and path of the n-th request, without its query's values. */
static void request_is(struct box *b, size_t n, const char *line)
{
    const struct web_request *r = web_request(b->web, n);
    if (!r || strncmp(r->head, line, strlen(line)) != 0)
        fail_msg("request %zu is '%.200s' and not '%s'", n, r ? r->head : "not there", line);
}

/* Rows 0 and 2 of line a, row 1 of line b. */
static void three_rows(struct box *b)
{
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"tags\":{\"line\":\"a\"},\"row\":{\"index\":0,\"data\":{\"k\":1.50}}}");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"tags\":{\"line\":\"b c\"},\"row\":{\"data\":{\"k\":2}}}");
    testkit_rows(b->kit, "{\"uuid\":\"v\",\"tags\":{\"line\":\"a\"},\"row\":{\"data\":{\"k\":3}}}");
}

/* --- what is sent --- */

static void test_objects(void **state)
{
    struct box *b = *state;
    char line[512], body[1024];
    start(b);
    three_rows(b);
    push_gives(b, HG_JUDGED, "ooo");
    assert_int_equal(web_count(b->web), 2);
    snprintf(line, sizeof(line), "PUT /bin/2026/a/%s.%s.2.", testkit_row_id(b->kit, 0), testkit_row_id(b->kit, 2));
    request_is(b, 0, line);
    snprintf(line, sizeof(line), "PUT /bin/2026/b%%2520c/%s.%s.1.", testkit_row_id(b->kit, 1),
             testkit_row_id(b->kit, 1));
    request_is(b, 1, line); /* a percent sign of the name is itself encoded on the way */
    snprintf(body, sizeof(body),
             "{\"id\":\"%s\",\"uuid\":\"u\",\"index\":0,\"received\":\"2026-01-31T12:00:00.000000Z\",\"data\":{\"k\":1."
             "50}}\n"
             "{\"id\":\"%s\",\"uuid\":\"v\",\"received\":\"2026-01-31T12:00:00.000000Z\",\"data\":{\"k\":3}}\n",
             testkit_row_id(b->kit, 0), testkit_row_id(b->kit, 2));
    assert_string_equal(web_request(b->web, 0)->body, body);
    assert_string_equal(web_field(web_request(b->web, 0), "Content-Type"), "application/x-ndjson");
    assert_non_null(strstr(web_field(web_request(b->web, 0), "Authorization"), "Credential=access/"));
}

/* The same rows make the same name and the same bytes. */
static void test_repeat(void **state)
{
    static const char *const packs[] = {"none", "gzip", "zstd"};
    struct box *b = *state;
    three_rows(b);
    for (size_t i = 0; i < 3; i++) {
        testkit_set(b->kit, "COMPRESS", packs[i]);
        replies(b, 1, 200, "");
        start(b);
        push_gives(b, HG_JUDGED, "ooo");
        start(b);
        push_gives(b, HG_JUDGED, "ooo");
        const struct web_request *one = web_request(b->web, 0), *two = web_request(b->web, 2);
        assert_int_equal(one->len, two->len);
        assert_memory_equal(one->body, two->body, one->len);
        assert_int_equal(strcspn(one->head, "\r"), strcspn(two->head, "\r"));
        assert_memory_equal(one->head, two->head, strcspn(one->head, "\r"));
    }
}

static void test_csv(void **state)
{
    struct box *b = *state;
    char expected[1024];
    testkit_set(b->kit, "FORM", "csv");
    start(b);
    testkit_rows(b->kit,
                 "{\"uuid\":\"u,v\",\"rows\":[{\"index\":3,\"data\":{\"a\":\"x\\\"y\",\"b\":null,\"c\":[1,\"2\"]}},"
                 "{\"data\":{\"d\":\"\",\"a\":\" s\",\"b\":true}},{\"data\":{\"_uuid\":1}}]}");
    push_gives(b, HG_JUDGED, "oox");
    snprintf(expected, sizeof(expected),
             "_id,_uuid,_index,_received,a,b,c,d\n"
             "%s,\"u,v\",3,2026-01-31T12:00:00.000000Z,\"x\"\"y\",,\"[1,\"\"2\"\"]\",\n"
             "%s,\"u,v\",,2026-01-31T12:00:00.000000Z,\" s\",true,,\"\"\n",
             testkit_row_id(b->kit, 0), testkit_row_id(b->kit, 1));
    assert_string_equal(web_request(b->web, 0)->body, expected);
}

static void large_row(struct box *b)
{
    size_t pad = 11 << 20;
    char *json = malloc(pad + 128);
    int at = snprintf(json, 128, "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":\"");
    memset(json + at, 'x', pad);
    memcpy(json + at + (int)pad, "\"}}}", 5);
    assert_int_equal(testkit_rows(b->kit, json), 1);
    free(json);
}

static const char begun[] = "<InitiateMultipartUploadResult><UploadId>up/1</UploadId></InitiateMultipartUploadResult>";

static void test_parts(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "PART_SIZE", "5MiB");
    start(b);
    large_row(b);
    replies(b, 2, 200, begun, 200, "");
    push_gives(b, HG_JUDGED, "o");
    assert_int_equal(web_count(b->web), 5);
    request_is(b, 0, "POST /bin/2026/_/");
    request_is(b, 3, "PUT /bin/2026/_/");
    assert_non_null(strstr(web_request(b->web, 3)->head, "?partNumber=3&uploadId=up%2F1 HTTP"));
    assert_int_equal(web_request(b->web, 1)->len, 5 << 20);
    assert_string_equal(web_request(b->web, 4)->body,
                        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"tag-1\"</ETag></Part>"
                        "<Part><PartNumber>2</PartNumber><ETag>\"tag-1\"</ETag></Part>"
                        "<Part><PartNumber>3</PartNumber><ETag>\"tag-1\"</ETag></Part></CompleteMultipartUpload>");
}

/* An error in a 200 is none; what was begun is let go. */
static void test_parts_that_fail(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "PART_SIZE", "5MiB");
    start(b);
    large_row(b);
    replies(b, 3, 200, begun, 403, "<Error><Code>AccessDenied</Code></Error>", 204, "");
    push_gives(b, HG_NOT_NOW, "-");
    assert_int_equal(web_count(b->web), 3);
    request_is(b, 2, "DELETE /bin/2026/_/");
    replies(b, 6, 200, begun, 200, "", 200, "", 200, "", 200, "<Error><Code>InternalError</Code></Error>", 204, "");
    testkit_time_left(b->kit, 350); /* for one try */
    push_gives(b, HG_NOT_NOW, "-");
    assert_non_null(strstr(testkit_push_reason(b->kit), "InternalError"));
}

/* --- what answers mean --- */

/* What was stored is settled when all that is left was surely not stored. The first push of a process is never split.
 */
static void test_refused(void **state)
{
    static const char denied[] = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    struct box *b = *state;
    start(b);
    three_rows(b);
    replies(b, 2, 200, "", 403, denied);
    push_gives(b, HG_NOT_NOW, "---");
    assert_string_equal(testkit_push_reason(b->kit), "HTTP 403: AccessDenied: no");
    replies(b, 1, 200, "");
    push_gives(b, HG_JUDGED, "ooo");
    replies(b, 2, 200, "", 403, denied);
    push_gives(b, HG_NOT_NOW, "o-o");
}

static void test_unknown(void **state)
{
    struct box *b = *state;
    start(b);
    three_rows(b);
    push_gives(b, HG_JUDGED, "ooo");
    replies(b, 3, 0, "", 500, "", 200, ""); /* the object is tried again at once */
    push_gives(b, HG_JUDGED, "ooo");
    assert_int_equal(web_count(b->web), 4);
    replies(b, 2, 200, "", 0, ""); /* for ever: nothing is settled, not the first object either */
    push_gives(b, HG_NOT_NOW, "---");
    replies(b, 2, 200, "", 403, "");
    push_gives(b, HG_NOT_NOW, "---"); /* for one may be there from before */
}

static void test_guilty(void **state)
{
    struct box *b = *state;
    start(b);
    three_rows(b);
    replies(b, 2, 400, "<Error><Code>KeyTooLongError</Code><Message>long</Message></Error>", 200, "");
    push_gives(b, HG_JUDGED, "xox");
    assert_string_equal(testkit_reason(b->kit, 0), "HTTP 400: KeyTooLongError: long");
    replies(b, 3, 413, "", 413, "", 200, "");
    push_gives(b, HG_JUDGED, "xoo");
}

static void test_a_name_too_long(void **state)
{
    char json[1024], tag[257], *at = tag;
    struct box *b = *state;
    memset(tag, '/', 250);
    at[250] = '\0';
    testkit_set(b->kit, "PREFIX", "{first}/{line}/");
    start(b);
    snprintf(json, sizeof(json), "{\"uuid\":\"u\",\"tags\":{\"line\":\"%s\",\"first\":\"%s\"},\"row\":{\"data\":{}}}",
             tag, tag);
    testkit_rows(b->kit, json);
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{}}}");
    push_gives(b, HG_JUDGED, "xo");
    assert_non_null(strstr(testkit_reason(b->kit, 0), "KeyTooLong"));
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {{"BUCKET", "A"},
                                           {"URL", "http://127.0.0.1/path"},
                                           {"SECRET_KEY", "a b"},
                                           {"PREFIX", "{"},
                                           {"REGION", "\xc3\xbc"}};
    static const char *const right[] = {"bin", "http://127.0.0.1:1/", "s", "p", "r"};
    struct box *b = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        assert_true(testkit_fault(b->kit)[0] != '\0');
        testkit_set(b->kit, wrong[i][0], right[i]);
    }
    start(b);
}

static void test_probe(void **state)
{
    struct box *b = *state;
    start(b);
    replies(b, 2, 200, begun, 204, "");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    assert_int_equal(web_count(b->web), 2);
    request_is(b, 0, "POST /bin/headgate-probe?uploads= ");
    request_is(b, 1, "DELETE /bin/headgate-probe?uploadId=up%2F1 ");
    replies(b, 1, 404, "<Error><Code>NoSuchBucket</Code></Error>");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_string_equal(testkit_fault(b->kit), "HTTP 404: NoSuchBucket: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),
        cmocka_unit_test_setup_teardown(test_objects, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_repeat, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_csv, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_parts, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_parts_that_fail, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refused, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_unknown, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_guilty, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_a_name_too_long, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_probe, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

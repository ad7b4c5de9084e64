/* The elasticsearch pusher against a server of our own: what a request looks like, and what each answer means for the
 * rows. Real servers are in test/servers. */
#include "pushed.h"
#include "scratch.h"
#include "testkit.h"
#include "webserver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/elasticsearch.so";

struct box {
    struct testkit *kit;
    struct web *web;
    struct web_reply replies[8]; /* to the n-th request; the last one from then on */
    size_t reply_count, given;
    char base[256];
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
        snprintf(b->replies[i].body, sizeof(b->replies[i].body), "%s", va_arg(args, const char *));
    }
    va_end(args);
}

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    b->kit = testkit_load(plugin);
    b->web = web_start(respond, b, NULL, 0);
    *state = b;
    if (!b->kit)
        return -1;
    snprintf(b->base, sizeof(b->base), "%s", web_url(b->web));
    *strstr(b->base, "/rows") = '\0';
    testkit_set(b->kit, "URL", b->base);
    replies(b, 1, 200, "{}");
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

static void four_rows(struct box *b)
{
    testkit_rows(b->kit, "{\"uuid\":\"P/1\",\"tags\":{\"line\":\"L 1\"},\"rows\":[{\"index\":0,\"data\":{\"k\":1.50}},"
                         "{\"data\":{\"k\":2}},{\"data\":{\"k\":3}},{\"data\":{\"k\":4}}]}");
}

#define FINE "{\"create\":{\"status\":201}}"
#define ITEM(status, type, reason)                                                                                     \
    "{\"create\":{\"status\":" status ",\"error\":{\"type\":\"" type "\",\"reason\":\"" reason "\"}}}"
#define THERE       ITEM("409", "version_conflict_engine_exception", "there")
#define UNFIT       ITEM("400", "mapper_parsing_exception", "no number")
#define CLOSED      ITEM("400", "index_closed_exception", "closed")
#define BUSY        ITEM("429", "es_rejected_execution_exception", "queue is full")
#define ITEMS(list) "{\"items\":[" list "]}"

/* --- what is sent --- */

static void test_request(void **state)
{
    struct box *b = *state;
    char body[4096], expected[1024];
    testkit_set(b->kit, "URL", b->base);
    testkit_set(b->kit, "INDEX", "Rows-%Y.%m-{line}-{uuid}");
    testkit_set(b->kit, "API_KEY", "abc=");
    start(b);
    four_rows(b);
    replies(b, 1, 200, ITEMS(FINE "," FINE "," THERE "," FINE));
    push_gives(b, HG_JUDGED, "oodo");
    const struct web_request *r = web_request(b->web, 0);
    assert_memory_equal(r->head, "POST /_bulk?filter_path=", 24);
    assert_string_equal(web_field(r, "Authorization"), "ApiKey abc=");
    assert_string_equal(web_field(r, "Content-Type"), "application/x-ndjson");
    snprintf(body, sizeof(body), "%.*s", (int)(strchr(strchr(r->body, '\n') + 1, '\n') - r->body), r->body);
    snprintf(expected, sizeof(expected),
             "{\"create\":{\"_index\":\"rows-2026.01-l%%201-p%%2f1\",\"_id\":\"%s\"}}\n{\"id\":\"%s\",\"uuid\":\"P/1\","
             "\"index\":0,\"received\":\"2026-01-31T12:00:00.000000Z\",\"data\":{\"k\":1.50}}",
             testkit_row_id(b->kit, 0), testkit_row_id(b->kit, 0));
    assert_string_equal(body, expected);
}

static void test_mapping(void **state)
{
    struct box *b = *state;
    char *folder = scratch_make();
    const char *path = scratch_path(folder, "mapping.json");
    scratch_write(path, "{\"dynamic\":\"strict\"}", 20);
    testkit_set(b->kit, "INDEX", "r-%Y-{line}-%%");
    testkit_set(b->kit, "MAPPING", path);
    start(b);
    const struct web_request *r = web_request(b->web, 0);
    assert_non_null(r);
    assert_memory_equal(r->head, "PUT /_index_template/headgate-test?create=true ", 47);
    assert_string_equal(r->body,
                        "{\"index_patterns\":[\"r-*-*-%\"],\"template\":{\"mappings\":{\"dynamic\":\"strict\"}}}");
    replies(b, 1, 400, "{\"error\":{\"reason\":\"index template [headgate-test] already exists\"}}");
    start(b);
    replies(b, 1, 400, "<html>No required SSL certificate was sent</html>");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    replies(b, 1, 400, "{\"error\":{\"reason\":\"unknown key\"}}");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
    replies(b, 1, 403, "");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    scratch_write(path, "[1]", 3);
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
    scratch_remove(&folder);
}

/* --- what answers mean --- */

static void test_items(void **state)
{
    struct box *b = *state;
    start(b);
    four_rows(b);
    replies(b, 1, 200, ITEMS(FINE "," UNFIT "," THERE "," BUSY));
    push_gives(b, HG_JUDGED, "oxdr");
    assert_string_equal(testkit_reason(b->kit, 1), "mapper_parsing_exception: no number");
    assert_string_equal(testkit_reason(b->kit, 3), "es_rejected_execution_exception: queue is full");
    replies(b, 1, 200, ITEMS(CLOSED "," CLOSED "," CLOSED "," CLOSED));
    push_gives(b, HG_JUDGED, "rrrr");
    replies(b, 1, 200, ITEMS(BUSY "," BUSY "," BUSY "," BUSY));
    push_gives(b, HG_NOT_NOW, "----");
    assert_string_equal(testkit_push_reason(b->kit), "es_rejected_execution_exception: queue is full");
}

/* One code for two things: the document's, and the server's. */
static void test_illegal_argument(void **state)
{
    static const struct {
        const char *reason;
        char verdict;
    } cases[] = {
        {"Limit of total fields [1000] has been exceeded", 'x'},
        {"mapper [data.a] cannot be changed from type [long] to [text]", 'x'},
        {"this cluster currently has [1000]/[1000] maximum normal shards open", 'r'},
        {"no write index is defined for alias [rows]", 'r'},
        {"pipeline with id [p] does not exist", 'r'},
    };
    struct box *b = *state;
    start(b);
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{}}}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[512], verdict[] = {cases[i].verdict, '\0'};
        snprintf(body, sizeof(body), ITEMS(ITEM("400", "illegal_argument_exception", "%s")), cases[i].reason);
        replies(b, 1, 200, body);
        push_gives(b, HG_JUDGED, verdict);
    }
}

static void test_not_now(void **state)
{
    static const int statuses[] = {400 /* not in JSON: not the server's own */, 401, 403, 404, 429, 500, 503, 302, 0};
    static const char *const nonsense[] = {"", "{}", "ok", ITEMS(FINE), "{\"items\":[1,2,3,4]}", "{\"items\":4}"};
    struct box *b = *state;
    start(b);
    four_rows(b);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        replies(b, 1, statuses[i], "no");
        push_gives(b, HG_NOT_NOW, "----");
    }
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        replies(b, 1, 200, nonsense[i]);
        push_gives(b, HG_NOT_NOW, "----");
    }
    replies(b, 1, 200, ITEMS(FINE "," FINE "," FINE "," FINE));
    push_gives(b, HG_JUDGED, "oooo");
}

static void test_halves(void **state)
{
    struct box *b = *state;
    start(b);
    four_rows(b);
    replies(b, 5, 413, "", 413, "", 400, "{\"error\":\"too \nlarge\"}", 200, ITEMS(FINE), 200, ITEMS(FINE "," FINE));
    push_gives(b, HG_JUDGED, "xooo");
    assert_string_equal(testkit_reason(b->kit, 0), "HTTP 400 Bad Request: {\"error\":\"too  large\"}");
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {{"INDEX", "_rows"}, {"INDEX", "{uuid}"}, {"INDEX", "a b"},
                                           {"INDEX", "a{"},    {"API_KEY", "a b"},  {"MAPPING", "/nowhere"}};
    struct box *b = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        assert_true(testkit_fault(b->kit)[0] != '\0');
        testkit_set(b->kit, wrong[i][0], NULL);
    }
    testkit_set(b->kit, "API_KEY", "a");
    testkit_set(b->kit, "TOKEN", "b");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
}

static void test_probe(void **state)
{
    struct box *b = *state;
    start(b);
    replies(b, 1, 400, "{\"error\":{\"reason\":\"request body is required\"},\"status\":400}");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    replies(b, 1, 400, "<html>No required SSL certificate was sent</html>");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    replies(b, 1, 401, "who are you");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_string_equal(testkit_fault(b->kit), "HTTP 401 Unauthorized: who are you");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_request, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_mapping, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_items, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_illegal_argument, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_not_now, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_halves, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_probe, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

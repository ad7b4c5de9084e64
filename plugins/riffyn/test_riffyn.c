/* The riffyn pusher between a control tower and a Riffyn of our own: what is asked and posted, and what every answer of
 * either means for the rows. */
#include "common/strbuf.h"
#include "pushed.h"
#include "testkit.h"
#include "webserver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/riffyn.so";

#define SPEC(run)             "{\"experimentId\":\"e\",\"activityId\":\"a/1\",\"runId\":\"" run "\"}"
#define TRIGGER(source, spec) "{\"kind\":\"x\",\"metadata\":{\"source\":\"" source "\",\"spec\":" spec "}}"

struct box {
    struct testkit *kit;
    struct web *tower, *far;
    struct web_reply trigger, reply; /* what each of them answers, unless: */
    const char *guilty;              /* what is posted with this text in it is answered 422 */
    const char *known;               /* the only uuid (as it stands in a path) that the tower knows */
};

static void tell(void *arg, const struct web_request *request, struct web_reply *reply)
{
    struct box *b = arg;
    *reply = b->trigger;
    if (b->known && !strstr(request->head, b->known))
        *reply = (struct web_reply){.status = 404};
}

static void take(void *arg, const struct web_request *request, struct web_reply *reply)
{
    struct box *b = arg;
    *reply = b->reply;
    if (b->guilty && strstr(request->body, b->guilty)) {
        reply->status = 422;
        snprintf(reply->body, sizeof(reply->body), "no such well");
    }
}

static void answer(struct web_reply *reply, int status, const char *body)
{
    *reply = (struct web_reply){.status = status, .how = status ? WEB_ANSWER : WEB_CLOSE};
    snprintf(reply->body, sizeof(reply->body), "%s", body);
}

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    char url[256];
    answer(&b->trigger, 200, TRIGGER("riffyn", SPEC("r")));
    answer(&b->reply, 200, "");
    b->kit = testkit_load(plugin);
    b->tower = web_start(tell, b, NULL, 0);
    b->far = web_start(take, b, NULL, 0);
    *state = b;
    if (!b->kit)
        return -1;
    snprintf(url, sizeof(url), "%s/e/{experimentId}/a/{activityId}/r/{runId}/data?x={y}", web_url(b->far));
    testkit_set(b->kit, "URL", url);
    testkit_set(b->kit, "CONTROL_TOWER_URL", web_url(b->tower));
    testkit_set(b->kit, "API_KEY", "k3y");
    return 0;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    testkit_free(&b->kit);
    web_stop(&b->tower);
    web_stop(&b->far);
    free(b);
    return 0;
}

static void start(struct box *b)
{
    pushed_start(b->kit);
}

/* Verdicts as letters: o s r x for OK SKIP RETRY REJECT, - for none. Row `first` and those behind it. */
static void push_gives(struct box *b, size_t first, int result, const char *verdicts)
{
    web_count(b->tower), web_count(b->far); /* what was set until here is seen there */
    pushed_gives(b->kit, first, result, verdicts);
    web_count(b->tower), web_count(b->far);
}

static void posted(struct box *b, size_t n, const char *path, const char *body)
{
    char line[256];
    const struct web_request *r = web_request(b->far, n);
    snprintf(line, sizeof(line), "POST /rows/%s HTTP/1.1\r\n", path);
    assert_memory_equal(r->head, line, strlen(line));
    assert_string_equal(r->body, body);
    assert_string_equal(web_field(r, "api-key"), "k3y");
    assert_string_equal(web_field(r, "content-type"), "application/json");
}

/* --- what is asked and posted --- */

static void test_fold(void **state)
{
    struct box *b = *state;
    char key[256];
    start(b);
    testkit_rows(b->kit, "{\"uuid\":\"../x?y#z %\",\"rows\":[{\"index\":2,\"data\":{\"b\":1.50,\"a\":\"2\"}},"
                         "{\"data\":{\"a\":{\"n\":[null]}}},{\"index\":0,\"data\":{\"\\u0061\":0,\"c\":true}}]}");
    push_gives(b, 0, HG_JUDGED, "ooo");
    posted(b, 0, "e/e/a/a%2F1/r/r/data?x={y}",
           "{\"a\":[0,\"2\",{\"n\":[null]}],\"c\":[true,null,null],\"b\":[null,1.50,null]}");
    const struct web_request *asked = web_request(b->tower, 0);
    assert_non_null(strstr(asked->head, "GET /rows/triggers/%2E%2E%2Fx%3Fy%23z%20%25 HTTP/1.1\r\n"));
    assert_string_equal(web_field(asked, "api-key"), ""); /* not the tower's business */
    snprintf(key, sizeof(key), "%s", web_field(web_request(b->far, 0), "idempotency-key"));
    assert_true(key[0] != '\0');
    push_gives(b, 0, HG_JUDGED, "ooo");
    assert_string_equal(web_field(web_request(b->far, 1), "idempotency-key"), key);
    assert_int_equal(web_count(b->tower), 1); /* it was kept */
}

static void test_a_run_for_each_well(void **state)
{
    struct box *b = *state;
    answer(&b->trigger, 200, TRIGGER("riffyn", "[" SPEC("r1") "," SPEC("r2") ",null," SPEC("r1") "]"));
    start(b);
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"index\":3,\"data\":{\"k\":3}},{\"index\":1,\"data\":{\"k\":1}},"
                         "{\"index\":2,\"data\":{\"k\":2}},{\"index\":4,\"data\":{\"k\":4}},{\"data\":{\"k\":5}},"
                         "{\"index\":0,\"data\":{\"k\":0}}]}");
    push_gives(b, 0, HG_JUDGED, "ooxxxo");
    posted(b, 0, "e/e/a/a%2F1/r/r1/data?x={y}", "{\"k\":[0,3]}");
    posted(b, 1, "e/e/a/a%2F1/r/r2/data?x={y}", "{\"k\":[1]}");
    assert_int_equal(web_count(b->far), 2);
    assert_non_null(strstr(testkit_reason(b->kit, 3), "no run for index 4"));
    assert_non_null(strstr(testkit_reason(b->kit, 4), "no index"));
}

static void two_sets(struct box *b)
{
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"k\":1}},{\"data\":{\"k\":2}}]}");
    testkit_rows(b->kit, "{\"uuid\":\"v\",\"rows\":[{\"data\":{\"k\":3}}]}");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"k\":4}}]}");
}

static void test_other_sources(void **state)
{
    struct box *b = *state;
    answer(&b->trigger, 200, TRIGGER("elsewhere", "7"));
    start(b);
    two_sets(b);
    push_gives(b, 0, HG_JUDGED, "ssss");
    assert_int_equal(web_count(b->far), 0);
    assert_int_equal(web_count(b->tower), 2);
    testkit_set(b->kit, "SOURCE", "elsewhere");
    start(b);
    push_gives(b, 0, HG_JUDGED, "rrrr"); /* its spec makes no sense */
}

/* --- answers of the tower --- */

static void test_unknown_triggers(void **state)
{
    struct box *b = *state;
    b->known = "/triggers/v ";
    start(b);
    two_sets(b);
    push_gives(b, 0, HG_JUDGED, "rror");
    assert_non_null(strstr(testkit_reason(b->kit, 0), "404"));
    assert_int_equal(web_count(b->tower), 2); /* once for each uuid */
    b->known = NULL;
    push_gives(b, 0, HG_JUDGED, "oooo"); /* it came later */
    b->known = "/triggers/none ";
    testkit_set(b->kit, "UNKNOWN", "skip");
    start(b);
    push_gives(b, 0, HG_JUDGED, "ssss");
    testkit_set(b->kit, "UNKNOWN", "reject");
    start(b);
    push_gives(b, 0, HG_JUDGED, "xxxx");
}

static void test_the_tower_is_not_well(void **state)
{
    static const int statuses[] = {0, 301, 400, 401, 403, 429, 500, 503};
    static const char *const unclear[] = {"",
                                          "no JSON",
                                          "[]",
                                          "{\"metadata\":[]}",
                                          "{\"metadata\":{}}",
                                          "{\"metadata\":{\"source\":7}}",
                                          TRIGGER("riffyn", "{}"),
                                          TRIGGER("riffyn", "[7]"),
                                          TRIGGER("riffyn", SPEC(""))};
    struct box *b = *state;
    two_sets(b);
    for (size_t i = 0; i < sizeof(unclear) / sizeof(unclear[0]); i++) {
        start(b); /* nothing is kept */
        answer(&b->trigger, 200, unclear[i]);
        push_gives(b, 0, HG_JUDGED, "rrrr");
    }
    start(b);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        answer(&b->trigger, statuses[i], "");
        push_gives(b, 0, HG_NOT_NOW, "----");
        assert_non_null(strstr(testkit_push_reason(b->kit), "control tower"));
    }
    snprintf(b->trigger.fields, sizeof(b->trigger.fields), "Retry-After: 7\r\n");
    push_gives(b, 0, HG_NOT_NOW, "----");
    assert_int_equal(testkit_push_after(b->kit), 7000);
    assert_int_equal(web_count(b->far), 0);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
}

static void test_how_long_a_trigger_is_kept(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "KEEP", "0s");
    start(b);
    two_sets(b);
    push_gives(b, 0, HG_JUDGED, "oooo");
    assert_int_equal(web_count(b->tower), 3);
}

/* --- answers of Riffyn --- */

static void test_the_guilty_row_is_found(void **state)
{
    struct box *b = *state;
    b->guilty = "13";
    start(b);
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"k\":1}},{\"data\":{\"k\":2}},{\"data\":{\"k\":13}},"
                         "{\"data\":{\"k\":4}},{\"data\":{\"k\":5}}]}");
    push_gives(b, 0, HG_JUDGED, "ooxoo");
    assert_non_null(strstr(testkit_reason(b->kit, 2), "no such well"));
}

static void test_riffyn_is_not_well(void **state)
{
    static const int statuses[] = {0, 401, 403, 404, 429, 500};
    struct box *b = *state;
    start(b);
    two_sets(b);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        answer(&b->reply, statuses[i], "told");
        push_gives(b, 0, HG_NOT_NOW, "----");
    }
    answer(&b->reply, 200, "");
    push_gives(b, 0, HG_JUDGED, "oooo");
    testkit_stopping(b->kit, 1);
    push_gives(b, 0, HG_NOT_NOW, "----");
    testkit_stopping(b->kit, 0);
    testkit_time_left(b->kit, 100);
    push_gives(b, 0, HG_NOT_NOW, "----");
}

static void test_more_keys_than_there_may_be(void **state)
{
    struct box *b = *state;
    struct strbuf text;
    strbuf_init(&text, 1 << 20);
    strbuf_adds(&text, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"k\":1}},{\"data\":{");
    for (int i = 0; i < 4097; i++)
        strbuf_addf(&text, "%s\"k%d\":%d", i ? "," : "", i, i);
    strbuf_adds(&text, "}},{\"data\":{\"k\":2}}]}");
    start(b);
    testkit_rows(b->kit, strbuf_str(&text));
    strbuf_fini(&text);
    push_gives(b, 0, HG_JUDGED, "oxo");
    assert_non_null(strstr(testkit_reason(b->kit, 1), "4096"));
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {{"CONTROL_TOWER_URL", "http://h/?x"},
                                           {"API_KEY", "a\nb"},
                                           {"URL", "ftp://h/"},
                                           {"URL", NULL},
                                           {"OAUTH_CLIENT", "alone"},
                                           {"UNKNOWN", "perhaps"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        void *other;
        assert_int_equal(box_make(&other), 0);
        struct box *b = other;
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        box_drop(&other);
    }
    struct box *b = *state;
    start(b);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    answer(&b->reply, 401, "");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fold, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_a_run_for_each_well, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_other_sources, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_unknown_triggers, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_the_tower_is_not_well, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_how_long_a_trigger_is_kept, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_the_guilty_row_is_found, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_riffyn_is_not_well, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_more_keys_than_there_may_be, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tokens of an identity provider, with the http pusher on top and two servers of our own, the provider and the far end:
 * when a token is drawn, kept and drawn anew, and that no failure of the provider is ever held against a row. A real
 * provider is in test/servers. */
#include "testkit.h"
#include "webserver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/http.so";

struct box {
    struct testkit *kit;
    struct web *far, *provider;
    struct web_reply token;  /* the provider's answer; a body of "" makes one with the number of the token in it */
    long life;               /* seconds that it says; 0: nothing */
    int drawn;               /* tokens given out so far */
    int wanted;              /* the token that the far end takes; 0: every one */
    char asked[1024];        /* body of the last request for a token */
    char who[256], had[256]; /* Authorization of the last request to the provider, to the far end */
    int posts;
};

static void give_token(void *arg, const struct web_request *request, struct web_reply *reply)
{
    struct box *b = arg;
    char life[64] = "";
    snprintf(b->asked, sizeof(b->asked), "%s", request->body);
    snprintf(b->who, sizeof(b->who), "%s", web_field(request, "authorization"));
    *reply = b->token;
    if (reply->status != 200 || reply->body[0] != '\0')
        return;
    if (b->life)
        snprintf(life, sizeof(life), ",\"expires_in\":%ld", b->life);
    snprintf(reply->body, sizeof(reply->body), "{\"access_token\":\"t%d\",\"token_type\":\"Bearer\"%s}", ++b->drawn,
             life);
}

static void take_rows(void *arg, const struct web_request *request, struct web_reply *reply)
{
    struct box *b = arg;
    char wanted[64];
    b->posts++;
    snprintf(b->had, sizeof(b->had), "%s", web_field(request, "authorization"));
    snprintf(wanted, sizeof(wanted), "Bearer t%d", b->wanted);
    if (b->wanted && strcmp(b->had, wanted) != 0)
        reply->status = 401;
}

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    b->token.status = 200;
    b->life = 300;
    b->kit = testkit_load(plugin);
    b->far = web_start(take_rows, b, NULL, 0);
    b->provider = web_start(give_token, b, NULL, 0);
    *state = b;
    if (!b->kit)
        return -1;
    testkit_set(b->kit, "URL", web_url(b->far));
    testkit_set(b->kit, "OAUTH_URL", web_url(b->provider));
    testkit_set(b->kit, "OAUTH_CLIENT", "lab 3");
    testkit_set(b->kit, "OAUTH_SECRET", "a:b+c");
    return testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{}}}") == 1 ? 0 : -1;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    testkit_free(&b->kit);
    web_stop(&b->far);
    web_stop(&b->provider);
    free(b);
    return 0;
}

static void start(struct box *b)
{
    if (testkit_start(b->kit) != HG_OPEN_OK)
        fail_msg("start: %s", testkit_fault(b->kit));
}

/* What was set until here is seen there, and the other way round. */
static void turn(struct box *b)
{
    web_count(b->far);
    web_count(b->provider);
}

static void push_gives(struct box *b, int result)
{
    turn(b);
    int rc = testkit_push(b->kit, 0, 1);
    turn(b);
    if (rc != result)
        fail_msg("result %d instead of %d: %s", rc, result, testkit_push_reason(b->kit));
    assert_int_equal(testkit_verdict(b->kit, 0), result == HG_JUDGED ? HG_OK : 0);
}

static void probe_gives(struct box *b, int result)
{
    turn(b);
    int rc = testkit_probe(b->kit);
    turn(b);
    assert_int_equal(rc, result);
}

static void test_one_for_many(void **state)
{
    struct box *b = *state;
    start(b);
    assert_int_equal(b->drawn, 0); /* not before it is needed */
    for (int i = 0; i < 3; i++)
        push_gives(b, HG_JUDGED);
    assert_int_equal(b->drawn, 1);
    assert_string_equal(b->had, "Bearer t1");
    assert_string_equal(b->asked, "grant_type=client_credentials");
    assert_string_equal(b->who, "Basic bGFiJTIwMzphJTNBYiUyQmM="); /* lab%203:a%3Ab%2Bc */
    probe_gives(b, HG_OPEN_OK);
    assert_int_equal(b->drawn, 1);
}

static void test_in_the_body(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "OAUTH_FORM", "body");
    testkit_set(b->kit, "OAUTH_SCOPE", "rows write");
    start(b);
    push_gives(b, HG_JUDGED);
    assert_string_equal(b->asked,
                        "grant_type=client_credentials&scope=rows%20write&client_id=lab%203&client_secret=a%3Ab%2Bc");
    assert_string_equal(b->who, "");
}

/* A token of a second is never kept for longer, whatever a test's clock does. */
static void test_expiry(void **state)
{
    struct box *b = *state;
    b->life = 1;
    start(b);
    for (int i = 0; b->drawn < 2 && i < 1000000; i++) {
        push_gives(b, HG_JUDGED);
        web_forget(b->far); /* it remembers only so many, and a second is long */
    }
    assert_int_equal(b->drawn, 2);
    b->life = 0;
    testkit_stop(b->kit);
    start(b);
    push_gives(b, HG_JUDGED);
    push_gives(b, HG_JUDGED);
    assert_int_equal(b->drawn, 3);
}

static void test_refused_token_is_drawn_anew_once(void **state)
{
    struct box *b = *state;
    start(b);
    push_gives(b, HG_JUDGED);
    b->wanted = 2;
    push_gives(b, HG_JUDGED);
    assert_int_equal(b->drawn, 2);
    assert_int_equal(b->posts, 3);
    b->wanted = 99; /* one more, and not for ever */
    push_gives(b, HG_NOT_NOW);
    assert_non_null(strstr(testkit_push_reason(b->kit), "401"));
    assert_int_equal(b->drawn, 3);
    assert_int_equal(b->posts, 5);
    push_gives(b, HG_NOT_NOW); /* a fresh one that is refused is not drawn twice */
    assert_int_equal(b->drawn, 4);
    assert_int_equal(b->posts, 6);
}

static void test_no_token_is_never_a_rows_fault(void **state)
{
    static const struct {
        int how, status;
        const char *body, *told;
    } answers[] = {{WEB_ANSWER, 401, "{\"error\":\"invalid_client\"}", "invalid_client"},
                   {WEB_ANSWER, 400, "{\"error\":\"invalid_scope\"}", "invalid_scope"},
                   {WEB_ANSWER, 503, "", "503"},
                   {WEB_ANSWER, 200, "no JSON sEcReT", "no bearer token"},
                   {WEB_ANSWER, 200, "{\"token_type\":\"Bearer\",\"sEcReT\":1}", "no bearer token"},
                   {WEB_ANSWER, 200, "{\"access_token\":\"sEcReT\",\"token_type\":\"mac\"}", "no bearer token"},
                   {WEB_ANSWER, 200, "{\"access_token\":\"sEcReT\\r\\nX: y\"}", "no bearer token"},
                   {WEB_ANSWER, 200, "{\"access_token\":\"\"}", "no bearer token"},
                   {WEB_CUT, 200, "{\"access_token\":\"sEcReT\"}", "identity provider"},
                   {WEB_CLOSE, 0, "", "identity provider"}};
    struct box *b = *state;
    start(b);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        b->token = (struct web_reply){.how = (enum web_how)answers[i].how, .status = answers[i].status};
        snprintf(b->token.body, sizeof(b->token.body), "%s", answers[i].body);
        push_gives(b, HG_NOT_NOW);
        assert_non_null(strstr(testkit_push_reason(b->kit), answers[i].told));
        assert_null(strstr(testkit_push_reason(b->kit), "sEcReT"));
        assert_null(strstr(testkit_push_reason(b->kit), "a:b+c"));
    }
    assert_int_equal(b->posts, 0);
    probe_gives(b, HG_OPEN_NOT_NOW);
    b->token = (struct web_reply){.status = 200};
    push_gives(b, HG_JUDGED);
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {
        {"OAUTH_CLIENT", NULL}, {"OAUTH_SECRET", NULL},         {"OAUTH_URL", NULL},         {"TOKEN", "t"},
        {"USER", "u"},          {"HEADERS", "authorization=x"}, {"OAUTH_URL", "http://u@h/"}};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        void *other;
        assert_int_equal(box_make(&other), 0);
        struct box *o = other;
        testkit_set(o->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(o->kit), HG_OPEN_BROKEN);
        assert_true(testkit_fault(o->kit)[0] != '\0');
        box_drop(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_for_many, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_in_the_body, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_expiry, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refused_token_is_drawn_anew_once, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_no_token_is_never_a_rows_fault, box_make, box_drop),
        cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The kafka pusher against librdkafka's own small cluster: the producer's name, what errors mean for the rows, and the
 * marker after a restart. What a real broker does is in test/servers. */
#include "pushed.h"
#include "testkit.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/kafka.so";

enum { PRODUCE = 0, INIT_PRODUCER = 22, TXN_OFFSET_COMMIT = 28, END_TXN = 26 }; /* kinds of requests */

struct box {
    struct testkit *kit;
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *cluster;
};

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    char why[256];
    *state = b;
    b->kit = testkit_load(plugin);
    b->handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    b->cluster = b->handle ? rd_kafka_mock_cluster_new(b->handle, 1) : NULL;
    if (!b->kit || !b->cluster)
        return -1;
    rd_kafka_mock_topic_create(b->cluster, "rows", 1, 1);
    testkit_set(b->kit, "BROKERS", rd_kafka_mock_cluster_bootstraps(b->cluster));
    testkit_set(b->kit, "TOPIC", "rows");
    testkit_set(b->kit, "TRANSACTIONAL_ID", "mine");
    testkit_set(b->kit, "REQUEST_TIMEOUT", "3s");
    return 0;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    testkit_free(&b->kit);
    if (b->cluster)
        rd_kafka_mock_cluster_destroy(b->cluster);
    if (b->handle)
        rd_kafka_destroy(b->handle);
    free(b);
    return 0;
}

static void start(struct box *b)
{
    pushed_start(b->kit);
}

static void push_gives(struct box *b, size_t first, int result, const char *verdicts)
{
    pushed_gives(b->kit, first, result, verdicts);
}

static void four_rows(struct box *b)
{
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"index\":0,\"data\":{\"k\":1.50}},{\"data\":{\"k\":2}},"
                         "{\"data\":{\"k\":3}},{\"data\":{\"k\":4}}]}");
}

/* Drawn once, and never used before it is kept. */
static void test_name(void **state)
{
    struct box *b = *state;
    size_t len;
    testkit_set(b->kit, "TRANSACTIONAL_ID", NULL);
    start(b);
    four_rows(b);
    push_gives(b, 0, HG_NOT_NOW, "----");
    const char *name = testkit_state(b->kit, &len);
    assert_non_null(name);
    assert_int_equal(len, strlen("headgate-") + 32);
    assert_memory_equal(name, "headgate-", 9);
    push_gives(b, 0, HG_JUDGED, "oooo");
    start(b);
    push_gives(b, 0, HG_JUDGED, "oooo"); /* this cluster keeps no marker; a real one does */
}

/* A batch that is refused as a whole is taken back; the next try is a new transaction. */
static void test_not_now(void **state)
{
    struct box *b = *state;
    start(b);
    four_rows(b);
    rd_kafka_mock_push_request_errors(b->cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    push_gives(b, 0, HG_NOT_NOW, "----");
    assert_non_null(strstr(testkit_push_reason(b->kit), "Topic authorization failed"));
    rd_kafka_mock_push_request_errors(b->cluster, TXN_OFFSET_COMMIT, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    push_gives(b, 0, HG_NOT_NOW, "----");
    rd_kafka_mock_push_request_errors(b->cluster, END_TXN, 1, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE);
    push_gives(b, 0, HG_NOT_NOW, "----");
    push_gives(b, 0, HG_JUDGED, "oooo");
}

static void test_refused_at_the_door(void **state)
{
    struct box *b = *state;
    start(b);
    four_rows(b);
    rd_kafka_mock_push_request_errors(b->cluster, INIT_PRODUCER, 1,
                                      RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    push_gives(b, 0, HG_NOT_NOW, "----");
    assert_non_null(strstr(testkit_push_reason(b->kit), "ransactional"));
    push_gives(b, 0, HG_JUDGED, "oooo");
}

/* Which of the four is too large is found by halving: 4, 2, 1 are refused, then 1 and 2 pass. */
static void test_too_large(void **state)
{
    struct box *b = *state;
    start(b);
    four_rows(b);
    rd_kafka_mock_push_request_errors(b->cluster, PRODUCE, 3, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    push_gives(b, 0, HG_JUDGED, "xooo");
    assert_string_equal(testkit_reason(b->kit, 0), "Broker: Message size too large");
    /* The marker of this producer speaks of these rows: they are not sent again, and the refused one stays refused. */
    push_gives(b, 0, HG_JUDGED, "xddd");
    /* A batch that goes on behind them is sent from there. */
    four_rows(b);
    push_gives(b, 0, HG_JUDGED, "xdddoooo");
    /* Another batch is another batch. */
    push_gives(b, 4, HG_JUDGED, "oooo");
}

static void test_away_and_back(void **state)
{
    struct box *b = *state;
    start(b);
    four_rows(b);
    rd_kafka_mock_broker_set_down(b->cluster, 1);
    push_gives(b, 0, HG_NOT_NOW, "----");
    assert_non_null(strstr(testkit_push_reason(b->kit), "no answer in time"));
    rd_kafka_mock_broker_set_up(b->cluster, 1);
    push_gives(b, 0, HG_JUDGED, "oooo");
    testkit_stopping(b->kit, 1);
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{}}}");
    push_gives(b, 4, HG_NOT_NOW, "-");
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {{"PROPERTIES", "no.such.thing=1"},
                                           {"PROPERTIES", "enable.idempotence=false"},
                                           {"SASL", "PLAIN"},
                                           {"CA", "/dev/null"}};
    struct box *b = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        assert_true(testkit_fault(b->kit)[0] != '\0');
        testkit_set(b->kit, wrong[i][0], NULL);
    }
    start(b);
}

static void test_probe(void **state)
{
    struct box *b = *state;
    start(b);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    rd_kafka_mock_topic_set_error(b->cluster, "rows", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "authorization"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_name, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_not_now, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refused_at_the_door, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_too_large, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_away_and_back, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_probe, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

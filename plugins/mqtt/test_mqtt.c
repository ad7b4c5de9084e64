/* The mqtt pusher against a small broker of this file, which answers each message as it was told: what an
 * acknowledgement, a refusal and a lost connection mean for the rows. What a real broker does is in test/servers. */
#include "common/strbuf.h"
#include "farend.h"
#include "pushed.h"
#include "testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/mqtt.so";

enum { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x32, PUBACK = 0x40, PACKET_MAX = 1 << 16, TOPIC_SIZE = 256 };
enum { PUBLISH2 = 0x34, PUBREC = 0x50, PUBREL = 0x62, PUBCOMP = 0x70 }; /* of QoS 2 */
enum { NOT_AUTHORIZED = 0x87, TOO_LARGE = 0x95 };

/* `script`: what becomes of each message in turn: a(cknowledged), x (too large), r (not authorized), s(ilence), c (the
 * connection is cut). Behind its end all are acknowledged. */
struct broker {
    struct farend end;
    const char *script;
    int refuse; /* the reason for every CONNECT */
    size_t messages;
    unsigned char under_way[1 << 16]; /* QoS 2: ids whose exchange is not over */
    size_t reused;                    /* messages under such an id */
    unsigned last_id;
    char topic[TOPIC_SIZE]; /* of the last message */
    unsigned char last[PACKET_MAX];
    size_t last_len;
};

struct box {
    struct testkit *kit;
    struct broker broker;
};

static int read_all(int fd, unsigned char *out, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, out + got, len - got, 0);
        if (n <= 0)
            return -1;
        got += (size_t)n;
    }
    return 0;
}

/* One packet: its first byte and what follows the length; -1 at the end. */
static int packet_read(int fd, unsigned char *body, size_t *len)
{
    unsigned char first, digit;
    *len = 0;
    if (read_all(fd, &first, 1) != 0)
        return -1;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        if (read_all(fd, &digit, 1) != 0)
            return -1;
        *len |= (size_t)(digit & 127) << shift;
        if (digit < 128)
            break;
    }
    return *len <= PACKET_MAX && read_all(fd, body, *len) == 0 ? first : -1;
}

/* 0, or -1: the connection ends. */
static int message_take(struct broker *b, int fd, const unsigned char *body, size_t len)
{
    size_t topic = (size_t)body[0] << 8 | body[1];
    farend_turn(&b->end);
    char act = *b->script ? *b->script++ : 'a';
    unsigned char ack[] = {PUBACK, 3, body[2 + topic], body[3 + topic], 0};
    snprintf(b->topic, sizeof(b->topic), "%.*s", (int)topic, (const char *)body + 2);
    memcpy(b->last, body, len);
    b->last_len = len;
    b->messages++;
    farend_turn(&b->end);
    ack[4] = act == 'x' ? TOO_LARGE : act == 'r' ? NOT_AUTHORIZED : 0;
    if (act == 'c')
        return -1;
    return act == 's' || send(fd, ack, sizeof(ack), MSG_NOSIGNAL) == sizeof(ack) ? 0 : -1;
}

/* The two steps of QoS 2; `at`: where the id stands. */
static int second_step(struct broker *b, int fd, int kind, const unsigned char *at)
{
    unsigned id = (unsigned)at[0] << 8 | at[1];
    unsigned char answer[] = {kind == PUBREL ? PUBCOMP : PUBREC, 2, at[0], at[1]};
    if (kind == PUBLISH2) {
        b->messages++;
        b->reused += b->under_way[id];
        b->last_id = id;
    }
    b->under_way[id] = kind == PUBLISH2;
    return send(fd, answer, sizeof(answer), MSG_NOSIGNAL) == sizeof(answer) ? 0 : -1;
}

static void connection_serve(void *arg, int fd)
{
    struct broker *b = arg;
    static unsigned char body[PACKET_MAX];
    size_t len;
    for (int kind, going = 1; going && (kind = packet_read(fd, body, &len)) >= 0;) {
        farend_turn(&b->end);
        unsigned char answer[] = {CONNACK, 3, 0, (unsigned char)b->refuse, 0};
        if (kind == CONNECT)
            going = send(fd, answer, sizeof(answer), MSG_NOSIGNAL) == sizeof(answer) && !b->refuse;
        else if (kind == PUBLISH)
            going = message_take(b, fd, body, len) == 0;
        else if (kind == PUBLISH2)
            going = second_step(b, fd, kind, body + 2 + ((size_t)body[0] << 8 | body[1])) == 0;
        else if (kind == PUBREL)
            going = second_step(b, fd, kind, body) == 0;
    }
    farend_close(fd);
}

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    *state = b;
    b->broker.script = "";
    b->kit = testkit_load(plugin);
    if (!b->kit || farend_start(&b->broker.end, connection_serve, &b->broker) != 0)
        return -1;
    testkit_set(b->kit, "HOST", "127.0.0.1");
    testkit_set(b->kit, "PORT", b->broker.end.port);
    testkit_set(b->kit, "TOPIC", "at/%Y/{line}/{uuid}");
    return 0;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    testkit_free(&b->kit);
    farend_stop(&b->broker.end);
    free(b);
    return 0;
}

static void start(struct box *b)
{
    farend_turn(&b->broker.end);
    pushed_start(b->kit);
    testkit_rows(b->kit, "{\"uuid\":\"u/+\",\"tags\":{\"line\":\"L1\"},\"rows\":[{\"index\":7,\"data\":{\"k\":1.50}},"
                         "{\"data\":{\"k\":2}},{\"data\":{\"k\":3}},{\"data\":{\"k\":4}}]}");
}

static void push_gives(struct box *b, const char *script, int result, const char *verdicts)
{
    b->broker.script = script;
    farend_turn(&b->broker.end);
    pushed_gives(b->kit, 0, result, verdicts);
    farend_turn(&b->broker.end);
}

static int holds(const struct broker *b, const char *text)
{
    return memmem(b->last, b->last_len, text, strlen(text)) != NULL;
}

static void test_message(void **state)
{
    struct box *b = *state;
    start(b);
    push_gives(b, "", HG_JUDGED, "o");
    assert_string_equal(b->broker.topic, "at/2026/L1/u%2F%2B");
    assert_true(holds(&b->broker, "\"data\":{\"k\":1.50}}") && holds(&b->broker, "received"));
    assert_true(holds(&b->broker, testkit_row_id(b->kit, 0)));
    push_gives(b, "", HG_JUDGED, "oooo");
    assert_int_equal(b->broker.end.connections, 1);
}

static void test_data_alone(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "FORM", "data");
    testkit_set(b->kit, "VERSION", "3.1.1");
    start(b);
    push_gives(b, "", HG_JUDGED, "o");
    assert_memory_equal(b->broker.last + b->broker.last_len - 10, "{\"k\":1.50}", 10);
    assert_false(holds(&b->broker, testkit_row_id(b->kit, 0)));
}

static void test_each_row_by_its_own_answer(void **state)
{
    struct box *b = *state;
    start(b);
    push_gives(b, "axra", HG_JUDGED, "oxro");
    assert_string_equal(testkit_reason(b->kit, 1), "Packet too large");
    assert_string_equal(testkit_reason(b->kit, 2), "Not authorized");
}

/* What was acknowledged before stays delivered; the rest goes out on a new connection. */
static void test_cut(void **state)
{
    struct box *b = *state;
    start(b);
    push_gives(b, "aac", HG_NOT_NOW, "oo--");
    push_gives(b, "", HG_JUDGED, "oooo");
    assert_int_equal(b->broker.end.connections, 2);
}

static void test_silence(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "REQUEST_TIMEOUT", "3s");
    start(b);
    push_gives(b, "asaa", HG_NOT_NOW, "o-oo");
    assert_non_null(strstr(testkit_push_reason(b->kit), "in time"));
    testkit_stopping(b->kit, 1);
    push_gives(b, "", HG_NOT_NOW, "----");
}

/* Message ids have 16 bits. */
static void test_more_messages_than_there_are_ids(void **state)
{
    struct box *b = *state;
    struct strbuf text;
    strbuf_init(&text, 1 << 20);
    strbuf_adds(&text, "{\"uuid\":\"u\",\"rows\":[{\"data\":{}}");
    for (int i = 1; i < 3500; i++)
        strbuf_adds(&text, ",{\"data\":{}}");
    strbuf_adds(&text, "]}");
    testkit_set(b->kit, "QOS", "2");
    testkit_set(b->kit, "FORM", "data");
    testkit_set(b->kit, "VERSION", "3.1.1");
    farend_turn(&b->broker.end);
    pushed_start(b->kit);
    testkit_rows(b->kit, strbuf_str(&text));
    strbuf_fini(&text);
    for (int i = 0; i < 20; i++)
        assert_int_equal(testkit_push(b->kit, 0, 3500), HG_JUDGED);
    farend_turn(&b->broker.end);
    assert_int_equal(b->broker.messages, 70000);
    assert_int_equal(b->broker.last_id, 70000 - 65535);
    assert_int_equal(b->broker.reused, 0);
    assert_int_equal(b->broker.end.connections, 1);
}

static void test_refused_at_the_door(void **state)
{
    struct box *b = *state;
    b->broker.refuse = NOT_AUTHORIZED;
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "Not authorized"));
}

static void test_larger_than_allowed(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "MESSAGE_MAX", "1B");
    testkit_set(b->kit, "FORM", "data");
    start(b);
    push_gives(b, "", HG_JUDGED, "xxxx");
    assert_int_equal(b->broker.messages, 0);
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {{"TOPIC", "rows/#"}, {"TOPIC", "rows/{"},   {"PASSWORD", "alone"},
                                           {"CA", "/dev/null"}, {"CERT", "/dev/null"}, {"QOS", "0"},
                                           {"VERSION", "4"}};
    struct box *b = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        assert_true(testkit_fault(b->kit)[0] != '\0');
        testkit_set(b->kit, wrong[i][0], i == 0 || i == 1 ? "rows" : NULL);
    }
    start(b);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_message, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_data_alone, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_each_row_by_its_own_answer, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_cut, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_silence, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_more_messages_than_there_are_ids, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refused_at_the_door, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_larger_than_allowed, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

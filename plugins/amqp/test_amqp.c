/* The amqp pusher against a small broker of this file, which answers each message as it was told: what a confirmation,
 * a refusal, a message that comes back and a closed channel mean for the rows. A real broker is in test/servers. */
#include "farend.h"
#include "pushed.h"
#include "testkit.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/amqp.so";

enum { METHOD = 1, HEADER = 2, BODY = 3, FRAME_END = 0xce, FRAME_MAX = 1 << 17, TEXT_SIZE = 512, PATIENCE_MS = 60000 };
#define ID(class, method) ((uint32_t)(class) << 16 | (method))

/* `script`: what becomes of each message in turn: a(cknowledged), n(ot), r(eturned), m (all so far acknowledged at
 * once), s(ilence), c (the connection is cut), b (the broker is blocked), l (the channel is closed: too large), e (it
 * is closed: no exchange). Behind its end all are acknowledged. */
struct broker {
    struct farend end;
    const char *script;
    int refuse; /* everybody who logs in */
    int closed; /* the channel: what comes on it is nothing any more */
    size_t messages;
    uint64_t tag;
    char where[TEXT_SIZE]; /* exchange/routing key of the last message */
    char id[TEXT_SIZE];    /* its properties and headers, as they came */
    size_t id_len;
    char last[FRAME_MAX]; /* its body */
    int fd;
};

struct box {
    struct testkit *kit;
    struct broker broker;
};

/* --- frames --- */

struct out {
    unsigned char bytes[2048];
    size_t len;
};

static void put(struct out *o, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0;)
        o->bytes[o->len++] = (unsigned char)(value >> (8 * i));
}

static void put_short(struct out *o, const char *text)
{
    put(o, strlen(text), 1);
    memcpy(o->bytes + o->len, text, strlen(text));
    o->len += strlen(text);
}

static void put_long(struct out *o, const char *text)
{
    put(o, strlen(text), 4);
    memcpy(o->bytes + o->len, text, strlen(text));
    o->len += strlen(text);
}

static int frame_send(struct broker *b, int type, int channel, const struct out *payload)
{
    struct out o = {.len = 0};
    put(&o, (uint64_t)type, 1);
    put(&o, (uint64_t)channel, 2);
    put(&o, payload->len, 4);
    memcpy(o.bytes + o.len, payload->bytes, payload->len);
    o.len += payload->len;
    put(&o, FRAME_END, 1);
    return send(b->fd, o.bytes, o.len, MSG_NOSIGNAL) == (ssize_t)o.len ? 0 : -1;
}

static struct out method(uint32_t id)
{
    struct out o = {.len = 0};
    put(&o, id, 4);
    return o;
}

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

/* Its type, or -1 at the end. */
static int frame_read(int fd, unsigned char *payload, size_t *len)
{
    unsigned char head[7], end;
    if (read_all(fd, head, sizeof(head)) != 0)
        return -1;
    *len = (size_t)head[3] << 24 | (size_t)head[4] << 16 | (size_t)head[5] << 8 | head[6];
    return *len < FRAME_MAX && read_all(fd, payload, *len) == 0 && read_all(fd, &end, 1) == 0 ? head[0] : -1;
}

/* --- a message --- */

static int confirm(struct broker *b, uint32_t id, uint64_t tag, int multiple)
{
    struct out o = method(id);
    put(&o, tag, 8);
    put(&o, (uint64_t)multiple, 1);
    return frame_send(b, METHOD, 1, &o);
}

static int channel_close(struct broker *b, int code, const char *why)
{
    struct out o = method(ID(20, 40));
    b->closed = 1;
    put(&o, (uint64_t)code, 2);
    put_short(&o, why);
    put(&o, 0, 4);
    return frame_send(b, METHOD, 1, &o);
}

/* The method, the header as it came, and no body. */
static int give_back(struct broker *b)
{
    struct out o = method(ID(60, 50)), header = {.len = 0};
    put(&o, 312, 2);
    put_short(&o, "NO_ROUTE");
    put_short(&o, "");
    put_short(&o, "nowhere");
    memcpy(header.bytes, b->id, b->id_len);
    header.len = b->id_len;
    memset(header.bytes + 4, 0, 8);
    return frame_send(b, METHOD, 1, &o) == 0 ? frame_send(b, HEADER, 1, &header) : -1;
}

static int blocked(struct broker *b)
{
    struct out o = method(ID(10, 60));
    put_short(&o, "low on memory");
    return frame_send(b, METHOD, 0, &o);
}

/* 0, or -1: the connection ends. */
static int message_answer(struct broker *b)
{
    char act = *b->script ? *b->script++ : 'a';
    pthread_mutex_lock(&b->end.lock);
    b->messages++;
    pthread_mutex_unlock(&b->end.lock);
    b->tag++;
    farend_turn(&b->end);
    switch (act) {
    case 'a': return confirm(b, ID(60, 80), b->tag, 0);
    case 'm': return confirm(b, ID(60, 80), b->tag, 1);
    case 'n': return confirm(b, ID(60, 120), b->tag, 0);
    case 'r': return give_back(b) == 0 ? confirm(b, ID(60, 80), b->tag, 0) : -1;
    case 'b': return blocked(b);
    case 'l': return channel_close(b, 406, "PRECONDITION_FAILED - message size 9 is larger than configured max size 8");
    case 'e': return channel_close(b, 404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    case 'c': return -1;
    default: return 0;
    }
}

/* --- a connection --- */

static int greet(struct broker *b)
{
    unsigned char header[8];
    struct out o = method(ID(10, 10));
    put(&o, 9, 2); /* 0-9 */
    put(&o, 0, 4);
    put_long(&o, "PLAIN");
    put_long(&o, "en_US");
    return read_all(b->fd, header, sizeof(header)) == 0 ? frame_send(b, METHOD, 0, &o) : -1;
}

static int refuse(struct broker *b)
{
    struct out o = method(ID(10, 50));
    put(&o, 403, 2);
    put_short(&o, "ACCESS_REFUSED - Login was refused");
    put(&o, 0, 4);
    return frame_send(b, METHOD, 0, &o);
}

static void publish_read(struct broker *b, const unsigned char *at)
{
    const unsigned char *exchange = at + 2, *key = exchange + 1 + exchange[0];
    snprintf(b->where, sizeof(b->where), "%.*s/%.*s", exchange[0], (const char *)exchange + 1, key[0],
             (const char *)key + 1);
}

/* 0, or -1: the connection ends. */
static int method_answer(struct broker *b, const unsigned char *payload)
{
    uint32_t id = (uint32_t)payload[0] << 24 | (uint32_t)payload[1] << 16 | (uint32_t)payload[2] << 8 | payload[3];
    struct out o;
    switch (id) {
    case ID(10, 11):
        if (b->refuse)
            return refuse(b);
        o = method(ID(10, 30));
        put(&o, 0, 2), put(&o, 131072, 4), put(&o, 0, 2);
        return frame_send(b, METHOD, 0, &o);
    case ID(10, 40): o = method(ID(10, 41)), put_short(&o, ""); return frame_send(b, METHOD, 0, &o);
    case ID(20, 10): o = method(ID(20, 11)), put(&o, 0, 4); return frame_send(b, METHOD, 1, &o);
    case ID(85, 10): o = method(ID(85, 11)); return frame_send(b, METHOD, 1, &o);
    case ID(40, 10):
        if (memmem(payload, 64, "none", 4))
            return channel_close(b, 404, "NOT_FOUND - no exchange 'none' in vhost '/'");
        o = method(ID(40, 11));
        return frame_send(b, METHOD, 1, &o);
    case ID(60, 40): publish_read(b, payload + 4); return 0;
    default: return 0;
    }
}

static void connection_serve(void *arg, int fd)
{
    struct broker *b = arg;
    static unsigned char payload[FRAME_MAX];
    size_t len;
    b->fd = fd;
    b->tag = 0;
    b->closed = 0;
    int rc = greet(b);
    for (int type; rc == 0 && (type = frame_read(b->fd, payload, &len)) >= 0;) {
        farend_turn(&b->end);
        if (type == METHOD)
            rc = method_answer(b, payload);
        else if (type == HEADER && len <= sizeof(b->id)) {
            memcpy(b->id, payload, len);
            b->id_len = len;
        } else if (type == BODY) {
            snprintf(b->last, sizeof(b->last), "%.*s", (int)len, (const char *)payload);
            rc = b->closed ? 0 : message_answer(b);
        }
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
    testkit_set(b->kit, "EXCHANGE", "lab");
    testkit_set(b->kit, "ROUTING_KEY", "at.%Y.{line}.{uuid}");
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

/* --- tests --- */

static void start(struct box *b)
{
    farend_turn(&b->broker.end);
    pushed_start(b->kit);
    testkit_rows(b->kit, "{\"uuid\":\"u.#\",\"tags\":{\"line\":\"L1\"},\"rows\":[{\"index\":7,\"data\":{\"k\":1.50}},"
                         "{\"data\":{\"k\":2}},{\"data\":{\"k\":3}},{\"data\":{\"k\":4}}]}");
}

static void push_gives(struct box *b, const char *script, int result, const char *verdicts)
{
    b->broker.script = script;
    farend_turn(&b->broker.end);
    pushed_gives(b->kit, 0, result, verdicts);
    farend_turn(&b->broker.end);
}

static void test_message(void **state)
{
    struct box *b = *state;
    start(b);
    push_gives(b, "", HG_JUDGED, "o");
    assert_string_equal(b->broker.where, "lab/at.2026.L1.u%2E%23");
    assert_non_null(strstr(b->broker.last, "\"data\":{\"k\":1.50}}"));
    const char *id = testkit_row_id(b->kit, 0);
    assert_non_null(memmem(b->broker.id, b->broker.id_len, id, strlen(id)));
    push_gives(b, "", HG_JUDGED, "oooo");
    testkit_set(b->kit, "FORM", "data");
    testkit_set(b->kit, "EXCHANGE", NULL);
    testkit_set(b->kit, "ROUTING_KEY", "rows");
    start(b);
    push_gives(b, "", HG_JUDGED, "o");
    assert_string_equal(b->broker.last, "{\"k\":1.50}");
    assert_string_equal(b->broker.where, "/rows");
    assert_int_equal(b->broker.end.connections, 2);
}

static void test_each_row_by_its_own_answer(void **state)
{
    struct box *b = *state;
    start(b);
    push_gives(b, "anra", HG_JUDGED, "orro");
    assert_non_null(strstr(testkit_reason(b->kit, 1), "nack"));
    assert_non_null(strstr(testkit_reason(b->kit, 2), "NO_ROUTE"));
    push_gives(b, "sssm", HG_JUDGED, "oooo");
    push_gives(b, "smrm", HG_JUDGED, "ooro");
    assert_int_equal(b->broker.end.connections, 1);
}

/* What was confirmed before stays delivered; the rest goes out on a new connection. */
static void test_silence_and_cut(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "REQUEST_TIMEOUT", "500ms");
    start(b);
    push_gives(b, "asaa", HG_NOT_NOW, "o-oo");
    push_gives(b, "", HG_JUDGED, "oooo");
    push_gives(b, "aac", HG_NOT_NOW, "oo--");
    push_gives(b, "", HG_JUDGED, "oooo");
    assert_int_equal(b->broker.end.connections, 3);
    testkit_stopping(b->kit, 1);
    push_gives(b, "", HG_NOT_NOW, "----");
}

/* Until the broker has read so many messages: a push may return before it has. */
static void wait_read(struct broker *b, size_t messages)
{
    size_t now = 0;
    for (int ms = 0; ms < PATIENCE_MS && now < messages; ms++) {
        pthread_mutex_lock(&b->end.lock);
        now = b->messages;
        pthread_mutex_unlock(&b->end.lock);
        (void)poll(NULL, 0, now < messages ? 1 : 0);
    }
    assert_int_equal(now, messages);
}

/* The connection is kept, and nothing more is sent on it, until the broker says that it may. */
static void test_blocked(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "REQUEST_TIMEOUT", "500ms");
    start(b);
    push_gives(b, "abss", HG_NOT_NOW, "o---");
    assert_non_null(strstr(testkit_push_reason(b->kit), "low on memory"));
    size_t sent = 4;
    wait_read(&b->broker, sent);
    push_gives(b, "", HG_NOT_NOW, "----");
    assert_int_equal(b->broker.messages, sent);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "low on memory"));
    const struct out o = method(ID(10, 61));
    assert_int_equal(frame_send(&b->broker, METHOD, 0, &o), 0);
    confirm(&b->broker, ID(60, 80), 4, 1); /* of the push before: about no row of the next one */
    for (int ms = 0; ms < PATIENCE_MS && testkit_push(b->kit, 0, 0) == HG_NOT_NOW; ms++)
        (void)poll(NULL, 0, 1); /* what was sent just now may be on its way still */
    push_gives(b, "saaa", HG_NOT_NOW, "-ooo");
    assert_int_equal(b->broker.end.connections, 1);
}

/* The connection that the pusher has may be one that the broker has just ended. */
static void test_a_probe_connects_anew(void **state)
{
    struct box *b = *state;
    start(b);
    for (size_t n = 2; n < 4; n++) {
        farend_turn(&b->broker.end);
        assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
        farend_turn(&b->broker.end);
        assert_int_equal(b->broker.end.connections, n);
    }
    push_gives(b, "", HG_JUDGED, "oooo");
    assert_int_equal(b->broker.end.connections, 3);
}

static void test_a_channel_that_is_closed(void **state)
{
    struct box *b = *state;
    start(b);
    push_gives(b, "ae", HG_NOT_NOW, "o---");
    assert_non_null(strstr(testkit_push_reason(b->kit), "no exchange 'x'"));
    push_gives(b, "al" /* alone: */ "l" /* the rest: */ "aa", HG_JUDGED, "oxoo");
    assert_non_null(strstr(testkit_reason(b->kit, 1), "larger than configured"));
}

static void test_longer_than_allowed(void **state)
{
    struct box *b = *state;
    char text[600], pad[129];
    memset(pad, '.', sizeof(pad));
    pad[128] = '\0';
    snprintf(text, sizeof(text), "{\"uuid\":\"%s\",\"rows\":[{\"data\":{}}]}", pad);
    pushed_start(b->kit);
    testkit_rows(b->kit, text);
    push_gives(b, "", HG_JUDGED, "x");
    assert_non_null(strstr(testkit_reason(b->kit, 0), "routing key"));
}

static void test_refused_at_the_door(void **state)
{
    struct box *b = *state;
    b->broker.refuse = 1;
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "ACCESS_REFUSED"));
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {{"ROUTING_KEY", "rows.{"},
                                           {"EXCHANGE", "{"},
                                           {"ROUTING_KEY", NULL},
                                           {"CERT", "/dev/null"},
                                           {"CA", "/dev/null"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        void *other;
        assert_int_equal(box_make(&other), 0);
        struct box *b = other;
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        assert_true(testkit_fault(b->kit)[0] != '\0');
        box_drop(&other);
    }
    struct box *b = *state;
    start(b);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    testkit_set(b->kit, "EXCHANGE", "none");
    start(b);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_message, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_each_row_by_its_own_answer, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_silence_and_cut, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_blocked, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_a_probe_connects_anew, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_a_channel_that_is_closed, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_longer_than_allowed, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refused_at_the_door, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

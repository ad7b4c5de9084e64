/* The nats pusher against a small server of this file, which answers each message as it was told: what JetStream's
 * answers, a missing one and a lost connection mean for the rows. What a real server does is in test/servers. */
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
#include <unistd.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/nats.so";

enum { LINE_MAX_BYTES = 4096, DATA_MAX = 1 << 16 };

/* `script`: what becomes of each message in turn: a(cknowledged), d(uplicate), x (too large for the stream), r (an
 * error that passes), n (nobody takes it), g (no answer of JetStream), s(ilence), c (the connection is cut). Behind its
 * end all are acknowledged. */
struct broker {
    struct farend end;
    const char *script;
    int refuse; /* everybody who logs in */
    size_t messages;
    char subject[LINE_MAX_BYTES];
    char last[DATA_MAX]; /* headers and data */
};

struct box {
    struct testkit *kit;
    struct broker broker;
};

static int say(FILE *far, const char *text)
{
    size_t len = strlen(text);
    return send(fileno(far), text, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

static const char *answer_of(char act)
{
    switch (act) {
    case 'd': return "{\"stream\":\"ROWS\",\"seq\":1,\"duplicate\":true}";
    case 'x': return "{\"error\":{\"code\":400,\"err_code\":10054,\"description\":\"message size exceeds maximum\"}}";
    case 'r': return "{\"error\":{\"code\":503,\"err_code\":10023,\"description\":\"insufficient resources\"}}";
    case 'g': return "thanks";
    default: return "{\"stream\":\"ROWS\",\"seq\":1}";
    }
}

/* `HPUB subject reply headers all`, and so many bytes. 0, or -1: the connection ends. */
static int message_take(struct broker *b, FILE *far, const char *line)
{
    char reply[LINE_MAX_BYTES], text[LINE_MAX_BYTES * 2];
    size_t head, all;
    farend_turn(&b->end);
    if (sscanf(line, "HPUB %4095s %4095s %zu %zu", b->subject, reply, &head, &all) != 4 || all + 2 >= DATA_MAX ||
        fread(b->last, 1, all + 2, far) != all + 2)
        return -1;
    b->last[all] = '\0';
    b->messages++;
    char act = *b->script ? *b->script++ : 'a';
    farend_turn(&b->end);
    if (act == 'c')
        return -1;
    if (act == 's')
        return 0;
    if (act == 'n') {
        snprintf(text, sizeof(text), "HMSG %s 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", reply);
        return say(far, text);
    }
    const char *answer = answer_of(act);
    snprintf(text, sizeof(text), "MSG %s 1 %zu\r\n%s\r\n", reply, strlen(answer), answer);
    return say(far, text);
}

static void connection_serve(void *arg, int fd)
{
    struct broker *b = arg;
    FILE *far = fdopen(dup(fd), "r");
    char line[LINE_MAX_BYTES];
    int rc = say(
        far, "INFO {\"server_id\":\"x\",\"version\":\"2.9.0\",\"headers\":true,\"max_payload\":20000,\"proto\":1}\r\n");
    while (rc == 0 && fgets(line, sizeof(line), far)) {
        farend_turn(&b->end);
        if (strncmp(line, "PING", 4) == 0)
            rc = b->refuse ? say(far, "-ERR 'Authorization Violation'\r\n") - 1 : say(far, "PONG\r\n");
        else if (strncmp(line, "HPUB", 4) == 0)
            rc = message_take(b, far, line);
    }
    fclose(far);
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
    testkit_set(b->kit, "SUBJECT", "at.%Y.{line}.{uuid}");
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
    testkit_rows(b->kit, "{\"uuid\":\"u.*\",\"tags\":{\"line\":\"L1\"},\"rows\":[{\"index\":7,\"data\":{\"k\":1.50}},"
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
    char id[128];
    start(b);
    push_gives(b, "", HG_JUDGED, "o");
    snprintf(id, sizeof(id), "Nats-Msg-Id: %s\r\n", testkit_row_id(b->kit, 0));
    assert_string_equal(b->broker.subject, "at.2026.L1.u%2E%2A");
    assert_non_null(strstr(b->broker.last, id));
    assert_non_null(strstr(b->broker.last, "\"data\":{\"k\":1.50}}"));
    push_gives(b, "", HG_JUDGED, "oooo");
    assert_int_equal(b->broker.end.connections, 1);
}

static void test_data_alone(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "FORM", "data");
    testkit_set(b->kit, "STREAM", "ROWS");
    start(b);
    push_gives(b, "", HG_JUDGED, "o");
    assert_non_null(strstr(b->broker.last, "Nats-Expected-Stream: ROWS\r\n"));
    assert_non_null(strstr(b->broker.last, "\r\n\r\n{\"k\":1.50}"));
}

static void test_each_row_by_its_own_answer(void **state)
{
    struct box *b = *state;
    start(b);
    push_gives(b, "dxra", HG_JUDGED, "dxro");
    assert_string_equal(testkit_reason(b->kit, 1), "message size exceeds maximum");
    assert_string_equal(testkit_reason(b->kit, 2), "insufficient resources");
    push_gives(b, "anag", HG_JUDGED, "oror");
    assert_non_null(strstr(testkit_reason(b->kit, 1), "no stream takes this subject"));
}

/* What was acknowledged before stays delivered; the rest goes out on a new connection. */
static void test_silence_and_cut(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "REQUEST_TIMEOUT", "500ms");
    start(b);
    push_gives(b, "asaa", HG_NOT_NOW, "o-oo");
    push_gives(b, "", HG_JUDGED, "oooo");
    push_gives(b, "sssc", HG_NOT_NOW, "----");
    push_gives(b, "", HG_JUDGED, "oooo");
    assert_int_equal(b->broker.end.connections, 3);
    testkit_stopping(b->kit, 1);
    push_gives(b, "", HG_NOT_NOW, "----");
}

static void test_refused_at_the_door(void **state)
{
    struct box *b = *state;
    b->broker.refuse = 1;
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "uthorization"));
}

static void test_larger_than_allowed(void **state)
{
    struct box *b = *state;
    char pad[21000], text[22000];
    memset(pad, 'x', sizeof(pad));
    pad[sizeof(pad) - 1] = '\0';
    snprintf(text, sizeof(text), "{\"uuid\":\"v\",\"rows\":[{\"data\":{\"k\":\"%s\"}},{\"data\":{}}]}", pad);
    pushed_start(b->kit);
    testkit_rows(b->kit, text);
    push_gives(b, "", HG_JUDGED, "xo");
    assert_non_null(strstr(testkit_reason(b->kit, 0), "max_payload"));
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {{"SUBJECT", "rows.*"}, {"SUBJECT", "rows.{"}, {"SUBJECT", "rows."},
                                           {"PASSWORD", "alone"}, {"CERT", "/dev/null"}, {"CA", "/dev/null"}};
    struct box *b = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        assert_true(testkit_fault(b->kit)[0] != '\0');
        testkit_set(b->kit, wrong[i][0], i < 3 ? "rows" : NULL);
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
        cmocka_unit_test_setup_teardown(test_silence_and_cut, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refused_at_the_door, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_larger_than_allowed, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

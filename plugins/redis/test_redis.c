/* The redis pusher against a server of our own that answers as it is told: what a command looks like, and what each
 * answer means for the rows. What a real Redis does is in test/servers. */
#include "pushed.h"
#include "testkit.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/redis.so";

enum { ANSWERS_MOST = 8, COMMANDS_MOST = 16 };

/* Answers the n-th command with the n-th text, the last one again and again; "" closes instead. */
struct fake {
    int listener, port;
    const char *answers[ANSWERS_MOST];
    size_t answer_count;
    pthread_mutex_t lock;
    redisReply *commands[COMMANDS_MOST];
    size_t count;
    pthread_t thread;
};

static int command_answer(struct fake *f, int fd, redisReply *command)
{
    pthread_mutex_lock(&f->lock);
    size_t n = f->count < f->answer_count ? f->count : f->answer_count - 1;
    const char *answer = f->answers[n];
    if (f->count < COMMANDS_MOST)
        f->commands[f->count++] = command;
    else
        freeReplyObject(command);
    pthread_mutex_unlock(&f->lock);
    return *answer && send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0 ? 0 : -1;
}

static void serve(struct fake *f, int fd)
{
    char piece[65536];
    redisReader *reader = redisReaderCreate();
    for (;;) {
        void *command = NULL;
        if (redisReaderGetReply(reader, &command) != REDIS_OK)
            break;
        if (command) {
            if (command_answer(f, fd, command) != 0)
                break;
            continue;
        }
        ssize_t got = recv(fd, piece, sizeof(piece), 0);
        if (got <= 0)
            break;
        redisReaderFeed(reader, piece, (size_t)got);
    }
    redisReaderFree(reader);
    close(fd);
}

static void *run(void *arg)
{
    struct fake *f = arg;
    for (;;) {
        int fd = accept(f->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        serve(f, fd);
    }
}

struct box {
    struct testkit *kit;
    struct fake fake;
};

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    char port[16];
    pthread_mutex_init(&b->fake.lock, NULL);
    b->fake.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(b->fake.listener, (struct sockaddr *)&at, len) != 0 || listen(b->fake.listener, 8) != 0 ||
        getsockname(b->fake.listener, (struct sockaddr *)&at, &len) != 0)
        return -1;
    snprintf(port, sizeof(port), "%d", ntohs(at.sin_port));
    b->fake.answers[0] = "+OK\r\n";
    b->fake.answer_count = 1;
    b->kit = testkit_load(plugin);
    *state = b;
    if (!b->kit || pthread_create(&b->fake.thread, NULL, run, &b->fake) != 0)
        return -1;
    testkit_set(b->kit, "HOST", "127.0.0.1");
    testkit_set(b->kit, "PORT", port);
    return 0;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    testkit_free(&b->kit);
    shutdown(b->fake.listener, SHUT_RDWR);
    close(b->fake.listener);
    pthread_join(b->fake.thread, NULL);
    for (size_t i = 0; i < b->fake.count; i++)
        freeReplyObject(b->fake.commands[i]);
    pthread_mutex_destroy(&b->fake.lock);
    free(b);
    return 0;
}

static void answers_set(struct box *b, size_t count, ...)
{
    va_list args;
    va_start(args, count);
    pthread_mutex_lock(&b->fake.lock);
    for (size_t i = 0; i < b->fake.count; i++)
        freeReplyObject(b->fake.commands[i]);
    b->fake.count = 0;
    b->fake.answer_count = count;
    for (size_t i = 0; i < count; i++)
        b->fake.answers[i] = va_arg(args, const char *);
    pthread_mutex_unlock(&b->fake.lock);
    va_end(args);
}

/* The n-th command's words from `from` on, with spaces between. */
static void command_text(struct box *b, size_t n, size_t from, char *out, size_t size)
{
    size_t at = 0;
    pthread_mutex_lock(&b->fake.lock);
    assert_true(n < b->fake.count);
    const redisReply *c = b->fake.commands[n];
    out[0] = '\0';
    for (size_t i = from; i < c->elements && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i > from ? " " : "", c->element[i]->str);
    pthread_mutex_unlock(&b->fake.lock);
}

static size_t commands(struct box *b)
{
    pthread_mutex_lock(&b->fake.lock);
    size_t count = b->fake.count;
    pthread_mutex_unlock(&b->fake.lock);
    return count;
}

static void start(struct box *b)
{
    pushed_start(b->kit);
}

/* o d r x for OK DUPLICATE RETRY REJECT, - for none. */
static void push_gives(struct box *b, int result, const char *verdicts)
{
    pushed_gives(b->kit, 0, result, verdicts);
}

static const char two_rows[] =
    "{\"uuid\":\"u\",\"tags\":{\"line\":\"L 1\"},\"rows\":[{\"index\":7,\"data\":{\"a\":1.50,"
    "\"b\":\"x\\u00e9\\n\"}},{\"data\":{}}]}";

/* A row's id is known by its last character, in the field that is the rest of it. */
static int id_field(struct box *b, size_t row)
{
    return (int)strlen(testkit_row_id(b->kit, row)) - 1;
}

static const char *id_end(struct box *b, size_t row)
{
    return testkit_row_id(b->kit, row) + id_field(b, row);
}

/* --- what is sent --- */

static void test_login(void **state)
{
    struct box *b = *state;
    char text[256];
    testkit_set(b->kit, "USER", "u");
    testkit_set(b->kit, "PASSWORD", "p");
    testkit_set(b->kit, "DATABASE", "3");
    start(b);
    command_text(b, 0, 0, text, sizeof(text));
    assert_string_equal(text, "AUTH u p");
    command_text(b, 1, 0, text, sizeof(text));
    assert_string_equal(text, "SELECT 3");
}

static void test_stream(void **state)
{
    struct box *b = *state;
    char text[4096], expected[4096];
    testkit_set(b->kit, "KEY_NAME", "at:{line}");
    testkit_set(b->kit, "MAX_LENGTH", "50");
    start(b);
    testkit_rows(b->kit, two_rows);
    answers_set(b, 1, "*2\r\n:1\r\n:0\r\n");
    push_gives(b, HG_JUDGED, "od");
    command_text(b, 0, 2, text, sizeof(text));
    snprintf(
        expected, sizeof(expected),
        "4 headgate:test:ids headgate:test:ids:before at:L%%201 at:L%%201 XADD 100000 "
        "%.*s %s 14 MAXLEN ~ 50 * id %s uuid u index 7 received 2026-01-31T12:00:00.000000Z data {\"a\":1.50,\"b\":"
        "\"x\\u00e9\\n\"} %s 12 MAXLEN ~ 50 * id %s uuid u received 2026-01-31T12:00:00.000000Z data {}",
        id_field(b, 0), testkit_row_id(b->kit, 0), id_end(b, 0), testkit_row_id(b->kit, 0), id_end(b, 1),
        testkit_row_id(b->kit, 1));
    assert_string_equal(text, expected);
}

static void test_fields(void **state)
{
    struct box *b = *state;
    char text[4096], expected[4096];
    testkit_set(b->kit, "MODE", "hash");
    testkit_set(b->kit, "FORM", "fields");
    testkit_set(b->kit, "IDS_KEY", "mine");
    start(b);
    testkit_rows(b->kit, two_rows);
    testkit_rows(b->kit, "{\"uuid\":\"v\",\"row\":{\"data\":{\"\\u005fid\":1}}}");
    answers_set(b, 1, "*2\r\n:1\r\n:1\r\n");
    push_gives(b, HG_JUDGED, "oox");
    assert_non_null(strstr(testkit_reason(b->kit, 2), "_id"));
    command_text(b, 0, 2, text, sizeof(text));
    snprintf(
        expected, sizeof(expected),
        "4 mine mine:before rows rows HSET 100000 %.*s %s 12 _id %s _uuid u _index 7 _received "
        "2026-01-31T12:00:00.000000Z a 1.50 b x\xc3\xa9\n %s 6 _id %s _uuid u _received 2026-01-31T12:00:00.000000Z",
        id_field(b, 0), testkit_row_id(b->kit, 0), id_end(b, 0), testkit_row_id(b->kit, 0), id_end(b, 1),
        testkit_row_id(b->kit, 1));
    assert_string_equal(text, expected);
}

static void test_too_many_keys(void **state)
{
    struct box *b = *state;
    size_t size = 100000, at = 0;
    char *json = malloc(size);
    at += (size_t)snprintf(json, size, "{\"uuid\":\"u\",\"rows\":[{\"data\":{}},{\"data\":{\"k\":0");
    for (int i = 0; i < 3600; i++)
        at += (size_t)snprintf(json + at, size - at, ",\"k%d\":%d", i, i);
    snprintf(json + at, size - at, "}}]}");
    testkit_set(b->kit, "FORM", "fields");
    start(b);
    assert_int_equal(testkit_rows(b->kit, json), 2);
    free(json);
    answers_set(b, 1, "*1\r\n:1\r\n");
    push_gives(b, HG_JUDGED, "ox");
}

/* --- what answers mean --- */

static void six_rows(struct box *b)
{
    static const char *const uuids[] = {"u", "v", "u", "w", "v", "u"};
    char json[128];
    for (size_t i = 0; i < 6; i++) {
        snprintf(json, sizeof(json), "{\"uuid\":\"%s\",\"row\":{\"data\":{\"n\":%zu}}}", uuids[i], i);
        testkit_rows(b->kit, json);
    }
}

/* The row whose key is of another kind waits with those behind it of its uuid; the others go on in a second command. */
static void test_another_kind(void **state)
{
    struct box *b = *state;
    char text[4096];
    start(b);
    six_rows(b);
    answers_set(b, 2, "*1\r\n$19\r\nWRONGTYPE Operation\r\n", "*3\r\n:1\r\n:1\r\n:1\r\n");
    push_gives(b, HG_JUDGED, "roroor");
    assert_string_equal(testkit_reason(b->kit, 0), "WRONGTYPE Operation");
    assert_int_equal(commands(b), 2);
    command_text(b, 1, 0, text, sizeof(text));
    assert_null(strstr(text, testkit_row_id(b->kit, 2)));
}

static void test_not_now(void **state)
{
    static const char *const answers[] = {"-OOM command not allowed\r\n",
                                          "-NOPERM no\r\n",
                                          "-READONLY it is\r\n",
                                          "*1\r\n$7\r\nOOM now\r\n",
                                          "+OK\r\n",
                                          "*9\r\n:1\r\n",
                                          "?nonsense\r\n",
                                          ""};
    struct box *b = *state;
    start(b);
    six_rows(b);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        answers_set(b, 1, answers[i]);
        testkit_time_left(b->kit, 800);
        push_gives(b, HG_NOT_NOW, "------");
        assert_true(testkit_push_reason(b->kit)[0] != '\0');
    }
    testkit_time_left(b->kit, 30000);
    answers_set(b, 1, "*6\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
    push_gives(b, HG_JUDGED, "oooooo"); /* it connects by itself */
}

/* Halved until the guilty one stands alone. */
static void test_too_large(void **state)
{
    static const char large[] = "-ERR Protocol error: invalid bulk length\r\n";
    struct box *b = *state;
    start(b);
    six_rows(b);
    answers_set(b, 5, large, large, large, "*1\r\n:1\r\n", "*2\r\n:1\r\n:1\r\n");
    push_gives(b, HG_JUDGED, "xooooo");
    assert_string_equal(testkit_reason(b->kit, 0), "ERR Protocol error: invalid bulk length");
}

static void test_refused_at_the_door(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "PASSWORD", "wrong");
    answers_set(b, 1, "-WRONGPASS invalid username-password pair\r\n");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "WRONGPASS"));
    testkit_set(b->kit, "PORT", "1");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "refused"));
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {{"KEY_NAME", "a{"},      {"FORM", "fields"}, {"MAX_LENGTH", "5"},
                                           {"SOCKET", "/tmp/none"}, {"USER", "u"},      {"CA", "/dev/null"}};
    struct box *b = *state;
    testkit_set(b->kit, "MODE", "list");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        assert_true(testkit_fault(b->kit)[0] != '\0');
        testkit_set(b->kit, wrong[i][0], NULL);
    }
    start(b);
}

static void test_stop_and_probe(void **state)
{
    struct box *b = *state;
    start(b);
    six_rows(b);
    testkit_stopping(b->kit, 1);
    push_gives(b, HG_NOT_NOW, "------");
    testkit_stopping(b->kit, 0);
    answers_set(b, 1, "*0\r\n");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    answers_set(b, 1, "-NOPERM no\r\n");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_string_equal(testkit_fault(b->kit), "NOPERM no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_login, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_stream, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_fields, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_too_many_keys, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_another_kind, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_not_now, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_too_large, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refused_at_the_door, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_stop_and_probe, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The smtp pusher against a small mail server of this file, which answers each command as it was told: what a mail
 * looks like, and what every answer means for the rows. A real server with TLS is in test/servers. */
#include "farend.h"
#include "pushed.h"
#include "testkit.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/smtp.so";

enum { LINE_SIZE = 4096, MAIL_SIZE = 1 << 16 };

/* Answers that are NULL are those of a server that takes everything; "" cuts the connection. */
struct server {
    struct farend far;
    const char *mail, *rcpt, *data, *end; /* to MAIL, RCPT, DATA, and the mail itself */
    const char *guilty;                   /* `end` only to mails with this text in them */
    size_t mails;
    char commands[LINE_SIZE];              /* of the last mail: MAIL and RCPT, as they came */
    char head[MAIL_SIZE], body[MAIL_SIZE]; /* the last mail, its body unpacked */
};

struct box {
    struct testkit *kit;
    struct server server;
};

/* 0, or -1: the connection ends. */
static int say(FILE *far, const char *text)
{
    char line[LINE_SIZE];
    int len = snprintf(line, sizeof(line), "%s\r\n", text);
    return *text && send(fileno(far), line, (size_t)len, MSG_NOSIGNAL) == len ? 0 : -1;
}

static void mail_unpack(struct server *s, char *text)
{
    char *body = strstr(text, "\r\n\r\n"), *to = text;
    snprintf(s->head, sizeof(s->head), "%.*s", (int)(body - text + 2), text);
    for (const char *p = body; *p; p++)
        if (*p != '\r' && *p != '\n')
            *to++ = *p;
    int len = EVP_DecodeBlock((unsigned char *)s->body, (const unsigned char *)text, (int)(to - text));
    s->body[len > 0 ? len : 0] = '\0';
}

static int mail_take(struct server *s, FILE *far)
{
    static char text[MAIL_SIZE];
    char line[LINE_SIZE];
    size_t len = 0;
    while (fgets(line, sizeof(line), far) && strcmp(line, ".\r\n") != 0 && len + sizeof(line) < sizeof(text))
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", line);
    farend_turn(&s->far);
    mail_unpack(s, text);
    int refused = s->end && (!s->guilty || strstr(s->body, s->guilty));
    s->mails += !refused;
    farend_turn(&s->far);
    return say(far, refused ? s->end : "250 kept");
}

static int command_take(struct server *s, FILE *far, const char *line)
{
    size_t had = strlen(s->commands);
    if (strncmp(line, "EHLO", 4) == 0)
        return say(far, "250-mail.test\r\n250 SIZE 60000");
    if (strncmp(line, "MAIL", 4) == 0) {
        snprintf(s->commands, sizeof(s->commands), "%s", line);
        return say(far, s->mail ? s->mail : "250 ok");
    }
    if (strncmp(line, "RCPT", 4) == 0) {
        snprintf(s->commands + had, sizeof(s->commands) - had, "%s", line);
        return say(far, s->rcpt ? s->rcpt : "250 ok");
    }
    if (strncmp(line, "DATA", 4) == 0)
        return say(far, s->data ? s->data : "354 go on") == 0 ? s->data ? 0 : mail_take(s, far) : -1;
    return say(far, strncmp(line, "QUIT", 4) == 0 ? "221 bye" : "250 ok");
}

static void connection_serve(void *arg, int fd)
{
    struct server *s = arg;
    char line[LINE_SIZE];
    FILE *far = fdopen(fd, "r");
    int rc = say(far, "220 mail.test");
    while (rc == 0 && fgets(line, sizeof(line), far)) {
        farend_turn(&s->far);
        rc = command_take(s, far, line);
        farend_turn(&s->far);
    }
    fclose(far);
}

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    *state = b;
    b->kit = testkit_load(plugin);
    if (!b->kit || farend_start(&b->server.far, connection_serve, &b->server) != 0)
        return -1;
    testkit_set(b->kit, "HOST", "127.0.0.1");
    testkit_set(b->kit, "PORT", b->server.far.port);
    testkit_set(b->kit, "TLS", "no");
    testkit_set(b->kit, "SENDER", "gw@lab.test");
    testkit_set(b->kit, "TO", "a@lab.test, {who}@lab.test");
    return 0;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    testkit_free(&b->kit);
    farend_stop(&b->server.far);
    free(b);
    return 0;
}

static void start(struct box *b)
{
    farend_turn(&b->server.far);
    pushed_start(b->kit);
}

/* A set of three rows, and one of one. */
static void two_sets(struct box *b)
{
    testkit_rows(b->kit, "{\"uuid\":\"u\\n\",\"tags\":{\"who\":\"x\\r\\nBcc: y@z\"},\"rows\":[{\"index\":7,\"data\":"
                         "{\"k\":1.50}},{\"data\":{\"k\":\"two\"}},{\"data\":{\"k\":\".\"}}]}");
    testkit_rows(b->kit, "{\"uuid\":\"v\",\"tags\":{\"who\":\"x\\r\\nBcc: y@z\"},\"rows\":[{\"data\":{\"k\":4}}]}");
}

static void push_gives(struct box *b, int result, const char *verdicts)
{
    farend_turn(&b->server.far);
    pushed_gives(b->kit, 0, result, verdicts);
    farend_turn(&b->server.far);
}

static void test_a_mail_for_each_set(void **state)
{
    struct box *b = *state;
    char id[256];
    start(b);
    two_sets(b);
    push_gives(b, HG_JUDGED, "ooo");
    assert_non_null(strstr(b->server.commands, "MAIL FROM:<gw@lab.test>"));
    assert_non_null(strstr(b->server.commands, "RCPT TO:<a@lab.test>\r\nRCPT TO:<x%0D%0ABcc%3A%20y%40z@lab.test>\r\n"));
    assert_non_null(strstr(b->server.head, "To: a@lab.test,\r\n x%0D%0ABcc%3A%20y%40z@lab.test\r\n"));
    assert_non_null(strstr(b->server.head, "\r\nSubject: rows of u%0A\r\n"));
    assert_non_null(strstr(b->server.head, "Date: Sat, 31 Jan 2026 12:00:00 +0000\r\n"));
    assert_null(strstr(b->server.head, "\r\nBcc"));
    assert_non_null(strstr(b->server.body, "\"data\":{\"k\":1.50}}\n{\"id\":"));
    snprintf(id, sizeof(id), "%.200s", strstr(b->server.head, "Message-ID: "));
    push_gives(b, HG_JUDGED, "oooo");
    assert_int_equal(b->server.mails, 3);
    assert_int_equal(b->server.far.connections, 1);
    push_gives(b, HG_JUDGED, "ooo");
    assert_memory_equal(strstr(b->server.head, "Message-ID: "), id, 60);
}

static void test_digest(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "SEND", "digest");
    testkit_set(b->kit, "SUBJECT",
                "=?Gr\xc3\xbc\xc3\x9f"
                "e %Y, a subject of more bytes than one encoded word may have");
    testkit_set(b->kit, "FORM", "attachment");
    start(b);
    two_sets(b);
    push_gives(b, HG_JUDGED, "oooo");
    assert_int_equal(b->server.mails, 1);
    assert_non_null(strstr(b->server.head, "Subject: =?UTF-8?B?PT9HcsO8w59lIDIwMjYs"));
    assert_non_null(strstr(b->server.head, "?=\r\n =?UTF-8?B?"));
    assert_non_null(strstr(b->server.head, "Content-Disposition: attachment; filename=\""));
    testkit_set(b->kit, "SUBJECT", "{uuid}");
    start(b);
    push_gives(b, HG_JUDGED, "oooo");
    assert_int_equal(b->server.mails, 3);
}

static void test_not_now(void **state)
{
    static const struct {
        const char *mail, *rcpt, *data, *end;
    } answers[] = {{"451 later", NULL, NULL, NULL},
                   {"530 5.7.0 log in first", NULL, NULL, NULL},
                   {"550 not from you", NULL, NULL, NULL},
                   {NULL, "450 busy", NULL, NULL},
                   {NULL, "550 5.7.1 no relay", NULL, NULL},
                   {NULL, NULL, "451 no", NULL},
                   {NULL, NULL, NULL, "452 full"},
                   {NULL, NULL, NULL, "554 5.7.1 spam"},
                   {"", NULL, NULL, NULL},
                   {NULL, NULL, NULL, ""}};
    struct box *b = *state;
    start(b);
    two_sets(b);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        b->server.mail = answers[i].mail;
        b->server.rcpt = answers[i].rcpt;
        b->server.data = answers[i].data;
        b->server.end = answers[i].end;
        push_gives(b, HG_NOT_NOW, "----");
        assert_true(testkit_push_reason(b->kit)[0] != '\0');
    }
    b->server.end = NULL;
    push_gives(b, HG_JUDGED, "oooo");
    testkit_stopping(b->kit, 1);
    push_gives(b, HG_NOT_NOW, "----");
    testkit_stopping(b->kit, 0);
    testkit_time_left(b->kit, 100);
    push_gives(b, HG_NOT_NOW, "----");
}

static void test_refused_for_good(void **state)
{
    struct box *b = *state;
    start(b);
    two_sets(b);
    b->server.rcpt = "550 5.1.1 nobody";
    push_gives(b, HG_JUDGED, "xxxx"); /* {who} is the rows' own */
    assert_non_null(strstr(testkit_reason(b->kit, 0), "550 5.1.1 nobody"));
    b->server.rcpt = NULL;
    b->server.end = "554 5.6.0 no";
    b->server.guilty = "two";
    push_gives(b, HG_JUDGED, "oxoo");
    b->server.guilty = NULL;
    b->server.end = NULL;
    b->server.mail = "552 too large";
    push_gives(b, HG_JUDGED, "xxxx");
    b->server.mail = NULL;
    testkit_set(b->kit, "TO", "a@lab.test");
    start(b);
    b->server.rcpt = "550 5.1.1 nobody";
    push_gives(b, HG_NOT_NOW, "----"); /* the operator's */
}

static void test_recipients_of_rows(void **state)
{
    struct box *b = *state;
    char text[512], long_name[300];
    testkit_set(b->kit, "TO", "{uuid}@lab.test");
    start(b);
    memset(long_name, 'n', sizeof(long_name));
    snprintf(text, sizeof(text), "{\"uuid\":\"%.120s%.2s\",\"rows\":[{\"data\":{}}]}", long_name, "u");
    testkit_rows(b->kit, text);
    push_gives(b, HG_JUDGED, "o");
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {
        {"SENDER", "a\r\nb@c"}, {"SENDER", "a"},     {"SENDER", "@b"},         {"SENDER", "a@"},   {"SENDER", "a@b@c"},
        {"SENDER", "<a@b>"},    {"SENDER", "a@b,c"}, {"SENDER", "\xc3\xbc@b"}, {"TO", "a b@c"},    {"TO", "{@b"},
        {"SUBJECT", "{"},       {"HOST", "a/b"},     {"PASSWORD", "alone"},    {"CA", "/dev/null"}};
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
    two_sets(b);
    push_gives(b, HG_JUDGED, "oooo"); /* the handle sends mails still */
    assert_int_equal(b->server.mails, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_mail_for_each_set, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_digest, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_not_now, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refused_for_good, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_recipients_of_rows, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

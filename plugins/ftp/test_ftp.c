/* The ftp pusher against a server of our own that plays FTP by script: which commands come in which order, and what
 * each answer means for the rows. Real servers are in test/servers. */
#include "testkit.h"

#include <arpa/inet.h>
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

static const char plugin[] = TEST_BUILD "/plugins/ftp.so";

enum { TEXT_SIZE = 64 * 1024 };

/* --- a server --- */

/* It takes one connection after the other until its listener is shut; what it keeps is looked at after that. */
struct far {
    int running, listener, data, port;
    pthread_t thread;
    const char *fail, *answer; /* a command that begins so is answered with this; "" closes the connection */
    char commands[TEXT_SIZE], body[TEXT_SIZE];
};

static int listen_any(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        abort();
    *port = ntohs(at.sin_port);
    return fd;
}

static void far_store(struct far *f, FILE *to)
{
    size_t at = 0;
    ssize_t n;
    int fd = accept(f->data, NULL, NULL);
    fputs("150 go\r\n", to);
    fflush(to);
    while ((n = read(fd, f->body + at, TEXT_SIZE - 1 - at)) > 0)
        at += (size_t)n;
    f->body[at] = '\0';
    close(fd);
    fputs("226 all of it\r\n", to);
}

static void far_answer(struct far *f, FILE *to, const char *line)
{
    static const char *const answers[][2] = {
        {"USER", "331 password"}, {"PASS", "230 in"},      {"PWD", "257 \"/\""},    {"CWD", "250 there"},
        {"TYPE", "200 ok"},       {"RNFR", "350 to what"}, {"RNTO", "250 renamed"}, {"DELE", "550 no such file"}};
    int port;
    if (strncmp(line, "EPSV", 4) == 0) {
        if (f->data >= 0)
            close(f->data);
        f->data = listen_any(&port);
        fprintf(to, "229 (|||%d|)\r\n", port);
        return;
    }
    if (strncmp(line, "STOR", 4) == 0) {
        far_store(f, to);
        return;
    }
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (strncmp(line, answers[i][0], strlen(answers[i][0])) == 0) {
            fprintf(to, "%s\r\n", answers[i][1]);
            return;
        }
    fputs("502 what\r\n", to);
}

static void far_serve(struct far *f, int fd)
{
    char line[4096];
    FILE *from = fdopen(fd, "r"), *to = fdopen(dup(fd), "w");
    fputs("220 hello\r\n", to);
    for (fflush(to); fgets(line, sizeof(line), from); fflush(to)) {
        size_t used = strlen(f->commands);
        snprintf(f->commands + used, TEXT_SIZE - used, "%.*s\n", (int)strcspn(line, "\r\n"), line);
        if (!f->fail || strncmp(line, f->fail, strlen(f->fail)) != 0)
            far_answer(f, to, line);
        else if (*f->answer)
            fprintf(to, "%s\r\n", f->answer);
        else
            break;
    }
    fclose(from);
    fclose(to);
}

static void *far_run(void *arg)
{
    struct far *f = arg;
    for (int fd; (fd = accept(f->listener, NULL, NULL)) >= 0;)
        far_serve(f, fd);
    return NULL;
}

static void far_start(struct far *f)
{
    f->data = -1;
    f->commands[0] = '\0';
    f->listener = listen_any(&f->port);
    f->running = pthread_create(&f->thread, NULL, far_run, f) == 0;
}

static void far_stop(struct far *f)
{
    if (!f->running)
        return;
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    if (f->data >= 0)
        close(f->data);
    f->running = 0;
}

struct box {
    struct testkit *kit;
    struct far far;
};

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    *state = b;
    b->kit = testkit_load(plugin);
    if (!b->kit)
        return -1;
    testkit_set(b->kit, "USER", "me");
    testkit_set(b->kit, "PASSWORD", "secret");
    testkit_set(b->kit, "PREFIX", "in/{line}/");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"tags\":{\"line\":\"a/b\"},\"row\":{\"index\":0,\"data\":{\"k\":1.50}}}");
    return 0;
}

/* The pusher's connections end first, and with them what the server waits for. */
static const char *commands(struct box *b)
{
    testkit_stop(b->kit);
    far_stop(&b->far);
    return b->far.commands;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    commands(b);
    testkit_free(&b->kit);
    free(b);
    return 0;
}

static void start(struct box *b)
{
    char url[64];
    far_start(&b->far);
    snprintf(url, sizeof(url), "ftp://127.0.0.1:%d", b->far.port);
    testkit_set(b->kit, "URL", url);
    if (testkit_start(b->kit) != HG_OPEN_OK)
        fail_msg("start: %s", testkit_fault(b->kit));
}

/* How often the line was sent. */
static size_t times(const char *text, const char *line)
{
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, line)); at++)
        found++;
    return found;
}

/* --- tests --- */

static void test_a_file(void **state)
{
    struct box *b = *state;
    char end[1300], body[512];
    start(b);
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_JUDGED);
    assert_int_equal(testkit_verdict(b->kit, 0), HG_OK);
    const char *said = commands(b), *stor = strstr(said, "STOR ");
    assert_non_null(stor);
    assert_non_null(strstr(said, "CWD in\nCWD a%2Fb\n"));
    char name[300];
    assert_int_equal(sscanf(stor, "STOR %299s", name), 1);
    name[strlen(name) - strlen(".part")] = '\0';
    snprintf(end, sizeof(end), "STOR %s.part\nDELE %s\nRNFR %s.part\nRNTO %s\n", name, name, name, name);
    assert_memory_equal(stor, end, strlen(end));
    snprintf(body, sizeof(body),
             "{\"id\":\"%s\",\"uuid\":\"u\",\"index\":0,\"received\":\"2026-01-31T12:00:00.000000Z\",\"data\":{\"k\":1."
             "50}}\n",
             testkit_row_id(b->kit, 0));
    assert_string_equal(b->far.body, body);
}

static void not_now(struct box *b, const char *fail, const char *answer, const char *reason, size_t tries)
{
    b->far.fail = fail;
    b->far.answer = answer;
    start(b);
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_NOT_NOW);
    assert_int_equal(testkit_verdict(b->kit, 0), 0);
    if (!strstr(testkit_push_reason(b->kit), reason))
        fail_msg("'%s' without '%s'", testkit_push_reason(b->kit), reason);
    size_t found = times(commands(b), fail);
    if (found != tries)
        fail_msg("%s came %zu times and not %zu", fail, found, tries);
}

/* What is surely not stored is not tried again in the same push; what may be, is. */
static void test_refusals(void **state)
{
    struct box *b = *state;
    not_now(b, "PASS", "530 who are you", "530 who are you", 1);
    not_now(b, "STOR", "553 not here", "553 not here", 1);
    not_now(b, "STOR", "452 disk full", "452 disk full", 1);
    not_now(b, "RNTO", "550 not so", "550 not so", 5);
}

static void test_an_answer_that_is_missing(void **state)
{
    struct box *b = *state;
    not_now(b, "RNTO", "", "", 5);
    b->far.fail = NULL;
    start(b);
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_JUDGED);
    assert_int_equal(testkit_verdict(b->kit, 0), HG_OK);
}

static void test_a_name_too_long(void **state)
{
    struct box *b = *state;
    char row[512], tag[200];
    memset(tag, '/', sizeof(tag) - 1);
    tag[sizeof(tag) - 1] = '\0';
    snprintf(row, sizeof(row), "{\"uuid\":\"v\",\"tags\":{\"line\":\"%s\"},\"row\":{\"data\":{\"k\":2}}}", tag);
    assert_int_equal(testkit_rows(b->kit, row), 1);
    testkit_set(b->kit, "PREFIX",
                "{line}/{line}/{line}/{line}/{line}/{line}/{line}/{line}/{line}/{line}/{line}/{line}/{line}/");
    start(b);
    assert_int_equal(testkit_push(b->kit, 0, 2), HG_JUDGED);
    assert_int_equal(testkit_verdict(b->kit, 0), HG_OK);
    assert_int_equal(testkit_verdict(b->kit, 1), HG_REJECT);
    assert_non_null(strstr(testkit_reason(b->kit, 1), "3000 bytes"));
    assert_int_equal(times(commands(b), "STOR"), 1);
}

static void test_settings(void **state)
{
    static const char *const wrong[][2] = {
        {"URL", "http://h"},       {"URL", "ftp://me@h"}, {"URL", "ftp://h/path"},     {"URL", "sftp://h"},
        {"PASSWORD", "a\nDELE b"}, {"PREFIX", "{"},       {"KNOWN_HOSTS", "/dev/null"}};
    struct box *b = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        testkit_set(b->kit, "URL", "ftp://127.0.0.1:1");
        testkit_set(b->kit, "PASSWORD", "p");
        testkit_set(b->kit, "PREFIX", "p");
        testkit_set(b->kit, wrong[i][0], wrong[i][1]);
        if (testkit_start(b->kit) != HG_OPEN_BROKEN || testkit_fault(b->kit)[0] == '\0')
            fail_msg("%s=%s is taken", wrong[i][0], wrong[i][1]);
    }
    testkit_set(b->kit, "KNOWN_HOSTS", NULL);
    start(b);
}

static void test_probe(void **state)
{
    struct box *b = *state;
    b->far.fail = "DELE";
    b->far.answer = "250 gone";
    start(b);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    const char *said = commands(b);
    assert_non_null(strstr(said, "STOR headgate-probe.part\nDELE headgate-probe.part\n"));
    b->far.fail = "PASS";
    b->far.answer = "530 no";
    start(b);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "530 no"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_file, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_refusals, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_an_answer_that_is_missing, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_a_name_too_long, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_settings, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_probe, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

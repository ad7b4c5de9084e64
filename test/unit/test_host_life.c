/* A real headgate-host, played the daemon to: how it begins, how it ends, what it may touch. */
#include "hosted.h"

#include "headgate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct hosted h;
    struct maker m;
    struct wire_hand hand;
};

/* Not started. */
static void prepare(struct fixture *f, const char *plugin, const char *mode)
{
    maker_open(&f->m, 0);
    maker_set(&f->m, "aaa", 3, 0, 10, NULL);
    maker_set(&f->m, "bbb", 1, 3, 10, "odd");
    hosted_init(&f->h, plugin);
    hosted_set(&f->h, "MODE", mode);
    hosted_set(&f->h, "MATCH", "odd");
    f->hand = hosted_range(&f->m, 42);
}

static void begin(struct fixture *f, const char *mode)
{
    prepare(f, "chaos", mode);
    hosted_ready(&f->h);
    hosted_segment(&f->h, &f->m, STORE_JOURNAL);
}

static void end(struct fixture *f)
{
    hosted_fini(&f->h);
    maker_close(&f->m);
}

static void expect_signal(int status, int number)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
}

static void expect_exit(int status, int code)
{
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

/* --- crashes --- */

static void expect_crash(const char *mode, int number, uint16_t lane, uint64_t token)
{
    struct fixture f;
    begin(&f, mode);
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    assert_int_equal(f.h.m.taken.rows, 4);
    hosted_expect(&f.h, WIRE_CRASH);
    assert_int_equal(f.h.m.crash.signal, number);
    assert_int_equal(f.h.m.head.lane, lane);
    assert_int_equal(f.h.m.head.token, token);
    expect_signal(hosted_wait(&f.h), number);
    end(&f);
}

static void crashes_are_told(void **state)
{
    (void)state;
    expect_crash("segv", SIGSEGV, 0, 42);
    expect_crash("abort", SIGABRT, 0, 42);
    expect_crash("overflow", SIGSEGV, 0, 42);
    expect_crash("thread", SIGSEGV, 0xFFFF, 0);
}

static void crashes_before_a_push(void **state)
{
    (void)state;
    struct fixture f;
    static const char *const modes[] = {"startsegv", "opensegv"};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        prepare(&f, "chaos", modes[i]);
        hosted_start(&f.h);
        hosted_expect(&f.h, WIRE_CRASH);
        assert_int_equal(f.h.m.head.lane, 0);
        assert_int_equal(f.h.m.head.token, 0);
        expect_signal(hosted_wait(&f.h), SIGSEGV);
        end(&f);
    }
}

static void ends_without_a_word(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "exits");
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    expect_exit(hosted_wait(&f.h), 0);
    end(&f);
    begin(&f, "kills");
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    expect_signal(hosted_wait(&f.h), SIGKILL);
    end(&f);
}

/* --- opening --- */

static void expect_refusal(struct fixture *f, int result, const char *reason)
{
    hosted_start(&f->h);
    hosted_expect(&f->h, WIRE_OPEN_FAILED);
    assert_int_equal(f->h.m.outcome.result, result);
    char text[HG_REASON_MAX + 1];
    snprintf(text, sizeof text, "%.*s", (int)f->h.m.outcome.reason, f->h.m.bytes + sizeof f->h.m.outcome);
    if (strstr(text, reason) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", reason, text);
    expect_exit(hosted_wait(&f->h), 0);
    end(f);
}

static void what_open_says(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f, "chaos", "openno");
    hosted_touch(f.h.gate);
    expect_refusal(&f, HG_OPEN_NOT_NOW, "the far end is down");
    prepare(&f, "chaos", "openbad");
    f.h.setup.workers = 3;
    expect_refusal(&f, HG_OPEN_BROKEN, "wrong password");
    prepare(&f, "chaos", "openodd");
    expect_refusal(&f, HG_OPEN_BROKEN, "open() returned 77");
    prepare(&f, "chaos", "startno");
    f.h.setup.workers = 2;
    expect_refusal(&f, HG_OPEN_NOT_NOW, "start: not today");
}

static void settings_are_checked(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f, "chaos", "good");
    hosted_set(&f.h, "COUNT", "11");
    expect_refusal(&f, HG_OPEN_BROKEN, "COUNT");
    prepare(&f, "chaos", "good");
    hosted_set(&f.h, "FILE", "");
    expect_refusal(&f, HG_OPEN_BROKEN, "FILE");
    prepare(&f, "chaos", "good");
    hosted_set(&f.h, "NOSUCH", "1");
    expect_refusal(&f, HG_OPEN_BROKEN, "NOSUCH");
}

static void plugins_are_checked(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f, "badabi", "good");
    expect_refusal(&f, HG_OPEN_BROKEN, "abi_major: expected 1, found 2");
    prepare(&f, "nosymbol", "good");
    f.h.setup.confine = true;
    expect_refusal(&f, HG_OPEN_BROKEN, "exports no function hg_plugin");
    prepare(&f, "chaos", "good");
    free(f.h.setup.plugin);
    f.h.setup.plugin = strdup("/nowhere/at/all.so");
    expect_refusal(&f, HG_OPEN_BROKEN, "/nowhere/at/all.so");
}

/* --- the lock --- */

static void one_at_a_time(void **state)
{
    (void)state;
    struct fixture f;
    struct hosted second;
    begin(&f, "good");
    hosted_init(&second, "chaos");
    second.setup.lock = f.h.lock;
    hosted_set(&second, "MODE", "openbad"); /* so that it tells when it comes to open() */
    hosted_start(&second);
    hosted_logged(&second, "waiting for the former host");
    hosted_push(&f.h, &f.hand, NULL, NULL); /* the first one is not disturbed */
    assert_int_equal(f.h.m.done.delivered, 4);
    assert_int_equal(recv(second.channel, second.m.bytes, sizeof second.m.bytes, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    kill(f.h.pid, SIGKILL);
    expect_signal(hosted_wait(&f.h), SIGKILL);
    hosted_expect(&second, WIRE_OPEN_FAILED);
    expect_exit(hosted_wait(&second), 0);
    hosted_fini(&second);
    end(&f);
}

static void waiting_for_the_lock_ends(void **state)
{
    (void)state;
    struct fixture f;
    for (int hang_up = 0; hang_up < 2; hang_up++) {
        prepare(&f, "chaos", "good");
        int lock = open(f.h.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(flock(lock, LOCK_EX), 0);
        hosted_start(&f.h);
        hosted_logged(&f.h, "waiting for the former host");
        if (hang_up != 0)
            hosted_hang_up(&f.h);
        else
            hosted_simple(&f.h, WIRE_STOP, 0, 0);
        expect_exit(hosted_wait(&f.h), 0);
        close(lock);
        end(&f);
    }
}

/* --- the end --- */

static void stop_lets_a_push_finish(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f, "chaos", "slow");
    hosted_set(&f.h, "DELAY", "1h"); /* wait() is interrupted */
    hosted_ready(&f.h);
    hosted_segment(&f.h, &f.m, STORE_JOURNAL);
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    hosted_simple(&f.h, WIRE_STOP, 0, 0);
    hosted_expect(&f.h, WIRE_DONE);
    assert_int_equal(f.h.m.done.delivered, 4);
    expect_exit(hosted_wait(&f.h), 0);
    assert_int_equal(hosted_lines(&f.h), 4);
    end(&f);
}

static void stop_while_opening(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f, "chaos", "good");
    f.h.setup.workers = 4;
    hosted_start(&f.h);
    hosted_simple(&f.h, WIRE_STOP, 0, 0);
    expect_exit(hosted_wait(&f.h), 0);
    end(&f);
}

static void hang_up_ends_the_host(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "good");
    hosted_hang_up(&f.h);
    expect_exit(hosted_wait(&f.h), 0);
    end(&f);

    /* A push in progress may finish, and what it delivered is there. */
    prepare(&f, "chaos", "slow");
    hosted_set(&f.h, "DELAY", "1h");
    hosted_ready(&f.h);
    hosted_segment(&f.h, &f.m, STORE_JOURNAL);
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    hosted_hang_up(&f.h);
    expect_exit(hosted_wait(&f.h), 0);
    assert_int_equal(hosted_lines(&f.h), 4);
    end(&f);

    /* One that does not care is not waited for. */
    begin(&f, "hang");
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    hosted_hang_up(&f.h);
    expect_exit(hosted_wait(&f.h), 0);
    end(&f);
}

/* A third process keeps the channel open, so that only the signal tells the host. */
static void dies_with_its_parent(void **state)
{
    (void)state;
    struct fixture f;
    int told[2];
    pid_t pids[2];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    prepare(&f, "chaos", "good");
    pid_t daemon = fork();
    if (daemon == 0) {
        hosted_ready(&f.h);
        pids[0] = f.h.pid;
        pids[1] = fork();
        while (pids[1] == 0)
            pause();
        (void)!write(told[1], pids, sizeof pids);
        for (;;)
            pause();
    }
    assert_int_equal(read(told[0], pids, sizeof pids), sizeof pids);
    struct pollfd host = {.fd = (int)syscall(SYS_pidfd_open, pids[0], 0), .events = POLLIN};
    assert_true(host.fd >= 0);
    kill(daemon, SIGKILL);
    assert_int_equal(waitpid(daemon, NULL, 0), daemon);
    int ended = poll(&host, 1, HOSTED_PATIENCE_MS);
    kill(pids[1], SIGKILL);
    assert_int_equal(ended, 1);
    close(host.fd);
    close(told[0]);
    close(told[1]);
    end(&f);
}

/* --- nonsense on the channel --- */

static void expect_protocol_end(const void *message, size_t len, int fd)
{
    struct fixture f;
    begin(&f, "good");
    hosted_send(&f.h, message, len, fd);
    expect_exit(hosted_wait(&f.h), 76);
    hosted_logged(&f.h, "control message");
    end(&f);
}

static void nonsense_ends_the_host(void **state)
{
    (void)state;
    static char large[WIRE_MAX + 64];
    struct maker m;
    maker_open(&m, 0);
    struct wire_hand hand = hosted_range(&m, 1);
    struct wire_segment segment = {.head = {.magic = WIRE_MAGIC, .type = WIRE_SEGMENT}};
    memcpy(large, &hand, sizeof hand);
    expect_protocol_end("x", 1, -1);
    expect_protocol_end(large, sizeof large, -1);
    expect_protocol_end(&hand, sizeof hand - 1, -1);
    expect_protocol_end(&segment, sizeof segment, -1);
    expect_protocol_end(&segment, sizeof segment - 4, m.fd);
    hand.held = 1; /* but none follows */
    expect_protocol_end(&hand, sizeof hand, -1);
    hand.held = UINT32_MAX;
    expect_protocol_end(&hand, sizeof hand, -1);
    hand.held = 0;
    hand.items = 1;
    expect_protocol_end(&hand, sizeof hand, -1);
    hand.items = 0;
    hand.kind = 7;
    expect_protocol_end(&hand, sizeof hand, -1);
    hand.kind = HAND_RANGE;
    hand.head.lane = 1;
    expect_protocol_end(&hand, sizeof hand, -1);
    hand.head = (struct wire_head){.magic = WIRE_MAGIC + 1, .type = WIRE_STOP};
    expect_protocol_end(&hand.head, sizeof hand.head, -1);
    hand.head = (struct wire_head){.magic = WIRE_MAGIC, .type = WIRE_READY};
    expect_protocol_end(&hand.head, sizeof hand.head, -1);
    maker_close(&m);
}

static void two_hand_outs_at_once(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "hang");
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    hosted_hand(&f.h, &f.hand, NULL);
    expect_exit(hosted_wait(&f.h), 76);
    end(&f);
}

/* The plugin can write into the channel; what arrives is what it wrote, and the host goes on. */
static void a_plugin_that_scribbles(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "scribble");
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    ssize_t n = recv(f.h.channel, f.h.m.bytes, sizeof f.h.m.bytes, 0);
    assert_int_equal(n, sizeof "junk on the control channel");
    hosted_expect(&f.h, WIRE_DONE);
    hosted_stop(&f.h);
    end(&f);
}

/* --- confinement --- */

static bool can_confine(struct hosted *h)
{
    return h->m.ready.confined == 1;
}

static void confined_to_its_paths(void **state)
{
    (void)state;
    struct fixture f;
    char folder[80], file[96];
    prepare(&f, "chaos", "escape");
    hosted_set(&f.h, "GATE", "/etc/passwd");
    snprintf(folder, sizeof folder, "%s/made", f.h.dir);
    snprintf(file, sizeof file, "%s/rows", folder);
    hosted_set(&f.h, "FILE", file); /* its folder is made for it */
    f.h.setup.confine = true;
    hosted_ready(&f.h);
    bool confined = can_confine(&f.h);
    hosted_segment(&f.h, &f.m, STORE_JOURNAL);
    hosted_push(&f.h, &f.hand, NULL, NULL);
    hosted_stop(&f.h);
    unlink(f.h.file);
    snprintf(f.h.file, sizeof f.h.file, "%s", file);
    char *text = hosted_written(&f.h);
    assert_non_null(strstr(text, confined ? "escape Permission denied\n" : "escape open\n"));
    assert_non_null(strstr(text, "\"n\":2"));
    free(text);
    unlink(file);
    assert_int_equal(rmdir(folder), 0);
    end(&f);
}

static void unconfined_where_asked(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f, "chaos", "escape");
    hosted_set(&f.h, "GATE", "/etc/passwd");
    hosted_ready(&f.h);
    assert_false(can_confine(&f.h));
    hosted_segment(&f.h, &f.m, STORE_JOURNAL);
    hosted_push(&f.h, &f.hand, NULL, NULL);
    hosted_stop(&f.h);
    char *text = hosted_written(&f.h);
    assert_non_null(strstr(text, "escape open\n"));
    free(text);
    end(&f);
}

/* --- by hand --- */

/* A confined process of the coverage build cannot write its counts, and says so as it ends. */
static void drop_counting(char *text)
{
    char *line;
    while ((line = strstr(text, "profiling:")) != NULL) {
        const char *end = strchr(line, '\n');
        end = end == NULL ? line + strlen(line) : end + 1;
        memmove(line, end, strlen(end) + 1);
    }
}

static int run(const char *arguments, char *out, size_t size)
{
    char command[512];
    snprintf(command, sizeof command, "%s/headgate-host %s 2>&1 3<&- 4<&-", TEST_BUILD, arguments);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    size_t n = fread(out, 1, size - 1, p);
    out[n] = '\0';
    drop_counting(out);
    return pclose(p);
}

static void describing_by_hand(void **state)
{
    (void)state;
    char out[16384];
    struct described d;
    struct err e;
    expect_exit(run("--describe " TEST_BUILD "/fixture/whole.so", out, sizeof out), 0);
    assert_int_equal(described_read(slice_of(out), &d, &e), 0);
    assert_string_equal(d.name, "whole");
    assert_int_equal(d.flags, HG_WHOLE_SETS);
    assert_int_equal(d.max_parallel, 1);
    assert_int_equal(d.count, 13);
    assert_string_equal(d.options[2].name, "FILE");
    assert_int_equal(d.options[2].flags, HG_WRITE | HG_REQUIRED);
    described_fini(&d);
    expect_exit(run("--describe " TEST_BUILD "/fixture/badabi.so", out, sizeof out), 65);
    assert_string_equal(out, "abi_major: expected 1, found 2\n");
    expect_exit(run("--describe " TEST_BUILD "/fixture/unresolved.so", out, sizeof out), 65);
    assert_non_null(strstr(out, "undefined symbol: hg_no_such_function\n"));
    expect_exit(run("--describe /nowhere.so", out, sizeof out), 65);
    assert_non_null(strstr(out, "/nowhere.so: cannot open"));
    expect_exit(run("", out, sizeof out), 64);
    assert_non_null(strstr(out, "--describe FILE"));
    expect_exit(run("--version", out, sizeof out), 0);
    assert_int_equal(strncmp(out, "headgate-host ", 14), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(crashes_are_told),        cmocka_unit_test(crashes_before_a_push),
    cmocka_unit_test(ends_without_a_word),     cmocka_unit_test(what_open_says),
    cmocka_unit_test(settings_are_checked),    cmocka_unit_test(plugins_are_checked),
    cmocka_unit_test(one_at_a_time),           cmocka_unit_test(waiting_for_the_lock_ends),
    cmocka_unit_test(stop_lets_a_push_finish), cmocka_unit_test(stop_while_opening),
    cmocka_unit_test(hang_up_ends_the_host),   cmocka_unit_test(dies_with_its_parent),
    cmocka_unit_test(nonsense_ends_the_host),  cmocka_unit_test(two_hand_outs_at_once),
    cmocka_unit_test(a_plugin_that_scribbles), cmocka_unit_test(confined_to_its_paths),
    cmocka_unit_test(unconfined_where_asked),  cmocka_unit_test(describing_by_hand),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}

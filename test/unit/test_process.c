/* A host process as the supervisor holds it, with shell scripts for hosts: what it prints and how it ends is told once
 * and in that order; what its channel does not take waits, within a bound; and when the system gives no descriptor
 * nothing breaks and nothing leaks. */
#include "supervise/process.h"

#include "base/sys.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct bed {
    uv_loop_t loop;
    char *folder;
    struct process *process;
    char text[32768]; /* what was logged, "level:line\n" each */
    size_t len;
    int messages, turned, ends;
    int64_t status;
    int signal;
    int fds; /* open before the process was started */
};

static int open_fds(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count;
}

static int on_message(void *arg, const struct wire_head *head, size_t len)
{
    struct bed *b = arg;
    (void)head;
    (void)len;
    b->messages++;
    return 0;
}

static void on_log(void *arg, int level, struct slice text)
{
    struct bed *b = arg;
    assert_int_equal(b->ends, 0); /* all it said comes before its end */
    b->len += (size_t)snprintf(b->text + b->len, sizeof b->text - b->len, "%d:%.*s\n", level, (int)text.len, text.ptr);
    assert_true(b->len < sizeof b->text);
}

static void on_ended(void *arg, int64_t status, int signal_number)
{
    struct bed *b = arg;
    b->ends++;
    b->status = status;
    b->signal = signal_number;
    b->process = NULL;
}

static void on_turn(void *arg)
{
    struct bed *b = arg;
    assert_int_equal(b->ends, 0);
    assert_true(b->messages > b->turned); /* there was something */
    b->turned = b->messages;
}

static const struct process_events events = {.message = on_message, .turn = on_turn, .log = on_log, .ended = on_ended};

static int start(struct bed *b, const char *host, struct err *e)
{
    const struct process_start options = {
        .loop = &b->loop, .host = host, .name = "x", .setup = SLICE_LIT("a setup\n"), .events = &events, .arg = b};
    b->fds = open_fds();
    return process_start(&b->process, &options, e);
}

static void start_script(struct bed *b, const char *script)
{
    struct err e = {0};
    char text[1024];
    const char *path = scratch_path(b->folder, "host");
    int n = snprintf(text, sizeof text, "#!/bin/sh\nF=%s/go\n%s\n", b->folder, script);
    scratch_write(path, text, (size_t)n);
    assert_int_equal(chmod(path, 0700), 0);
    if (start(b, path, &e) != ERR_OK)
        fail_msg("%s", e.text);
}

/* Until the process has ended and its handles are closed. */
static void run(struct bed *b)
{
    assert_int_equal(uv_run(&b->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(b->ends, 1);
    assert_int_equal(open_fds(), b->fds);
}

static int setup(void **state)
{
    struct bed *b = calloc(1, sizeof *b);
    if (b == NULL || uv_loop_init(&b->loop) != 0)
        return -1;
    b->folder = scratch_make();
    *state = b;
    struct err e;
    if (start(b, "/bin/true", &e) != ERR_OK || uv_run(&b->loop, UV_RUN_DEFAULT) != 0)
        return -1; /* the loop opens some of its own with the first child */
    b->ends = 0;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;
    int busy = uv_loop_close(&b->loop);
    scratch_remove(&b->folder);
    free(b);
    return busy;
}

static void ends_by_itself(void **state)
{
    struct bed *b = *state;
    start_script(b, "echo one; echo '<0>two' >&2; cat <&4; printf three; exit 3");
    assert_true(process_pid(b->process) > 0);
    run(b);
    assert_string_equal(b->text, "2:one\n0:two\n2:a setup\n2:three\n");
    assert_int_equal(b->status, 3);
    assert_int_equal(b->signal, 0);
}

static void ends_by_a_signal(void **state)
{
    struct bed *b = *state;
    start_script(b, "echo last words; kill -11 $$");
    run(b);
    assert_string_equal(b->text, "2:last words\n");
    assert_int_equal(b->signal, SIGSEGV);
}

static void nonsense_ends_it(void **state)
{
    struct bed *b = *state;
    start_script(b, "echo junk >&3; exec sleep 1000");
    run(b);
    assert_int_equal(b->messages, 0);
    assert_int_equal(b->signal, SIGKILL);
}

static void closing_the_channel_ends_it(void **state)
{
    struct bed *b = *state;
    start_script(b, "exec 3<&-; exec sleep 1000");
    run(b);
    assert_int_equal(b->signal, SIGKILL);
}

/* What it left running holds its output open; nobody waits for that. */
static void a_child_of_its_own_stays(void **state)
{
    struct bed *b = *state;
    start_script(b, "sleep 1000 3<&- 4<&- & echo $!; exit 0");
    run(b);
    int child = atoi(b->text + 2);
    assert_true(child > 0);
    assert_int_equal(kill(child, SIGKILL), 0);
}

static void lines_that_do_not_end(void **state)
{
    struct bed *b = *state;
    start_script(b, "head -c 10000 /dev/zero | tr '\\0' x; echo; echo; echo end");
    run(b);
    assert_int_equal(strcspn(b->text, "\n"), 2 + 4096);
    assert_int_equal(b->len, 10000 + 3 * 3 + 6); /* in three parts; an empty line is none */
    assert_string_equal(b->text + b->len - 6, "2:end\n");
}

static struct wire_drop letter(uint64_t n)
{
    return (struct wire_drop){.head = {.type = WIRE_DROP, .token = n}, .base = n};
}

/* After what was there to be read, however many messages that were, it is told that this was all. */
static void a_turn_follows_messages(void **state)
{
    struct bed *b = *state;
    struct wire_drop m = {.head = {.magic = WIRE_MAGIC, .type = WIRE_DROPPED}};
    scratch_write(scratch_path(b->folder, "message"), (const char *)&m, sizeof m);
    start_script(b, "M=${F%go}message; for n in 1 2 3; do cat $M >&3; done; while [ ! -e $F ]; do sleep 0.01; done");
    while (b->turned < 3)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(b->turned, b->messages);
    scratch_write(scratch_path(b->folder, "go"), "", 0);
    run(b);
    assert_int_equal(b->messages, 3);
}

static void memory_is_known(void **state)
{
    struct bed *b = *state;
    start_script(b, "while :; do sleep 0.01; [ -e $F ] && exit 0; done");
    while (process_memory(b->process) == 0)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_true(process_memory(b->process) < 1 << 30);
    scratch_write(scratch_path(b->folder, "go"), "", 0);
    run(b);
}

/* More than the socket takes, to one that does not read yet: all of it arrives, in one piece and with its descriptors.
 */
static void what_is_not_taken_waits(void **state)
{
    struct bed *b = *state;
    enum { MANY = 800 };
    start_script(b, "while [ ! -e $F ]; do sleep 0.01; done; head -c 25600 <&3 | wc -c");
    assert_int_equal(sizeof(struct wire_drop) * MANY, 25600);
    for (uint64_t n = 0; n < MANY; n++) {
        struct wire_drop m = letter(n);
        assert_int_equal(process_send(b->process, &m, sizeof m, n % 100 == 0 ? dup(0) : -1), ERR_OK);
    }
    scratch_write(scratch_path(b->folder, "go"), "", 0);
    run(b);
    assert_string_equal(b->text, "2:25600\n");
}

static void one_that_never_reads(void **state)
{
    struct bed *b = *state;
    int code = ERR_OK;
    uint64_t n = 0;
    start_script(b, "exec sleep 1000");
    for (; code == ERR_OK && n < 100000; n++) {
        struct wire_drop m = letter(n);
        code = process_send(b->process, &m, sizeof m, dup(0));
    }
    assert_int_equal(code, ERR_LIMIT);
    assert_true(n > 1024);
    process_kill(b->process);
    run(b); /* with the descriptors that were never sent */
    assert_int_equal(b->signal, SIGKILL);
}

/* Once it is dead nothing can be sent, and its end is still told once. */
static void sending_to_the_dead(void **state)
{
    struct bed *b = *state;
    start_script(b, "exit 0");
    int code = ERR_OK;
    while (code == ERR_OK) {
        struct wire_drop m = letter(1);
        code = process_send(b->process, &m, sizeof m, dup(0));
    }
    assert_true(code == ERR_CLOSED || code == ERR_LIMIT);
    run(b);
}

static void no_such_program(void **state)
{
    struct bed *b = *state;
    struct err e = {0};
    assert_int_not_equal(start(b, scratch_path(b->folder, "nothing"), &e), ERR_OK);
    assert_non_null(strstr(e.text, "cannot start "));
    assert_int_equal(uv_run(&b->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(open_fds(), b->fds);
}

/* With every number of descriptors that are left, up to enough. */
static void no_descriptors_left(void **state)
{
    struct bed *b = *state;
    struct rlimit before, tight;
    int failed = 0, code = ERR_IO;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int left = 0; code != ERR_OK && left < 32; left++) {
        struct err e = {0};
        int next = dup(0);
        close(next);
        tight = (struct rlimit){(rlim_t)(next + left), before.rlim_max};
        const struct process_start options = {
            .loop = &b->loop, .host = "/bin/true", .name = "x", .events = &events, .arg = b};
        b->fds = open_fds();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        code = process_start(&b->process, &options, &e);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        failed += code != ERR_OK;
        assert_true(code == ERR_OK || e.text[0] != '\0');
        if (code != ERR_OK) {
            assert_int_equal(uv_run(&b->loop, UV_RUN_DEFAULT), 0);
            assert_int_equal(open_fds(), b->fds);
        }
    }
    assert_true(failed >= 5);
    run(b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(ends_by_itself),           TEST(ends_by_a_signal),
        TEST(nonsense_ends_it),         TEST(closing_the_channel_ends_it),
        TEST(a_child_of_its_own_stays), TEST(lines_that_do_not_end),
        TEST(memory_is_known),          TEST(what_is_not_taken_waits),
        TEST(one_that_never_reads),     TEST(sending_to_the_dead),
        TEST(no_such_program),          TEST(no_descriptors_left),
        TEST(a_turn_follows_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

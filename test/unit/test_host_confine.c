/* Confinement, each time in a process of its own, and looking at a plugin through another process. */
#include "base/check.h"
#include "headgate.h"
#include "host/confine.h"
#include "host/look.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NOT_HERE = 90 };

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/confined-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"secret",  "read", "deep/er/written", "deep/er/renamed",
                                        "deep/er", "deep", "only/this",       "only"};
    char path[128];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)remove(path);
    }
    return rmdir(folder);
}

static void in_folder(char path[128], const char *name)
{
    snprintf(path, 128, "%s/%s", folder, name);
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
}

static bool can(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
    else if (errno != EACCES)
        exit(80);
    return fd >= 0;
}

/* Runs `what` in a child; its exit status. A kernel that cannot confine skips the test. */
static void in_child(void (*what)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        what();
        exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == EXIT_NOT_HERE)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define MUST(number, condition)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            exit(number);                                                                                              \
    } while (0)

static void confined(int code)
{
    if (code == ERR_VERSION)
        exit(EXIT_NOT_HERE);
    MUST(1, code == ERR_OK);
}

static void files_body(void)
{
    char secret[128], readable[128], written[128], renamed[128], template[160], alone[128], inside[128], beside[128];
    in_folder(secret, "secret");
    in_folder(readable, "read");
    in_folder(written, "deep/er/written");
    in_folder(renamed, "deep/er/renamed");
    in_folder(alone, "only/this");
    in_folder(inside, "only/this/one");
    in_folder(beside, "only/that");
    snprintf(template, sizeof template, "%s/deep/er/rows-%%Y-{uuid}", folder);
    const struct confine_path paths[] = {{readable, false, false},
                                         {template, true, false},
                                         {alone, true, true},
                                         {"/nowhere/read", false, false},
                                         {TEST_BUILD "/counts", true, false}};
    setenv("LD_LIBRARY_PATH", "/nowhere/libraries:/usr/lib", 1);
    MUST(2, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    confined(confine_files(secret, paths, COUNT_OF(paths), NULL)); /* `secret` stands for the plugin's own file */
    MUST(3, can(readable, O_RDONLY) && !can(readable, O_WRONLY));
    MUST(4, can(secret, O_RDONLY) && !can(secret, O_WRONLY));
    MUST(5, can(written, O_RDWR | O_CREAT | O_TRUNC) && rename(written, renamed) == 0 && unlink(renamed) == 0);
    MUST(10, can(inside, O_RDWR | O_CREAT) && unlink(inside) == 0 && !can(beside, O_RDWR | O_CREAT));
    MUST(6, !can("/etc/passwd", O_RDONLY) && !can(folder, O_RDONLY));
    MUST(7, can("/usr/lib", O_RDONLY) && can("/dev/null", O_RDWR) && can("/dev/urandom", O_RDONLY));
    MUST(8, !can("/usr/lib/made-by-a-test", O_WRONLY | O_CREAT));
    MUST(9, kill(getppid(), 0) != 0 ? errno == EPERM : true); /* where the kernel can */
}

static void only_its_paths(void **state)
{
    (void)state;
    char path[128];
    in_folder(path, "secret");
    touch(path);
    in_folder(path, "read");
    touch(path);
    in_child(files_body);
}

static void reading_body(void)
{
    char path[128];
    in_folder(path, "secret");
    MUST(2, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    confined(confine_reading(NULL));
    MUST(3, can("/etc/passwd", O_RDONLY) && !can(path, O_WRONLY));
}

static void reading_only(void **state)
{
    (void)state;
    in_child(reading_body);
}

static void calls_body(void)
{
    MUST(2, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    confined(confine_calls(NULL));
    MUST(3, unshare(CLONE_NEWUTS) == -1 && errno == EPERM);
    MUST(4, syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == EPERM);
    MUST(5, chroot("/") == -1 && errno == EPERM);
    MUST(6, syscall(SYS_bpf, 0, NULL, 0) == -1 && errno == EPERM);
    MUST(7, getpid() > 0 && can("/etc/passwd", O_RDONLY)); /* the rest goes on */
}

static void calls_nobody_needs(void **state)
{
    (void)state;
    in_child(calls_body);
}

static void looking_at_plugins(void **state)
{
    (void)state;
    struct described d;
    struct err e;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(look_ask(TEST_BUILD "/fixture/manual.so", ends[0], &d, &e), 0);
    assert_string_equal(d.name, "manual");
    assert_int_equal(d.flags, HG_MANUAL_START);
    described_fini(&d);
    assert_int_equal(look_ask(TEST_BUILD "/fixture/badabi.so", ends[0], &d, &e), ERR_DENIED);
    assert_int_equal(look_ask(TEST_BUILD "/fixture/loadcrash.so", ends[0], &d, &e), ERR_DENIED);
    assert_non_null(strstr(e.text, "loadcrash.so cannot be described"));
    close(ends[1]); /* who asked is gone */
    assert_int_equal(look_ask(TEST_BUILD "/fixture/manual.so", ends[0], &d, &e), ERR_TIMEOUT);
    close(ends[0]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(only_its_paths),
    cmocka_unit_test(reading_only),
    cmocka_unit_test(calls_nobody_needs),
    cmocka_unit_test(looking_at_plugins),
};

/* look_ask() starts this program again, as it would the host's. */
int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--describe") == 0)
        return look_print(argv[2]);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

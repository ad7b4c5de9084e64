/* A plugin's constructors run as soon as it is loaded. So that they too run confined, the paths its options name have
 * to be known before it is loaded; and so a process of its own, which may read but neither write nor connect, loads it
 * first and describes it. The daemon looks at files in its plugins directory in the same way. */
#include "host/look.h"

#include "base/sys.h"
#include "host/confine.h"
#include "host/descriptor.h"
#include "host/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIPTION_MAX = 4 << 20, ANSWER_MS = 10000 };

/* --- in the looking process --- */

static int write_all(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t n = sys->write(fd, text.ptr, text.len);
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n > 0)
            text = slice_make(text.ptr + n, text.len - (size_t)n);
    }
    return ERR_OK;
}

static int look_text(const struct hg_plugin *p, struct buf *out)
{
    struct described d;
    int code = descriptor_describe(p, &d);
    if (code != ERR_OK)
        return code;
    code = described_write(&d, out);
    descriptor_undescribe(&d);
    return code;
}

static int look_load(const char *path, struct buf *out, struct err *e)
{
    struct loaded l;
    int code = loader_open(path, &l, e);
    if (code != ERR_OK)
        return code;
    code = look_text(l.plugin, out);
    if (code != ERR_OK)
        err_set(e, code, "its description cannot be written: %s", err_text(code));
    loader_close(&l);
    return code;
}

int look_print(const char *path)
{
    struct err e = {.text = ""};
    struct buf text;
    /* What constructors print must not be taken for the description. */
    int out = dup(STDOUT_FILENO);
    if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        fprintf(stderr, "no standard output\n");
        return LOOK_AGAIN;
    }
    const struct rlimit none = {0, 0};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setrlimit(RLIMIT_CORE, &none);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && confine_reading(&e) == ERR_OK)
        (void)!confine_calls(&e);
    buf_init(&text, DESCRIPTION_MAX);
    int code = look_load(path, &text, &e);
    if (code == ERR_OK && write_all(out, buf_slice(&text)) != ERR_OK)
        code = err_set(&e, ERR_IO, "its description cannot be written out");
    if (code != ERR_OK)
        fprintf(stderr, "%s\n", e.text);
    buf_free(&text);
    close(out);
    return code == ERR_OK ? 0 : err_passes(code) ? LOOK_AGAIN : LOOK_REFUSED;
}

/* --- in the asking process --- */

static _Noreturn void look_exec(const char *path, int out)
{
    int null = open("/dev/null", O_RDWR);
    if (null >= 0 && dup2(null, STDERR_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
        execl("/proc/self/exe", "headgate-host", "--describe", path, (char *)NULL);
    _exit(LOOK_REFUSED);
}

/* True: there is something to read. */
static bool look_wait(int from, int watch, int64_t deadline)
{
    struct pollfd fds[] = {{.fd = from, .events = POLLIN}, {.fd = watch, .events = POLLRDHUP}};
    int n;
    do {
        int64_t left = deadline - clock_ms();
        n = left > 0 ? poll(fds, COUNT_OF(fds), (int)left) : 0;
    } while (n < 0 && errno == EINTR);
    return n > 0 && fds[1].revents == 0;
}

static int look_read(int from, int watch, struct buf *text)
{
    int64_t deadline = clock_ms() + ANSWER_MS;
    while (look_wait(from, watch, deadline)) {
        int code = buf_reserve(text, 4096);
        if (code != ERR_OK)
            return code;
        ssize_t n = sys->read(from, text->ptr + text->len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            return ERR_OK;
        text->len += (size_t)n;
    }
    return ERR_TIMEOUT;
}

static int look_start(const char *path, int *from, pid_t *pid, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(e, errno, "no pipe");
    pid_t child = sys->fork();
    if (child == 0)
        look_exec(path, ends[1]);
    sys->close(ends[1]);
    if (child < 0) {
        sys->close(ends[0]);
        return err_errno(e, errno, "no process");
    }
    *from = ends[0];
    *pid = child;
    return ERR_OK;
}

static int look_status(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return ERR_INTERNAL;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ERR_OK : ERR_DENIED;
}

int look_ask(const char *path, int watch, struct described *out, struct err *e)
{
    int from = -1;
    pid_t pid = -1;
    int code = look_start(path, &from, &pid, e);
    if (code != ERR_OK)
        return code;
    struct buf text;
    buf_init(&text, DESCRIPTION_MAX);
    code = look_read(from, watch, &text);
    sys->close(from);
    if (code != ERR_OK)
        (void)kill(pid, SIGKILL);
    int status = look_status(pid);
    if (code == ERR_OK)
        code = status;
    code = code == ERR_OK ? described_read(buf_slice(&text), out, e)
                          : err_set(e, code, "%s cannot be described: %s", path, err_text(code));
    buf_free(&text);
    return code;
}

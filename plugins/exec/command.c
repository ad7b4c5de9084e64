/* The command runs in a process group of its own, so that all it started can be ended with it, and dies with this
 * process, so that after a crash it does not go on beside the next one. (What leaves the group and its parents is on
 * its own.) */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIXED = 5, STEP_MS = 10 };

static char *joined(const char *name, const char *value)
{
    char *text = NULL;
    return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

static void environment_free(char **env)
{
    for (size_t i = 0; env && env[i]; i++)
        free(env[i]);
    free(env);
}

static const char *or_else(const char *name, const char *fallback)
{
    const char *value = getenv(name);
    return value ? value : fallback;
}

static char **environment_make(const struct command_start *s)
{
    size_t n = 0, wanted = FIXED + s->environment->count;
    char **env = calloc(wanted + 1, sizeof(*env));
    if (!env)
        return NULL;
    const char *const fixed[FIXED][2] = {{"PATH", or_else("PATH", "/usr/bin:/bin")},
                                         {"LANG", or_else("LANG", "C.UTF-8")},
                                         {"TZ", or_else("TZ", "UTC")},
                                         {"HEADGATE_INSTANCE", s->instance},
                                         {"HEADGATE_POSITION", s->position ? s->position : ""}};
    for (size_t i = 0; i < FIXED; i++)
        env[n++] = joined(fixed[i][0], fixed[i][1]);
    for (size_t i = 0; i < s->environment->count; i++)
        env[n++] = joined(s->environment->names[i], s->environment->values[i]);
    for (size_t i = 0; i < wanted; i++)
        if (!env[i]) {
            for (size_t k = 0; k < wanted; k++)
                free(env[k]);
            free(env);
            return NULL;
        }
    return env;
}

/* In the child: calls that are safe after fork only. */
static void become(const struct command_start *s, char *const env[], const int out[2], const int err[2], pid_t parent)
{
    char *const argv[] = {"sh", "-c", (char *)(uintptr_t)s->text, NULL};
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)sigaction(SIGPIPE, &plain, NULL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(out[1], STDOUT_FILENO) < 0 || dup2(err[1], STDERR_FILENO) < 0)
        _exit(126);
    if (chdir(s->folder ? s->folder : "/") != 0) {
        static const char text[] = "cannot work in FOLDER\n";
        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
        _exit(126);
    }
    execve("/bin/sh", argv, env);
    _exit(127);
}

static void close_both(const int pipe[2])
{
    if (pipe[0] >= 0)
        close(pipe[0]);
    if (pipe[1] >= 0)
        close(pipe[1]);
}

int command_start(struct command *c, const struct command_start *start)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, number = 0;
    char **env = environment_make(start);
    pid_t self = getpid(), pid = -1;
    if (!env)
        return ENOMEM;
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        number = errno;
    if (number == 0 && (pid = fork()) < 0)
        number = errno;
    if (pid == 0)
        become(start, env, out, err, self);
    environment_free(env);
    if (number != 0) {
        close_both(out);
        close_both(err);
        return number;
    }
    (void)setpgid(pid, pid); /* whichever of the two is first */
    close(out[1]);
    close(err[1]);
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(err[0], F_SETFL, O_NONBLOCK);
    *c = (struct command){.pid = pid, .out = out[0], .err = err[0]};
    return 0;
}

void command_ask(const struct command *c)
{
    if (c->pid > 0)
        (void)kill(-c->pid, SIGTERM);
}

void command_end(struct command *c, int wait_ms, int *status)
{
    pid_t ended = 0;
    *status = -1;
    if (c->pid <= 0)
        return;
    for (int waited = 0; ended == 0 && waited < wait_ms; waited += STEP_MS) {
        ended = waitpid(c->pid, status, WNOHANG);
        if (ended == 0)
            (void)poll(NULL, 0, STEP_MS);
    }
    (void)kill(-c->pid, SIGKILL);
    while (ended == 0 && waitpid(c->pid, status, 0) < 0 && errno == EINTR)
        ;
    close(c->out);
    close(c->err);
    *c = (struct command){.pid = 0, .out = -1, .err = -1};
}

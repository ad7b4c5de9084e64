/* Ends a daemon or its hosts with SIGKILL at a chosen moment, seen from outside by what their threads are doing.
 *
 *     killer WHO WHEN DELAY_US WAIT_MS JOURNAL OUT STATE DAEMON HOST…
 *
 * WHO: daemon, host, both. WHEN: `write` (a thread of the daemon is writing to a file below JOURNAL), `sync` (it is in
 * fdatasync or fsync of one), `push` (a host is writing to or syncing a file below OUT), `between` (a push has just
 * ended, or the daemon is writing what it knows of it: a file below STATE that is not below JOURNAL), or `any`. It
 * waits DELAY_US, then looks at /proc/PID/task/TID/syscall of every thread, over and over, until WHEN is so (at most
 * WAIT_MS, then it kills all the same), and kills at once. Prints what it saw last: `write`, `sync`, `push`, `between`
 * or `other`, and the time of the kill in ns of CLOCK_MONOTONIC.
 *
 * A look takes some 20 us for each thread, a sync hundreds: what was seen is what was hit, give or take one call. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES_MAX = 16, THREADS_MAX = 64, PATH_BYTES = 4096 };

enum moment { OTHER, WRITE, SYNC, PUSH, BETWEEN, MOMENTS };
static const char *const moment_names[MOMENTS] = {"other", "write", "sync", "push", "between"};

struct process {
    pid_t pid;
    bool host;
    int threads;
    int syscall_fd[THREADS_MAX]; /* of /proc/PID/task/TID/syscall, kept open */
};

static struct process processes[PROCESSES_MAX];
static int process_count;
static const char *journal, *out, *state;

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void process_add(pid_t pid, bool host)
{
    struct process *p = &processes[process_count];
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL || process_count == PROCESSES_MAX)
        return;
    *p = (struct process){.pid = pid, .host = host};
    for (struct dirent *e; (e = readdir(tasks)) != NULL && p->threads < THREADS_MAX;) {
        snprintf(path, sizeof path, "/proc/%d/task/%.32s/syscall", (int)pid, e->d_name);
        int fd = e->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            p->syscall_fd[p->threads++] = fd;
    }
    closedir(tasks);
    process_count++;
}

static bool below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* What a thread that is in this call on this file is doing. */
static enum moment judge(bool host, bool syncing, const char *path)
{
    if (host)
        return below(path, out) ? PUSH : OTHER;
    if (below(path, journal))
        return syncing ? SYNC : WRITE;
    return below(path, state) ? BETWEEN : OTHER;
}

static enum moment thread_moment(const struct process *p, int fd)
{
    char text[256], link[64], path[PATH_BYTES];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long number = -1;
    unsigned long file = 0;
    if (n <= 0)
        return OTHER;
    text[n] = '\0';
    if (sscanf(text, "%ld 0x%lx", &number, &file) != 2)
        return OTHER; /* running, not in a call */
    bool syncing = number == SYS_fdatasync || number == SYS_fsync;
    bool writing = number == SYS_write || number == SYS_pwrite64 || number == SYS_writev || number == SYS_pwritev;
    if (!syncing && !writing)
        return OTHER;
    snprintf(link, sizeof link, "/proc/%d/fd/%lu", (int)p->pid, file);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return OTHER;
    path[n] = '\0';
    return judge(p->host, syncing, path);
}

/* All threads once: which moments were seen, as bits. */
static unsigned look(void)
{
    unsigned seen = 0;
    for (int i = 0; i < process_count; i++)
        for (int t = 0; t < processes[i].threads; t++)
            seen |= 1u << thread_moment(&processes[i], processes[i].syscall_fd[t]);
    return seen;
}

static void kill_them(const char *who)
{
    for (int i = process_count - 1; i >= 0; i--) /* hosts come last in the list: they go first */
        if (strcmp(who, "both") == 0 || processes[i].host == (strcmp(who, "host") == 0))
            kill(processes[i].pid, SIGKILL);
}

static enum moment moment_named(const char *name)
{
    for (int m = 0; m < MOMENTS; m++)
        if (strcmp(name, moment_names[m]) == 0)
            return (enum moment)m;
    return OTHER; /* any */
}

/* The rarest of what was seen. */
static enum moment rarest(unsigned seen)
{
    static const enum moment order[] = {WRITE, BETWEEN, PUSH, SYNC};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (seen & 1u << order[i])
            return order[i];
    return OTHER;
}

/* Looks until the wanted moment is there, or time is over. */
static enum moment await(enum moment wanted, int wait_ms)
{
    long long end = now_ns() + wait_ms * 1000000LL;
    bool pushing = false;
    for (;;) {
        unsigned seen = look();
        if (wanted == BETWEEN && pushing && !(seen & 1u << PUSH))
            return BETWEEN;
        pushing = (seen & 1u << PUSH) != 0;
        if (wanted == OTHER)
            return rarest(seen);
        if (seen & 1u << wanted)
            return wanted;
        if (now_ns() > end)
            return rarest(seen);
    }
}

int main(int argc, char **argv)
{
    if (argc < 9)
        return 64;
    journal = argv[5];
    out = argv[6];
    state = argv[7];
    for (int i = 8; i < argc; i++)
        process_add((pid_t)strtol(argv[i], NULL, 10), i > 8);
    long us = strtol(argv[3], NULL, 10);
    const struct timespec delay = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&delay, NULL);
    enum moment moment = await(moment_named(argv[2]), (int)strtol(argv[4], NULL, 10));
    kill_them(argv[1]);
    printf("%s %lld\n", moment_names[moment], now_ns());
    return 0;
}

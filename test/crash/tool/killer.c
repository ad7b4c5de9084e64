/* Ends a daemon or its hosts with SIGKILL at a chosen moment, seen from outside by what their threads ask of the
 * kernel.
 *
 *     killer WHO WHEN DELAY_US WAIT_MS JOURNAL OUT STATE DAEMON HOST…
 *
 * WHO: daemon, host, both. WHEN: `write` (a thread of the daemon is writing to a file below JOURNAL), `sync` (it is in
 * fdatasync or fsync of one), `push` (a host is writing to or syncing a file below OUT), `between` (a push's sync has
 * just ended), or `any`. It waits DELAY_US first. For a chosen moment it then traces the calls of the process in
 * question (ptrace) until such a call begins (or ends, for `between`), at most WAIT_MS, and kills: at once, before the
 * call has done anything, or a random time later, in the middle of it. For `any` it only looks at
 * /proc/PID/task/TID/syscall, where a thread that sleeps in a call can be seen, and kills. Where tracing is not
 * allowed, looking has to do.
 *
 * Prints the moment that was hit (`write`, `sync`, `push`, `between`, `other`) and the time of the kill in ns of
 * CLOCK_MONOTONIC. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES_MAX = 16, THREADS_MAX = 64, PATH_BYTES = 4096, NAP_US = 20 };

enum moment { OTHER, WRITE, SYNC, PUSH, BETWEEN, MOMENTS };
static const char *const moment_names[MOMENTS] = {"other", "write", "sync", "push", "between"};
/* How long a call may go on before the kill, at most: about as long as it takes. */
static const unsigned late_us[MOMENTS] = {0, 40, 1500, 1500, 300};

struct process {
    pid_t pid;
    bool host;
    int threads;
    pid_t tid[THREADS_MAX];
    bool in_call[THREADS_MAX]; /* the traced call that began last is one of those we look for */
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
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL || process_count == PROCESSES_MAX)
        return;
    *p = (struct process){.pid = pid, .host = host};
    for (struct dirent *e; (e = readdir(tasks)) != NULL && p->threads < THREADS_MAX;)
        if (e->d_name[0] != '.')
            p->tid[p->threads++] = (pid_t)strtol(e->d_name, NULL, 10);
    closedir(tasks);
    process_count++;
}

static bool below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* What a thread that is in this call on this descriptor is doing. */
static enum moment judge(const struct process *p, unsigned long number, unsigned long file)
{
    char link[64], path[PATH_BYTES];
    bool syncing = number == SYS_fdatasync || number == SYS_fsync;
    bool writing = number == SYS_write || number == SYS_pwrite64 || number == SYS_writev || number == SYS_pwritev;
    if (!syncing && !writing)
        return OTHER;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)p->pid, (int)file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return OTHER;
    path[n] = '\0';
    if (p->host)
        return below(path, out) ? PUSH : OTHER;
    if (below(path, journal))
        return syncing ? SYNC : WRITE;
    return below(path, state) ? BETWEEN : OTHER; /* the daemon writes down what it knows of a push */
}

/* --- looking --- */

static enum moment thread_moment(const struct process *p, pid_t tid)
{
    char path[64], text[256];
    unsigned long number, file;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)p->pid, (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return OTHER;
    text[n] = '\0';
    return sscanf(text, "%lu 0x%lx", &number, &file) == 2 ? judge(p, number, file) : OTHER;
}

/* All threads once; the rarest of what was seen. */
static enum moment look(void)
{
    static const enum moment order[] = {WRITE, BETWEEN, PUSH, SYNC};
    unsigned seen = 0;
    for (int i = 0; i < process_count; i++)
        for (int t = 0; t < processes[i].threads; t++)
            seen |= 1u << thread_moment(&processes[i], processes[i].tid[t]);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (seen & 1u << order[i])
            return order[i];
    return OTHER;
}

/* --- tracing --- */

static bool trace_thread(pid_t tid)
{
    int status;
    if (ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_TRACESYSGOOD) != 0 || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0)
        return false;
    return waitpid(tid, &status, __WALL) == tid && ptrace(PTRACE_SYSCALL, tid, NULL, NULL) == 0;
}

static bool trace_processes(bool host)
{
    bool any = false;
    for (int i = 0; i < process_count; i++)
        for (int t = 0; processes[i].host == host && t < processes[i].threads; t++)
            any |= trace_thread(processes[i].tid[t]);
    return any;
}

static struct process *process_of(pid_t tid, int *thread)
{
    for (int i = 0; i < process_count; i++)
        for (int t = 0; t < processes[i].threads; t++)
            if (processes[i].tid[t] == tid) {
                *thread = t;
                return &processes[i];
            }
    return NULL;
}

/* A stop at the beginning or the end of a call: is it the moment? */
static bool stopped_there(pid_t tid, enum moment wanted)
{
    int t;
    struct process *p = process_of(tid, &t);
    struct __ptrace_syscall_info info;
    if (p == NULL || ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info) <= 0)
        return false;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        bool ended = p->in_call[t];
        p->in_call[t] = false;
        return wanted == BETWEEN && ended;
    }
    bool syncing = info.entry.nr == SYS_fdatasync || info.entry.nr == SYS_fsync;
    enum moment m = judge(p, (unsigned long)info.entry.nr, (unsigned long)info.entry.args[0]);
    p->in_call[t] = m == PUSH && syncing;
    return m == wanted;
}

/* Until a thread is at the wanted moment; it goes on from there, or stays. False when time is over. */
static bool trace_until(enum moment wanted, int wait_ms, bool go_on)
{
    const struct timespec nap = {.tv_nsec = NAP_US * 1000L};
    long long end = now_ns() + wait_ms * 1000000LL;
    while (now_ns() < end) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);
        if (tid < 0)
            return false; /* nobody is left */
        if (tid == 0) {
            nanosleep(&nap, NULL);
            continue;
        }
        if (!WIFSTOPPED(status))
            continue;
        bool call = WSTOPSIG(status) == (SIGTRAP | 0x80);
        bool there = call && stopped_there(tid, wanted);
        long number = call || (status >> 16) != 0 ? 0 : WSTOPSIG(status);
        if (!there || go_on)
            ptrace(PTRACE_SYSCALL, tid, NULL, number);
        if (there)
            return true;
    }
    return false;
}

static void spin(long us)
{
    for (long long end = now_ns() + us * 1000; now_ns() < end;)
        ;
}

/* Waits for the moment; what it is in the end. */
static enum moment await(enum moment wanted, int wait_ms)
{
    if (wanted == OTHER)
        return look();
    bool go_on = random() % 2 == 0;
    if (!trace_processes(wanted == PUSH || wanted == BETWEEN) || !trace_until(wanted, wait_ms, go_on))
        return look();
    if (go_on)
        spin(random() % late_us[wanted]);
    return wanted;
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

int main(int argc, char **argv)
{
    if (argc < 9)
        return 64;
    journal = argv[5];
    out = argv[6];
    state = argv[7];
    srandom((unsigned)now_ns());
    for (int i = 8; i < argc; i++)
        process_add((pid_t)strtol(argv[i], NULL, 10), i > 8);
    long us = strtol(argv[3], NULL, 10);
    const struct timespec delay = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&delay, NULL);
    enum moment moment = await(moment_named(argv[2]), (int)strtol(argv[4], NULL, 10));
    kill_them(argv[1]);
    printf("%s %lld\n", moment_names[moment], now_ns());
    return 0; /* what was traced and still lives goes on by itself */
}

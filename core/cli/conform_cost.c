/* Items about what a plugin costs: memory, handles, threads, time while idle, files it was not given, memory faults. */
#include "cli/conform.h"

#include "base/sys.h"
#include "cli/starved.h"
#include "headgate.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BATCH = 100,
    WARM_UP = 30,
    PUSHES = 150,
    ROUNDS = 3,
    BUDGET_MS = 60000,    /* for the pushes of a slow far end */
    LEAK_BYTES = 1 << 20, /* more than what an allocator may keep */
    LEAK_HANDLES = 5,
    IDLE_MS = 1500,   /* long enough for flush() of an idle worker */
    IDLE_PERCENT = 3, /* of the time in which it had a processor or wanted none */
    GRACE_MS = 2000,
    VALGRIND_FACTOR = 20,
    VALGRIND_FOUND = 99,
    SHOWN = 600,
};

struct usage {
    long memory_kib, handles, threads, cpu_ticks;
};

static long count_entries(const char *path)
{
    long count = 0;
    DIR *dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

static struct usage usage_of(pid_t pid)
{
    struct usage u = {0};
    char path[64], line[512];
    long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *in = fopen(path, "re");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            u.memory_kib = strtol(line + 8, NULL, 10);
        if (strncmp(line, "Threads:", 8) == 0)
            u.threads = strtol(line + 8, NULL, 10);
    }
    if (in != NULL)
        fclose(in);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    in = fopen(path, "re");
    const char *after = in != NULL && fgets(line, sizeof line, in) != NULL ? strrchr(line, ')') : NULL;
    if (after != NULL && sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) == 2)
        u.cpu_ticks = user + system;
    if (in != NULL)
        fclose(in);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    u.handles = count_entries(path);
    return u;
}

static bool begin_with(struct conform *c, size_t *first, size_t count)
{
    *first = 0;
    if (c->good == NULL)
        return conform_skip(c, "check.ini has no [rows] good");
    *first = conform_rows(c, c->good, count);
    return *first < c->tape.count && conform_begin(c, &c->solo);
}

static void item_idle(struct conform *c)
{
    size_t first;
    if (!begin_with(c, &first, 2) || !conform_deliver(c, &c->solo, first, 1, 1))
        return;
    struct usage before = usage_of(c->solo.pid);
    int64_t began = clock_ms(), starved = starved_ms(c->solo.pid);
    enum solo_wait wait = solo_end(&c->solo, IDLE_MS);
    if (wait != SOLO_LATE) {
        (void)conform_lost(c, &c->solo, wait, "while it was idle (flush() is called then)");
        return;
    }
    struct usage after = usage_of(c->solo.pid);
    int64_t spent_ms = starved_less(clock_ms() - began, starved_ms(c->solo.pid) - starved);
    int64_t percent = (after.cpu_ticks - before.cpu_ticks) * 1000 * 100 / (sysconf(_SC_CLK_TCK) * spent_ms);
    if (percent > IDLE_PERCENT)
        (void)conform_fail(c, "a thread of the plugin should wait for something, not look again and again",
                           "it used %lld%% of a processor while it had nothing to do", (long long)percent);
    else if (conform_deliver(c, &c->solo, first + 1, 1, 1))
        (void)conform_end(c, &c->solo);
}

/* --- what grows --- */

static void memory_judge(struct conform *c, struct usage before, struct usage after, long rows)
{
    long bytes = (after.memory_kib - before.memory_kib) * 1024;
    if (bytes > LEAK_BYTES)
        (void)conform_fail(c, "valgrind names the place: headgate plugin run --valgrind F.so FILE",
                           "its memory grew by %ld KiB over %ld rows, %ld bytes for each", bytes / 1024, rows,
                           bytes / rows);
    else if (after.handles - before.handles > LEAK_HANDLES)
        (void)conform_fail(c, "close what push() opens, on every way out",
                           "it opened %ld descriptors over %ld rows and did not close them",
                           after.handles - before.handles, rows);
    else if (after.threads - before.threads > LEAK_HANDLES)
        (void)conform_fail(c, "join the threads that push() makes, or keep a few",
                           "it made %ld threads over %ld rows and did not end them", after.threads - before.threads,
                           rows);
}

/* Pushes of a hundred rows, at most `most` and until `end`; how many were made, or -1. */
static int memory_push(struct conform *c, int most, int64_t end)
{
    size_t first = conform_rows(c, c->good, BATCH);
    int done = 0;
    for (; first < c->tape.count && done < most && clock_ms() < end; done++) {
        if (done % 10 == 9)
            first = conform_rows(c, c->good, BATCH);
        if (!conform_deliver(c, &c->solo, first, BATCH, 1))
            return -1;
    }
    return done;
}

/* A cache fills and then stays; what grows in one round after the other is a leak. */
static void item_memory(struct conform *c)
{
    size_t first;
    int64_t end = clock_ms() + BUDGET_MS;
    if (!begin_with(c, &first, 1))
        return;
    int done = memory_push(c, WARM_UP, end);
    int pushes = 0;
    struct usage before = {0}, after = usage_of(c->solo.pid);
    for (int round = 0; round < ROUNDS && done > 0; round++) {
        struct usage now = usage_of(c->solo.pid);
        done = memory_push(c, PUSHES, end);
        if (done <= 0)
            break;
        before = now;
        after = usage_of(c->solo.pid);
        pushes = done;
        if ((after.memory_kib - before.memory_kib) * 1024 <= LEAK_BYTES &&
            after.handles - before.handles <= LEAK_HANDLES && after.threads - before.threads <= LEAK_HANDLES)
            break;
    }
    if (done < 0)
        return;
    if (pushes > 0)
        memory_judge(c, before, after, (long)pushes * BATCH);
    else if (c->finding->state == ITEM_PASSED)
        (void)conform_skip(c, "the far end is too slow for enough rows");
    (void)conform_end(c, &c->solo);
}

/* --- confinement --- */

static void item_confined(struct conform *c)
{
    struct err e = {.text = ""};
    size_t first = c->good == NULL ? c->tape.count : conform_rows(c, c->good, 3);
    if (first >= c->tape.count) {
        (void)conform_skip(c, "check.ini has no [rows] good");
        return;
    }
    conform_prepare(c, &c->solo);
    c->solo.setup.confine = true;
    bool good =
        solo_start(&c->solo, &e) == ERR_OK &&
        conform_lost(c, &c->solo, solo_ready(&c->solo, c->timeout_ms + GRACE_MS), "in open(), when it is confined");
    if (good && !c->solo.confined)
        (void)conform_skip(c, "this kernel does not confine (Landlock and seccomp)");
    else if (good && conform_deliver(c, &c->solo, first, 3, 1))
        (void)conform_end(c, &c->solo);
    if (c->finding->state == ITEM_FAILED)
        snprintf(c->finding->mend, sizeof c->finding->mend,
                 "every file it opens must be an option of type HG_PATH with HG_READ or HG_WRITE");
}

/* --- valgrind --- */

static bool on_path(const char *program)
{
    const char *path = getenv("PATH");
    char file[4096];
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", (int)len, path, program);
        if (access(file, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* The first lines of what it found. */
static void valgrind_report(struct conform *c)
{
    char text[SHOWN];
    const char *at = strstr(buf_str(&c->log), "==");
    snprintf(text, sizeof text, "%.590s", at == NULL ? "" : at);
    (void)conform_fail(c, "the whole report: headgate plugin run --valgrind F.so FILE", "valgrind found:\n%s", text);
}

static bool valgrind_rows(struct conform *c, struct solo *s)
{
    static const char *const rows[] = {"{}", "{\"a\":null,\"b\":[1,2,{\"c\":\"d\"}],\"e\":1e300}"};
    size_t good = conform_rows(c, c->good, 10);
    if (good >= c->tape.count || !conform_deliver(c, s, good, 10, 1))
        return false;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (!conform_push(c, s, conform_rows(c, rows[i], 1), NULL, 1, 1))
            return false;
    return c->bad == NULL || conform_push(c, s, conform_rows(c, c->bad, 1), NULL, 1, 1);
}

static void valgrind_run(struct conform *c)
{
    static const char *const words[] = {"valgrind",
                                        "--quiet",
                                        "--leak-check=full",
                                        "--errors-for-leak-kinds=definite",
                                        "--num-callers=12",
                                        "--error-exitcode=99",
                                        NULL};
    struct err e = {.text = ""};
    struct solo *s = &c->solo;
    conform_prepare(c, s);
    s->wrapper = words;
    s->setup.timeout_ms = c->timeout_ms;
    enum solo_wait wait = solo_start(s, &e) == ERR_OK ? solo_ready(s, c->timeout_ms) : SOLO_ENDED;
    if (wait == SOLO_ENDED && !s->ready) {
        (void)conform_skip(c, "valgrind cannot run this host");
        return;
    }
    if (!conform_lost(c, s, wait, "in open(), under valgrind") || !valgrind_rows(c, s))
        return;
    wait = solo_stop(s, c->timeout_ms);
    if (wait == SOLO_ENDED && WIFEXITED(s->status) && WEXITSTATUS(s->status) == VALGRIND_FOUND)
        valgrind_report(c);
    else if (wait != SOLO_ENDED || s->status != 0)
        (void)conform_lost(c, s, wait, "in close(), under valgrind");
}

static void item_valgrind(struct conform *c)
{
    if (c->good == NULL) {
        (void)conform_skip(c, "check.ini has no [rows] good");
        return;
    }
    if (!on_path("valgrind")) {
        (void)conform_skip(c, "valgrind is not installed");
        return;
    }
    c->timeout_ms *= VALGRIND_FACTOR;
    valgrind_run(c);
    c->timeout_ms /= VALGRIND_FACTOR;
}

void conform_cost(struct conform *c, enum item_id id)
{
    static void (*const items[ITEM_COUNT])(struct conform *) = {
        [ITEM_IDLE] = item_idle,
        [ITEM_MEMORY] = item_memory,
        [ITEM_CONFINED] = item_confined,
        [ITEM_VALGRIND] = item_valgrind,
    };
    items[id](c);
}

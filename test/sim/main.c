/* build/sim [--seed S] [--runs N] [--jobs N] [--only journal|puller|pusher] [--bug WORD] [--first] [--trace] [--row N]
 *
 * Runs the seeds S to S + N - 1, each a run of its own, in children that are begun again behind a seed that failed.
 * Ends with `sim: N runs, N failed`; a seed that failed is told, and can be run again alone with --trace. */
#include "sim.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 64, FAILURES_TOLD = 20, RUN_SECONDS = 60 };

int64_t sim_ms, sim_wall_off;
bool sim_rules;
bool sim_tracing;
uint64_t sim_row = UINT64_MAX;
enum sim_bug sim_bug;

static uint64_t state, seed_now;

/* --- chance: splitmix64 --- */

uint64_t sim_random(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Mixed: else each seed would draw what the one before it draws, one draw later. */
void sim_seed(uint64_t seed)
{
    state = seed;
    sim_rules = seed % 2 == 0;
    state = sim_random();
}

uint32_t sim_below(uint32_t n)
{
    CHECK(n > 0);
    return (uint32_t)(sim_random() % n);
}

bool sim_chance(uint32_t percent)
{
    return sim_below(100) < percent;
}

/* --- telling --- */

void sim_trace(const char *format, ...)
{
    va_list args;
    if (!sim_tracing)
        return;
    printf("%8" PRId64 "  ", sim_ms);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void sim_fail(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fflush(stdout);
    dprintf(STDOUT_FILENO, "seed %" PRIu64 ": %s\n", seed_now, text);
    _exit(1);
}

/* A CHECK of the code itself, or a bad access: the seed is told all the same. */
static void died(int signal)
{
    fflush(stdout);
    dprintf(STDOUT_FILENO, "seed %" PRIu64 ": ended by signal %d\n", seed_now, signal);
    _exit(1);
}

/* --- seeds in children --- */

struct options {
    uint64_t seed, runs;
    uint32_t jobs;
    const char *only;
    bool first; /* the first one that fails is enough */
};

struct share { /* of one child; seen by the parent too */
    _Atomic uint64_t next;
    _Atomic uint64_t end;
};

struct child {
    pid_t pid;
    struct share *share;
};

static void run_one(const struct options *o, uint64_t seed)
{
    seed_now = seed;
    sim_seed(seed);
    sim_ms = 1000;
    sim_wall_off = 0;
    bool journal = o->only == NULL ? sim_chance(30) : strcmp(o->only, "journal") == 0;
    const struct itimerval limit = {.it_value = {.tv_sec = RUN_SECONDS}}; /* of its own time: others may be here too */
    CHECK(setitimer(ITIMER_PROF, &limit, NULL) == 0);
    bool puller = o->only == NULL ? journal && seed % 3 == 0 : strcmp(o->only, "puller") == 0;
    if (puller)
        puller_run();
    else if (journal)
        journal_run();
    else
        pusher_run();
}

static void child_run(const struct options *o, struct share *share)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGPROF};
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        signal(signals[i], died);
    while (share->next < share->end) {
        uint64_t seed = share->next++;
        run_one(o, seed);
    }
    exit(0);
}

static void child_start(const struct options *o, struct child *c)
{
    fflush(stdout);
    c->pid = fork();
    if (c->pid == 0)
        child_run(o, c->share);
    CHECK(c->pid > 0);
}

static uint64_t run_all(const struct options *o)
{
    struct child children[JOBS_MAX];
    uint64_t failed = 0, each = o->runs / o->jobs;
    uint32_t alive = o->jobs;
    struct share *shares =
        mmap(NULL, sizeof(struct share) * JOBS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shares != MAP_FAILED);
    for (uint32_t i = 0; i < o->jobs; i++) {
        shares[i].next = o->seed + each * i;
        shares[i].end = i + 1 == o->jobs ? o->seed + o->runs : o->seed + each * (i + 1);
        children[i].share = &shares[i];
        child_start(o, &children[i]);
    }
    while (alive > 0) {
        int status;
        pid_t pid = wait(&status);
        for (uint32_t i = 0; i < o->jobs; i++) {
            if (children[i].pid != pid)
                continue;
            alive--;
            if (status == 0)
                continue;
            failed++;
            if (o->first)
                for (uint32_t k = 0; k < o->jobs; k++)
                    children[k].share->end = 0;
            if (children[i].share->next < children[i].share->end && failed < FAILURES_TOLD) {
                child_start(o, &children[i]);
                alive++;
            }
        }
    }
    return failed;
}

/* --- options --- */

static enum sim_bug bug_named(const char *word)
{
    static const char *const words[] = {
#define BUG(name, word) word,
#include "bug.def"
#undef BUG
    };
    for (int i = 0; i < BUGS; i++)
        if (strcmp(words[i], word) == 0)
            return (enum sim_bug)i;
    fprintf(stderr, "there is no bug %s\n", word);
    exit(64);
}

static const char *value_of(int *at, int count, char **arguments)
{
    if (++*at < count)
        return arguments[*at];
    fprintf(stderr, "%s wants a value\n", arguments[*at - 1]);
    exit(64);
}

static void options_read(int count, char **arguments, struct options *o)
{
    for (int i = 1; i < count; i++) {
        const char *name = arguments[i];
        if (strcmp(name, "--trace") == 0)
            sim_tracing = true;
        else if (strcmp(name, "--seed") == 0)
            o->seed = strtoull(value_of(&i, count, arguments), NULL, 10);
        else if (strcmp(name, "--runs") == 0)
            o->runs = strtoull(value_of(&i, count, arguments), NULL, 10);
        else if (strcmp(name, "--jobs") == 0)
            o->jobs = (uint32_t)strtoul(value_of(&i, count, arguments), NULL, 10);
        else if (strcmp(name, "--first") == 0)
            o->first = true;
        else if (strcmp(name, "--row") == 0)
            sim_row = strtoull(value_of(&i, count, arguments), NULL, 10);
        else if (strcmp(name, "--only") == 0)
            o->only = value_of(&i, count, arguments);
        else if (strcmp(name, "--bug") == 0)
            sim_bug = bug_named(value_of(&i, count, arguments));
        else {
            fprintf(stderr, "usage: sim [--seed S] [--runs N] [--jobs N] [--only journal|puller|pusher] [--bug WORD] "
                            "[--first] [--trace] "
                            "[--row N]\n");
            exit(64);
        }
    }
    if (o->jobs < 1 || o->jobs > JOBS_MAX || o->jobs > o->runs)
        o->jobs = 1;
}

int main(int count, char **arguments)
{
    struct options o = {.seed = 1, .runs = 1000, .jobs = 1};
    options_read(count, arguments, &o);
    uint64_t failed = run_all(&o);
    printf("sim: %" PRIu64 " runs from seed %" PRIu64 ", %" PRIu64 " failed\n", o.runs, o.seed, failed);
    return failed == 0 ? 0 : 1;
}

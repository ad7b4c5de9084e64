/* How long a process waited for a processor, and what of a time limit that leaves. */
#include "cli/starved.h"

#include "base/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOME_MS = 20, GUARD_MS = 60000 };

static void what_counts(void **state)
{
    (void)state;
    assert_int_equal(starved_less(1000, 0), 1000);
    assert_int_equal(starved_less(1000, 300), 700);
    assert_int_equal(starved_less(1000, 900), 100);
    assert_int_equal(starved_less(1000, 5000), 100);  /* several threads waited */
    assert_int_equal(starved_less(1000, -300), 1000); /* one that had waited has ended */
    assert_int_equal(starved_less(0, 10), 0);
}

static void only_one_processor(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)sched_getcpu(), &set);
    assert_int_equal(sched_setaffinity(0, sizeof set, &set), 0);
}

/* Two that compute share one processor: each waits while the other one has it. */
static void two_that_compute(void **state)
{
    (void)state;
    if (access("/proc/self/schedstat", R_OK) != 0)
        return; /* this kernel does not say */
    only_one_processor();
    pid_t pid = fork();
    assert_true(pid >= 0);
    while (pid == 0)
        if (getppid() == 1)
            _exit(0);
    int64_t deadline = clock_ms() + GUARD_MS;
    while (starved_ms(pid) < SOME_MS && clock_ms() < deadline)
        continue;
    int64_t starved = starved_ms(pid);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(starved >= SOME_MS);
    assert_int_equal(starved_ms(pid), 0); /* it is gone */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_counts),
    cmocka_unit_test(two_that_compute),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A crash is evidence against the rows of one worker, so the daemon has to know which worker it was. The handler says
 * so with one send() of a message prepared on the stack, which is all that is safe there, and lets the signal kill the
 * process as it would have: the daemon sees the same exit status. A thread the plugin made itself has no lane. */
#include "host/crash.h"

#include "host/wire.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { CRASH_STACK = 64 * 1024 };

static int crash_fd = -1;
static _Thread_local uint16_t crash_lane = CRASH_NO_LANE;
static _Thread_local uint64_t crash_pushing;
static _Thread_local void *crash_stack;

static void crash_handler(int number)
{
    const struct wire_crash m = {
        .head = {.magic = WIRE_MAGIC, .type = WIRE_CRASH, .lane = crash_lane, .token = crash_pushing},
        .signal = number,
    };
    (void)send(crash_fd, &m, sizeof m, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)raise(number); /* SA_RESETHAND: kills as soon as the handler returns */
}

int crash_install(int fd)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    crash_fd = fd;
    struct sigaction action = {.sa_handler = crash_handler, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        if (sigaction(signals[i], &action, NULL) != 0)
            return ERR_INTERNAL;
    return ERR_OK;
}

int crash_thread_init(uint16_t lane)
{
    void *stack = malloc(CRASH_STACK);
    if (stack == NULL)
        return ERR_NOMEM;
    const stack_t alternate = {.ss_sp = stack, .ss_size = CRASH_STACK};
    if (sigaltstack(&alternate, NULL) != 0) {
        free(stack);
        return ERR_INTERNAL;
    }
    crash_stack = stack;
    crash_lane = lane;
    return ERR_OK;
}

void crash_thread_fini(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(&none, NULL) == 0)
        free(crash_stack);
    crash_stack = NULL;
}

void crash_token(uint64_t token)
{
    crash_pushing = token;
}

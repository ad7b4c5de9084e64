/* The simulator: the journal and a pusher's delivery state on a fake disk, a fake clock and a scheduler that draws
 * everything from one seed. A seed is one run, and the same run each time.
 *
 * What is real: core/journal without its threads, core/delivery, and of core/host what reads rows, forms batches and
 * tells verdicts. What is made up here: the disk (disk.c), the clients (intake.c), the plugin and whoever kills its
 * process (host.c), the operator (operator.c), and the order of everything (journal_run.c, pusher_run.c). What must
 * hold is judged by a model that knows nothing but what was acknowledged and what the plugin saw (model.c).
 *
 * One thread. A fault that is found ends the process: main.c runs seeds in children of its own. */
#ifndef HG_SIM_SIM_H
#define HG_SIM_SIM_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

/* --- chance --- */

void sim_seed(uint64_t seed);
uint64_t sim_random(void);
/* 0 to n - 1. */
uint32_t sim_below(uint32_t n);
bool sim_chance(uint32_t percent);

/* --- time: moves only when the scheduler says so --- */

extern int64_t sim_ms;       /* monotonic */
extern int64_t sim_wall_off; /* microseconds that the wall clock is ahead by, or behind */

/* The operator rules on row sets in this run. Not in every second seed: those are the runs that they were before. */
extern bool sim_rules;

/* --- telling --- */

extern bool sim_tracing;
extern uint64_t sim_row; /* a row that the trace follows; UINT64_MAX: none */
void sim_trace(const char *format, ...) PRINTF_LIKE(1, 2);
_Noreturn void sim_fail(const char *format, ...) PRINTF_LIKE(1, 2);
#define SIM_CHECK(condition, ...) ((condition) ? (void)0 : sim_fail(__VA_ARGS__))

/* --- bugs that are put in on purpose, to see that they are found --- */

enum sim_bug {
#define BUG(name, word) BUG_##name,
#include "bug.def"
#undef BUG
    BUGS
};
extern enum sim_bug sim_bug;

/* --- the kinds of run --- */

void journal_run(void);
void pusher_run(void);
void puller_run(void);

#endif

/* How busy the machine is, seen by one process. Any thread. */
#ifndef HG_CLI_STARVED_H
#define HG_CLI_STARVED_H

#include <stdint.h>
#include <sys/types.h>

/* Milliseconds for which threads of the process that live now were ready to run and had no processor, in all of their
 * lives. 0 where the kernel does not say (CONFIG_SCHED_INFO). */
int64_t starved_ms(pid_t pid);

/* What counts of `ms` in which threads of it waited so long for a processor: the rest; at least a tenth, so that what
 * never ends is over in the end, however busy the machine is. */
int64_t starved_less(int64_t ms, int64_t starved);

#endif

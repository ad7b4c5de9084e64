/* Waiting between two looks at a daemon, when it has no way to call back. Main thread of a client verb only. */
#ifndef HG_CLI_NAP_H
#define HG_CLI_NAP_H

#include <stdint.h>

/* At least so many milliseconds of CLOCK_MONOTONIC; signals do not cut it short. */
void nap_ms(int64_t ms);

#endif

/* An operator: pauses, sends dead letters again, edits and drops them, replays, gives rows up, rules on row sets,
 * sends them again, forgets. */
#ifndef HG_SIM_OPERATOR_H
#define HG_SIM_OPERATOR_H

#include <stdbool.h>

/* One order, or none. */
void operator_acts(void);
/* Whatever stopped the pusher is looked after; `all`: also what makes the plugin crash. */
void operator_mends(bool all);

#endif

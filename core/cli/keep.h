/* How long the gateway remembers what was sent, asked from its admin API. Main thread. */
#ifndef HG_CLI_KEEP_H
#define HG_CLI_KEEP_H

#include "cli/args.h"

struct keep {
    bool known;
    int64_t ms;    /* journal.keep; -1: not said */
    int64_t bytes; /* journal.keep_bytes; -1: not said */
    char text[40]; /* journal.keep as written */
};

/* Never fails: what cannot be found out is not known. Asks only an admin address that belongs to where the rows went: a
 * given one, or the default one when --to was not given either. */
void keep_ask(const struct args *a, struct keep *out);

#endif

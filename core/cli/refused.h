/* A refused request explained in terms of the file its rows came from. Main thread. */
#ifndef HG_CLI_REFUSED_H
#define HG_CLI_REFUSED_H

#include "cli/call.h"
#include "cli/parcel.h"

/* Print `file:line: pointer: detail` for every fault of the last answer, then what was taken before. The exit code. */
int refused_say(const struct call *c, const struct parcel *parcel, const char *file, uint64_t acknowledged);

#endif

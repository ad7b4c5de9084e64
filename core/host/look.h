/* Looking at a plugin: what `headgate-host --describe` does, and asking it of a process of its own. */
#ifndef HG_HOST_LOOK_H
#define HG_HOST_LOOK_H

#include "base/err.h"
#include "host/setup.h"

/* Exit status: not a plugin that this host can run; or it cannot be said at this moment. */
enum { LOOK_REFUSED = 65, LOOK_AGAIN = 75 };

/* Load FILE, print its description on standard output; or one sentence on standard error. The exit status. */
int look_print(const char *path);

/* The description of FILE as another process of this program sees it; `watch` is a descriptor whose hang-up ends the
 * waiting. Before any thread. described_fini. */
int look_ask(const char *path, int watch, struct described *out, struct err *e) MUST_CHECK;

#endif

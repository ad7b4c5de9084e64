/* Asking a plugin for its far end without a daemon: a host of its own, opened, asked, stopped. Main thread, blocking.
 */
#ifndef HG_CLI_PROBE_H
#define HG_CLI_PROBE_H

#include "conf/conf.h"
#include "supervise/steps.h"

/* EXIT_DONE when it is reachable; else EXIT_UNREACHABLE. Prints a line either way. */
int probe_plugin(const char *host, const char *name, const struct plugin_file *file, const struct instance *instance,
                 const struct steps *steps);
/* Whether the instance's processors start and open; if not, `why`. The pusher itself is loaded only. */
bool probe_steps(const char *host, const char *name, const struct plugin_file *file, const struct instance *instance,
                 const struct steps *steps, char *why, size_t size);

#endif

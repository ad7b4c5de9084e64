/* Asking a plugin for its far end without a daemon: a host of its own, opened, asked, stopped. Main thread, blocking.
 */
#ifndef HG_CLI_PROBE_H
#define HG_CLI_PROBE_H

#include "conf/conf.h"
#include "supervise/folder.h"

/* EXIT_DONE when it is reachable; else EXIT_UNREACHABLE. Prints a line either way. */
int probe_plugin(const char *host, const char *name, const struct plugin_file *file, const struct instance *instance);

#endif

/* From settings, which are text, to the plugin's configuration struct. */
#ifndef HG_HOST_FILL_H
#define HG_HOST_FILL_H

#include "base/err.h"
#include "headgate.h"
#include "host/setup.h"

/* Check all settings, then fill a new configuration, which lives until the process ends (so do its texts). ERR_CONFIG:
 * `faults` has a line for each fault. `config` is not NULL even when the plugin has none. */
int fill_config(const struct hg_plugin *p, const struct setup *setup, void **config, struct buf *faults) MUST_CHECK;

/* The value an option has, as text: what was set (empty counts as unset), else its default, else NULL. Borrowed. */
const char *fill_value(const struct hg_option *o, const struct setup *setup);

/* "a, b,,c" into items without the spaces around them; empty ones are left out. */
int fill_list(const char *text, struct hg_list *out) MUST_CHECK;
/* "name=value, …": ERR_SYNTAX when an item has no `=` or no name. */
int fill_map(const char *text, struct hg_map *out) MUST_CHECK;

#endif

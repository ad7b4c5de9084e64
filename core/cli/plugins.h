/* A plugin in the folders, described for people and programs. Main thread. */
#ifndef HG_CLI_PLUGINS_H
#define HG_CLI_PLUGINS_H

#include "cli/folders.h"

/* "pusher", "puller", "processor" of enum hg_kind. */
const char *plugin_kind(uint32_t kind);
/* One JSON object; `refused` says why it cannot be used, NULL: it can. ERR_ codes of buf.h. */
int plugin_json(struct buf *b, const struct plugin_file *f, const char *refused, bool options) MUST_CHECK;

#endif

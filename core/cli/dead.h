/* What the verbs on dead letters share. */
#ifndef HG_CLI_DEAD_H
#define HG_CLI_DEAD_H

#include "cli/session.h"

/* Begin a path with the filters that were given (--pusher --reason --uuid --since) as its query. */
int dead_path(struct session *s, const char *fixed) MUST_CHECK;
/* One letter through the editor, and sent again. */
int dead_edit(struct session *s, const char *id) MUST_CHECK;
bool dead_filtered(const struct session *s);

#endif

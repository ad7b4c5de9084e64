/* Rows in: what a puller emits, on its way to the daemon. */
#ifndef HG_HOST_EMIT_H
#define HG_HOST_EMIT_H

#include "base/buf.h"
#include "host/host.h"

/* The api's emit(). The thread of pull(). */
int emit_sets(struct hg_host *w, const struct hg_emit *emit, struct hg_emitted *out);

/* A JSON object as one line: line breaks between its tokens become spaces. False with a sentence when it is not one
 * object from its first brace to its last: such a text could pass for another document than the plugin means. What else
 * is wrong with it the daemon says. `code`: ERR_NOMEM, ERR_LIMIT. */
bool emit_object(struct slice json, struct buf *out, int *code, const char **why);

#endif

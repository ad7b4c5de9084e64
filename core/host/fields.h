/* Lines `name value`, and values of any bytes behind a line that ends with their number: the form of the setup text and
 * of what a host says about a plugin. The reader trusts nothing. Inside core/host only. */
#ifndef HG_HOST_FIELDS_H
#define HG_HOST_FIELDS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

struct fields {
    struct slice left;
};

/* Reading. ERR_NOTFOUND: the end. ERR_SYNTAX, ERR_NOMEM with a sentence. */
int fields_next(struct fields *f, struct slice *name, struct slice *value, struct err *e) MUST_CHECK;
/* The last word of `value` as a number up to `max`; `before` (may be NULL, then there must be nothing) gets what stands
 * in front of it. */
int fields_number(struct slice value, uint64_t max, struct slice *before, uint64_t *out, struct err *e) MUST_CHECK;
/* That many bytes and a newline; a copy with a NUL behind it that the caller frees. */
int fields_bytes(struct fields *f, uint64_t count, char **out, struct err *e) MUST_CHECK;
/* The same for text: no NUL inside; `count` is the number in `value`. */
int fields_text(struct fields *f, struct slice value, uint64_t max, char **out, struct err *e) MUST_CHECK;

/* Writing. `word` NULL: none. NULL bytes: the field is left out. */
int fields_put_number(struct buf *out, const char *name, uint64_t n) MUST_CHECK;
int fields_put_bytes(struct buf *out, const char *name, const char *word, struct slice bytes) MUST_CHECK;

#endif

/* A text as one gzip member (RFC 1952), without a name or a time in it: the same text always gives the same bytes.
 * Needs -lz. */
#ifndef COMMON_GZIP_H
#define COMMON_GZIP_H

#include "common/strbuf.h"

/* Instead of what is in `out`. 0, or -1 on lack of memory. */
int gzip_pack(struct strbuf *out, const struct strbuf *in);

#endif

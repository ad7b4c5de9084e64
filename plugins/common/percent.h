/* Percent-encoding for names of files, paths and objects (RFC 3986 section 2.1, but stricter): every byte outside
 * [A-Za-z0-9_-] becomes %XX, so what comes out holds no slash, no dot, no space, and can neither climb out of a folder
 * nor hide in one. */
#ifndef COMMON_PERCENT_H
#define COMMON_PERCENT_H

#include "common/strbuf.h"

/* Appends the encoded text; "_" for an empty one. */
void percent_add(struct strbuf *out, const char *ptr, size_t len);

#endif

/* Text as a JSON string (RFC 8259 section 7). */
#ifndef COMMON_JSONTEXT_H
#define COMMON_JSONTEXT_H

#include "common/strbuf.h"
#include "headgate.h"

enum { JSONTEXT_GROWTH = 6 }; /* \u00XX: bytes that one can become at the most */

/* The characters between the quotes, written at `at`, where there is room for text.len * JSONTEXT_GROWTH bytes; returns
 * where they end. `text` is UTF-8 and taken as it is. */
char *jsontext_put(char *at, struct hg_text text);

/* Appends the string with its quotes. */
void jsontext_add(struct strbuf *out, struct hg_text text);

#endif

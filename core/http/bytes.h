/* Classes of bytes in HTTP messages (RFC 9110 section 5.6, RFC 3986 section 2), and words compared without case.
 * Pure; any thread. Internal to core/http. */
#ifndef HG_HTTP_BYTES_H
#define HG_HTTP_BYTES_H

#include "base/slice.h"

#include <stdbool.h>

enum byte_class {
    BYTE_TOKEN = 1, /* tchar: method, field name, coding name */
    BYTE_TEXT = 2,  /* field-vchar, SP, HTAB, obs-text: what a line may hold */
    BYTE_PATH = 4,  /* pchar without '%', and '/' */
    BYTE_QUERY = 8, /* the same and '?' */
    BYTE_HOST = 16, /* unreserved and sub-delims: a registered name */
    BYTE_HEX = 32,
};

extern const unsigned char byte_classes[256];

static inline bool byte_is(char c, enum byte_class class)
{
    return (byte_classes[(unsigned char)c] & class) != 0;
}

/* Value of a hexadecimal digit, -1 for any other byte. */
int byte_hex(char c);
/* Every byte of `s` is of the class; true for an empty one. */
bool bytes_are(struct slice s, enum byte_class class);
/* Equal, with A-Z and a-z taken as the same. */
bool slice_same(struct slice a, struct slice b);
/* Without SP and HTAB at both ends. */
struct slice slice_trim(struct slice s);
/* Members of a comma-separated list, trimmed, empty ones too: `*rest` starts as the whole list and shrinks; false at
 * the end. A list of no bytes has one empty member. `rest->ptr` becomes NULL behind the last one. */
bool list_next(struct slice *rest, struct slice *member);

#endif

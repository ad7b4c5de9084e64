/* Base64 in the alphabet of URLs and without padding (RFC 4648 section 5, RFC 7515 section 2). Pure; any thread. */
#ifndef HG_ACCESS_BASE64URL_H
#define HG_ACCESS_BASE64URL_H

#include "base/slice.h"

/* The bytes' number, or -1: another character, a length or bits that no encoder makes, or it does not fit. */
long base64url_decode(struct slice text, unsigned char *out, size_t size);

#endif

/* The Retry-After field (RFC 9110 section 10.2.3): seconds, or a date in one of the three forms of section 5.6.7. */
#ifndef COMMON_RETRY_AFTER_H
#define COMMON_RETRY_AFTER_H

#include <stddef.h>
#include <stdint.h>

enum { RETRY_AFTER_MAX_MS = 24 * 60 * 60 * 1000 }; /* longer is cut: a wrong clock must not stop a pusher for years */

/* Milliseconds to wait from `now` (seconds since 1970 UTC) on; 0 when it is past, or not such a text. */
int64_t retry_after_ms(const char *ptr, size_t len, int64_t now);

#endif

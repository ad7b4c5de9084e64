/* Points in time as text: RFC 3339 in UTC with microseconds, "2026-01-31T12:00:00.123456Z". */
#ifndef COMMON_STAMP_H
#define COMMON_STAMP_H

#include <stdint.h>

enum { STAMP_LEN = 27 };

/* `us`: microseconds since 1970-01-01 UTC. Writes STAMP_LEN characters and a NUL. */
void stamp_text(int64_t us, char out[STAMP_LEN + 1]);

#endif

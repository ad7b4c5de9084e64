/* Points in time as text: RFC 3339 in UTC with microseconds, "2026-01-31T12:00:00.123456Z". */
#ifndef COMMON_STAMP_H
#define COMMON_STAMP_H

#include <stddef.h>
#include <stdint.h>

enum { STAMP_LEN = 27 };

/* `us`: microseconds since 1970-01-01 UTC. Writes STAMP_LEN characters and a NUL. */
void stamp_text(int64_t us, char out[STAMP_LEN + 1]);

/* A date and time with an offset (RFC 3339 section 5.6: "2026-01-31T13:00:00.5+01:00"), or a date alone, which is its
 * midnight in UTC. 0; -1: no such text. Digits beyond a microsecond are cut; a leap second is the second before it. */
int stamp_read(const char *ptr, size_t len, int64_t *us);

#endif

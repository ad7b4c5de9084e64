/* Numbers and times as people read them, in few columns. Pure. */
#ifndef HG_CLI_HUMAN_H
#define HG_CLI_HUMAN_H

#include "base/err.h"

enum { HUMAN_MAX = 40 };

void human_bytes(double bytes, char out[HUMAN_MAX]);     /* "0", "812B", "3.1MiB" */
void human_seconds(double seconds, char out[HUMAN_MAX]); /* "0", "0.4s", "12s", "2m10s", "3h12m", "4d2h" */
void human_rate(double rate, char out[HUMAN_MAX]);       /* of anything a second: "0", "0.4", "12", "8.1k", "1.2M" */
/* Exact up to so many digits, beyond that as human_rate writes it. */
void human_count(long long count, int digits, char out[HUMAN_MAX]);
void human_time(const char *rfc3339, char out[HUMAN_MAX]); /* "2026-01-31 12:00:00Z"; other text as it is, cut */

/* A moment as people write it, into RFC 3339 in UTC: RFC 3339 itself (a blank may stand for `T`; a date alone is its
 * midnight UTC; the zone may be left out for UTC), a duration ago (`2h`), or `now`. ERR_SYNTAX with a sentence. */
int human_when(const char *text, char out[HUMAN_MAX], struct err *e) MUST_CHECK;

#endif

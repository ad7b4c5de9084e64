/* Whether a push goes on with its next part. */
#ifndef COMMON_PUSHTIME_H
#define COMMON_PUSHTIME_H

#include "headgate.h"

/* 0: it does. Else what push() returns, HG_NOT_NOW, and why has been said: the host stops, or less than `least_ms` are
 * left of the push's time. Rows that are judged stay so. */
int pushtime_over(const struct hg_api *api, const struct hg_host *host, struct hg_rows *rows, int64_t least_ms);

#endif

/* The end of a pusher's open(). */
#ifndef COMMON_OPENED_H
#define COMMON_OPENED_H

#include "headgate.h"

/* Says `why` it did not open; or, where `unchecked` (TLS without VERIFY), that nobody knows who is at the far end.
 * Returns `result`, enum hg_open_result. */
int opened(struct hg_host *host, const struct hg_api *api, int result, const char *why, int unchecked);

#endif

#include "common/pushtime.h"

int pushtime_over(const struct hg_api *api, const struct hg_host *host, struct hg_rows *rows, int64_t least_ms)
{
    if (api->stopping(host))
        return api->not_now(rows, 0, "stopping");
    if (api->time_left(host) < least_ms)
        return api->not_now(rows, 1, "the time of this push is over; the rest comes with the next");
    return 0;
}

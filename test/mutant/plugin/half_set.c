/* Seeded bug: a `file` pusher that loses count in the first push after a restart: the last row of it is never written
 * and is taken for delivered all the same, which leaves half a row set in the file. */
#include "lie.h"

static int restarted; /* the process began with durable state, and has not pushed yet */

static size_t seen_state(const struct hg_host *host, void *out, size_t size)
{
    size_t len = host_api->state_get(host, out, size);
    restarted = len > 0;
    return len;
}

static size_t one_less(const struct hg_rows *rows)
{
    size_t count = host_api->row_count(rows);
    size_t hidden = restarted && count > 1;
    if (hidden)
        host_api->judge((struct hg_rows *)(uintptr_t)rows, count - 1, HG_OK, 0, NULL);
    restarted = 0;
    return count - hidden;
}

static void lie_install(struct hg_api *api)
{
    api->state_get = seen_state;
    api->row_count = one_less;
}

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return lie_plugin();
}

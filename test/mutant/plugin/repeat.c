/* Seeded bug: a `file` pusher that after a crash takes every row that stands in the file already for one that is
 * settled, and so writes the rows that come again a second time. */
#include "lie.h"

static int always_settled(const struct hg_host *host, const char *row_id)
{
    (void)host;
    (void)row_id;
    return 1;
}

static size_t no_state(const struct hg_host *host, void *out, size_t size)
{
    (void)host;
    (void)out;
    (void)size;
    return 0;
}

static void lie_install(struct hg_api *api)
{
    api->settled = always_settled;
    api->state_get = no_state;
}

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return lie_plugin();
}

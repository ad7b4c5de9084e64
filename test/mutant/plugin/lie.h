/* A seeded bug of the `file` pusher, made from outside: the real plugin (its hg_plugin() renamed real_plugin) is given
 * a table of host functions of which some lie. Each mutant defines lie_install(), which replaces entries of the copy.
 */
#ifndef HG_TEST_MUTANT_LIE_H
#define HG_TEST_MUTANT_LIE_H

#include "headgate.h"

#include <string.h>

const struct hg_plugin *real_plugin(void);

static const struct hg_api *host_api; /* the true one */
static struct hg_api lying_api;

static void lie_install(struct hg_api *api);

static int lie_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    host_api = api;
    memcpy(&lying_api, api, sizeof lying_api);
    lie_install(&lying_api);
    return real_plugin()->pusher->open(host, &lying_api, config, state);
}

/* The real description with lie_open() in the place of open(). */
static const struct hg_plugin *lie_plugin(void)
{
    static struct hg_plugin plugin;
    static struct hg_pusher pusher;
    plugin = *real_plugin();
    pusher = *plugin.pusher;
    pusher.open = lie_open;
    plugin.pusher = &pusher;
    return &plugin;
}

#endif

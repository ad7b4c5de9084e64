/* timer: a puller that emits the time, once a run: PLUGIN_TIMER_ENABLED=yes PLUGIN_TIMER_EVERY='0 * * * *'. */
#include <headgate.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct hg_api *api;

static int timer_open(struct hg_host *host, const struct hg_api *a, const void *config, void **state)
{
    (void)config;
    api = a;
    *state = host;
    return HG_OPEN_OK;
}

static void timer_close(void *state)
{
    (void)state;
}

static int timer_pull(void *state)
{
    char data[64];
    const struct hg_new_row row = {{data, (size_t)snprintf(data, sizeof data, "{\"at\":%lld}", (long long)time(NULL))},
                                   -1};
    const struct hg_set set = {.uuid = {"timer", 5}, .rows = &row, .row_count = 1};
    const struct hg_emit emit = {
        .size = sizeof emit, .set_size = sizeof set, .sets = &set, .set_count = 1, .wait_ms = -1};
    struct hg_emitted told = {.size = sizeof told};
    if (api->emit(state, &emit, &told) == HG_EMITTED)
        return HG_PULL_NOTHING; /* until the next run */
    api->fail(state, told.reason);
    return HG_PULL_NOT_NOW;
}

static const struct hg_puller puller = {
    .size = sizeof puller, .flags = HG_MANUAL_START, .open = timer_open, .close = timer_close, .pull = timer_pull};

static const struct hg_plugin plugin = {.abi_major = HG_ABI_MAJOR,
                                        .size = sizeof plugin,
                                        .kind = HG_PULLER,
                                        .name = "timer",
                                        .version = "1",
                                        .summary = "Emits the time.",
                                        .option_size = sizeof(struct hg_option),
                                        .puller = &puller};

const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

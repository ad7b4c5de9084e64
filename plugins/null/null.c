/* null: takes every row and does nothing with it, for measuring what the gateway itself costs.
 *
 * READ makes it look at rows the way a real pusher would, DELAY makes each push last. It starts only with ENABLED=yes.
 */
#include "headgate.h"

#include <stdlib.h>

struct config {
    int64_t delay;
    int32_t read;
};

enum read_choice { READ_NONE, READ_SPANS, READ_FIELDS };

static const struct hg_option options[] = {
    {"DELAY", HG_DURATION, 0, "0", "0..1h", "How long each push lasts.", NULL, offsetof(struct config, delay)},
    {"READ", HG_CHOICE, 0, "none", "none|spans|fields",
     "What of each row is looked at: nothing, where its uuid and data lie, or every field of its data too.", NULL,
     offsetof(struct config, read)},
};

struct worker {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    volatile uint64_t sum; /* what was read goes here, or the compiler would leave the reading out */
};

static int null_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    w->api = api;
    w->host = host;
    w->config = config;
    *state = w;
    return HG_OPEN_OK;
}

static void null_close(void *state)
{
    free(state);
}

static uint64_t fields_sum(const struct hg_api *api, struct hg_text data)
{
    uint64_t sum = 0;
    size_t at = 0;
    struct hg_text key;
    struct hg_value value;
    while (api->next(data, &at, &key, &value))
        sum += key.len + value.json.len + value.type;
    return sum;
}

static uint64_t row_sum(const struct worker *w, const struct hg_row *row)
{
    struct hg_text uuid = w->api->uuid(row), data = w->api->data(row);
    uint64_t sum = uuid.len + data.len + (unsigned char)data.ptr[data.len - 1];
    return w->config->read == READ_FIELDS ? sum + fields_sum(w->api, data) : sum;
}

static int null_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    size_t count = w->api->row_count(rows);
    for (size_t n = 0; w->config->read != READ_NONE && n < count; n++)
        w->sum += row_sum(w, w->api->row(rows, n));
    if (w->config->delay > 0 && !w->api->wait(w->host, w->config->delay))
        return w->api->not_now(rows, 0, "stopping");
    return HG_ALL_OK;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_MANUAL_START,
    .max_parallel = 0,
    .open = null_open,
    .close = null_close,
    .push = null_push,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "null",
    .version = "1.0",
    .summary = "Takes every row and does nothing with it, for measuring.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .option_size = sizeof(struct hg_option),
    .config_size = sizeof(struct config),
    .pusher = &pusher,
};

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

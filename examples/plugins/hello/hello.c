/* hello: a pusher in a few lines. It greets every row that has a `name`, in the daemon's log.
 *
 * What a real one does differently: its state is a connection, open() says HG_OPEN_NOT_NOW while the far end is away,
 * and push() returns api->not_now() when the far end stops answering. */
#include <headgate.h>

#include <stdio.h>

struct config {
    const char *greeting;
};

static struct hg_host *host; /* one worker (max_parallel), so these may be static */
static const struct hg_api *api;
static const struct config *config;

static int hello_open(struct hg_host *h, const struct hg_api *a, const void *c, void **state)
{
    (void)state;
    host = h;
    api = a;
    config = c;
    return HG_OPEN_OK;
}

static void hello_close(void *state)
{
    (void)state; /* nothing to give back */
}

static int hello_push(void *state, struct hg_rows *rows)
{
    (void)state;
    for (size_t n = 0; n < api->row_count(rows); n++) {
        struct hg_value name;
        char who[200], line[400];
        if (!api->field(api->row(rows, n), "name", &name)) {
            api->judge(rows, n, HG_SKIP, 0, "it has no name");
        } else if (api->text(name.json, who, sizeof who) < 0) {
            api->judge(rows, n, HG_REJECT, 0, "its name is no text, or too long");
        } else {
            snprintf(line, sizeof line, "%s, %s", config->greeting, who);
            api->log(host, HG_LOG_INFO, line);
        }
    }
    return HG_ALL_OK; /* every row that was not judged */
}

static const struct hg_option options[] = {{
    .name = "GREETING",
    .type = HG_STRING,
    .fallback = "hello",
    .text = "What each row is greeted with.",
    .offset = offsetof(struct config, greeting),
}};

static const struct hg_pusher pusher = {
    .size = sizeof pusher,
    .max_parallel = 1,
    .open = hello_open,
    .close = hello_close,
    .push = hello_push,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof plugin,
    .kind = HG_PUSHER,
    .name = "hello",
    .version = "1.0",
    .summary = "Greets every row that has a name.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .option_size = sizeof *options,
    .config_size = sizeof(struct config),
    .pusher = &pusher,
};

const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

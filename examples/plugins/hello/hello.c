/* hello: the smallest pusher. It greets every row that has a `name`, in the daemon's log. */
#include <headgate.h>

#include <stdio.h>

static struct hg_host *host; /* one worker (max_parallel 1), so these may be static */
static const struct hg_api *api;

static int hello_open(struct hg_host *h, const struct hg_api *a, const void *config, void **state)
{
    host = h, api = a, (void)config, (void)state;
    return HG_OPEN_OK;
}

static void hello_close(void *state)
{
    (void)state; /* nothing to give back */
}

static int hello_push(void *state, struct hg_rows *rows)
{
    struct hg_value name;
    char who[200], line[220];
    (void)state;
    for (size_t n = 0; n < api->row_count(rows); n++) {
        if (!api->field(api->row(rows, n), "name", &name)) {
            api->judge(rows, n, HG_SKIP, 0, "it has no name");
        } else if (api->text(name.json, who, sizeof who) < 0) {
            api->judge(rows, n, HG_REJECT, 0, "its name is no text, or too long");
        } else {
            snprintf(line, sizeof line, "hello, %s", who);
            api->log(host, HG_LOG_INFO, line);
        }
    }
    return HG_ALL_OK; /* every row that was not judged */
}

static const struct hg_pusher pusher = {
    .size = sizeof pusher, .max_parallel = 1, .open = hello_open, .close = hello_close, .push = hello_push};

static const struct hg_plugin plugin = {.abi_major = HG_ABI_MAJOR,
                                        .size = sizeof plugin,
                                        .kind = HG_PUSHER,
                                        .name = "hello",
                                        .version = "1.0",
                                        .summary = "Greets every row that has a name.",
                                        .option_size = sizeof(struct hg_option),
                                        .pusher = &pusher};

const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

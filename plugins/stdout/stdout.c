/* stdout: prints every row as one line, the same line that `file` writes.
 *
 * The standard output of a host process is the daemon's log pipe, so the lines show up among the log lines of this
 * plugin: to look at what passes, while trying things out. That pipe may drop lines when nobody reads fast enough, so
 * this is no way to keep rows; it starts only with ENABLED=yes. */
#include "headgate.h"

#include "common/rowline.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct worker {
    struct hg_host *host;
    const struct hg_api *api;
    struct strbuf text;
};

static const size_t text_max = (size_t)1 << 30;

static int stdout_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    (void)config;
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    w->host = host;
    w->api = api;
    strbuf_init(&w->text, text_max);
    *state = w;
    return HG_OPEN_OK;
}

static void stdout_close(void *state)
{
    struct worker *w = state;
    strbuf_fini(&w->text);
    free(w);
}

enum { LOOK_MS = 100 };

/* The log pipe does not block, and may be smaller than a batch: wait for whoever reads it. 0, or why not. */
static int print(struct worker *w)
{
    for (size_t at = 0; at < w->text.len;) {
        ssize_t n = write(STDOUT_FILENO, w->text.ptr + at, w->text.len - at);
        if (n >= 0) {
            at += (size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN || w->api->stopping(w->host) || w->api->time_left(w->host) < 2 * LOOK_MS)
            return errno;
        struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
        (void)poll(&out, 1, LOOK_MS);
    }
    return 0;
}

static int stdout_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    size_t count = w->api->row_count(rows);
    strbuf_clear(&w->text);
    for (size_t n = 0; n < count; n++) {
        rowline_add(&w->text, w->api, w->api->row(rows, n));
        strbuf_addc(&w->text, '\n');
    }
    if (w->text.failed)
        return w->api->not_now(rows, 0, "no memory for the rows");
    int error = print(w);
    return error == 0 ? HG_ALL_OK : w->api->not_now(rows, 0, strerror(error));
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_MANUAL_START,
    .max_parallel = 1,
    .open = stdout_open,
    .close = stdout_close,
    .push = stdout_push,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "stdout",
    .version = "1.0",
    .summary = "Prints each row as a line into the log, to see what passes.",
    .options = NULL,
    .option_count = 0,
    .option_size = sizeof(struct hg_option),
    .config_size = 0,
    .pusher = &pusher,
};

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

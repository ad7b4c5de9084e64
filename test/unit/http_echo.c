/* Intake with no journal behind it, for the acceptance cases and for load: `http_echo ADDRESS [TIMEOUT_MS]` prints the
 * address it listens on, takes rows and forgets them, and ends when standard input does. */
#include "api/intake.h"

#include "fake_journal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct http_server *server;
static struct intake *intake;
static struct journal *journal;
static uv_pipe_t in;

static void on_server_closed(void *arg)
{
    (void)arg;
    fake_close(journal);
    intake_close(intake, NULL, NULL);
}

static void on_stdin(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n >= 0)
        return;
    uv_close((uv_handle_t *)stream, NULL);
    http_server_close(server, on_server_closed, NULL);
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)handle;
    (void)size;
    static char bytes[256];
    *buf = uv_buf_init(bytes, sizeof bytes);
}

int main(int argc, char **argv)
{
    uint32_t timeout = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000;
    const struct http_limits limits = {16 << 20, 16384, 1024, timeout, timeout, 75000};
    struct budget budget = {.max = 128 << 20};
    uv_loop_t *loop = uv_default_loop();
    struct err e;
    char bound[128];
    signal(SIGPIPE, SIG_IGN);
    fake_keeps = false;
    journal = fake_open();
    struct intake_options options = {
        .journal = journal,
        .keyring = keyring_new(),
        .refusals = refusals_new(),
        .rules = {.max_rows = 100000, .max_depth = 32},
    };
    if (intake_open(&intake, loop, &options) != ERR_OK)
        return 1;
    const struct http_routes routes = intake_routes(intake);
    if (http_server_new(&server, loop, &limits, &budget, &routes) != ERR_OK)
        return 1;
    if (http_server_listen(server, &(struct http_listen){.address = argv[1], .socket_group = -1}, bound, &e) != 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    printf("%s\n", bound);
    fflush(stdout);
    uv_pipe_init(loop, &in, 0);
    uv_pipe_open(&in, STDIN_FILENO);
    uv_read_start((uv_stream_t *)&in, on_room, on_stdin);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    keyring_free(&options.keyring);
    refusals_free(&options.refusals);
    return 0;
}

/* A server with nothing behind it, for the acceptance cases and for load: POST /v1/rows is answered with 202 when the
 * rows are valid. `http_echo ADDRESS [TIMEOUT_MS]`; prints the address it listens on; ends when standard input does. */
#include "http/http.h"
#include "rows/rows.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct scan *scan;
static struct http_server *server;
static uv_pipe_t in;

static void refuse(struct http_request *r, int status, const char *allow, bool close)
{
    http_problem(r, &(struct http_problem){
                        .status = status, .word = "echo", .detail = "refused", .allow = allow, .close = close});
}

static int on_head(void *arg, struct http_request *r)
{
    (void)arg;
    struct slice type;
    if (!slice_is(r->path, "/v1/rows"))
        refuse(r, 404, NULL, false);
    else if (r->method != HTTP_POST)
        refuse(r, 405, "POST", false);
    else if (!r->has_body)
        refuse(r, 411, NULL, true);
    else if (http_field(r, "content-type", &type) &&
             (type.len < 16 || strncasecmp(type.ptr, "application/json", 16) != 0 ||
              (type.len > 16 && type.ptr[16] != ';')))
        refuse(r, 415, NULL, true);
    else
        return 0;
    return 1;
}

static void on_request(void *arg, struct http_request *r)
{
    (void)arg;
    const struct scan_rules rules = {.max_rows = 100000, .max_depth = 32};
    int code = scan_body(scan, &rules, r->body);
    if (code != ERR_OK) {
        refuse(r, code == ERR_SYNTAX ? 400 : code == ERR_LIMIT ? 413 : 422, NULL, false);
        return;
    }
    http_respond(r, &(struct http_answer){
                        .status = 202, .content_type = "application/json", .body = SLICE_LIT("{\"rows\":1}")});
}

static void on_stdin(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n >= 0)
        return;
    uv_close((uv_handle_t *)stream, NULL);
    http_server_close(server, NULL, NULL);
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
    struct http_budget budget = {.max = 128 << 20};
    const struct http_routes routes = {.head = on_head, .request = on_request};
    uv_loop_t *loop = uv_default_loop();
    struct err e;
    char bound[128];
    signal(SIGPIPE, SIG_IGN);
    scan = scan_new();
    if (scan == NULL || http_server_new(&server, loop, &limits, &budget, &routes) != ERR_OK)
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
    scan_free(&scan);
    return 0;
}

/* window: sends rows over a socket, many of them before the first is acknowledged. push() sends and returns at once; a
 * thread reads the acknowledgements, in whatever order they come, and settles each row.
 *
 *     here    <row id> <data>
 *     there   <row id> ok          it is kept
 *             <row id> no <why>    it can never be taken
 *
 * When the connection ends, what was not acknowledged comes again: the far end knows rows by their ids. */
#include <headgate.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct config {
    const char *socket;
};

struct worker {
    struct hg_host *host;
    const struct hg_api *api;
    const struct config *config;
    FILE *out; /* NULL: not connected */
    int fd;
    pthread_t reader;

    pthread_mutex_t mutex; /* what the reader shares */
    uint64_t token;        /* of the window that is open */
    char (*ids)[HG_ROW_ID_SIZE];
    size_t count;
    int ended; /* the far end has closed */
};

/* --- the reader --- */

static void acknowledge(struct worker *w, char *line)
{
    char *answer = strchr(line, ' ');
    if (answer == NULL)
        return;
    *answer++ = '\0';
    pthread_mutex_lock(&w->mutex);
    for (size_t n = 0; n < w->count; n++) {
        if (strcmp(w->ids[n], line) != 0)
            continue;
        if (strncmp(answer, "no ", 3) == 0)
            w->api->settle(w->host, w->token, n, HG_REJECT, 0, answer + 3);
        else
            w->api->settle(w->host, w->token, n, HG_OK, 0, NULL);
        break;
    }
    pthread_mutex_unlock(&w->mutex);
}

static void *read_answers(void *arg)
{
    struct worker *w = arg;
    char line[1024];
    int fd = dup(w->fd);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        acknowledge(w, line);
    }
    if (in != NULL)
        fclose(in);
    pthread_mutex_lock(&w->mutex);
    w->ended = 1;
    w->api->settle_not_now(w->host, w->token, 0, "the far end has closed the connection");
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* --- the connection --- */

static void disconnect(struct worker *w)
{
    if (w->out == NULL)
        return;
    shutdown(w->fd, SHUT_RDWR); /* ends the reader */
    pthread_join(w->reader, NULL);
    fclose(w->out);
    w->out = NULL;
}

static int connect_there(struct worker *w)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", w->config->socket);
    w->ended = 0;
    w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->fd < 0)
        return 0;
    if (connect(w->fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        (w->out = fdopen(w->fd, "w")) != NULL) {
        if (pthread_create(&w->reader, NULL, read_answers, w) == 0)
            return 1;
        fclose(w->out);
        w->out = NULL;
        return 0;
    }
    int error = errno;
    close(w->fd);
    errno = error;
    return 0;
}

static int connected(struct worker *w)
{
    pthread_mutex_lock(&w->mutex);
    int ended = w->ended;
    pthread_mutex_unlock(&w->mutex);
    if (ended)
        disconnect(w);
    return w->out != NULL || connect_there(w);
}

/* --- the pusher --- */

static int window_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return HG_OPEN_NOT_NOW;
    w->host = host;
    w->api = api;
    w->config = config;
    pthread_mutex_init(&w->mutex, NULL);
    *state = w;
    return HG_OPEN_OK;
}

static void window_close(void *state)
{
    struct worker *w = state;
    disconnect(w);
    pthread_mutex_destroy(&w->mutex);
    free(w->ids);
    free(w);
}

/* The ids are what an acknowledgement names, and must be there before the first row is sent. */
static int window_begin(struct worker *w, struct hg_rows *rows)
{
    size_t count = w->api->row_count(rows);
    char(*ids)[HG_ROW_ID_SIZE] = calloc(count, sizeof *ids);
    if (ids == NULL)
        return 0;
    for (size_t n = 0; n < count; n++)
        w->api->row_id(w->api->row(rows, n), ids[n]);
    pthread_mutex_lock(&w->mutex);
    free(w->ids);
    w->ids = ids;
    w->count = count;
    w->token = w->api->later(rows);
    pthread_mutex_unlock(&w->mutex);
    return 1;
}

static int window_push(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    if (!connected(w))
        return w->api->not_now(rows, 0, strerror(errno));
    if (!window_begin(w, rows))
        return w->api->not_now(rows, 0, "no memory");
    for (size_t n = 0; n < w->count; n++) {
        struct hg_text data = w->api->data(w->api->row(rows, n));
        w->api->judge(rows, n, HG_LATER, 0, NULL);
        fprintf(w->out, "%s ", w->ids[n]);
        for (size_t i = 0; i < data.len; i++) /* a raw line feed in JSON is a space between words */
            fputc(data.ptr[i] == '\n' ? ' ' : data.ptr[i], w->out);
        fputc('\n', w->out);
    }
    if (fflush(w->out) == 0)
        return HG_ALL_OK;
    w->api->settle_not_now(w->host, w->token, 0, strerror(errno));
    disconnect(w);
    return HG_ALL_OK;
}

static int window_probe(void *state)
{
    struct worker *w = state;
    if (connected(w))
        return HG_OPEN_OK;
    w->api->fail(w->host, strerror(errno));
    return HG_OPEN_NOT_NOW;
}

static const struct hg_option options[] = {{
    .name = "SOCKET",
    .type = HG_PATH,
    .flags = HG_REQUIRED | HG_WRITE,
    .text = "The far end's socket.",
    .offset = offsetof(struct config, socket),
}};

static const struct hg_pusher pusher = {
    .size = sizeof pusher,
    .open = window_open,
    .close = window_close,
    .push = window_push,
    .probe = window_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof plugin,
    .kind = HG_PUSHER,
    .name = "window",
    .version = "1.0",
    .summary = "Sends rows over a socket and settles them as they are acknowledged.",
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

/* @NAME@: a pusher that appends rows to a file, a line each. To be made into yours: what stands between open() and
 * close() of the file here is where your far end comes in.
 *
 * What it keeps to, and yours should: a row is OK only when it is safe; a row is refused only when the row itself is to
 * blame; when the far end is not there, nobody is to blame and all of it comes again. */
#include <headgate.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config { /* filled by the host from the options below */
    const char *path;
};

struct @SYMBOL@ { /* one for each worker */
    struct hg_host *host;
    const struct hg_api *api;
    const struct config *config;
};

static int @SYMBOL@_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    struct @SYMBOL@ *s = calloc(1, sizeof *s);
    if (s == NULL)
        return HG_OPEN_NOT_NOW;
    s->host = host;
    s->api = api;
    s->config = config;
    *state = s;
    return HG_OPEN_OK;
}

static void @SYMBOL@_close(void *state)
{
    free(state);
}

/* 1: written. The id never changes: whoever reads the file can leave out a line that comes a second time. */
static int write_row(struct @SYMBOL@ *s, FILE *out, const struct hg_row *row)
{
    char id[HG_ROW_ID_SIZE];
    struct hg_text data = s->api->data(row);
    s->api->row_id(row, id);
    return fprintf(out, "%s ", id) > 0 && fwrite(data.ptr, 1, data.len, out) == data.len && fputc('\n', out) != EOF;
}

/* Why the row can never be taken; NULL: it can. An example: a `name` that is there has to be a text. */
static const char *refused(struct @SYMBOL@ *s, const struct hg_row *row)
{
    struct hg_value name;
    return s->api->field(row, "name", &name) && name.type != HG_STR ? "its name is no text" : NULL;
}

static int not_now(struct @SYMBOL@ *s, struct hg_rows *rows, const char *what)
{
    char why[512];
    snprintf(why, sizeof why, "%s %.300s: %s", what, s->config->path, strerror(errno));
    return s->api->not_now(rows, 0, why);
}

static int @SYMBOL@_push(void *state, struct hg_rows *rows)
{
    struct @SYMBOL@ *s = state;
    size_t count = s->api->row_count(rows);
    FILE *out = fopen(s->config->path, "ae");
    if (out == NULL)
        return not_now(s, rows, "cannot open");
    int good = 1;
    for (size_t n = 0; good && n < count; n++) {
        const char *why = refused(s, s->api->row(rows, n));
        if (why != NULL)
            s->api->judge(rows, n, HG_REJECT, 0, why);
        else
            good = write_row(s, out, s->api->row(rows, n));
    }
    good = good && fflush(out) == 0 && fdatasync(fileno(out)) == 0;
    int error = errno;
    fclose(out);
    errno = error;
    return good ? HG_ALL_OK : not_now(s, rows, "cannot write");
}

static int @SYMBOL@_probe(void *state)
{
    struct @SYMBOL@ *s = state;
    char why[512];
    int fd = open(s->config->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0) {
        close(fd);
        return HG_OPEN_OK;
    }
    snprintf(why, sizeof why, "cannot open %.300s: %s", s->config->path, strerror(errno));
    s->api->fail(s->host, why);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_option options[] = {{
    .name = "PATH",
    .type = HG_PATH,
    .flags = HG_REQUIRED | HG_WRITE,
    .text = "The file that rows are appended to.",
    .offset = offsetof(struct config, path),
}};

static const struct hg_pusher pusher = {
    .size = sizeof pusher,
    .max_parallel = 1,
    .open = @SYMBOL@_open,
    .close = @SYMBOL@_close,
    .push = @SYMBOL@_push,
    .probe = @SYMBOL@_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0, /* the minor that is needed, not the one of this header */
    .size = sizeof plugin,
    .kind = HG_PUSHER,
    .name = "@NAME@",
    .version = "0.1",
    .summary = "Appends rows to a file.",
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

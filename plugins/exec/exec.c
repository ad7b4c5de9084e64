/* exec: takes in the rows that a command prints, one JSON object a line.
 *
 * The command is started, read until it ends, and started again as the schedule says. What it prints is emitted in
 * batches: when one is full, or when it has been silent for a moment. A line that is no row never stops the others and
 * never gets lost unseen: it is written where BAD_LINES says, else into the log.
 *
 * A command that can go on from somewhere prints {"position": "…"} behind the rows it belongs to (POSITIONS=yes): it
 * becomes durable with them, and the next run finds the last one in HEADGATE_POSITION. Without, a crash may cost what
 * the command had printed and headgate had not taken in, or bring rows again, as the command decides. */
#include "headgate.h"

#include "command.h"
#include "feed.h"

#include "common/rowbatch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct config {
    const char *command, *folder;
    struct hg_map env;
    const char *uuid, *bad_lines;
    int32_t positions;
    int64_t stop_wait;
};

static const struct hg_option options[] = {
    {"COMMAND", HG_STRING, HG_REQUIRED, NULL, NULL, "What to run, by /bin/sh -c.", NULL,
     offsetof(struct config, command)},
    {"FOLDER", HG_PATH, HG_READ | HG_WRITE | HG_FOLDER, NULL, NULL,
     "Folder in which the command works; the only one that it may write in, and read beside the system's.", NULL,
     offsetof(struct config, folder)},
    {"ENV", HG_MAP, HG_SECRET, NULL, NULL, "Further variables of its environment.", NULL, offsetof(struct config, env)},
    {"UUID", HG_STRING, 0, NULL, NULL, "The uuid of rows that bring none. Unset: the instance's name.", NULL,
     offsetof(struct config, uuid)},
    {"BAD_LINES", HG_PATH, HG_WRITE, NULL, NULL,
     "File to which lines that are no rows are added, with the reason. Unset: they go into the log.", NULL,
     offsetof(struct config, bad_lines)},
    {"POSITIONS", HG_BOOLEAN, 0, "no", NULL,
     "A line {\"position\": \"…\"} is no row but where the next run goes on: it finds it in HEADGATE_POSITION.", NULL,
     offsetof(struct config, positions)},
    {"STOP_WAIT", HG_DURATION, 0, "5s", "0..1h", "How long the command may take to end when it is told to.", NULL,
     offsetof(struct config, stop_wait)},
};

enum { STEP_MS = 250, SILENCE_MS = 50, SHOWN = 2000, TEXT_MAX = SHOWN + HG_REASON_MAX + 100 };

struct state {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    struct command command;
    struct feed out, err;
    struct rowbatch batch;
    int bad_fd;
    int64_t kill_ms; /* the command was told to end, and is not waited for any longer; 0: it was not */
    char position[HG_STATE_MAX + 1];
    size_t position_size;
};

/* --- life --- */

static void exec_close(void *state)
{
    struct state *s = state;
    int status;
    command_end(&s->command, 0, &status);
    feed_fini(&s->out);
    feed_fini(&s->err);
    rowbatch_fini(&s->batch);
    if (s->bad_fd >= 0)
        close(s->bad_fd);
    free(s);
}

static int exec_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    *s = (struct state){
        .api = api, .host = host, .config = config, .bad_fd = -1, .out = {.line = 1}, .err = {.line = 1}};
    const char *why = rowbatch_init(&s->batch) == 0 ? NULL : "no memory";
    if (!why && s->config->bad_lines) {
        s->bad_fd = open(s->config->bad_lines, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (s->bad_fd < 0)
            why = strerror(errno);
    }
    s->position_size = api->state_get(host, s->position, HG_STATE_MAX);
    s->position[s->position_size] = '\0';
    if (!why) {
        *state = s;
        return HG_OPEN_OK;
    }
    api->fail(host, why);
    exec_close(s);
    return HG_OPEN_NOT_NOW;
}

static void exec_reopen(void *state)
{
    struct state *s = state;
    int fd = s->bad_fd < 0 ? -1 : open(s->config->bad_lines, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return;
    close(s->bad_fd);
    s->bad_fd = fd;
}

/* --- bad lines --- */

static int shown(size_t len)
{
    return len < SHOWN ? (int)len : SHOWN;
}

/* Durable where BAD_LINES says before anything that follows is emitted. */
static int bad_line(struct state *s, const char *line, size_t len, uint64_t number, const char *why)
{
    char text[TEXT_MAX];
    s->api->count(s->host, "bad_lines", 1);
    if (s->bad_fd < 0) {
        snprintf(text, sizeof(text), "line %" PRIu64 " is no row: %s: %.*s", number, why, shown(len), line);
        s->api->log(s->host, HG_LOG_ERROR, text);
        return 0;
    }
    int used = snprintf(text, sizeof(text), "# line %" PRIu64 ": %s\n", number, why);
    if (write(s->bad_fd, text, (size_t)used) == used && write(s->bad_fd, line, len) == (ssize_t)len &&
        write(s->bad_fd, "\n", 1) == 1 && fdatasync(s->bad_fd) == 0)
        return 0;
    return errno == 0 ? EIO : errno;
}

/* --- emitting --- */

static int not_now(struct state *s, const char *what, const char *why)
{
    char text[HG_REASON_MAX];
    snprintf(text, sizeof(text), "%s: %.900s", what, why);
    s->api->fail(s->host, text);
    return HG_PULL_NOT_NOW;
}

/* One item leaves the batch; its bytes stay until the batch is cleared. */
static void take_out(struct rowbatch *b, size_t item)
{
    memmove(&b->items[item], &b->items[item + 1], (b->count - item - 1) * sizeof(*b->items));
    b->count--;
}

/* The first `count` of the batch have been taken. */
static void take_first(struct rowbatch *b, size_t count)
{
    memmove(b->items, b->items + count, (b->count - count) * sizeof(*b->items));
    b->count -= count;
}

/* All of the batch, the bad ones put aside one by one. With a position: it goes with the last part. */
static int flush(struct state *s, const char *position, size_t position_size)
{
    const char *uuid = s->config->uuid ? s->config->uuid : s->api->instance(s->host);
    size_t part = s->batch.count;
    struct rowbatch_fault fault;
    while (s->batch.count > 0 || position) {
        int last = part >= s->batch.count;
        int result = rowbatch_emit(&s->batch, last ? s->batch.count : part, s->api, s->host, uuid,
                                   last ? position : NULL, position_size, &fault);
        if (result == HG_EMITTED) {
            take_first(&s->batch, last ? s->batch.count : part);
            if (last)
                break;
        } else if (result == HG_EMIT_NOT_NOW) {
            return not_now(s, "no rows are taken", fault.reason);
        } else if (fault.item < s->batch.count && (last || fault.item < part)) {
            const struct rowbatch_item *item = &s->batch.items[fault.item];
            int number = bad_line(s, s->batch.text.ptr + item->at, item->len, item->line, fault.reason);
            if (number != 0)
                return not_now(s, "cannot write BAD_LINES", strerror(number));
            take_out(&s->batch, fault.item);
        } else if (part > 1) {
            part = (last ? s->batch.count : part) / 2; /* too much at once */
        } else {
            return not_now(s, "refused", fault.reason);
        }
    }
    rowbatch_clear(&s->batch);
    return HG_PULLED;
}

/* The text of {"position": "…"}; its length, or -1: the line is none. */
static long position_of(const struct state *s, const char *line, size_t len, char out[HG_STATE_MAX + 1])
{
    const struct hg_text object = {line, len};
    struct hg_text key;
    struct hg_value value, more;
    size_t at = 0;
    if (len < 2 || line[0] != '{' || line[len - 1] != '}' || !s->api->next(object, &at, &key, &value) || key.len != 8 ||
        memcmp(key.ptr, "position", 8) != 0 || value.type != HG_STR || s->api->next(object, &at, &key, &more))
        return -1;
    return s->api->text(value.json, out, HG_STATE_MAX + 1);
}

/* One line of the command. enum hg_pull_result: HG_PULLED when all is well. */
static int take_line(struct state *s, const char *line, size_t len, uint64_t number)
{
    char position[HG_STATE_MAX + 1];
    size_t blanks = 0;
    while (blanks < len && (line[blanks] == ' ' || line[blanks] == '\t'))
        blanks++;
    if (blanks == len)
        return HG_PULLED;
    long size = s->config->positions ? position_of(s, line, len, position) : -1;
    if (size >= 0) {
        int result = flush(s, position, (size_t)size);
        if (result == HG_PULLED) {
            memcpy(s->position, position, (size_t)size + 1);
            s->position_size = (size_t)size;
        }
        return result;
    }
    if (rowbatch_add(&s->batch, line, len, number) != 0) {
        int failed = bad_line(s, line, len, number, "there was no memory for it");
        return failed == 0 ? HG_PULLED : not_now(s, "cannot write BAD_LINES", strerror(failed));
    }
    return rowbatch_full(&s->batch) ? flush(s, NULL, 0) : HG_PULLED;
}

/* --- reading --- */

static void log_lines(struct state *s)
{
    const char *line;
    size_t len;
    char text[SHOWN + 1];
    while (feed_next(&s->err, &line, &len) != FEED_NONE) {
        snprintf(text, sizeof(text), "%.*s", shown(len), line);
        s->api->log(s->host, HG_LOG_INFO, text);
    }
}

/* What is in the pipe's buffer. */
static int take_lines(struct state *s)
{
    const char *line;
    size_t len;
    for (;;) {
        uint64_t number = s->out.line;
        enum feed_result got = feed_next(&s->out, &line, &len);
        if (got == FEED_NONE)
            return HG_PULLED;
        int result = HG_PULLED;
        if (got == FEED_LINE) {
            result = take_line(s, line, len, number);
        } else {
            int failed = bad_line(s, line, len, number, "a line of more than 16 MiB; this is its beginning");
            result = failed == 0 ? HG_PULLED : not_now(s, "cannot write BAD_LINES", strerror(failed));
        }
        if (result != HG_PULLED)
            return result;
    }
}

/* 1: something came, 0: nothing for `ms`. */
static int wait_for(struct state *s, int ms)
{
    struct pollfd fds[] = {{.fd = s->out.ended ? -1 : s->command.out, .events = POLLIN},
                           {.fd = s->err.ended ? -1 : s->command.err, .events = POLLIN}};
    return poll(fds, 2, ms) > 0;
}

static int ended(struct state *s)
{
    char text[100];
    int status;
    s->kill_ms = 0;
    command_end(&s->command, (int)s->config->stop_wait, &status);
    feed_fini(&s->out);
    feed_fini(&s->err);
    if (status == 0)
        return HG_PULL_NOTHING;
    if (status != -1 && WIFSIGNALED(status))
        snprintf(text, sizeof(text), "the command was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof(text), "the command ended with exit status %d", status == -1 ? -1 : WEXITSTATUS(status));
    s->api->fail(s->host, text);
    s->api->log(s->host, HG_LOG_WARN, text);
    s->api->count(s->host, "failed_runs", 1);
    return HG_PULL_NOTHING;
}

/* What could not be emitted cannot be given back to the command. */
static int give_up(struct state *s, int result)
{
    char text[100];
    int status;
    if (!s->api->stopping(s->host))
        return result; /* the batch stays; it is tried again */
    if (s->batch.count > 0) {
        snprintf(text, sizeof(text), "%zu lines of the command were not taken in before the stop", s->batch.count);
        s->api->log(s->host, HG_LOG_WARN, text);
    }
    command_end(&s->command, 0, &status);
    return result;
}

static int start(struct state *s)
{
    const struct command_start how = {.text = s->config->command,
                                      .folder = s->config->folder,
                                      .environment = &s->config->env,
                                      .position = s->position_size > 0 ? s->position : NULL,
                                      .instance = s->api->instance(s->host)};
    feed_fini(&s->out);
    feed_fini(&s->err);
    rowbatch_clear(&s->batch);
    int number = command_start(&s->command, &how);
    return number == 0 ? HG_PULLED : not_now(s, "cannot start the command", strerror(number));
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What the command still prints when it is told to end is taken in; but it is not waited for for ever. */
static void mind_stop(struct state *s)
{
    if (!s->api->stopping(s->host))
        return;
    if (s->kill_ms == 0) {
        s->kill_ms = now_ms() + s->config->stop_wait;
        command_ask(&s->command);
    } else if (now_ms() >= s->kill_ms) {
        s->out.ended = s->err.ended = 1;
    }
}

/* Until something was emitted, or the command has ended. */
static int exec_pull(void *state)
{
    struct state *s = state;
    int result = s->command.pid <= 0 ? start(s) : rowbatch_full(&s->batch) ? flush(s, NULL, 0) : HG_PULLED;
    if (result == HG_PULLED)
        result = take_lines(s);
    while (result == HG_PULLED) {
        mind_stop(s);
        if (s->out.ended && s->err.ended) {
            result = flush(s, NULL, 0);
            return result == HG_PULLED ? ended(s) : give_up(s, result);
        }
        int silent = !wait_for(s, s->batch.count > 0 ? SILENCE_MS : STEP_MS);
        int number = silent ? 0 : feed_read(&s->out, s->command.out);
        if (number == 0 && !silent)
            number = feed_read(&s->err, s->command.err);
        if (number != 0)
            return not_now(s, "cannot read from the command", strerror(number));
        log_lines(s);
        size_t before = s->batch.count;
        result = take_lines(s);
        if (result == HG_PULLED && silent && before > 0 && !s->config->positions)
            return (result = flush(s, NULL, 0)) == HG_PULLED ? HG_PULLED : give_up(s, result);
    }
    return give_up(s, result);
}

static const struct hg_puller puller = {
    .size = sizeof(puller),
    .open = exec_open,
    .close = exec_close,
    .pull = exec_pull,
    .reopen = exec_reopen,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(plugin),
    .kind = HG_PULLER,
    .name = "exec",
    .version = "0.1.0",
    .summary = "Takes in the rows that a command prints.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .option_size = sizeof(options[0]),
    .config_size = sizeof(struct config),
    .puller = &puller,
};

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}

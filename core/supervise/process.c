/* A host process on libuv: a SOCK_SEQPACKET pair as its descriptor 3, a file with its setup as 4, a pipe for what it
 * prints. Its death is told only after the channel and the log were read to their ends, so that the last thing a
 * crashing host said (which worker it was) is known before it is judged.
 *
 * A host cannot block the loop: sending never waits (what the socket does not take is queued, bounded by one hand-out a
 * lane), and reading is bounded for each turn of the loop. */
#include "supervise/process.h"

#include "base/check.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROCESS_MAGIC = 0x48475052, LOG_LINE = 4096, MESSAGES_A_TURN = 64, QUEUE_MAX = 1024 };

struct outgoing {
    struct outgoing *next;
    size_t len;
    int fd;
    char bytes[];
};

struct process {
    uint32_t magic;
    uv_process_t handle;
    uv_poll_t channel;
    uv_pipe_t log;
    int fd;
    const struct process_events *events;
    void *arg;
    struct outgoing *first, **last;
    size_t queued;
    char line[LOG_LINE];
    size_t line_len;
    bool channel_open, log_open, exited, told;
    int open_handles;
    int64_t status;
    int signal;
};

static void closed(uv_handle_t *handle)
{
    struct process *p = handle->data;
    CHECK_MAGIC(p, PROCESS_MAGIC);
    if (--p->open_handles > 0)
        return;
    for (struct outgoing *o = p->first, *next; o != NULL; o = next) {
        next = o->next;
        if (o->fd >= 0)
            sys->close(o->fd);
        free(o);
    }
    p->magic = 0;
    free(p);
}

static void channel_close(struct process *p)
{
    if (!p->channel_open)
        return;
    p->channel_open = false;
    uv_poll_stop(&p->channel);
    sys->close(p->fd);
    p->fd = -1;
    uv_close((uv_handle_t *)&p->channel, closed);
}

static void say_line(struct process *p)
{
    size_t len = p->line_len;
    p->line_len = 0;
    if (len == 0)
        return;
    int level = 2; /* plain output of a plugin is information */
    const char *text = p->line;
    if (len >= 3 && text[0] == '<' && text[1] >= '0' && text[1] <= '3' && text[2] == '>') {
        level = text[1] - '0';
        text += 3;
        len -= 3;
    }
    p->events->log(p->arg, level, slice_make(text, len));
}

static void tell_end(struct process *p)
{
    if (p->told || !p->exited || p->channel_open || p->log_open)
        return;
    p->told = true;
    say_line(p);
    p->events->ended(p->arg, p->status, p->signal);
}

/* --- reading --- */

static size_t least_size(uint16_t type)
{
    switch (type) {
    case WIRE_READY: return sizeof(struct wire_ready);
    case WIRE_OPEN_FAILED:
    case WIRE_PROBED: return sizeof(struct wire_outcome);
    case WIRE_TAKEN: return sizeof(struct wire_taken);
    case WIRE_VERDICTS: return sizeof(struct wire_verdicts);
    case WIRE_DONE: return sizeof(struct wire_done);
    case WIRE_DAMAGE: return sizeof(struct wire_damage);
    case WIRE_DROPPED: return sizeof(struct wire_drop);
    case WIRE_CRASH: return sizeof(struct wire_crash);
    case WIRE_COUNT: return sizeof(struct wire_count);
    case WIRE_EMIT: return sizeof(struct wire_emit);
    case WIRE_PULLED: return sizeof(struct wire_pulled);
    default: return SIZE_MAX;
    }
}

/* One message: 1 handled, 0 nothing there, -1 the channel is over. */
static int receive(struct process *p)
{
    static union {
        struct wire_head head;
        char bytes[WIRE_MAX];
        uint64_t align;
    } in; /* loop thread only */
    struct iovec part = {.iov_base = &in, .iov_len = sizeof in};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n = sys->recvmsg(p->fd, &message, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : errno == EINTR ? 1 : -1;
    if (n == 0)
        return -1;
    size_t len = (size_t)n;
    bool good = len >= sizeof in.head && in.head.magic == WIRE_MAGIC && len >= least_size(in.head.type) &&
                (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    if (!good || p->events->message(p->arg, &in.head, len) != 0)
        return -1;
    return 1;
}

static void flush(struct process *p);

static void channel_ready(uv_poll_t *handle, int status, int events)
{
    struct process *p = handle->data;
    CHECK_MAGIC(p, PROCESS_MAGIC);
    int more = status < 0 ? -1 : 1, heard = 0;
    while (more == 1 && heard < MESSAGES_A_TURN && p->channel_open) {
        more = receive(p);
        heard += more == 1;
    }
    if (more >= 0 && heard > 0 && p->events->turn != NULL)
        p->events->turn(p->arg);
    if (p->channel_open && more < 0) {
        channel_close(p);
        if (!p->exited) /* closed while it lives, or nonsense: it has to go */
            process_kill(p);
    } else if (p->channel_open && (events & UV_WRITABLE) != 0) {
        flush(p);
    }
    tell_end(p);
}

static void log_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    static char block[8192]; /* loop thread only; used up before the next read */
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(block, sizeof block);
}

static void log_ready(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct process *p = stream->data;
    CHECK_MAGIC(p, PROCESS_MAGIC);
    for (ssize_t i = 0; i < n; i++) {
        if (b->base[i] == '\n' || p->line_len == sizeof p->line)
            say_line(p);
        if (b->base[i] != '\n')
            p->line[p->line_len++] = b->base[i];
    }
    if (n < 0) {
        p->log_open = false;
        uv_close((uv_handle_t *)stream, closed);
        tell_end(p);
    }
}

static void exited(uv_process_t *handle, int64_t status, int signal)
{
    struct process *p = handle->data;
    CHECK_MAGIC(p, PROCESS_MAGIC);
    p->exited = true;
    p->status = status;
    p->signal = signal;
    while (p->channel_open && receive(p) == 1)
        ;
    channel_close(p);
    if (p->log_open) { /* a plugin's own child may hold the pipe for ever: what is there now is read, then it is closed
                        */
        char block[8192];
        ssize_t n;
        int fd;
        uv_buf_t b = uv_buf_init(block, sizeof block);
        if (uv_fileno((uv_handle_t *)&p->log, &fd) == 0)
            while ((n = sys->read(fd, block, sizeof block)) > 0)
                log_ready((uv_stream_t *)&p->log, n, &b);
        p->log_open = false;
        uv_close((uv_handle_t *)&p->log, closed);
    }
    uv_close((uv_handle_t *)handle, closed);
    tell_end(p);
}

/* --- sending --- */

static ssize_t send_one(struct process *p, const void *bytes, size_t len, int fd)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n;
    do
        n = sys->sendmsg(p->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

static void watch(struct process *p)
{
    int events = UV_READABLE | (p->first != NULL ? UV_WRITABLE : 0);
    CHECK(uv_poll_start(&p->channel, events, channel_ready) == 0);
}

static void flush(struct process *p)
{
    while (p->first != NULL) {
        struct outgoing *o = p->first;
        if (send_one(p, o->bytes, o->len, o->fd) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
            return;
        p->first = o->next;
        if (p->first == NULL)
            p->last = &p->first;
        p->queued--;
        if (o->fd >= 0)
            sys->close(o->fd);
        free(o);
    }
    watch(p);
}

int process_send(struct process *p, void *bytes, size_t len, int fd)
{
    CHECK_MAGIC(p, PROCESS_MAGIC);
    struct wire_head *head = bytes;
    head->magic = WIRE_MAGIC;
    CHECK(len <= WIRE_MAX);
    int code = p->channel_open ? ERR_OK : ERR_CLOSED;
    if (code == ERR_OK && p->first == NULL) {
        if (send_one(p, bytes, len, fd) >= 0)
            goto out;
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
            code = ERR_CLOSED; /* its end follows */
    }
    if (code == ERR_OK && p->queued == QUEUE_MAX)
        code = ERR_LIMIT;
    struct outgoing *o = code == ERR_OK ? malloc(sizeof *o + len) : NULL;
    if (code == ERR_OK && o == NULL)
        code = ERR_NOMEM;
    if (code != ERR_OK)
        goto out;
    *o = (struct outgoing){.len = len, .fd = fd};
    memcpy(o->bytes, bytes, len);
    *p->last = o;
    p->last = &o->next;
    p->queued++;
    watch(p);
    return ERR_OK;
out:
    if (fd >= 0)
        sys->close(fd);
    return code;
}

void process_kill(struct process *p)
{
    CHECK_MAGIC(p, PROCESS_MAGIC);
    if (!p->exited)
        (void)uv_process_kill(&p->handle, SIGKILL);
}

int process_pid(const struct process *p)
{
    return p->exited ? 0 : p->handle.pid;
}

uint64_t process_memory(const struct process *p)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", p->handle.pid);
    int fd = sys->open(path, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    ssize_t n = sys->read(fd, text, sizeof text - 1);
    sys->close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *line = strstr(text, "RssAnon:");
    return line == NULL ? 0 : strtoull(line + 8, NULL, 10) * 1024;
}

/* --- starting --- */

static int setup_file(struct slice text, int *out)
{
    int fd = memfd_create("headgate-setup", MFD_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    for (size_t done = 0; done < text.len;) {
        ssize_t n = sys->write(fd, text.ptr + done, text.len - done);
        if (n < 0 && errno != EINTR) {
            sys->close(fd);
            return err_from_errno(errno);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    if (lseek(fd, 0, SEEK_SET) != 0) {
        sys->close(fd);
        return ERR_IO;
    }
    *out = fd;
    return ERR_OK;
}

static int spawn(struct process *p, const struct process_start *start, int theirs, int setup, int output)
{
    char title[128];
    snprintf(title, sizeof title, "headgate-host:%s", start->name); /* for ps */
    char *argv[] = {title, NULL};
    char zone[256] = "TZ=";
    const char *tz = getenv("TZ");
    snprintf(zone, sizeof zone, "TZ=%s", tz == NULL ? "" : tz);
    char *env[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin", (char *)(uintptr_t) "LANG=C.UTF-8",
                   tz == NULL ? NULL : zone, NULL};
    uv_stdio_container_t stdio[5] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = output},
        {.flags = UV_INHERIT_FD, .data.fd = output},
        {.flags = UV_INHERIT_FD, .data.fd = theirs},
        {.flags = UV_INHERIT_FD, .data.fd = setup},
    };
    uv_process_options_t options = {
        .exit_cb = exited,
        .file = start->host,
        .args = argv,
        .env = env,
        .stdio = stdio,
        .stdio_count = 5,
    };
    int code = uv_spawn(start->loop, &p->handle, &options);
    return code == 0 ? ERR_OK : err_from_errno(-code);
}

int process_start(struct process **out, const struct process_start *start, struct err *e)
{
    int pair[2], setup = -1, code;
    uv_file ends[2];
    struct process *p = calloc(1, sizeof *p);
    if (p == NULL)
        return err_set(e, ERR_NOMEM, "no memory for a host process");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        code = err_errno(e, errno, "cannot make a control channel");
        goto no_channel;
    }
    if ((code = setup_file(start->setup, &setup)) != ERR_OK) {
        err_set(e, code, "cannot hand over the settings: %s", err_text(code));
        goto no_setup;
    }
    if ((code = uv_pipe(ends, UV_NONBLOCK_PIPE, 0)) != 0) {
        code = err_errno(e, -code, "cannot make a pipe for the log");
        goto no_log;
    }
    p->magic = PROCESS_MAGIC;
    p->events = start->events;
    p->arg = start->arg;
    p->fd = pair[0];
    p->last = &p->first;
    p->handle.data = p->channel.data = p->log.data = p;
    CHECK(uv_pipe_init(start->loop, &p->log, 0) == 0);
    CHECK(uv_pipe_open(&p->log, ends[0]) == 0);
    code = spawn(p, start, pair[1], setup, ends[1]);
    sys->close(ends[1]);
    sys->close(pair[1]);
    sys->close(setup);
    p->log_open = true;
    p->open_handles = 2; /* process and log; uv_close is allowed after a failed spawn */
    if (code != ERR_OK) {
        p->log_open = false;
        sys->close(p->fd);
        uv_close((uv_handle_t *)&p->log, closed);
        uv_close((uv_handle_t *)&p->handle, closed);
        return err_set(e, code, "cannot start %s: %s", start->host, err_text(code));
    }
    CHECK(uv_poll_init(start->loop, &p->channel, p->fd) == 0);
    p->open_handles++;
    p->channel_open = true;
    watch(p);
    CHECK(uv_read_start((uv_stream_t *)&p->log, log_buffer, log_ready) == 0);
    *out = p;
    return ERR_OK;
no_log:
    sys->close(setup);
no_setup:
    sys->close(pair[0]);
    sys->close(pair[1]);
no_channel:
    free(p);
    return code;
}

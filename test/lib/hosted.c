/* See hosted.h. */
#include "hosted.h"

#include "base/check.h"
#include "journal/record.h"
#include "rows/rows.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* --- a segment --- */

static void write_at(struct maker *m, const void *bytes, size_t len, uint64_t position)
{
    assert_int_equal(pwrite(m->fd, bytes, len, (off_t)(position - m->base)), (ssize_t)len);
}

void maker_open(struct maker *m, uint64_t base)
{
    *m = (struct maker){.base = base, .salt = 0x5A17 + base, .at = base + SEGMENT_HEADER};
    memset(m->epoch.bytes, 0x33, sizeof m->epoch.bytes);
    m->fd = memfd_create("segment", MFD_CLOEXEC);
    assert_true(m->fd >= 0);
    const struct segment_header h = {
        .base = base, .size = 64 << 20, .epoch = m->epoch, .salt = m->salt, .prev_base = UINT64_MAX};
    unsigned char bytes[SEGMENT_HEADER];
    segment_header_write(&h, bytes);
    write_at(m, bytes, sizeof bytes, base);
}

void maker_close(struct maker *m)
{
    close(m->fd);
    m->fd = -1;
}

static uint64_t maker_write(struct maker *m, struct record_parts *parts)
{
    parts->body_crc = record_body_crc(parts);
    uint32_t length = record_length(parts);
    assert_true(length > 0);
    const struct group_header g = {.position = m->at,
                                   .epoch = m->epoch,
                                   .salt = m->salt,
                                   .durable = m->at,
                                   .length = GROUP_HEADER + length,
                                   .records = 1};
    unsigned char group[GROUP_HEADER], header[RECORD_HEADER];
    group_header_write(&g, group);
    uint64_t position = m->at + GROUP_HEADER, at = position + RECORD_HEADER;
    m->prev_crc =
        record_header_write(parts, position, 1700000000000000 + (int64_t)m->rows, m->rows, m->prev_crc, header);
    write_at(m, group, sizeof group, m->at);
    write_at(m, header, sizeof header, position);
    write_at(m, parts->context.ptr, parts->context.len, at);
    at += parts->context.len;
    write_at(m, parts->spans, parts->rows * sizeof *parts->spans, at);
    at += parts->rows * sizeof *parts->spans;
    write_at(m, parts->data.ptr, parts->data.len, at);
    m->at = position + length;
    m->rows += parts->rows;
    assert_int_equal(ftruncate(m->fd, (off_t)(m->at - m->base)), 0);
    return position;
}

uint64_t maker_record(struct maker *m, uint16_t type, struct slice context, const char *const *data, uint32_t rows)
{
    struct buf body;
    struct row_span *spans = calloc(rows + 1, sizeof *spans);
    assert_non_null(spans);
    buf_init(&body, 256 << 20);
    for (uint32_t i = 0; i < rows; i++) {
        assert_int_equal(buf_adds(&body, i == 0 ? "[" : ","), 0);
        spans[i] = (struct row_span){(uint32_t)body.len, (uint32_t)strlen(data[i]), i % 2 == 0 ? i : INDEX_NONE};
        assert_int_equal(buf_adds(&body, data[i]), 0);
    }
    assert_int_equal(buf_adds(&body, "]"), 0);
    struct record_parts parts = {
        .type = type, .rows = rows, .context = context, .spans = spans, .data = buf_slice(&body)};
    uint64_t position = maker_write(m, &parts);
    free(spans);
    buf_free(&body);
    return position;
}

static char *row_text(uint32_t n, uint32_t bytes, const char *key)
{
    char *text = NULL;
    char *pad = calloc(1, (size_t)bytes + 1);
    assert_non_null(pad);
    memset(pad, 'x', bytes);
    assert_true(asprintf(&text, "{%s%s%s\"n\":%u,\"pad\":\"%s\"}", key == NULL ? "" : "\"", key == NULL ? "" : key,
                         key == NULL ? "" : "\":true,", n, pad) > 0);
    free(pad);
    return text;
}

uint64_t maker_set(struct maker *m, const char *uuid, uint32_t rows, uint32_t first, uint32_t bytes, const char *key)
{
    struct buf context;
    char **data = calloc(rows + 1, sizeof *data);
    assert_non_null(data);
    for (uint32_t i = 0; i < rows; i++)
        data[i] = row_text(first + i, bytes, key);
    buf_init(&context, 4096);
    assert_int_equal(context_add(&context, CONTEXT_UUID, slice_of(uuid)), 0);
    assert_int_equal(context_add(&context, CONTEXT_CLIENT, slice_of("tester")), 0);
    assert_int_equal(context_add_tag(&context, slice_of("site"), slice_of("lab 1")), 0);
    assert_int_equal(context_finish(&context), 0);
    uint64_t position = maker_record(m, RECORD_ROWS, buf_slice(&context), (const char *const *)data, rows);
    buf_free(&context);
    for (uint32_t i = 0; i < rows; i++)
        free(data[i]);
    free(data);
    return position;
}

void maker_damage(struct maker *m, uint64_t position)
{
    write_at(m, "damaged!", 8, position + RECORD_HEADER + 8);
}

/* --- a host --- */

static char *copied(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

void hosted_init(struct hosted *h, const char *plugin)
{
    char path[512];
    memset(h, 0, sizeof *h);
    h->channel = h->log = -1;
    snprintf(h->dir, sizeof h->dir, "/tmp/hosted-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    snprintf(h->file, sizeof h->file, "%s/out/rows", h->dir);
    snprintf(h->gate, sizeof h->gate, "%s/gate", h->dir);
    snprintf(h->lock, sizeof h->lock, "%s/lock", h->dir);
    snprintf(path, sizeof path, "%s/out", h->dir);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/fixture/%s.so", TEST_BUILD, plugin);
    h->setup = (struct setup){.instance = copied(plugin),
                              .plugin = realpath(path, NULL),
                              .lock = h->lock,
                              .workers = 1,
                              .batch_rows = 1000,
                              .batch_bytes = 1 << 20,
                              .timeout_ms = 30000,
                              .settings = h->settings};
    assert_non_null(h->setup.plugin);
    buf_init(&h->logged, 64 << 20);
    hosted_set(h, "FILE", h->file);
    hosted_set(h, "GATE", h->gate);
}

void hosted_set(struct hosted *h, const char *name, const char *value)
{
    struct setting *s = h->settings;
    while (s < h->settings + h->setup.count && strcmp(s->name, name) != 0)
        s++;
    assert_true(s < h->settings + HOSTED_SETTINGS);
    if (s == h->settings + h->setup.count) {
        h->setup.count++;
        s->name = copied(name);
    }
    free(s->value);
    s->value = copied(value);
}

static int setup_file(const struct setup *setup)
{
    struct buf text;
    int fd = memfd_create("setup", MFD_CLOEXEC);
    buf_init(&text, 1 << 20);
    assert_int_equal(setup_write(setup, &text), 0);
    assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
    buf_free(&text);
    return fd;
}

static _Noreturn void become_host(int null, int log, int channel, int setup)
{
    char *environment[] = {(char[]){"PATH=/usr/bin:/bin"}, (char[]){"LANG=C"}, NULL};
    const int wanted[] = {null, log, log, channel, setup};
    int high[COUNT_OF(wanted)];
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        high[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, 100);
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (high[i] < 0 || dup2(high[i], (int)i) < 0)
            _exit(99);
    execle(TEST_BUILD "/headgate-host", "headgate-host", (char *)NULL, environment);
    _exit(98);
}

void hosted_start(struct hosted *h)
{
    int channel[2], log[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    int setup = setup_file(&h->setup), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    h->pid = fork();
    assert_true(h->pid >= 0);
    if (h->pid == 0)
        become_host(null, log[1], channel[1], setup);
    close(setup);
    close(null);
    close(log[1]);
    close(channel[1]);
    h->channel = channel[0];
    h->log = log[0];
    fcntl(h->log, F_SETFL, O_NONBLOCK);
}

void hosted_ready(struct hosted *h)
{
    hosted_start(h);
    hosted_expect(h, WIRE_READY);
}

static void hosted_read_log(struct hosted *h)
{
    for (;;) {
        assert_int_equal(buf_reserve(&h->logged, 65536), 0);
        ssize_t n = read(h->log, h->logged.ptr + h->logged.len, 65536);
        if (n <= 0)
            return;
        h->logged.len += (size_t)n;
    }
}

void hosted_fini(struct hosted *h)
{
    if (h->pid > 0) {
        kill(h->pid, SIGKILL);
        waitpid(h->pid, NULL, 0);
    }
    if (h->log >= 0) {
        hosted_read_log(h);
        close(h->log);
    }
    if (h->channel >= 0)
        close(h->channel);
    for (size_t i = 0; i < h->setup.count; i++) {
        free(h->settings[i].name);
        free(h->settings[i].value);
    }
    free(h->setup.instance);
    free(h->setup.plugin);
    free(h->rows);
    free(h->reasons);
    buf_free(&h->logged);
    unlink(h->file);
    unlink(h->gate);
    unlink(h->lock);
    char out[128];
    snprintf(out, sizeof out, "%s/out", h->dir);
    rmdir(out);
    rmdir(h->dir);
}

/* --- messages --- */

void hosted_send(struct hosted *h, const void *message, size_t len, int fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof fd)];
    } control = {.bytes = {0}};
    struct iovec part = {(void *)(uintptr_t)message, len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    assert_int_equal(sendmsg(h->channel, &m, MSG_NOSIGNAL), (ssize_t)len);
}

static struct wire_head head_of(enum wire_type type, uint16_t lane, uint64_t token)
{
    return (struct wire_head){.magic = WIRE_MAGIC, .type = (uint16_t)type, .lane = lane, .token = token};
}

void hosted_segment(struct hosted *h, const struct maker *m, uint32_t store)
{
    struct wire_segment s = {.head = head_of(WIRE_SEGMENT, 0, 0), .store = store, .base = m->base, .salt = m->salt};
    memcpy(s.epoch, m->epoch.bytes, sizeof s.epoch);
    hosted_send(h, &s, sizeof s, m->fd);
}

void hosted_simple(struct hosted *h, enum wire_type type, uint16_t lane, uint64_t token)
{
    const struct wire_head head = head_of(type, lane, token);
    hosted_send(h, &head, sizeof head, -1);
}

struct wire_hand hosted_range(const struct maker *m, uint64_t token)
{
    return (struct wire_hand){.head = head_of(WIRE_HAND, 0, token),
                              .kind = HAND_RANGE,
                              .max_rows = 1000000,
                              .max_bytes = 256 << 20,
                              .base = m->base,
                              .from = {.position = m->base + SEGMENT_HEADER},
                              .limit = m->at,
                              .attempt = 1,
                              .timeout_ms = 30000};
}

void hosted_hand(struct hosted *h, const struct wire_hand *hand, const void *lists)
{
    char bytes[WIRE_MAX];
    size_t len = hand->held * sizeof(uint64_t) + hand->items * sizeof(struct wire_item);
    assert_true(sizeof *hand + len <= sizeof bytes);
    memcpy(bytes, hand, sizeof *hand);
    if (len > 0)
        memcpy(bytes + sizeof *hand, lists, len);
    h->row_count = 0;
    hosted_send(h, bytes, sizeof *hand + len, -1);
}

static void hosted_keep_verdicts(struct hosted *h)
{
    size_t at = sizeof h->m.verdicts;
    for (uint32_t i = 0; i < h->m.verdicts.count; i++) {
        if (h->row_count == h->row_cap) {
            h->row_cap = h->row_cap * 2 + 64;
            h->rows = realloc(h->rows, h->row_cap * sizeof *h->rows);
            h->reasons = realloc(h->reasons, h->row_cap * sizeof *h->reasons);
            assert_true(h->rows != NULL && h->reasons != NULL);
        }
        struct wire_row *row = &h->rows[h->row_count];
        assert_true(at + sizeof *row <= h->len);
        memcpy(row, h->m.bytes + at, sizeof *row);
        at += sizeof *row;
        assert_true(at + row->reason <= h->len);
        snprintf(h->reasons[h->row_count++], sizeof *h->reasons, "%.*s", (int)row->reason, h->m.bytes + at);
        at += (row->reason + 7u) & ~7u;
    }
    assert_int_equal(at, h->len);
}

/* One message, while the log is read so that nothing waits for it. */
void hosted_receive(struct hosted *h)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = h->channel, .events = POLLIN}, {.fd = h->log, .events = POLLIN}};
        int n = poll(fds, COUNT_OF(fds), HOSTED_PATIENCE_MS);
        if (n <= 0)
            fail_msg("the host said nothing; its log: %s", buf_str(&h->logged));
        hosted_read_log(h);
        if (fds[0].revents != 0)
            break;
        if ((fds[1].revents & (POLLIN | POLLHUP)) == POLLHUP)
            break;
    }
    ssize_t n = recv(h->channel, h->m.bytes, sizeof h->m.bytes, 0);
    if (n < (ssize_t)sizeof h->m.head)
        fail_msg("the host hung up; its log: %s", buf_str(&h->logged));
    h->len = (size_t)n;
    assert_int_equal(h->m.head.magic, WIRE_MAGIC);
}

void hosted_expect(struct hosted *h, enum wire_type type)
{
    for (;;) {
        hosted_receive(h);
        if (h->m.head.type == WIRE_VERDICTS)
            hosted_keep_verdicts(h);
        if (h->m.head.type == type)
            return;
        if (h->m.head.type != WIRE_VERDICTS && h->m.head.type != WIRE_COUNT)
            fail_msg("message %u where %d was expected; log: %s", h->m.head.type, type, buf_str(&h->logged));
    }
}

void hosted_finish(struct hosted *h, struct wire_taken *taken)
{
    hosted_expect(h, WIRE_TAKEN);
    if (taken != NULL)
        *taken = h->m.taken;
    hosted_expect(h, WIRE_DONE);
    assert_int_equal(h->m.done.listed, h->row_count);
    assert_int_equal(h->len, sizeof h->m.done + h->m.done.state + h->m.done.reason);
}

void hosted_push(struct hosted *h, const struct wire_hand *hand, const void *lists, struct wire_taken *taken)
{
    hosted_hand(h, hand, lists);
    hosted_finish(h, taken);
}

int hosted_wait(struct hosted *h)
{
    int status = -1, fd = (int)syscall(SYS_pidfd_open, h->pid, 0);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = h->log, .events = POLLIN}};
    assert_true(fd >= 0);
    do {
        int n = poll(fds, COUNT_OF(fds), HOSTED_PATIENCE_MS);
        if (n <= 0)
            fail_msg("the host does not end; its log: %s", buf_str(&h->logged));
        hosted_read_log(h);
        if ((fds[1].revents & POLLHUP) != 0)
            fds[1].fd = -1;
    } while (fds[0].revents == 0);
    close(fd);
    assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
    h->pid = 0;
    hosted_read_log(h);
    return status;
}

int hosted_stop(struct hosted *h)
{
    hosted_simple(h, WIRE_STOP, 0, 0);
    int status = hosted_wait(h);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the host ended with %#x; its log: %s", (unsigned)status, buf_str(&h->logged));
    return WEXITSTATUS(status);
}

void hosted_hang_up(struct hosted *h)
{
    close(h->channel);
    h->channel = -1;
}

/* --- what it did --- */

char *hosted_written(const struct hosted *h)
{
    struct buf text;
    int fd = open(h->file, O_RDONLY | O_CLOEXEC);
    buf_init(&text, 512 << 20);
    for (ssize_t n = 1; fd >= 0 && n > 0;) {
        assert_int_equal(buf_reserve(&text, 65536), 0);
        n = read(fd, text.ptr + text.len, 65536);
        text.len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    char *copy = copied(buf_str(&text));
    buf_free(&text);
    return copy;
}

uint32_t hosted_lines(const struct hosted *h)
{
    uint32_t lines = 0;
    char *text = hosted_written(h);
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    free(text);
    return lines;
}

void hosted_logged(struct hosted *h, const char *text)
{
    for (;;) {
        hosted_read_log(h);
        if (strstr(buf_str(&h->logged), text) != NULL)
            return;
        struct pollfd fd = {.fd = h->log, .events = POLLIN};
        int n = poll(&fd, 1, HOSTED_PATIENCE_MS);
        if (n <= 0 || (fd.revents & (POLLIN | POLLHUP)) == POLLHUP)
            fail_msg("\"%s\" is not in the log: %s", text, buf_str(&h->logged));
    }
}

void hosted_touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
}

/* Writes one line for each call, once it is done:
 *
 *     <kind> <began ns> <ended ns> <thread> <result> …
 *     open|rename …  <device:inode> <path>       (after it: what the path is now)
 *     write …        <device:inode> <offset> <length>
 *     sync …         <device:inode>
 *     answer …       <batch id> <position> <bytes of the record>
 *
 * An answer with status 202 (or a replayed or waited-for 200) gets a line for each batch id in it, with the extent that
 * must be on disk: the record's length is read from the segment itself. Any thread; a line is one write to a file
 * opened for appending. */
#include "recorder.h"

#include "base/check.h"
#include "base/id.h"
#include "journal/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = PATH_MAX + 256, ANSWER_HEAD = 16 * 1024, SEGMENT_NAME = 20 };

static int record_fd = -1;
static _Atomic(const char *) segments; /* their folder, once one has been seen; never freed */

struct span {
    int64_t began, ended;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

__attribute__((format(printf, 4, 5))) static void note(const char *kind, struct span when, long result,
                                                       const char *format, ...)
{
    char line[LINE_BYTES];
    int saved = errno;
    int n = snprintf(line, sizeof line, "%s %" PRId64 " %" PRId64 " %ld %ld ", kind, when.began, when.ended,
                     (long)syscall(SYS_gettid), result);
    va_list args;
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    line[n++] = '\n';
    CHECK(write(record_fd, line, (size_t)n) == n);
    errno = saved;
}

/* "device:inode" of a descriptor. */
static const char *file_name(int fd, char out[64])
{
    struct stat st = {0};
    int saved = errno;
    fstat(fd, &st);
    snprintf(out, 64, "%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
    errno = saved;
    return out;
}

static bool is_segment(const char *name)
{
    size_t len = strlen(name);
    return len >= SEGMENT_NAME && strcmp(name + len - 4, ".seg") == 0;
}

static void folder_note(const char *path)
{
    if (!is_segment(path) || atomic_load(&segments) != NULL)
        return;
    char *folder = strdup(path);
    CHECK(folder != NULL);
    folder[strlen(folder) - SEGMENT_NAME] = '\0';
    atomic_store(&segments, folder);
}

static int rec_open(const char *path, int flags, mode_t mode)
{
    char name[64];
    struct span when = {now_ns(), 0};
    int fd = sys_plain.open(path, flags, mode);
    when.ended = now_ns();
    folder_note(path);
    if (fd >= 0)
        note("open", when, fd, "%s %s", file_name(fd, name), path);
    return fd;
}

static int rec_rename(const char *from, const char *to)
{
    struct stat st = {0};
    struct span when = {now_ns(), 0};
    int result = sys_plain.rename(from, to);
    when.ended = now_ns();
    folder_note(to);
    int saved = errno;
    if (result == 0 && stat(to, &st) == 0)
        note("rename", when, result, "%" PRIu64 ":%" PRIu64 " %s", (uint64_t)st.st_dev, (uint64_t)st.st_ino, to);
    errno = saved;
    return result;
}

static ssize_t rec_pwrite(int fd, const void *from, size_t len, off_t at)
{
    char name[64];
    struct span when = {now_ns(), 0};
    ssize_t n = sys_plain.pwrite(fd, from, len, at);
    when.ended = now_ns();
    note("write", when, n, "%s %lld %zu", file_name(fd, name), (long long)at, len);
    return n;
}

static ssize_t rec_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    char name[64];
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    struct span when = {now_ns(), 0};
    ssize_t n = sys_plain.pwritev(fd, parts, count, at);
    when.ended = now_ns();
    note("write", when, n, "%s %lld %zu", file_name(fd, name), (long long)at, len);
    return n;
}

static int rec_fdatasync(int fd)
{
    char name[64];
    struct span when = {now_ns(), 0};
    int result = sys_plain.fdatasync(fd);
    when.ended = now_ns();
    note("sync", when, result, "%s", file_name(fd, name));
    return result;
}

static int rec_fsync(int fd)
{
    char name[64];
    struct span when = {now_ns(), 0};
    int result = sys_plain.fsync(fd);
    when.ended = now_ns();
    note("sync", when, result, "%s", file_name(fd, name));
    return result;
}

/* --- answers --- */

/* The segment that holds a position, opened; -1. The journal may have closed its own descriptor by now. */
static int segment_at(uint64_t position, uint64_t *base)
{
    const char *folder = atomic_load(&segments);
    DIR *dir = folder == NULL ? NULL : opendir(folder);
    char path[PATH_MAX + 1] = "";
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        uint64_t first = strtoull(e->d_name, NULL, 16);
        if (!is_segment(e->d_name) || first > position || (path[0] != '\0' && first < *base))
            continue;
        *base = first;
        snprintf(path, sizeof path, "%s%.*s", folder, SEGMENT_NAME, e->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    return path[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

static uint32_t record_bytes(uint64_t position)
{
    uint64_t base = 0;
    unsigned char bytes[RECORD_HEADER];
    struct record record;
    int fd = segment_at(position, &base);
    if (fd < 0)
        return 0;
    bool good = pread(fd, bytes, sizeof bytes, (off_t)(position - base)) == (ssize_t)sizeof bytes &&
                record_peek(bytes, position, &record) == ERR_OK;
    close(fd);
    return good ? record.length : 0;
}

static void answer_note(struct span when, const char *text)
{
    for (const char *at = text; (at = strstr(at, "\"id\":\"")) != NULL; at++) {
        struct epoch epoch;
        uint64_t position;
        const char *id = at + strlen("\"id\":\"");
        if (strlen(id) < BATCH_ID_LEN || batch_id_parse(slice_make(id, BATCH_ID_LEN), &epoch, &position) != ERR_OK)
            continue;
        note("answer", when, 0, "%.*s %" PRIu64 " %" PRIu32, BATCH_ID_LEN, id, position, record_bytes(position));
    }
}

static ssize_t rec_answer(int fd, const struct iovec *parts, int count)
{
    static _Thread_local char text[ANSWER_HEAD];
    size_t len = 0;
    for (int i = 0; i < count && len < sizeof text - 1; i++) {
        size_t n = parts[i].iov_len < sizeof text - 1 - len ? parts[i].iov_len : sizeof text - 1 - len;
        memcpy(text + len, parts[i].iov_base, n);
        len += n;
    }
    text[len] = '\0';
    int saved = errno;
    struct span when = {now_ns(), 0};
    when.ended = when.began;
    if (strncmp(text, "HTTP/1.1 202", 12) == 0 || strncmp(text, "HTTP/1.0 202", 12) == 0)
        answer_note(when, text);
    errno = saved;
    return sys_plain.answer(fd, parts, count);
}

struct sys recorder_table(void)
{
    struct sys table = sys_plain;
    const char *path = getenv("TEST_RECORD");
    if (path == NULL)
        return table;
    record_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    CHECK(record_fd >= 0);
    table.open = rec_open;
    table.rename = rec_rename;
    table.pwrite = rec_pwrite;
    table.pwritev = rec_pwritev;
    table.fdatasync = rec_fdatasync;
    table.fsync = rec_fsync;
    table.answer = rec_answer;
    return table;
}

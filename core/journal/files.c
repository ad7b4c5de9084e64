/* Names and whole reads and writes. Everything goes through `sys`, so each call can be made to fail. No state.
 *
 * A name is the position of the segment's first byte as 16 hexadecimal digits, so names sort as positions do. Any
 * thread; may block. */
#include "journal/files.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIGITS = 16, SUFFIX = 4, INTERRUPTED_MAX = 1000, PARTS_MAX = 1024 };

static const char *const suffixes[] = {
#define FILE_KIND(name, suffix) suffix,
    FILE_KINDS(FILE_KIND)
#undef FILE_KIND
};

int path_join(const char *dir, const char *name, char *out)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n < 0 || n >= PATH_MAX ? ERR_LIMIT : ERR_OK;
}

int file_path(const char *dir, uint64_t base, enum file_kind kind, char *out)
{
    char name[DIGITS + SUFFIX + 1];
    snprintf(name, sizeof name, "%016llx%s", (unsigned long long)base, suffixes[kind]);
    return path_join(dir, name, out);
}

bool file_name_parse(const char *name, uint64_t *base, enum file_kind *kind)
{
    if (strlen(name) != DIGITS + SUFFIX || strspn(name, "0123456789abcdef") != DIGITS)
        return false;
    for (int k = 0; k < FILE_KIND_COUNT; k++)
        if (strcmp(name + DIGITS, suffixes[k]) == 0) {
            *base = strtoull(name, NULL, 16);
            *kind = (enum file_kind)k;
            return true;
        }
    return false;
}

int file_open(const char *path, int flags)
{
    int fd, tries = 0;
    do
        fd = sys->open(path, flags, 0640);
    while (fd < 0 && errno == EINTR && ++tries < INTERRUPTED_MAX);
    return fd;
}

int file_write(int fd, const void *from, size_t len, uint64_t at)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
    return file_writev(fd, &part, 1, at);
}

static void parts_advance(struct iovec **parts, int *count, size_t done)
{
    while (*count > 0 && done >= (*parts)->iov_len) {
        done -= (*parts)->iov_len;
        ++*parts;
        --*count;
    }
    if (*count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + done;
        (*parts)->iov_len -= done;
    }
}

int file_writev(int fd, struct iovec *parts, int count, uint64_t at)
{
    int stalls = 0;
    parts_advance(&parts, &count, 0);
    while (count > 0) {
        ssize_t n = sys->pwritev(fd, parts, count < PARTS_MAX ? count : PARTS_MAX, (off_t)at);
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n <= 0) {
            if (++stalls == INTERRUPTED_MAX)
                return ERR_IO;
            continue;
        }
        stalls = 0;
        at += (uint64_t)n;
        parts_advance(&parts, &count, (size_t)n);
    }
    return ERR_OK;
}

int file_read(int fd, void *to, size_t len, uint64_t at)
{
    size_t done = 0;
    int stalls = 0;
    while (done < len) {
        ssize_t n = sys->pread(fd, (char *)to + done, len - done, (off_t)(at + done));
        if (n == 0)
            return ERR_NOTFOUND;
        if (n < 0 && (errno != EINTR || ++stalls == INTERRUPTED_MAX))
            return err_from_errno(errno);
        done += n > 0 ? (size_t)n : 0;
    }
    return ERR_OK;
}

int file_zero(int fd, uint64_t from, uint64_t to)
{
    static const char zeros[FILE_PIECE];
    int code = ERR_OK;
    while (code == ERR_OK && from < to) {
        size_t piece = to - from < FILE_PIECE ? (size_t)(to - from) : FILE_PIECE;
        code = file_write(fd, zeros, piece, from);
        from += piece;
    }
    return code;
}

int file_sync(int fd)
{
    return sys->fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
}

int dir_sync(const char *dir)
{
    int fd = file_open(dir, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return err_from_errno(errno);
    int code = file_sync(fd);
    sys->close(fd);
    return code;
}

static int parent_sync(const char *path)
{
    char parent[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len == 0)
        return dir_sync(".");
    if (len >= sizeof parent)
        return ERR_LIMIT;
    memcpy(parent, path, len);
    parent[len] = '\0';
    return dir_sync(parent);
}

int dir_make(const char *path)
{
    bool made = sys->mkdir(path, 0750) == 0;
    if (!made && errno != EEXIST)
        return err_from_errno(errno);
    int code = parent_sync(path); /* also when it is there: who made it may have failed just here */
    return !made && code == ERR_DENIED ? ERR_OK : code;
}

int file_remove(const char *path)
{
    return sys->unlink(path) == 0 || errno == ENOENT ? ERR_OK : err_from_errno(errno);
}

int salt_draw(uint64_t *out)
{
    uint64_t salt = 0;
    for (int tries = 0; tries < 16 && salt == 0; tries++)
        if (sys->random(&salt, sizeof salt) != (ssize_t)sizeof salt)
            salt = 0;
    if (salt == 0)
        return ERR_IO;
    *out = salt;
    return ERR_OK;
}

/* A file is opened once and kept. It is written at an offset that this process knows, not with O_APPEND, so that a
 * write that failed half way can be repeated at the same place; the lock keeps a second writer out. Not opening what is
 * no regular file, and not blocking on one, keeps a FIFO or a device from holding the worker for ever. */
#include "outfile.h"

#include "common/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BLOCK = 256 * 1024 };
static const size_t text_max = (size_t)1 << 30;
static const int open_flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

static int file_create(const char *path, unsigned mode, int sync, int *fd)
{
    int rc = path_make_folders(path, sync);
    if (rc != 0)
        return rc;
    *fd = open(path, open_flags | O_CREAT | O_EXCL, mode);
    if (*fd < 0)
        return errno;
    if (fchmod(*fd, mode) != 0 && errno != EPERM) { /* the mode as written, whatever the umask; a mount may forbid it */
        rc = errno;
        close(*fd);
        *fd = -1;
    }
    return rc;
}

static int fd_check(struct outfile *f, const char **what)
{
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode)) {
        *what = "it is not a regular file";
        return S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    }
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) { /* other errors: no locks there */
        *what = "another process writes to it";
        return EWOULDBLOCK;
    }
    f->dev = (uint64_t)st.st_dev;
    f->ino = (uint64_t)st.st_ino;
    f->end.offset = (uint64_t)st.st_size;
    return 0;
}

int outfile_open(struct outfile *f, const char *path, int create, unsigned mode, int sync, const char **what)
{
    *what = "it cannot be opened";
    *f = (struct outfile){.fd = open(path, open_flags), .path = strdup(path)};
    int rc = !f->path ? ENOMEM : f->fd < 0 ? errno : 0;
    strbuf_init(&f->text, text_max);
    if (rc == ENOENT && create) {
        *what = "it cannot be created";
        rc = file_create(path, mode, sync, &f->fd);
        f->created = rc == 0;
    }
    if (rc == 0)
        rc = fd_check(f, what);
    if (rc == 0 && sync) {
        *what = "its folder cannot be synced";
        rc = path_sync_folder(path); /* also for an old one: who made it may have died before this */
    }
    if (rc != 0)
        outfile_close(f);
    return rc;
}

void outfile_close(struct outfile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    free(f->path);
    f->path = NULL;
    strbuf_fini(&f->text);
}

int outfile_current(const struct outfile *f)
{
    struct stat there, here;
    return stat(f->path, &there) == 0 && fstat(f->fd, &here) == 0 && there.st_ino == here.st_ino &&
           there.st_dev == here.st_dev && (uint64_t)here.st_size == f->end.offset;
}

void outfile_line_added(struct outfile *f, const char *id, size_t len)
{
    f->next.offset = f->end.offset + f->text.len;
    f->next.line = len <= UINT32_MAX ? (uint32_t)len : 0;
    memcpy(f->newest, id, strlen(id) + 1);
}

static int write_at(int fd, const char *ptr, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, ptr, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        ptr += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

int outfile_rollback(struct outfile *f)
{
    strbuf_clear(&f->text);
    if (!f->dirty)
        return 0;
    int rc;
    do
        rc = ftruncate(f->fd, (off_t)f->end.offset) == 0 ? 0 : errno;
    while (rc == EINTR);
    f->dirty = rc != 0;
    return rc;
}

int outfile_write(struct outfile *f)
{
    if (f->text.len == 0)
        return 0;
    f->dirty = 1;
    return write_at(f->fd, f->text.ptr, f->text.len, f->end.offset);
}

int outfile_sync(struct outfile *f)
{
    int rc;
    do
        rc = fdatasync(f->fd) == 0 ? 0 : errno;
    while (rc == EINTR);
    return rc;
}

void outfile_keep(struct outfile *f)
{
    if (f->text.len > 0) {
        f->end = f->next;
        f->end.check = place_check(f->newest, strlen(f->newest));
    }
    f->dirty = 0;
    strbuf_clear(&f->text);
}

int outfile_cut(struct outfile *f, const struct place *end)
{
    uint64_t size = f->end.offset;
    f->end = *end;
    if (end->offset >= size)
        return 0;
    f->dirty = 1;
    return outfile_rollback(f);
}

int outfile_refresh(struct outfile *f, uint64_t from)
{
    char *block = malloc(COPY_BLOCK);
    int rc = block ? 0 : ENOMEM;
    while (rc == 0 && from < f->end.offset) {
        size_t want = f->end.offset - from < COPY_BLOCK ? (size_t)(f->end.offset - from) : COPY_BLOCK;
        ssize_t got = pread(f->fd, block, want, (off_t)from);
        if (got < 0 && errno == EINTR)
            continue;
        rc = got < 0 ? errno : got == 0 ? EIO : write_at(f->fd, block, (size_t)got, from);
        from += got > 0 ? (uint64_t)got : 0;
    }
    free(block);
    return rc == 0 ? outfile_sync(f) : rc;
}

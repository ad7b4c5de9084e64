/* System calls of which the n-th fails with EIO, or is interrupted once. Included by one file of a program. */
#ifndef TEST_NTH_CALL_H
#define TEST_NTH_CALL_H

#include "base/sys.h"

#include <errno.h>
#include <stdbool.h>

static struct {
    struct sys table;
    long left; /* calls before the one that fails; negative: none fails */
    int error;
} nth = {.left = -1};

static bool nth_fails(void)
{
    bool fails = nth.left >= 0 && nth.left-- == 0;
    if (fails)
        errno = nth.error;
    return fails;
}

static int nth_open(const char *path, int flags, mode_t mode)
{
    return nth_fails() ? -1 : sys_plain.open(path, flags, mode);
}

static ssize_t nth_pread(int fd, void *to, size_t len, off_t at)
{
    return nth_fails() ? -1 : sys_plain.pread(fd, to, len, at);
}

static ssize_t nth_pwrite(int fd, const void *from, size_t len, off_t at)
{
    return nth_fails() ? -1 : sys_plain.pwrite(fd, from, len, at);
}

static int nth_fdatasync(int fd)
{
    (void)fd;
    return nth_fails() ? -1 : 0;
}

static int nth_fsync(int fd)
{
    (void)fd;
    return nth_fails() ? -1 : 0;
}

static int nth_ftruncate(int fd, off_t len)
{
    return nth_fails() ? -1 : sys_plain.ftruncate(fd, len);
}

static int nth_fstat(int fd, struct stat *out)
{
    return nth_fails() ? -1 : sys_plain.fstat(fd, out);
}

static int nth_mkdir(const char *path, mode_t mode)
{
    return nth_fails() ? -1 : sys_plain.mkdir(path, mode);
}

static int nth_list(const char *path, int (*each)(void *arg, const char *name), void *arg)
{
    return nth_fails() ? -1 : sys_plain.list(path, each, arg);
}

static inline void nth_begin(long n, int error)
{
    nth.table = sys_plain;
    nth.table.open = nth_open;
    nth.table.pread = nth_pread;
    nth.table.pwrite = nth_pwrite;
    nth.table.fdatasync = nth_fdatasync;
    nth.table.fsync = nth_fsync;
    nth.table.ftruncate = nth_ftruncate;
    nth.table.fstat = nth_fstat;
    nth.table.mkdir = nth_mkdir;
    nth.table.list = nth_list;
    nth.left = n;
    nth.error = error;
    sys = &nth.table;
}

/* True: no call failed, there are fewer than n. */
static inline bool nth_end(void)
{
    sys = &sys_plain;
    return nth.left >= 0;
}

#endif

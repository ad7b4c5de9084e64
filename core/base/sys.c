/* The system-call table's plain entries, and the clocks built on it. See sys.h for who may change it and when. */
#include "base/sys.h"

#include "base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

static int plain_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

static ssize_t plain_answer(int fd, const struct iovec *parts, int count)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int plain_stat(const char *path, struct stat *out)
{
    return stat(path, out);
}

static int plain_fstat(int fd, struct stat *out)
{
    return fstat(fd, out);
}

static ssize_t plain_random(void *to, size_t len)
{
    return getrandom(to, len, 0);
}

static int plain_list(const char *path, int (*each)(void *arg, const char *name), void *arg)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* opendir is not seen by the thread sanitizer */
    if (fd < 0)
        return -1;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return -1;
    }
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (errno = 0, entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = each(arg, entry->d_name);
    int failed = entry == NULL ? errno : 0;
    closedir(dir);
    if (failed != 0) {
        errno = failed;
        return -1;
    }
    return result;
}

const struct sys sys_plain = {
    .open = plain_open,
    .close = close,
    .read = read,
    .pread = pread,
    .write = write,
    .pwrite = pwrite,
    .pwritev = pwritev,
    .answer = plain_answer,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .fstat = plain_fstat,
    .stat = plain_stat,
    .statvfs = statvfs,
    .rename = rename,
    .unlink = unlink,
    .mkdir = mkdir,
    .rmdir = rmdir,
    .flock = flock,
    .clock = clock_gettime,
    .random = plain_random,
    .fork = fork,
    .sendmsg = sendmsg,
    .recvmsg = recvmsg,
    .list = plain_list,
};

const struct sys *sys = &sys_plain;

__attribute__((weak)) void sys_hook(void)
{
}

int64_t clock_wall_us(void)
{
    struct timespec t;
    CHECK(sys->clock(CLOCK_REALTIME, &t) == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_ns(void)
{
    struct timespec t;
    CHECK(sys->clock(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_ms(void)
{
    return clock_ns() / 1000000;
}

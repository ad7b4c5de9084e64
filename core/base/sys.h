/* The system-call table: every call that can fail and that a promise hangs on goes through `sys->`.
 *
 * Tests replace single entries (a recorder, a fault at the n-th call, a clock that jumps) by linking an object that
 * defines `sys_hook`; release builds link the empty one, so nothing can be switched on from outside. The table is
 * written only inside `sys_hook`, before any thread exists, and read everywhere. */
#ifndef HG_BASE_SYS_H
#define HG_BASE_SYS_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct sys {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *to, size_t len);
    ssize_t (*pread)(int fd, void *to, size_t len, off_t at);
    ssize_t (*write)(int fd, const void *from, size_t len);
    ssize_t (*pwrite)(int fd, const void *from, size_t len, off_t at);
    ssize_t (*pwritev)(int fd, const struct iovec *parts, int count, off_t at);
    ssize_t (*answer)(int fd, const struct iovec *parts, int count); /* first write of an HTTP answer: non-blocking */
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t len);
    int (*fstat)(int fd, struct stat *out);
    int (*stat)(const char *path, struct stat *out);
    int (*statvfs)(const char *path, struct statvfs *out);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int (*rmdir)(const char *path);
    int (*flock)(int fd, int operation);
    int (*clock)(clockid_t which, struct timespec *out);
    ssize_t (*random)(void *to, size_t len);
    pid_t (*fork)(void);
    ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
    ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
    /* Every name in a directory but `.` and `..`, in any order; a non-zero return of `each` stops and is returned. -1
     * and errno when the directory cannot be read to its end. */
    int (*list)(const char *path, int (*each)(void *arg, const char *name), void *arg);
};

extern const struct sys *sys;

/* Called first thing in every main(). The default does nothing; a test's object may set `sys` to its own table. */
void sys_hook(void);

/* The plain system calls, for a hook to build on. */
extern const struct sys sys_plain;

/* Microseconds since 1970-01-01 UTC (CLOCK_REALTIME); may jump. */
int64_t clock_wall_us(void);
/* Milliseconds and nanoseconds of CLOCK_MONOTONIC; never go back. */
int64_t clock_ms(void);
int64_t clock_ns(void);

#endif

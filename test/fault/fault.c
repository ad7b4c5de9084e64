/* libc's functions, failing as the fault page says. They stand in the program itself, so they come before libc's for
 * everything that is loaded: core with its table of system calls, libuv, jansson, SQLite, and in a host the plugin.
 *
 * A site is a call and the place that it is made from. Failures are given to core, plugins and SQLite only, but for the
 * calls marked ANY: libuv ends the process when its own eventfd or epoll fails, and says so. Allocations fail for all.
 * Any thread; nothing here takes a lock or allocates. After a fork the child is left in peace. */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), noinline))
#define HERE   __builtin_return_address(0)

enum { CACHE = 4096, ARENA = 4096 };
enum kind { PLAIN = 0, CHANGES = 1, ANY = 2, ALLOC = 4 };

struct cached {
    _Atomic uintptr_t place; /* return address ^ call */
    struct fault_site *_Atomic site;
};

static struct fault_page *_Atomic page;
static struct fault_site spared; /* for places that are left in peace */
static struct cached cache[CACHE];
static _Atomic bool passive;

/* --- the page --- */

static void page_open(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 8);
    if (n <= 0)
        return;
    memcpy(path + n, ".faults", 8);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        page = at;
    syscall(SYS_close, fd);
}

__attribute__((constructor)) static void begin(void)
{
    page_open();
}

static int64_t mix(int64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (int64_t)(((uint64_t)hash ^ (unsigned char)*text) * 0x100000001b3u);
    return hash;
}

/* Without its folder, and without the digest that is put before a plugin's private copy. */
static const char *object_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t digest = strspn(name, "0123456789abcdef");
    return digest == 10 && name[digest] == '-' ? name + digest + 1 : name;
}

static bool is_ours(const char *object)
{
    return strncmp(object, "headgate", 8) == 0 || strncmp(object, "libsqlite3", 10) == 0 ||
           (strncmp(object, "lib", 3) != 0 && strncmp(object, "ld-", 3) != 0);
}

static struct fault_site *site_make(const char *call, const void *place, enum kind kind)
{
    Dl_info info;
    char name[FAULT_NAME] = {0};
    if (dladdr(place, &info) == 0 || info.dli_fname == NULL)
        return &spared;
    const char *object = object_name(info.dli_fname);
    if ((kind & (ANY | ALLOC)) == 0 && !is_ours(object))
        return &spared;
    snprintf(name, sizeof name, "%s %.*s+%lx", call, (int)strcspn(object, ":"), object,
             (unsigned long)((uintptr_t)place - (uintptr_t)info.dli_fbase));
    int64_t key = mix(0x4bf29ce484222325, name) | 0x4000000000000000;
    for (unsigned i = 0; i < FAULT_SITES; i++) {
        struct fault_site *s = &page->sites[i];
        int64_t found = 0;
        if (atomic_compare_exchange_strong(&s->key, &found, key))
            memcpy(s->name, name, sizeof name);
        if (found == 0 || found == key)
            return s;
    }
    return &spared;
}

static struct fault_site *site_find(const char *call, const void *place, enum kind kind)
{
    uintptr_t wanted = (uintptr_t)place ^ ((uintptr_t)call << 1);
    for (size_t i = 0; i < CACHE; i++) {
        struct cached *c = &cache[(wanted * 0x9e3779b97f4a7c15u / CACHE + i) % CACHE];
        uintptr_t found = 0;
        if (atomic_compare_exchange_strong(&c->place, &found, wanted))
            atomic_store(&c->site, site_make(call, place, kind));
        if (found == 0 || found == wanted) {
            struct fault_site *site = atomic_load(&c->site);
            return site == NULL ? &spared : site; /* NULL: another thread is at it */
        }
    }
    return &spared;
}

/* The number of this call among those that are meant; 0: it is not. */
static int64_t number_of(const struct fault_site *site, int64_t key, int64_t mine, int64_t all, enum kind kind)
{
    switch (key) {
    case 0: return 0;
    case FAULT_CHANGES: return (kind & CHANGES) != 0 ? all : 0;
    case FAULT_ALLOCS: return (kind & ALLOC) != 0 ? all : 0;
    case FAULT_DISK: return (kind & CHANGES) != 0 && strncmp(site->name, "write ", 6) != 0;
    default: return key == atomic_load(&site->key) ? mine : 0;
    }
}

static int64_t turn_of(const struct fault_site *site, int64_t mine, int64_t all, enum kind kind)
{
    int64_t key = atomic_load(&page->key), from = atomic_load(&page->from), action = atomic_load(&page->action);
    int64_t n = number_of(site, key, mine, all, kind);
    if (n == 0 || n < from || n - from >= atomic_load(&page->times))
        return FAULT_NONE;
    atomic_fetch_add(&page->fired, 1);
    return action;
}

/* Counts the call; what it is to suffer. */
static int64_t meet(const char *call, const void *place, enum kind kind)
{
    static _Thread_local bool inside;
    if (page == NULL || passive || inside)
        return FAULT_NONE;
    int saved = errno;
    inside = true; /* dladdr may come back here */
    struct fault_site *site = site_find(call, place, kind);
    int64_t all = 0, action = FAULT_NONE;
    if (site != &spared) {
        int64_t mine = atomic_fetch_add(&site->count, 1) + 1;
        if ((kind & CHANGES) != 0)
            all = atomic_fetch_add(&page->changes, 1) + 1;
        if ((kind & ALLOC) != 0)
            all = atomic_fetch_add(&page->allocs, 1) + 1;
        action = turn_of(site, mine, all, kind);
    }
    inside = false;
    if (action == FAULT_KILL || (action == FAULT_KILL_HALF && (kind & CHANGES) == 0))
        kill(getpid(), SIGKILL);
    errno = saved;
    return action;
}

static size_t half(size_t len)
{
    return len < 2 ? len : len / 2;
}

static int64_t inode_of(int fd)
{
    struct stat st;
    return syscall(SYS_fstat, fd, &st) == 0 ? (int64_t)st.st_ino : 0;
}

/* A file whose sync failed must be left alone. */
static void look_spoiled(int fd)
{
    if (page != NULL && atomic_load(&page->spoiled) != 0 && atomic_load(&page->spoiled) == inode_of(fd))
        atomic_fetch_add(&page->spoiled_use, 1);
}

/* --- calls that fail or not --- */

#define REAL(name)                                                                                                     \
    static __typeof__(name) *_Atomic real;                                                                             \
    if (real == NULL)                                                                                                  \
    real = (__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name)

/* Each: kind, type of the result, name, parameters, arguments. */
#define WHOLE_CALLS(CALL)                                                                                              \
    CALL(CHANGES, int, ftruncate, (int fd, off_t len), (fd, len))                                                      \
    CALL(CHANGES, int, ftruncate64, (int fd, off64_t len), (fd, len))                                                  \
    CALL(CHANGES, int, rename, (const char *from, const char *to), (from, to))                                         \
    CALL(CHANGES, int, unlink, (const char *path), (path))                                                             \
    CALL(CHANGES, int, mkdir, (const char *path, mode_t mode), (path, mode))                                           \
    CALL(CHANGES, int, rmdir, (const char *path), (path))                                                              \
    CALL(PLAIN, int, stat, (const char *path, struct stat *out), (path, out))                                          \
    CALL(PLAIN, int, fstat, (int fd, struct stat *out), (fd, out))                                                     \
    CALL(PLAIN, int, statvfs, (const char *path, struct statvfs *out), (path, out))                                    \
    CALL(PLAIN, int, flock, (int fd, int operation), (fd, operation))                                                  \
    CALL(PLAIN, ssize_t, getrandom, (void *to, size_t len, unsigned flags), (to, len, flags))                          \
    CALL(PLAIN, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))                         \
    CALL(PLAIN, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))                               \
    CALL(ANY, int, accept4, (int fd, __SOCKADDR_ARG to, socklen_t *len, int flags), (fd, to, len, flags))              \
    CALL(ANY, int, socketpair, (int domain, int type, int protocol, int out[2]), (domain, type, protocol, out))        \
    CALL(PLAIN, int, pipe2, (int out[2], int flags), (out, flags))                                                     \
    CALL(PLAIN, int, eventfd, (unsigned count, int flags), (count, flags))                                             \
    CALL(ANY, int, memfd_create, (const char *name, unsigned flags), (name, flags))

#define CALL(kind, type, name, parameters, arguments)                                                                  \
    EXPORT type name parameters                                                                                        \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        int64_t action = meet(#name, HERE, kind);                                                                      \
        if (action > 0) {                                                                                              \
            errno = (int)action;                                                                                       \
            return -1;                                                                                                 \
        }                                                                                                              \
        return real arguments;                                                                                         \
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnonnull-compare"
WHOLE_CALLS(CALL)
#undef CALL

/* Those that may do a part. A write that fails may have done one, too. */
#define PART_CALLS(CALL)                                                                                               \
    CALL(PLAIN, read, (int fd, void *to, size_t len), (fd, to, len))                                                   \
    CALL(PLAIN, pread, (int fd, void *to, size_t len, off_t at), (fd, to, len, at))                                    \
    CALL(PLAIN, pread64, (int fd, void *to, size_t len, off64_t at), (fd, to, len, at))                                \
    CALL(CHANGES, write, (int fd, const void *from, size_t len), (fd, from, len))                                      \
    CALL(CHANGES, pwrite, (int fd, const void *from, size_t len, off_t at), (fd, from, len, at))                       \
    CALL(CHANGES, pwrite64, (int fd, const void *from, size_t len, off64_t at), (fd, from, len, at))

#define CALL(kind, name, parameters, arguments)                                                                        \
    EXPORT ssize_t name parameters                                                                                     \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        int64_t action = meet(#name, HERE, kind);                                                                      \
        if (kind == CHANGES)                                                                                           \
            look_spoiled(fd);                                                                                          \
        if (action < 0)                                                                                                \
            len = half(len);                                                                                           \
        if (action <= 0) {                                                                                             \
            ssize_t n = real arguments;                                                                                \
            if (action == FAULT_KILL_HALF)                                                                             \
                kill(getpid(), SIGKILL);                                                                               \
            return n;                                                                                                  \
        }                                                                                                              \
        errno = (int)action;                                                                                           \
        return -1;                                                                                                     \
    }
PART_CALLS(CALL)
#undef CALL

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    REAL(pwritev);
    int64_t action = meet("pwritev", HERE, CHANGES);
    look_spoiled(fd);
    if (action == FAULT_NONE)
        return real(fd, parts, count, at);
    ssize_t n = count > 1 ? real(fd, parts, count / 2, at) : pwrite64(fd, parts->iov_base, half(parts->iov_len), at);
    if (action == FAULT_KILL_HALF)
        kill(getpid(), SIGKILL);
    if (action > 0)
        errno = (int)action;
    return action > 0 ? -1 : n;
}

#define CALL(name)                                                                                                     \
    EXPORT int name(int fd)                                                                                            \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        int64_t action = meet(#name, HERE, CHANGES);                                                                   \
        look_spoiled(fd);                                                                                              \
        if (action <= 0)                                                                                               \
            return real(fd);                                                                                           \
        atomic_store(&page->spoiled_use, 0);                                                                           \
        atomic_store(&page->spoiled, inode_of(fd));                                                                    \
        errno = (int)action;                                                                                           \
        return -1;                                                                                                     \
    }
CALL(fsync)
CALL(fdatasync)
#undef CALL

#define CALL(name)                                                                                                     \
    EXPORT int name(const char *path, int flags, ...)                                                                  \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        va_list args;                                                                                                  \
        va_start(args, flags);                                                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;                                 \
        va_end(args);                                                                                                  \
        int64_t action = meet(#name, HERE, (flags & O_CREAT) != 0 ? CHANGES : PLAIN);                                  \
        if (action <= 0)                                                                                               \
            return real(path, flags, mode);                                                                            \
        errno = (int)action;                                                                                           \
        return -1;                                                                                                     \
    }
CALL(open)
CALL(open64)
#undef CALL
#pragma GCC diagnostic pop

EXPORT int close(int fd)
{
    REAL(close);
    int64_t action = meet("close", HERE, PLAIN);
    int result = real(fd);
    if (action <= 0)
        return result;
    errno = (int)action; /* it is closed all the same, as Linux does it */
    return -1;
}

EXPORT pid_t fork(void)
{
    REAL(fork);
    int64_t action = meet("fork", HERE, ANY);
    if (action > 0) {
        errno = (int)action;
        return -1;
    }
    pid_t pid = real();
    if (pid == 0)
        passive = true;
    return pid;
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
    REAL(posix_spawn);
    int64_t action = meet("posix_spawn", HERE, ANY);
    return action > 0 ? (int)action : real(pid, path, actions, attr, argv, env);
}

EXPORT int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    REAL(pthread_create);
    int64_t action = meet("pthread_create", HERE, ANY);
    return action > 0 ? (int)action : real(out, attr, run, arg);
}

/* --- the wall clock --- */

EXPORT int clock_gettime(clockid_t which, struct timespec *out)
{
    REAL(clock_gettime);
    int result = real(which, out);
    if (page != NULL && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        out->tv_sec += atomic_load(&page->clock_shift_s);
    return result;
}

EXPORT time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL)
        *out = t.tv_sec;
    return t.tv_sec;
}

/* --- allocations --- */

/* For what dlsym itself might need before the real functions are known. Never given back. */
static void *early(size_t len)
{
    static _Alignas(16) char arena[ARENA];
    static size_t used;
    used += (len + 15) / 16 * 16;
    return used <= ARENA ? arena + used - (len + 15) / 16 * 16 : NULL;
}

#define ALLOCATION(name, fallback, arguments)                                                                          \
    static __typeof__(name) *_Atomic real;                                                                             \
    static _Thread_local bool finding;                                                                                 \
    if (real == NULL) {                                                                                                \
        if (finding)                                                                                                   \
            return fallback;                                                                                           \
        finding = true;                                                                                                \
        real = (__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name);                                                 \
        finding = false;                                                                                               \
    }                                                                                                                  \
    if (meet(#name, HERE, ALLOC) == FAULT_NONE)                                                                        \
        return real arguments;                                                                                         \
    errno = ENOMEM;                                                                                                    \
    return NULL

EXPORT void *malloc(size_t len)
{
    ALLOCATION(malloc, early(len), (len));
}

EXPORT void *calloc(size_t count, size_t len)
{
    ALLOCATION(calloc, early(count * len), (count, len));
}

EXPORT void *realloc(void *old, size_t len)
{
    ALLOCATION(realloc, NULL, (old, len));
}

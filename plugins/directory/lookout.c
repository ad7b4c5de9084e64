/* A file is whole when nobody has it open for writing. The kernel says so: a read lease is given on such a file only.
 * Where leases are not to be had (another owner's file, some network file systems) a file that was not changed for a
 * few seconds counts as whole. Names ending in .t and .part are somebody's way to say "not yet"; names that begin with
 * a dot are nobody's business. */
#include "lookout.h"

#include "items.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

enum { RIPE_S = 3, STEP_MS = 250, LOOK_MS = 30000, UNRIPE_MS = 1000 };

int lookout_open(struct lookout *l, const char *folder, int watch)
{
    *l = (struct lookout){.folder = folder, .notify = -1};
    if (!watch)
        return 0;
    l->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (l->notify < 0)
        return errno;
    if (inotify_add_watch(l->notify, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) >= 0)
        return 0;
    int number = errno;
    lookout_close(l);
    return number;
}

void lookout_close(struct lookout *l)
{
    if (l->notify >= 0)
        close(l->notify);
    l->notify = -1;
}

/* --- is it whole? --- */

static int has_end(const char *name, const char *end)
{
    size_t n = strlen(name), e = strlen(end);
    return n >= e && strcmp(name + n - e, end) == 0;
}

static int is_ours(const char *name)
{
    int tabs;
    return name[0] != '.' && !has_end(name, ".t") && !has_end(name, ".part") &&
           items_kind_of(name, &tabs) != ITEMS_NONE;
}

static int is_whole(int fd, const struct stat *st)
{
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
        (void)fcntl(fd, F_SETLEASE, F_UNLCK);
        return 1;
    }
    return errno != EAGAIN && errno != EBUSY && time(NULL) - st->st_mtime >= RIPE_S;
}

/* -1: not a file that can be taken now. */
static int open_file(struct lookout *l, int folder, const char *name, struct stat *st, int *number)
{
    int fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT && errno != ELOOP && errno != ENXIO)
            *number = errno;
        return -1;
    }
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) {
        if (is_whole(fd, st))
            return fd;
        l->unripe = 1;
    }
    close(fd);
    return -1;
}

static int older(const struct stat *a, const char *a_name, const struct stat *b, const char *b_name)
{
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
        return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
    if (a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
        return a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
    return strcmp(a_name, b_name) < 0;
}

int lookout_next(struct lookout *l, struct place *out, int *number)
{
    struct place best = {.line = 1};
    struct stat best_st = {.st_size = 0};
    int best_fd = -1;
    *number = 0;
    l->unripe = 0;
    DIR *dir = opendir(l->folder);
    if (!dir) {
        *number = errno;
        return -1;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st;
        if (!is_ours(e->d_name) || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            (best_fd >= 0 && !older(&st, e->d_name, &best_st, best.name)))
            continue;
        int fd = open_file(l, dirfd(dir), e->d_name, &st, number);
        if (fd < 0)
            continue;
        if (best_fd >= 0)
            close(best_fd);
        best_fd = fd;
        best_st = st;
        snprintf(best.name, sizeof(best.name), "%s", e->d_name);
    }
    closedir(dir);
    if (best_fd >= 0 && place_identify(best_fd, &best) != 0) {
        *number = errno;
        close(best_fd);
        return -1;
    }
    *out = best;
    return best_fd;
}

int lookout_again(struct lookout *l, const struct place *of, int *number)
{
    struct place now = {.line = 1};
    char path[PATH_MAX];
    *number = 0;
    if (snprintf(path, sizeof(path), "%s/%s", l->folder, of->name) >= (int)sizeof(path))
        return -1;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && place_identify(fd, &now) == 0 && now.inode == of->inode && now.born == of->born)
        return fd;
    if (fd < 0 && errno != ENOENT)
        *number = errno;
    if (fd >= 0)
        close(fd);
    return -1;
}

int lookout_wait(struct lookout *l, struct hg_host *host, const struct hg_api *api)
{
    const int most = l->unripe ? UNRIPE_MS : LOOK_MS;
    for (int waited = 0; waited < most && !api->stopping(host); waited += STEP_MS) {
        struct pollfd p = {.fd = l->notify, .events = POLLIN};
        char events[4096];
        if (poll(&p, 1, STEP_MS) <= 0)
            continue;
        while (read(l->notify, events, sizeof(events)) > 0)
            continue;
        return 1;
    }
    return 0;
}

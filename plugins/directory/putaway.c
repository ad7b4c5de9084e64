/* The folders are synced, or a power loss could bring a file back that its rows' position has left behind. */
#include "putaway.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 10000 };

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int number = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return number;
}

static int write_error(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno;
    size_t len = strlen(text);
    int number = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0 ? 0 : errno == 0 ? EIO : errno;
    close(fd);
    return number;
}

static int move_to(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS) /* else a file system that does not know the flag */
        return errno;
    if (access(to, F_OK) == 0)
        return EEXIST;
    return rename(from, to) == 0 ? 0 : errno;
}

int putaway_move(const char *folder, const char *name, const char *to, const char *error)
{
    char from[PATH_MAX], path[PATH_MAX], beside[PATH_MAX + 8];
    int number = EEXIST;
    if (snprintf(from, sizeof(from), "%s/%s", folder, name) >= (int)sizeof(from))
        return ENAMETOOLONG;
    for (int n = 0; number == EEXIST && n < NAMES_MAX; n++) {
        int len = n == 0 ? snprintf(path, sizeof(path), "%s/%s", to, name)
                         : snprintf(path, sizeof(path), "%s/%s.%d", to, name, n);
        if (len >= (int)sizeof(path))
            return ENAMETOOLONG;
        if (access(path, F_OK) == 0)
            continue;
        snprintf(beside, sizeof(beside), "%s.error", path);
        number = error ? write_error(beside, error) : 0;
        if (number == 0)
            number = move_to(from, path);
        if (number != 0 && error)
            (void)unlink(beside);
    }
    if (number == 0)
        number = sync_folder(to);
    return number == 0 ? sync_folder(folder) : number;
}

int putaway_remove(const char *folder, const char *name)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return ENAMETOOLONG;
    if (unlink(path) != 0 && errno != ENOENT)
        return errno;
    return sync_folder(folder);
}

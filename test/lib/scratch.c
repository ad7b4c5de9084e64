#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATHS = 8, DESCRIPTORS = 16 };

static void must(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

char *scratch_make(void)
{
    const char *base = getenv("TMPDIR");
    char *folder;
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    must(asprintf(&folder, "%s/headgate-test-XXXXXX", base) > 0, "asprintf");
    must(mkdtemp(folder) != NULL, folder);
    return folder;
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void scratch_remove(char **folder)
{
    nftw(*folder, entry_remove, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
    free(*folder);
    *folder = NULL;
}

const char *scratch_path(const char *folder, const char *name)
{
    static char paths[PATHS][4096];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    must(snprintf(path, sizeof(paths[0]), "%s/%s", folder, name) < (int)sizeof(paths[0]), "path");
    return path;
}

char *scratch_read(const char *path, size_t *len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    must(fstat(fd, &st) == 0, path);
    char *text = malloc((size_t)st.st_size + 1);
    must(text && read(fd, text, (size_t)st.st_size) == st.st_size, path);
    text[st.st_size] = '\0';
    close(fd);
    if (len)
        *len = (size_t)st.st_size;
    return text;
}

void scratch_write(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, path);
    close(fd);
}

size_t scratch_count(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    must(dir != NULL, folder);
    for (struct dirent *e; (e = readdir(dir));)
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return count;
}

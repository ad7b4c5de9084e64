/* Looks through the folder that a file lies in; files are opened by outfile.c. */
#include "rotated.h"

#include "common/paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES_MAX = 1 << 20 };

/* The parts of a path around a rotated file's number. */
struct rotated {
    const char *base; /* name of the file */
    const char *suffix;
    size_t stem; /* bytes of base before the suffix */
};

static struct rotated rotated_split(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *suffix = path_suffix(base, base + strlen(base));
    return (struct rotated){base, suffix, (size_t)(suffix - base)};
}

static uint64_t rotated_number(const struct rotated *r, const char *name)
{
    if (strncmp(name, r->base, r->stem) != 0 || name[r->stem] != '-')
        return 0;
    const char *digits = name + r->stem + 1;
    size_t len = strspn(digits, "0123456789");
    if (len < 4 || len > 18 || strcmp(digits + len, r->suffix) != 0)
        return 0;
    return strtoull(digits, NULL, 10);
}

typedef int (*entry_fn)(void *arg, const struct dirent *entry); /* 1: enough */

static int folder_walk(const char *path, entry_fn fn, void *arg)
{
    int fd, rc = path_open_folder(path, &fd);
    if (rc != 0)
        return rc == ENOENT ? 0 : rc;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return errno;
    }
    struct dirent *entry;
    for (int n = 0; n < ENTRIES_MAX && (entry = readdir(dir)) && !fn(arg, entry); n++)
        ;
    closedir(dir);
    return 0;
}

struct highest {
    struct rotated name;
    uint64_t below, number;
};

static int entry_higher(void *arg, const struct dirent *entry)
{
    struct highest *h = arg;
    uint64_t number = rotated_number(&h->name, entry->d_name);
    if (number < h->below && number > h->number)
        h->number = number;
    return 0;
}

int path_last_rotated(const char *path, uint64_t below, uint64_t *number)
{
    struct highest h = {.name = rotated_split(path), .below = below};
    int rc = folder_walk(path, entry_higher, &h);
    if (rc == 0)
        *number = h.number;
    return rc;
}

void path_rotated(const char *path, uint64_t number, struct strbuf *out)
{
    struct rotated r = rotated_split(path);
    strbuf_add(out, path, (size_t)(r.suffix - path));
    strbuf_addf(out, "-%04llu", (unsigned long long)number);
    strbuf_adds(out, r.suffix);
}

struct wanted {
    uint64_t ino;
    const char *path;
    struct strbuf *out;
};

static int entry_is(void *arg, const struct dirent *entry)
{
    struct wanted *w = arg;
    if (entry->d_ino != w->ino)
        return 0;
    const char *slash = strrchr(w->path, '/');
    strbuf_add(w->out, w->path, slash ? (size_t)(slash - w->path) + 1 : 0);
    strbuf_adds(w->out, entry->d_name);
    return 1;
}

void path_find_inode(const char *path, uint64_t ino, struct strbuf *out)
{
    struct wanted w = {ino, path, out};
    folder_walk(path, entry_is, &w);
}

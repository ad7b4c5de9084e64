/* Everything here works on texts and folders; files are opened by outfile.c. */
#include "paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART_MAX = 236, SUFFIX_MAX = 16, HASH_CHARS = 17, FOLDER_MODE = 0777, ENTRIES_MAX = 1 << 20 };

static uint64_t hash_text(const char *ptr, size_t len)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)ptr[i]) * 1099511628211u;
    return h;
}

/* ".ndjson" of a part, or its end when it has none. */
static const char *part_suffix(const char *ptr, const char *end)
{
    const char *dot = memrchr(ptr, '.', (size_t)(end - ptr));
    return dot && dot > ptr && end - dot <= SUFFIX_MAX ? dot : end;
}

static void part_add(struct strbuf *out, const char *ptr, size_t len)
{
    if (len <= PART_MAX) {
        strbuf_add(out, ptr, len);
        return;
    }
    const char *suffix = part_suffix(ptr, ptr + len);
    size_t rest = (size_t)(ptr + len - suffix);
    strbuf_add(out, ptr, PART_MAX - HASH_CHARS - rest);
    strbuf_addf(out, "~%016llx", (unsigned long long)hash_text(ptr, len));
    strbuf_add(out, suffix, rest);
}

void path_shorten(const char *path, struct strbuf *out)
{
    for (;;) {
        size_t len = strcspn(path, "/");
        part_add(out, path, len);
        path += len;
        if (*path == '\0')
            return;
        strbuf_addc(out, *path++);
    }
}

static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static int folder_open(const char *path, int *fd)
{
    size_t len = folder_len(path);
    char *folder = len ? strndup(path, len) : strdup(*path == '/' ? "/" : ".");
    if (!folder)
        return ENOMEM;
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = *fd < 0 ? errno : 0;
    free(folder);
    return rc;
}

int path_sync_folder(const char *path)
{
    int fd, rc = folder_open(path, &fd);
    if (rc != 0)
        return rc;
    if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a file system without such a thing */
        rc = errno;
    close(fd);
    return rc;
}

int path_make_folders(const char *path, int sync)
{
    char *text = strdup(path);
    if (!text)
        return ENOMEM;
    int rc = 0;
    for (char *p = strchr(text + 1, '/'); rc == 0 && p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(text, FOLDER_MODE) == 0)
            rc = sync ? path_sync_folder(text) : 0;
        else if (errno != EEXIST)
            rc = errno;
        *p = '/';
    }
    free(text);
    return rc;
}

/* The parts of a path around a rotated file's number. */
struct rotated {
    const char *base; /* name of the file */
    const char *suffix;
    size_t stem; /* bytes of base before the suffix */
};

static struct rotated rotated_split(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *suffix = part_suffix(base, base + strlen(base));
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
    int fd, rc = folder_open(path, &fd);
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

/* Everything here works on texts and folders; files are opened by whoever owns them. */
#include "common/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART_MAX = 236, HASH_CHARS = 17, FOLDER_MODE = 0777 };

static uint64_t hash_text(const char *ptr, size_t len)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)ptr[i]) * 1099511628211u;
    return h;
}

const char *path_suffix(const char *ptr, const char *end)
{
    const char *dot = memrchr(ptr, '.', (size_t)(end - ptr));
    return dot && dot > ptr && end - dot <= PATH_SUFFIX_MAX ? dot : end;
}

static void part_add(struct strbuf *out, const char *ptr, size_t len)
{
    if (len <= PART_MAX) {
        strbuf_add(out, ptr, len);
        return;
    }
    const char *suffix = path_suffix(ptr, ptr + len);
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

int path_open_folder(const char *path, int *fd)
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
    int fd, rc = path_open_folder(path, &fd);
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

int path_writable(const char *path)
{
    char *folder = strndup(path, strcspn(path, "%{"));
    int rc = ENOMEM;
    for (char *slash = folder; folder && slash;) {
        slash = strrchr(folder, '/');
        if (slash)
            slash[slash == folder ? 1 : 0] = '\0';
        const char *at = slash ? folder : ".";
        rc = access(at, W_OK | X_OK) == 0 ? 0 : errno;
        if (rc != ENOENT || strcmp(at, "/") == 0)
            break;
    }
    free(folder);
    return rc;
}

int path_mode(const char *text, unsigned *mode)
{
    if (!text || *text == '\0' || strspn(text, "01234567") != strlen(text))
        return -1;
    unsigned long value = strtoul(text, NULL, 8);
    if (value > 0777)
        return -1;
    *mode = (unsigned)value;
    return 0;
}

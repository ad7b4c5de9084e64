/* The memory limit of the control group this process lives in: what the default of http.max_memory is made from.
 *
 * Inside a container the group's path may not exist below /sys/fs/cgroup (another namespace's name): then the root of
 * what is mounted there is the container's own group, so both are asked. A limit can stand at any level above, so all
 * are asked and the least counts. What cannot be read is no limit. */
#include "conf/memory.h"

#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The beginning of a small file as text; "" when there is none. */
static void read_small(const char *path, char *to, size_t size)
{
    size_t used = 0;
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        ssize_t got;
        while (used + 1 < size && (got = sys->read(fd, to + used, size - 1 - used)) > 0)
            used += (size_t)got;
        sys->close(fd);
    }
    to[used] = '\0';
}

static uint64_t limit_in(const char *root, const char *mount, const char *group, const char *file)
{
    char path[PATH_MAX], text[64];
    int len = snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s/%s", root, mount, group, file);
    if (len < 0 || (size_t)len >= sizeof path)
        return UINT64_MAX;
    read_small(path, text, sizeof text);
    if (text[0] < '0' || text[0] > '9') /* "max", or no such file */
        return UINT64_MAX;
    return strtoull(text, NULL, 10);
}

/* The group and all above it. `group` is cut step by step. */
static uint64_t least_above(const char *root, const char *mount, char *group, const char *file)
{
    uint64_t least = limit_in(root, mount, "", file);
    if (strstr(group, "..") != NULL) /* seen from another namespace: it is not below the mount */
        return least;
    while (*group != '\0') {
        uint64_t limit = limit_in(root, mount, group, file);
        least = limit < least ? limit : least;
        *strrchr(group, '/') = '\0';
    }
    return least;
}

/* Is `memory` one of the controllers, written with commas between? */
static bool has_memory(const char *controllers, const char *end)
{
    for (const char *p = controllers; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t len = (size_t)((comma == NULL ? end : comma) - p);
        if (len == 6 && memcmp(p, "memory", 6) == 0)
            return true;
        p += len + 1;
    }
    return false;
}

/* One line of /proc/self/cgroup: "0::/group" (v2) or "4:memory:/group" (v1). */
static uint64_t limit_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL || group[1] != '/')
        return UINT64_MAX;
    bool unified = group == controllers + 1;
    bool memory = has_memory(controllers + 1, group);
    group++;
    if (strcmp(group, "/") == 0)
        *group = '\0';
    if (unified)
        return least_above(root, "", group, "memory.max");
    return memory ? least_above(root, "/memory", group, "memory.limit_in_bytes") : UINT64_MAX;
}

uint64_t memory_group_limit(const char *root)
{
    char path[PATH_MAX], text[8192], *next;
    uint64_t least = UINT64_MAX;
    int len = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (len < 0 || (size_t)len >= sizeof path)
        return least;
    read_small(path, text, sizeof text);
    for (char *line = strtok_r(text, "\n", &next); line != NULL; line = strtok_r(NULL, "\n", &next)) {
        uint64_t limit = limit_of_line(root, line);
        least = limit < least ? limit : least;
    }
    return least;
}

/* A file is known by its inode and its birth, not by its name alone: a file that was put away and one that came later
 * under the same name are two, also where the file system gives the inode again. */
#include "place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

size_t place_write(const struct place *p, char out[PLACE_SIZE])
{
    if (p->name[0] == '\0')
        return 0;
    return (size_t)snprintf(out, PLACE_SIZE, "1 %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %s",
                            p->inode, p->born, p->offset, p->line, p->rows, p->whole, p->name);
}

int place_read(const char *bytes, size_t len, struct place *out)
{
    char text[PLACE_SIZE];
    struct place p = {.line = 1};
    int name = 0;
    *out = p;
    if (len == 0)
        return 0;
    if (len >= sizeof(text))
        return -1;
    memcpy(text, bytes, len);
    text[len] = '\0';
    if (sscanf(text, "1 %" SCNu64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %d %n", &p.inode, &p.born,
               &p.offset, &p.line, &p.rows, &p.whole, &name) != 6 ||
        name == 0 || text[name] == '\0' || strlen(text + name) > NAME_MAX)
        return -1;
    memcpy(p.name, text + name, strlen(text + name) + 1);
    *out = p;
    return 0;
}

int place_identify(int fd, struct place *out)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME | STATX_MTIME, &st) != 0)
        return -1;
    const struct statx_timestamp *t = (st.stx_mask & STATX_BTIME) != 0 ? &st.stx_btime : &st.stx_mtime;
    out->inode = st.stx_ino;
    out->born = t->tv_sec * 1000000000 + t->tv_nsec;
    return 0;
}

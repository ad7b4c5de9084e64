/* What recovery and repair do with a segment's bytes: copy, keep aside, move aside. Nothing is ever deleted here.
 *
 * A copy has the same positions and epoch, so every id stays what it was; it has a new salt, so nothing of the old file
 * can be taken for part of it. The caller names it (rename over the old one) only after it is synced and read again. */
#include "journal/salvage.h"

#include "base/sys.h"
#include "journal/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES_MAX = 1000, ROOM_MAX = 1 << 30 };

struct copy {
    struct reader *from;
    const struct segment_header *header;
    uint64_t end;
    bool tidy;
    int fd;
};

static int raw_copy(const struct copy *c, uint64_t from, uint64_t to)
{
    int code = ERR_OK;
    while (code == ERR_OK && from < to) {
        const unsigned char *bytes;
        size_t piece = to - from < FILE_PIECE / 4 ? (size_t)(to - from) : FILE_PIECE / 4;
        code = reader_bytes(c->from, from, piece, c->end, &bytes);
        if (code == ERR_OK)
            code = file_write(c->fd, bytes, piece, from - c->header->base);
        from += piece;
    }
    return code;
}

static int group_header_put(const struct copy *c, const struct group_header *g)
{
    unsigned char bytes[GROUP_HEADER];
    struct group_header own = *g;
    own.salt = c->header->salt;
    group_header_write(&own, bytes);
    return file_write(c->fd, bytes, sizeof bytes, g->position - c->header->base);
}

/* An empty group (or several) where something was that is not whole. */
static int room_put(const struct copy *c, uint64_t from, uint64_t to)
{
    int code = ERR_OK;
    while (code == ERR_OK && to - from >= GROUP_HEADER) {
        uint64_t length = to - from > ROOM_MAX ? ROOM_MAX / 2 : to - from;
        struct group_header g = {.position = from, .epoch = c->header->epoch, .length = (uint32_t)length};
        code = group_header_put(c, &g);
        from += length;
    }
    return code;
}

static int gap_copy(const struct copy *c, uint64_t from, uint64_t to)
{
    if (from == to)
        return ERR_OK;
    return c->tidy ? room_put(c, from, to) : raw_copy(c, from, to);
}

static int group_copy(const struct copy *c, const struct group_header *g)
{
    struct group_header whole = *g;
    struct group_verdict v;
    uint64_t end = g->position + g->length, good = end;
    int code = ERR_OK;
    if (c->tidy) {
        code = scan_group(c->from, g, false, 0, &v);
        if (code != ERR_OK)
            return code;
        good = v.good_end;
        if (good < end) {
            whole.length = (uint32_t)(good - g->position);
            whole.records = good > g->position + GROUP_HEADER ? v.records : 0;
            whole.last_crc = whole.records > 0 ? v.last_crc : 0;
        }
    }
    code = group_header_put(c, &whole);
    if (code == ERR_OK)
        code = raw_copy(c, g->position + GROUP_HEADER, good);
    return code == ERR_OK ? gap_copy(c, good, end) : code;
}

static int groups_copy(const struct copy *c)
{
    uint64_t at = c->header->base + SEGMENT_HEADER;
    int code = ERR_OK;
    while (code == ERR_OK && at < c->end) {
        struct group_header g;
        uint64_t next = at;
        code = reader_seek_group(c->from, &next, c->end, false, &g);
        if (code == ERR_NOTFOUND)
            return gap_copy(c, at, c->end);
        if (code == ERR_OK)
            code = gap_copy(c, at, next);
        if (code == ERR_OK)
            code = group_copy(c, &g);
        at = next + g.length;
    }
    return code;
}

static int file_extend(int fd, uint64_t size)
{
    return sys->ftruncate(fd, (off_t)size) == 0 ? ERR_OK : err_from_errno(errno);
}

int salvage_copy(struct reader *from, const struct segment_header *header, uint64_t end, bool tidy, int fd)
{
    unsigned char page[SEGMENT_HEADER];
    struct copy c = {.from = from, .header = header, .end = end, .tidy = tidy, .fd = fd};
    uint64_t offset = end - header->base;
    segment_header_write(header, page);
    int code = file_write(fd, page, sizeof page, 0);
    if (code == ERR_OK)
        code = groups_copy(&c);
    if (code == ERR_OK)
        code = file_extend(fd, (offset + FILE_PAGE - 1) / FILE_PAGE * FILE_PAGE);
    return code == ERR_OK ? file_sync(fd) : code;
}

/* --- aside --- */

static int damaged_dir(const char *dir, char *out)
{
    int code = path_join(dir, "damaged", out);
    return code == ERR_OK ? dir_make(out) : code;
}

static int keep_write(struct reader *r, uint64_t from, uint64_t to, int fd)
{
    uint64_t at = 0;
    int code = ERR_OK;
    while (code == ERR_OK && from < to) {
        const unsigned char *bytes;
        size_t piece = to - from < FILE_PIECE / 4 ? (size_t)(to - from) : FILE_PIECE / 4;
        code = reader_bytes(r, from, piece, to, &bytes);
        if (code == ERR_OK)
            code = file_write(fd, bytes, piece, at);
        at += piece;
        from += piece;
    }
    return code == ERR_OK ? file_sync(fd) : code;
}

int salvage_keep(const char *dir, struct reader *r, uint64_t from, uint64_t to, const char *suffix)
{
    char damaged[PATH_MAX], path[PATH_MAX], name[64];
    snprintf(name, sizeof name, "%016llx-%llx.%s", (unsigned long long)r->base, (unsigned long long)(from - r->base),
             suffix);
    int code = damaged_dir(dir, damaged);
    if (code == ERR_OK)
        code = path_join(damaged, name, path);
    if (code != ERR_OK)
        return code;
    int fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0)
        return err_from_errno(errno);
    code = keep_write(r, from, to, fd);
    sys->close(fd);
    return code == ERR_OK ? dir_sync(damaged) : code;
}

int salvage_move(const char *dir, const char *name)
{
    char damaged[PATH_MAX], from[PATH_MAX], to[PATH_MAX], numbered[128];
    struct stat st;
    int code = damaged_dir(dir, damaged);
    if (code == ERR_OK)
        code = path_join(dir, name, from);
    for (int n = 0; code == ERR_OK && n < NAMES_MAX; n++) {
        snprintf(numbered, sizeof numbered, "%.100s.%d", name, n);
        code = path_join(damaged, numbered, to);
        if (code != ERR_OK || sys->stat(to, &st) == 0)
            continue;
        if (sys->rename(from, to) != 0)
            return err_from_errno(errno);
        code = dir_sync(damaged);
        return code == ERR_OK ? dir_sync(dir) : code;
    }
    return code == ERR_OK ? ERR_EXISTS : code;
}

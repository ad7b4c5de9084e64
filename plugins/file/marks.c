/* State as bytes, all little-endian: "HGF1", u16 marks, u16 bytes of path, the frontier in 64 bytes, path; then the
 * marks, newest first, each: u64 device, inode, offset, u32 length of the last line, u32 check. At most
 * 72 + 1024 + 90 * 32 = 3976 bytes. */
#include "marks.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 8 + HG_ROW_ID_SIZE, MARK_BYTES = 32 };
_Static_assert(HEAD_BYTES + MARKS_PATH_MAX + MARKS_MAX * MARK_BYTES <= HG_STATE_MAX, "the state must fit");

uint32_t place_check(const char *id, size_t len)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)id[i]) * 16777619u;
    return h;
}

static char *put(char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *at++ = (char)(value >> (8 * i));
    return at;
}

static uint64_t get(const unsigned char **at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t) * (*at)++ << (8 * i);
    return value;
}

void marks_load(struct marks *m, const void *state, size_t len)
{
    const unsigned char *at = state;
    memset(m, 0, sizeof(*m));
    if (len < HEAD_BYTES || memcmp(at, "HGF1", 4) != 0)
        return;
    at += 4;
    size_t count = (size_t)get(&at, 2), path = (size_t)get(&at, 2);
    if (count > MARKS_MAX || path >= MARKS_PATH_MAX || len != HEAD_BYTES + path + count * MARK_BYTES)
        return;
    memcpy(m->frontier, at, HG_ROW_ID_SIZE - 1);
    at += HG_ROW_ID_SIZE;
    memcpy(m->newest, at, path);
    at += path;
    for (size_t i = 0; i < count; i++) {
        struct mark *k = &m->list[i];
        k->dev = get(&at, 8);
        k->ino = get(&at, 8);
        k->base.offset = get(&at, 8);
        k->base.line = (uint32_t)get(&at, 4);
        k->base.check = (uint32_t)get(&at, 4);
        k->end = k->base;
        k->known = 1;
        k->used = count - i;
    }
    m->count = count;
    m->clock = count;
}

static int mark_newer_first(const void *a, const void *b)
{
    const struct mark *const *x = a, *const *y = b;
    return (*x)->used < (*y)->used ? 1 : (*x)->used > (*y)->used ? -1 : 0;
}

size_t marks_store(const struct marks *m, char out[HG_STATE_MAX])
{
    static const char magic[] = {'H', 'G', 'F', '1'};
    const struct mark *order[MARKS_MAX];
    size_t count = 0, path = strlen(m->newest);
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].known)
            order[count++] = &m->list[i];
    qsort(order, count, sizeof(order[0]), mark_newer_first);
    if (count == 0 || order[0] != marks_newest(m))
        path = 0; /* the path would be taken for the first mark's */
    memcpy(out, magic, sizeof magic);
    char *at = put(put(out + sizeof magic, count, 2), path, 2);
    memcpy(at, m->frontier, HG_ROW_ID_SIZE);
    at += HG_ROW_ID_SIZE;
    memcpy(at, m->newest, path);
    at += path;
    for (size_t i = 0; i < count; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the first `count` were set above */
        at = put(put(at, order[i]->dev, 8), order[i]->ino, 8);
        at = put(at, order[i]->base.offset, 8);
        at = put(put(at, order[i]->base.line, 4), order[i]->base.check, 4);
    }
    return (size_t)(at - out);
}

struct mark *marks_find(struct marks *m, uint64_t dev, uint64_t ino)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].ino == ino && m->list[i].dev == dev)
            return &m->list[i];
    return NULL;
}

static struct mark *marks_place(struct marks *m)
{
    if (m->count < MARKS_MAX)
        return &m->list[m->count++];
    struct mark *oldest = &m->list[0];
    for (size_t i = 1; i < m->count; i++)
        if (m->list[i].used < oldest->used)
            oldest = &m->list[i];
    return oldest;
}

struct mark *marks_touch(struct marks *m, uint64_t dev, uint64_t ino)
{
    struct mark *k = marks_find(m, dev, ino);
    if (!k) {
        k = marks_place(m);
        *k = (struct mark){.dev = dev, .ino = ino};
    }
    k->used = ++m->clock;
    return k;
}

const struct mark *marks_newest(const struct marks *m)
{
    const struct mark *newest = NULL;
    for (size_t i = 0; i < m->count; i++)
        if (!newest || m->list[i].used > newest->used)
            newest = &m->list[i];
    return newest;
}

void marks_advance(struct marks *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct mark *k = &m->list[i];
        k->base = k->end;
        k->known = k->end.offset == 0 || k->end.line > 0;
    }
}

/* How far each file is settled: the plugin's durable state.
 *
 * The host stores the state together with the fact that a push is settled. So after a crash, what lies in a file behind
 * its mark was written by pushes whose settling did not become durable, and exactly those rows come again. A file is
 * known by device and inode, its mark by the last line before it: an inode that was given to another file meanwhile is
 * not taken for the old one. */
#ifndef FILE_MARKS_H
#define FILE_MARKS_H

#include "headgate.h"

#include <sys/types.h>

enum { MARKS_MAX = 90, MARKS_PATH_MAX = 1024 };

/* A place in a file, behind a whole line. */
struct place {
    uint64_t offset;
    uint32_t line;  /* bytes of the line before it, with its newline; 0 at offset 0, or when not known */
    uint32_t check; /* hash of that line's row id */
};

struct mark {
    uint64_t dev, ino;
    struct place base; /* everything before it is settled */
    struct place end;  /* end of what was written */
    int known;         /* 1: base holds; 0: only the file itself can tell how far it is settled */
    uint64_t used;     /* greater: written to later */
};

struct marks {
    struct mark list[MARKS_MAX];
    size_t count;
    uint64_t clock;
    char frontier[HG_ROW_ID_SIZE]; /* the live row that was delivered last: those before it are settled too */
    char newest[MARKS_PATH_MAX];   /* where the file with the greatest `used` was; "" when its path is too long */
};

uint32_t place_check(const char *id, size_t len);

void marks_load(struct marks *m, const void *state, size_t len); /* what cannot be read counts as no state */
size_t marks_store(const struct marks *m, char out[HG_STATE_MAX]);
struct mark *marks_find(struct marks *m, uint64_t dev, uint64_t ino);
struct mark *marks_touch(struct marks *m, uint64_t dev,
                         uint64_t ino);                 /* finds or makes; the least used one gives way */
const struct mark *marks_newest(const struct marks *m); /* NULL: none */
void marks_advance(struct marks *m);                    /* all that was written is settled */

#endif

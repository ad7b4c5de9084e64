/* One open file that rows are appended to, all or nothing.
 *
 * Text for a push is gathered, written with one write, then synced. Whatever goes wrong before all files of the push
 * are synced, each is cut back to where it was: a push leaves everything or nothing behind. */
#ifndef FILE_OUTFILE_H
#define FILE_OUTFILE_H

#include "common/strbuf.h"
#include "marks.h"

struct outfile {
    char *path;
    int fd;
    uint64_t dev, ino;
    int created;                 /* 1: made by this open */
    uint64_t used;               /* greater: used later */
    struct place end;            /* of what is written and kept */
    struct place next;           /* the same once `text` is written, but for its `check` */
    char newest[HG_ROW_ID_SIZE]; /* the row that is made of */
    struct strbuf text;          /* lines of this push */
    int dirty;                   /* 1: bytes may lie behind `end` that have to go */
};

/* Opens, makes it (and its folders) with `mode` when `create`, and takes a lock on it. errno or 0; ENOENT without
 * `create`. `what` then names in a few words what failed. */
int outfile_open(struct outfile *f, const char *path, int create, unsigned mode, int sync, const char **what);
void outfile_close(struct outfile *f);

/* 1: the path still leads to this file, and nobody else changed its size. */
int outfile_current(const struct outfile *f);

/* Remembers that `len` bytes that were just added to `text` are the line of row `id`. */
void outfile_line_added(struct outfile *f, const char *id, size_t len);

int outfile_write(struct outfile *f); /* writes `text`, not yet for good. errno or 0 */
int outfile_sync(struct outfile *f);
int outfile_rollback(struct outfile *f); /* back to `end`; errno or 0; tried again before the next write */
void outfile_keep(struct outfile *f);    /* what was written stays */

/* Cuts the file to `end`; the rest was torn. errno or 0. */
int outfile_cut(struct outfile *f, const struct place *end);

/* Writes the bytes of [from, end) over themselves and syncs: after a failed or missing sync of another process the
 * pages count as clean although they never reached the disk. errno or 0. */
int outfile_refresh(struct outfile *f, uint64_t from);

#endif

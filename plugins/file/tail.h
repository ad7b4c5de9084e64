/* Reading the end of a file that an earlier process may have left in the middle of a write. */
#ifndef FILE_TAIL_H
#define FILE_TAIL_H

#include "headgate.h"
#include "marks.h"
#include "seen.h"

struct tail_host { /* who can say what is settled */
    const struct hg_api *api;
    struct hg_host *host;
    char frontier[HG_ROW_ID_SIZE]; /* of the durable state at the start: ids up to it are settled; "" when not known */
};

/* 1: this row cannot come again, but for a replay. The host can only tell in some pushes; the frontier helps out. */
int tail_settled(const struct tail_host *host, const char *id);

struct tail {
    struct place end; /* behind the last line that is whole: what lies beyond is torn and is to be cut */
    int settled;      /* 1: a settled row was met */
    int unsettled;    /* 1: one that may come again was met */
    int lines;        /* 1: a whole line was met */
};

/* 1: the file begins as one of ours, or is empty, or its first bytes never reached the disk. */
int tail_ours(int fd, uint64_t size);

/* 1: the mark belongs to this file: it ends a line with the row id it remembers. */
int tail_mark_holds(int fd, uint64_t size, const struct place *mark);

/* The place from which a file without a mark has to be read: everything before it is settled. errno or 0. */
int tail_start(int fd, uint64_t size, const struct tail_host *host, uint64_t *from);

/* Where the good part of [from, size) ends and what kind of rows are in it. errno or 0. */
int tail_judge(int fd, uint64_t from, uint64_t size, const struct tail_host *host, struct tail *out);

/* Adds the ids of the whole lines of [from, to) to `seen`: all, or those that are not settled. errno or 0. */
int tail_collect(int fd, uint64_t from, uint64_t to, const struct tail_host *host, int only_unsettled,
                 struct seen *seen);

#endif

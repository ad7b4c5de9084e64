/* All files of one instance: which are open, how far each is settled, which rows are there already. */
#ifndef FILE_STORE_H
#define FILE_STORE_H

#include "known.h"
#include "marks.h"
#include "outfile.h"
#include "seen.h"
#include "tail.h"

enum { STORE_OPEN_MAX = 64, STORE_WHY = 512, STORE_PATH_MAX = 4096 };

struct store {
    struct tail_host host;
    unsigned mode;
    int sync;
    uint64_t rotate_size; /* 0: never */
    struct marks marks;
    struct seen seen;
    int seen_settled;   /* 1: the rows in `seen` are settled; one that was set aside may still come, no other */
    struct known known; /* files that this process has opened before */
    int begun;          /* 1: the newest file of the last process was looked at */
    int overflow_told;
    struct outfile open[STORE_OPEN_MAX];
    size_t open_count;
    uint64_t clock;
    struct outfile *touched[STORE_OPEN_MAX]; /* files of what is being gathered, in order */
    size_t touched_count;
    struct outfile *wide; /* the one file that keeps a big buffer */
    char why[STORE_WHY];  /* what went wrong, for a person */
};

enum store_result {
    STORE_OK = 0,
    STORE_FULL,  /* every open file belongs to what is being gathered: commit, then ask again */
    STORE_FAILED /* not now; see `why` */
};

void store_init(struct store *s, const struct hg_api *api, struct hg_host *host);
void store_fini(struct store *s);
void store_close_files(struct store *s); /* between pushes */

/* Before the first file of a push: looks at what the last process left. */
enum store_result store_begin(struct store *s);

/* The open file of this path, ready to be added to: opened, mended, rotated when due. */
enum store_result store_file(struct store *s, const char *path, struct outfile **out);

/* 1: an earlier process wrote this row, and it is not replayed on purpose. Ask after store_file. */
int store_has(const struct store *s, const struct hg_row *row, const char *id);

/* Adds one line to a file's text. */
enum store_result store_add(struct store *s, struct outfile *f, const struct hg_row *row, const char *id);

enum store_result store_commit(struct store *s); /* writes and syncs all that was gathered, or cuts it off again */
void store_rollback(struct store *s);            /* forgets what was gathered */
void store_save(struct store *s);                /* hands the marks to the host as durable state */

/* This row is in its file for good: it is not expected again. */
void store_done(struct store *s, const struct hg_row *row, const char *id);

/* Fills `why` from an errno and returns STORE_FAILED. */
enum store_result store_fail(struct store *s, const char *path, const char *what, int number);

#endif

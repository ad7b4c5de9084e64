/* A closed journal's directory, opened for looking only: shared by walk.c and repair.c. */
#ifndef HG_JOURNAL_OFFLINE_H
#define HG_JOURNAL_OFFLINE_H

#include "journal/reader.h"
#include "journal/survey.h"

enum { OFFLINE_SPAN = 64 * 1024 * 1024 }; /* what a file without a header is taken to span */

struct offline {
    const char *dir;
    int lock_fd; /* -1: there is no lock file */
    struct survey survey;
    struct epoch stream;
};

/* ERR_BUSY while a daemon has it. */
int offline_open(const char *dir, struct offline *out, struct err *e) MUST_CHECK;
void offline_close(struct offline *o);
/* A reader on one segment, and its valid end; unreadable pages count as damage. */
int offline_segment(const struct offline *o, const struct survey_file *f, struct reader *r, uint64_t *end,
                    uint64_t *torn_end, struct err *e) MUST_CHECK;
void offline_segment_close(struct reader *r);

#endif

/* Shared by the two halves of recovery. */
#ifndef HG_JOURNAL_RECOVER_H
#define HG_JOURNAL_RECOVER_H

#include "journal/scan.h"
#include "journal/state.h"
#include "journal/survey.h"

struct recovery {
    struct journal *j;
    struct journal_report *report;
    struct survey survey;
    uint64_t rows; /* cumulative, after the last segment looked through */
};

struct tail_result {
    struct scan_result scan;
    uint64_t salt;
    uint64_t file_bytes;
    struct index *index; /* NULL when out of memory */
    bool removed;        /* there was no group in it */
};

/* Find the valid end of a segment that nothing follows, reading past the page cache. With `copy` its whole part goes
 * into a fresh file of the same name; where that is impossible it is left in place, synced. */
int tail_recover(struct recovery *r, struct survey_file *f, bool copy, struct tail_result *out) MUST_CHECK;

#endif

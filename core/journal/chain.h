/* How the segments of a survey follow one another. Pure functions over the headers. */
#ifndef HG_JOURNAL_CHAIN_H
#define HG_JOURNAL_CHAIN_H

#include "journal/survey.h"

struct chain_range {
    uint64_t from, to; /* nothing when from >= to */
};

/* GOOD or LOST: it belongs into the table. */
bool chain_holds_rows(const struct survey_file *f);
/* Sets `followed` and `end` of whoever `f` says it follows. The range: what `f` remembers of a segment that is there
 * but holds something else. */
struct chain_range chain_follow(const struct survey *s, const struct survey_file *f);
/* Rows that `f` remembers and nobody has. `older_end`: valid end of the segment before `f`; UINT64_MAX: none is there
 * (those before the oldest one went in order). */
struct chain_range chain_missing(const struct survey *s, const struct survey_file *f, uint64_t older_end);
/* A later segment says that there were rows in it. */
bool chain_expects_rows(const struct survey *s, const struct survey_file *f);
/* Number of the first file of the tail: everything after the last valid header, and that segment itself. */
uint32_t chain_tail(const struct survey *s);

#endif

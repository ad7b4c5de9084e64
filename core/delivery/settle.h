/* A pusher's settle stream: one small append-only file for each journal segment, naming every row that was not simply
 * delivered at the first attempt. A row before the cursor that is not named was delivered. Receipts read it; it goes
 * with its segment.
 *
 * Writing happens only inside a checkpoint (checkpoint.h), before the cursor: so whatever the cursor covers is named.
 */
#ifndef HG_DELIVERY_SETTLE_H
#define HG_DELIVERY_SETTLE_H

#include "base/buf.h"
#include "base/err.h"
#include "delivery/place.h"

enum outcome {
#define OUTCOME(name, word) OUTCOME_##name,
#include "delivery/outcome.def"
#undef OUTCOME
    OUTCOME_COUNT
};

const char *outcome_word(enum outcome o);
/* Which of struct cursor's totals counts it. */
int outcome_total(enum outcome o);

struct settle_entry {
    struct place place;
    uint32_t rows; /* a run of rows of the same row set with the same outcome; 0: all up to `end` */
    uint32_t attempts;
    uint8_t outcome;  /* enum outcome */
    bool aside;       /* of a row that is aside already (not stored); see checkpoint.c */
    uint64_t end;     /* with rows 0: position up to which all rows had this outcome */
    uint64_t segment; /* base of the journal segment it belongs to */
};

enum { SETTLE_ENTRY_BYTES = 40 };

/* Append entries (sorted by segment) below `dir`/settle and make them durable. */
int settle_append(const char *dir, const struct settle_entry *entries, size_t count, struct err *e) MUST_CHECK;

/* Every entry of one segment's file, oldest first; a torn end is left out. No file: nothing. */
typedef void settle_visit(void *arg, const struct settle_entry *entry);
int settle_read(const char *dir, uint64_t segment, settle_visit *visit, void *arg) MUST_CHECK;
/* Only those of the row set at `position`, and those of whole stretches (`rows` 0), wherever they are. */
int settle_find(const char *dir, uint64_t segment, uint64_t position, settle_visit *visit, void *arg) MUST_CHECK;

/* Remove the files of segments before `oldest`, and the notes beside them. */
void settle_trim(const char *dir, uint64_t oldest);

#endif

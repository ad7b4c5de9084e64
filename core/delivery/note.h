/* What operators said of single row sets at one pusher, for receipts: who, when, why. A file beside the settle stream
 * of each journal segment, `dir`/settle/<base>.notes, a line each: the position, a blank, a JSON object. It goes with
 * the segment.
 *
 * Written inside a checkpoint, before anything else of it: what was done by hand never stands without its note. */
#ifndef HG_DELIVERY_NOTE_H
#define HG_DELIVERY_NOTE_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define NOTE_SUFFIX ".notes"

struct note {
    uint64_t segment, position; /* base of the journal segment; of the row set */
    char *json;                 /* one object, without a newline; owned */
};

/* Append and make durable. Worker thread. */
int note_append(const char *dir, const struct note *notes, size_t count, struct err *e) MUST_CHECK;
/* The objects about the row set at `position`, in the order they were written, separated by commas, added to `out`. A
 * torn line is passed over. No file: nothing. Any thread. */
int note_find(const char *dir, uint64_t segment, uint64_t position, struct buf *out) MUST_CHECK;

#endif

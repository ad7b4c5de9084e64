/* Judging a segment whose end is not known: which groups are whole, where its valid end is, what is torn or damaged.
 *
 * Step functions: bytes come through a reader, everything found goes to a visitor. For recovery, verify and repair. */
#ifndef HG_JOURNAL_SCAN_H
#define HG_JOURNAL_SCAN_H

#include "journal/reader.h"

struct group_verdict {
    uint64_t good_end; /* whole records up to here; the group's end when all of it is whole */
    uint64_t rows;     /* cumulative, after the last whole record */
    int64_t last_us;   /* receive time of the last whole record */
    uint32_t records;  /* whole ones */
    uint32_t last_crc; /* of the last whole record */
};

struct scan_visitor { /* each may be NULL; a non-zero return ends the scan with it */
    int (*record)(void *arg, const struct record *record); /* of whole groups */
    int (*damage)(void *arg, struct read_damage damage);   /* a whole group follows, or the end was known */
    void *arg;
};

struct scan_result {
    uint64_t end;      /* valid up to here: base + SEGMENT_HEADER when there is no group */
    uint64_t torn_end; /* something of this segment was written up to here; equals `end` when nothing */
    uint64_t rows;     /* cumulative, after the last record */
    int64_t last_us;   /* receive time of the last record, 0 */
    uint32_t groups, records, damages;
};

/* `*prev_crc`: checksum of the record just before, when `chained`. */
int scan_group(struct reader *r, const struct group_header *g, bool chained, uint32_t prev_crc,
               struct group_verdict *out) MUST_CHECK;

/* From the first group to `limit` (the file's end, or the segment's known end). With `known_end` everything up to
 * `limit` was durable once: what is not whole there is damage, not torn. `rows` is the segment's first_row. */
int scan_segment(struct reader *r, uint64_t limit, bool known_end, uint64_t rows, const struct scan_visitor *visitor,
                 struct scan_result *out) MUST_CHECK;

/* The first valid group of whatever life the file had at this base: tells salt and epoch of a segment whose header is
 * lost. ERR_NOTFOUND: there is none. */
int scan_first_group(struct reader *r, uint64_t limit, struct group_header *out) MUST_CHECK;

#endif

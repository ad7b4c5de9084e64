/* Packing a pile of entries into one group and writing it. Step functions of the commit thread. */
#ifndef HG_JOURNAL_GROUP_H
#define HG_JOURNAL_GROUP_H

#include "journal/state.h"

struct group_plan {
    uint32_t entries;
    uint32_t records;
    uint64_t rows;
    uint64_t length; /* with the group's header */
};

/* As many whole entries from the front as fit into `room` bytes; entries == 0: not even the first. */
void group_plan(const struct journal_entry *pile, uint64_t room, struct group_plan *out);
/* Write the planned entries at w->at (with the segment's header before them when it is not begun) and fill in their
 * results. Nothing is synced. On failure nothing of `w` but its scratch has changed. */
int group_write(struct writer *w, const struct group_plan *plan, int64_t received_us, uint32_t *last_crc) MUST_CHECK;

#endif

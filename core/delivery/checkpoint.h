/* A checkpoint: everything that one pusher has to make durable, in the order that keeps the promises: rows set aside,
 * then the settle stream, then the cursor. One is under way for each pusher at most.
 *
 * Built on the loop thread, written on a worker thread, given back to the loop thread. A checkpoint that failed is
 * written again as it is: the stages that are done are not repeated, so no row is set aside twice. */
#ifndef HG_DELIVERY_CHECKPOINT_H
#define HG_DELIVERY_CHECKPOINT_H

#include "delivery/aside.h"
#include "delivery/cursor.h"
#include "delivery/note.h"
#include "delivery/settle.h"

enum checkpoint_stage {
    STAGE_NOTES,
    STAGE_SWEEP,
    STAGE_SWEPT,
    STAGE_JUDGED,
    STAGE_ASIDE,
    STAGE_SETTLE,
    STAGE_CURSOR,
    STAGE_DONE
};

struct checkpoint {
    char *dir; /* the pusher's folder */
    struct cursor cursor;
    struct note *notes; /* the first to be durable: what they are about never stands without them */
    size_t note_count;
    struct settle_entry *settles;
    size_t settle_count;
    struct aside_add *adds;
    size_t add_count;
    struct aside_change *changes;
    size_t change_count;
    struct aside_end end;
    uint64_t trim; /* settle files of segments before this may go */
    enum checkpoint_stage stage;
    char *clients;        /* sweeps pass by what is of others; NULL: nothing is */
    struct sweep *sweeps; /* done first */
    size_t sweep_count;
    /* What the sweeps found. The worker's own until it is done: the loop thread looks into the arrays above meanwhile.
     */
    struct aside_add *swept;
    size_t swept_count;
    struct settle_entry *swept_settles;
    size_t swept_settle_count;
    const struct row_source *source;
};

/* Rows of one lane that are given up, or one whole row set: found by reading the journal, so that nothing is lost track
 * of. */
struct sweep {
    bool set;          /* only the row set at `from`; the lane stays where it is */
    uint32_t attempts; /* of a set */
    uint32_t lane, shard, shard_count;
    bool spread;  /* shard by position, not by uuid */
    bool dead;    /* set aside as dead letters; else given up, or */
    bool by_hand; /* taken for delivered */
    struct place from;
    uint64_t limit; /* how far can be read: a group's end, in the segment `base` */
    uint64_t to;    /* any position: row sets that begin before it */
    uint64_t base;
    struct epoch epoch;
    char why[160];
    /* out: */
    struct place end;
    uint64_t rows;
    uint64_t end_row; /* rows of the journal before `end`; 0: not known */
};

static inline enum outcome sweep_outcome(const struct sweep *s)
{
    return s->dead ? OUTCOME_DEAD : s->by_hand ? OUTCOME_BY_HAND : OUTCOME_GIVEN_UP;
}

/* Does a row set fall into this shard? */
bool shard_takes(uint32_t shard, uint32_t shard_count, bool spread, uint64_t uuid_hash, uint64_t position);

/* Worker thread. */
int checkpoint_write(struct checkpoint *cp, struct err *e) MUST_CHECK;
void checkpoint_free(struct checkpoint **cp);

#endif

/* The clients: what they posted, what they were answered, and how to tell whether it is still there. */
#ifndef HG_SIM_INTAKE_H
#define HG_SIM_INTAKE_H

#include "journal/journal.h"

enum { SETS_MAX = 6000, SET_ROWS = 2200, REQUEST_SETS = 3, UUIDS = 6 };

enum set_state {
    SET_QUEUED,  /* not answered */
    SET_ACKED,   /* 202: it must arrive */
    SET_UNKNOWN, /* 503 of a disk, or no answer: it may */
    SET_REFUSED, /* nothing was taken */
};

struct sim_set { /* one row set; its rows are numbered through: `first` to `first` + rows - 1 */
    uint64_t first;
    uint32_t rows, uuid;
    uint64_t uuid_hash, key_hash;
    enum set_state state;
    uint32_t life; /* of the daemon, when it was posted */
    uint64_t position;
    struct epoch epoch;
    uint64_t content, length;
    bool lost; /* damage took it, and was reported */
};

extern struct sim_set sets[];
extern uint32_t set_count;
extern uint64_t row_count;

void intake_begin(void);
void intake_end(void);
/* The daemon's life number `life` begins with this journal. */
void intake_open(struct journal *j, uint32_t life);
/* One request of `count` row sets; false: refused at once. */
bool intake_post(uint32_t count, uint32_t most_rows, uint32_t padding);
uint32_t intake_waiting(void);
/* Takes what is answered. */
void intake_take(void);
/* The daemon is gone: what was not answered is unknown. */
void intake_close(void);
/* A power cut took what was not promised to be on the medium: nothing of what was answered is certain. */
void intake_weakened(void);

/* The set at a position, NULL: none that was ever answered. */
struct sim_set *set_at(uint64_t position);
/* The set that holds the row of this number. */
struct sim_set *set_of(uint64_t row);
/* Is the record what was posted? */
bool set_is(const struct sim_set *set, const struct record *record);
const char *uuid_text(uint32_t uuid);

#endif

/* A pusher's durable cursor: two checksummed slots in one preallocated file, written in turn.
 *
 * It says how far the pusher is (each lane), which rows before that are still to be settled, the plugin's own durable
 * state, and what an operator ordered (paused). One slot lost means the other, both lost means from the oldest segment:
 * a repeat, never a loss. docs/format.md draws it. */
#ifndef HG_DELIVERY_CURSOR_H
#define HG_DELIVERY_CURSOR_H

#include "base/err.h"
#include "base/id.h"
#include "delivery/place.h"

#include <stddef.h>

enum {
    CURSOR_SLOT = 96 * 1024, /* bytes */
    CURSOR_LANES = 64,
    CURSOR_WAITING = 1536, /* rows that may wait beyond the cursor */
    CURSOR_STATE = 4096,
    CURSOR_REPLAYS = 8,
    CURSOR_ENDS = 2,
    CURSOR_RULINGS = 256, /* row sets that an operator has settled and that are not yet passed */
};

enum waiting_kind {
    WAITING_RETRY = 1,   /* to be tried again when due */
    WAITING_HELD = 2,    /* behind an earlier row of its uuid */
    WAITING_SUSPECT = 3, /* crashed the plugin when alone, three times; a neighbour must pass before it is judged */
};

/* totals[] */
enum {
    TOTAL_DELIVERED,
    TOTAL_DUPLICATE,
    TOTAL_SKIPPED,
    TOTAL_DEAD,
    TOTAL_RETRIES,
    TOTAL_GIVEN_UP,
    TOTAL_BY_HAND,
    TOTALS
};

struct cursor_waiting {
    struct place place; /* row PLACE_SET: the whole row set */
    uint64_t uuid_hash;
    uint32_t attempts;
    uint32_t plan;      /* stable batches: rows with the same number are handed out together again; 0 none */
    uint64_t waited_ms; /* since its first attempt, so that RETRY_FOR survives a restart and a jump of the clock */
    uint8_t kind;
};

struct cursor_plan { /* a repeatable batch that was handed out and not settled */
    struct place from, to;
    bool there;
};

/* How repeatable batches that are still to come are cut: as many rows and bytes as these, from `from` on, none across
 * one of the ends. So each of them is known before a host has looked at it, and many are written down at once. */
struct cursor_ahead {
    struct place from;
    uint64_t ends[CURSOR_ENDS]; /* positions, rising */
    uint32_t count;             /* of ends; 0: nothing is written down ahead */
    uint32_t rows;
    uint64_t bytes;
};

struct cursor_replay {
    uint64_t id;
    struct place next;
    uint64_t to;                    /* position */
    uint64_t row, to_row;           /* rows of the journal before both, to count what is gone; 0 and 0: not known */
    uint64_t only_uuid;             /* hash, 0: all */
    struct epoch epoch;             /* with new_ids: the epoch of the new ids */
    uint64_t sent, duplicate, gone; /* rows */
    uint32_t rate;                  /* rows a second, 0: no limit */
    bool new_ids;
};

/* What an operator said of a row set; stored, so only add at the end. */
enum ruling_kind { RULING_DELIVERED = 1, RULING_GIVEN_UP = 2 };

struct cursor_ruling {
    uint64_t position, uuid_hash; /* of the row set */
    uint8_t kind;
};

struct cursor {
    uint64_t sequence;   /* of the write; the slot with the higher one counts */
    uint64_t registered; /* rows before this position are not for this pusher */
    bool paused;
    bool forgotten;
    bool spread;         /* lanes are chosen by position (ORDER=none), not by uuid */
    uint64_t give_up_to; /* forgotten: rows before this position are still to be set aside as dead letters */
    uint32_t lane_count;
    struct place lanes[CURSOR_LANES];
    uint64_t lane_rows[CURSOR_LANES]; /* rows of the journal before the lane's place; for the lag */
    struct cursor_plan plans[CURSOR_LANES];
    struct cursor_ahead aheads[CURSOR_LANES];
    uint32_t waiting_count;
    struct cursor_waiting *waiting; /* in: at most CURSOR_WAITING; out: allocated by cursor_read */
    uint32_t replay_count;
    struct cursor_replay replays[CURSOR_REPLAYS];
    uint32_t ruling_count;
    struct cursor_ruling rulings[CURSOR_RULINGS];
    uint64_t totals[TOTALS]; /* since registration */
    size_t state_len;
    unsigned char state[CURSOR_STATE];
};

/* Read the better slot of `dir`/cursor. ERR_NOTFOUND: no file, or nothing was ever written to it. ERR_DAMAGED: neither
 * slot is whole. ERR_VERSION. */
int cursor_read(const char *dir, struct cursor *out, struct err *e) MUST_CHECK;
void cursor_fini(struct cursor *c);
/* Write the other slot and make it durable; makes the file (and its folder) when missing. */
int cursor_write(const char *dir, const struct cursor *c, struct err *e) MUST_CHECK;

#endif

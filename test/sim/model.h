/* What must hold, whatever happens. The model knows the rows that were acknowledged, what the plugin was shown and
 * said, and what the operator did; it asks the pusher only how it sees things, to hold that against it. */
#ifndef HG_SIM_MODEL_H
#define HG_SIM_MODEL_H

#include "delivery/pusher.h"
#include "host.h"

/* What a row does to the plugin, for ever or until the world is good again. */
enum row_kind { ROW_GOOD, ROW_REFUSED, ROW_CRASHES, ROW_HANGS, ROW_STUBBORN };

enum row_said { SAID_OK = 1, SAID_DUPLICATE = 2, SAID_SKIP = 4, SAID_REJECT = 8 };

struct sim_row {
    uint8_t kind;           /* enum row_kind */
    uint8_t said;           /* what the plugin said of it, and the daemon heard */
    uint8_t lone;           /* crashes of a fresh host with this row, or its set, alone; in this life of the daemon */
    uint8_t outcomes;       /* 1 << enum outcome: what a receipt may call it */
    bool delivered;         /* the destination has it */
    bool settling, durable; /* settled, and a checkpoint that says so is being written, or is written */
    bool dropped, edited, again, replayed; /* the operator's; `again`: a dead letter that was sent again */
    uint64_t stamp;                        /* rows that had passed at its last crash */
    uint32_t ends;                         /* of the host, not as ordered, since a row passed */
};

struct model {
    struct pusher *p;
    uint32_t life;
    uint64_t registered;           /* rows before this position are not for it; never changes */
    bool good;                     /* the plugin and the far end are in order again */
    bool mended;                   /* nothing crashes the plugin any more */
    bool damaged;                  /* bits were flipped, or reads fail */
    bool order_lifted;             /* ORDER was none at some time */
    bool replayed;                 /* something was, at some time: what it sets aside may be gone by then */
    bool copied;                   /* rows were sent again; nobody holds their segment here, as core/api does */
    bool may_expire;               /* RETRY_FOR was set at some time */
    uint64_t gave_dead, gave_skip; /* positions up to which the operator gave rows up */
    uint64_t oldest;               /* segment whose receipts are there */
    uint64_t passed;               /* rows that passed, as the daemon heard */
    uint32_t ends;                 /* of the host, not as ordered, since a row passed */
    uint64_t uncertain;            /* as counted by the pusher, so far */
    bool whole_sets, stable;
};
extern struct model model;
extern struct sim_row *model_rows;

void model_begin(void);
void model_end(void);
struct sim_row *model_row(uint64_t n);

/* --- what happens --- */
void model_restarted(struct pusher *p);
/* A life is over; what its pusher counted is seen before it goes. */
void model_ended(void);
void model_cut(const struct hand *hand); /* handed out as it was written down ahead */
void model_pushing(uint32_t worker, const struct push *push);
void model_heard(uint32_t worker, const struct push *push); /* DONE was taken */
void model_crashed(const struct push *push);                /* evidence */
void model_blamed(struct place place);                      /* taken for evidence, though nothing was pushed */
void model_overdue(const struct push *push);
void model_split(void); /* whatever was planned may be split */
void model_drawn(const struct checkpoint *cp);
void model_written(const struct checkpoint *cp);

/* --- what must hold --- */
void model_check(void);          /* nothing is past the cursor that is not accounted for; bounds */
void model_check_receipts(void); /* view and settle stream agree with what was said */
void model_check_end(void);      /* everything is accounted for, and settled */

#endif

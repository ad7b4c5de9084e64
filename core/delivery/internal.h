/* What the files of delivery share with each other and nobody else. See pusher.h for the terms. */
#ifndef HG_DELIVERY_INTERNAL_H
#define HG_DELIVERY_INTERNAL_H

#include "delivery/pusher.h"
#include "delivery/verdict.h"

enum {
    PUSHER_MAGIC = 0x48475055,
    CHECKPOINT_EVERY_MS = 100, /* a cursor moves at most this often */
    CHECKPOINT_SHARE_MS = 50,  /* and with many pushers, so much less often for each of them */
    CHECKPOINT_LATEST_MS = 1000,
    CHECKPOINT_RETRY_MS = 1000, /* after a disk error */
    FAILED_STARTS_MAX = 5,      /* crashes in a row before a host was ready, or between pushes */
    LONE_CRASHES_MAX = 3,
    LONE_OVERDUE_MAX = 3,
    KILLS_MAX = 2,            /* of the host, in a row, before less is handed out */
    OVERDUE_REST = 10,        /* TIMEOUTs between two tries of a set-aside row that hangs */
    ADD_OVERHEAD = 320,       /* bytes of an aside record beside the row */
    PARK_ATTEMPTS = 5,        /* a row that failed so often while others passed is parked */
    ASIDE_BATCH = 200,        /* aside rows in one hand-out */
    BACKLOG_MAX = 65536,      /* entries that may wait for a checkpoint before hand-outs stop */
    HELD_MAX = 4096,          /* uuids that may be held back at a time */
    DEADLINE_GRACE_MS = 2000, /* for reading the batch, before the push begins */
};

/* aside.c, asidefile.c, asideload.c: what a record in an aside file says of its row. */
struct aside_mark {
    uint8_t state;
    uint32_t attempts, returned;
    int64_t since_us;
    uint64_t uuid_hash;
    uint32_t file, offset; /* RECORD_STATE: which row */
    uint32_t row;          /* its number in its set */
};
bool aside_mark_get(struct slice context, struct aside_mark *m);

/* pusher.c */
void pusher_set_state(struct pusher *p, enum pusher_state state, const char *event, const char *reason);
/* What its host did: shows only in a pusher that is to run. One that is paused, broken, or has lost its plugin stays
 * that, whatever its last host still says. */
void pusher_show(struct pusher *p, enum pusher_state state, const char *event, const char *reason);
void pusher_break(struct pusher *p, const char *reason);
void pusher_error(struct pusher *p, struct slice reason);
uint64_t pusher_random(struct pusher *p);
/* Backoff with full jitter: a random delay up to RETRY_MIN doubled with each try, at most RETRY_MAX. */
int64_t pusher_backoff(struct pusher *p, uint32_t tries);
bool pusher_lane_of(const struct pusher *p, uint32_t lane, uint64_t uuid_hash);
uint32_t pusher_lane_of_row(const struct pusher *p, uint64_t uuid_hash, uint64_t position);
/* Has the cursor not passed it, or does it wait? Then it is still to be judged where it stands. */
bool pusher_unsettled(struct pusher *p, struct place place, uint64_t uuid_hash);

/* What crashes proved so far counts no more: the plugin was mended, or an operator wants another try. */
void pusher_absolve(struct pusher *p, int64_t now);
static inline bool pusher_whole_sets(const struct pusher *p)
{
    return (p->flags & HG_WHOLE_SETS) != 0;
}
/* What waits for a row: itself, or its whole set. */
static inline struct place pusher_unit(const struct pusher *p, struct place place)
{
    return pusher_whole_sets(p) ? (struct place){place.position, PLACE_SET} : place;
}

/* checkpoints (draw.c) */
void pusher_dirty(struct pusher *p, bool urgent);
void pusher_settle(struct pusher *p, struct place place, uint32_t rows, uint32_t attempts, enum outcome outcome);
/* The same of a row that is aside already. */
void pusher_settle_aside(struct pusher *p, struct place place, uint32_t rows, uint32_t attempts, enum outcome outcome);
/* All rows from `place` up to the position `end`. */
void pusher_settle_all(struct pusher *p, struct place place, uint64_t end, uint32_t attempts, enum outcome outcome);
void pusher_checkpoint_begin(struct pusher *p, int64_t now);
/* When the next one should begin, if nothing is urgent. A cursor that only moves waits longer than rows that can be
 * found aside only after it. */
int64_t pusher_checkpoint_due(const struct pusher *p);
/* Begin at this position, as a pusher that is new; `row`: rows of the journal before it. */
void pusher_register_at(struct pusher *p, uint64_t at, uint64_t row);
/* What a forgotten pusher has parked becomes dead letters, as far as there is room. */
void pusher_forget_parked(struct pusher *p);
/* Give up what a forgotten pusher still has. */
void pusher_forget_rows(struct pusher *p);
/* The cursor at once, without what a checkpoint brings with it; blocks. */
int pusher_write_cursor(struct pusher *p, struct err *e) MUST_CHECK;

#define DEAD_FULL "there is no room for more dead letters (dead.max_bytes): retry or drop some"

/* setting aside (setaside.c) */
/* Set a row aside with the next checkpoint. False: its budget is full (the pusher is broken now) or no memory. */
/* Bytes that rows about to be set aside will take, guessed from the rows of the last push. */
uint64_t pusher_adding(const struct pusher *p);
bool pusher_set_aside(struct pusher *p, struct place place, uint64_t uuid_hash, uint32_t attempts,
                      enum aside_state state, const char *reason);
/* Memory for so many more adds, and the next of them. */
bool pusher_adds_reserve(struct pusher *p, size_t more);
struct aside_add *pusher_add_new(struct pusher *p);
/* Room and memory for so many more dead letters? False: neither was used; without room it is broken now. */
bool pusher_dead_room(struct pusher *p, uint32_t rows);
/* One row of a set that is aside becomes a dead letter of its own; there is room for it. */
void pusher_aside_row_dead(struct pusher *p, const struct aside_entry *set, uint32_t row, const char *reason);
/* Is this row about to be set aside, by itself or with its set? */
bool pusher_sets_aside(const struct pusher *p, struct place place);
/* Give a waiting row up as a dead letter or parked row; false as above. */
bool pusher_waiting_aside(struct pusher *p, struct waiting_row *row, enum aside_state state, const char *reason);
/* A row that is aside becomes a dead letter with this reason; false as above, it stays as it is. */
bool pusher_aside_dead(struct pusher *p, struct aside_entry *entry, const char *reason);
/* Copies some of the oldest aside file's living rows so that it can go. */
void pusher_compact(struct pusher *p);
/* What an operator, or a limit, lets go. */
void pusher_let_rows_go(struct pusher *p);

/* aside rows (parked.c) */
/* Is a row of this uuid parked, or about to be? */
bool pusher_parked(const struct pusher *p, uint64_t uuid_hash);
/* The same for one that stands before `place`. */
bool pusher_parked_before(const struct pusher *p, uint64_t uuid_hash, struct place place);
/* Parks what has failed long enough, expires what is too old; returns the next time something becomes due. */
int64_t pusher_tend_waiting(struct pusher *p, int64_t now);
/* Fills `items`, at most `max`, only suspected ones if so wanted; marks them out. */
uint32_t pusher_pick_aside(struct pusher *p, uint32_t lane, struct hand_item *items, uint32_t max, bool suspected,
                           int64_t now);
void pusher_aside_back(struct pusher *p, const struct hand_item *item);

/* A batch that is to come again has lost a row: what is left of it is another one. */
void pusher_plan_breaks(struct pusher *p, uint32_t plan);

/* ruling.c */
/* Carries out what can be carried out of what operators said. */
void pusher_carry_out(struct pusher *p);
/* The one that a lane stands at, if it can be swept; and the position of the next one of a lane, UINT64_MAX: none. */
const struct ruling *pusher_ruling_here(const struct pusher *p, uint32_t lane);
uint64_t pusher_ruling_ahead(const struct pusher *p, uint32_t lane);
/* Will this row set be passed by, whatever happens? The ruling on it is durable, and no worker has it. NULL: no. */
const struct ruling *pusher_ruled(const struct pusher *p, uint64_t position, uint64_t uuid_hash);

/* pump.c */
int64_t pusher_pump(struct pusher *p, int64_t now);
bool pusher_any_busy(const struct pusher *p);
/* Is a range of this lane with a worker? */
bool pusher_lane_busy(const struct pusher *p, uint32_t lane);

/* Moves `next` over gaps. False: nothing durable beyond it. */
bool pusher_segment(struct pusher *p, struct place *next, struct journal_segment *segment);
/* Are there, by their number or their bytes, enough rows from `position` on for a whole batch? */
bool pusher_fills(const struct pusher *p, uint64_t position, const struct journal_segment *segment);
/* Are suspects of this lane tried? */
bool pusher_suspects(const struct lane *lane);

/* ahead.c: repeatable batches that are written down before they are handed out */
void ahead_restore(struct lane *lane, const struct cursor_ahead *ahead);
void ahead_drop(struct lane *lane);
/* Writes down more, where it can: behind the plan that a worker has, or behind what is written down. */
void ahead_extend(struct pusher *p, struct lane *lane);
/* Shapes the hand-out of fresh rows, where something is written down that still holds. False: not now, it is being
 * written. `stood`: where the lane stood before it was moved over gaps. */
bool ahead_shape(struct pusher *p, struct lane *lane, struct place stood, struct hand *hand);
/* A worker has taken the batch up to here. */
void ahead_taken(struct lane *lane, const struct handed *h);
/* A row of the batch is held back: it cannot be pushed as it was written down. */
void ahead_barred(struct pusher *p, struct lane *lane);

/* taken.c */
void handed_fini(struct handed *h);
void judge_reset(struct handed *h);
/* The hand-out with this token; NULL: the worker has none, or another. */
struct handed *handed_find(struct pusher *p, uint32_t worker, uint64_t token);
bool handed_is_range(const struct handed *h);
/* Is one of its items a whole set? */
bool handed_holds_sets(const struct handed *h);
/* What was told of this row, or NULL. */
const struct judged *handed_judged(const struct handed *h, struct place place);

/* verdict.c */
const char *verdict_reason(const struct judged *j, const char *other);
/* The row is tried again after its backoff, or later if the plugin says so. */
void verdict_wait(struct pusher *p, struct waiting_row *row, const struct judged *j, int64_t now);
void verdict_retry(struct pusher *p, const struct judged *j); /* counts it */
/* Settles a row. False: it could not be set aside, it stays. */
bool verdict_book(struct pusher *p, const struct judged *j, uint32_t attempts);
/* A row of a range waits, or is parked where there is no room. False: neither, the lane stays before it. */
bool verdict_waits(struct pusher *p, const struct judged *j, enum waiting_kind kind, uint32_t attempts, int64_t now);
void judge_passed(struct pusher *p, uint64_t rows);
/* A refusal counts against the plugin when nothing was delivered in between; false: at the breaker, the row stays. */
bool judge_breaker(struct pusher *p, bool some_delivered);

/* judge_list.c */
void judge_rows(struct pusher *p, struct handed *h, const struct done *done, int64_t now);
void judge_aside_rows(struct pusher *p, struct handed *h, const struct done *done, int64_t now);

/* evidence.c */
/* A neighbour has passed: the suspect it was. */
void evidence_convict(struct pusher *p);

/* replay.c */
bool replay_pick(struct pusher *p, struct hand *hand, int64_t now, int64_t *wake);
void replay_done(struct pusher *p, const struct handed *h, const struct done *done, int64_t now);
void replay_back(struct pusher *p, const struct handed *h, bool died, int64_t now);

#endif

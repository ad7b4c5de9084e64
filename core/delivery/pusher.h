/* Delivery state of one pusher: a step function. Events go in (more is durable, a host is ready, took, judged, died;
 * time passed; an operator wants something), orders come out through a table (hand out, go, kill, start, checkpoint).
 * No thread, no clock, no I/O in here: the caller gives the time, so that a simulator can run it by the million.
 *
 * Lanes. A pusher with PARALLEL workers has as many lanes; a lane takes the row sets whose uuid falls into its shard,
 * in journal order, so rows of one uuid never overtake each other. Everything before a lane's `next` is settled, or
 * waits in `waiting`, or was set aside. That, and nothing else, is what the cursor stores.
 *
 * Loop thread only. Times are monotonic milliseconds unless they say otherwise. */
#ifndef HG_DELIVERY_PUSHER_H
#define HG_DELIVERY_PUSHER_H

#include "base/list.h"
#include "conf/conf.h"
#include "delivery/checkpoint.h"
#include "delivery/waiting.h"
#include "journal/journal.h"

enum pusher_state {
#define STATE(name, word) PUSHER_##name,
#include "delivery/state.def"
#undef STATE
    PUSHER_STATES
};

const char *pusher_state_word(enum pusher_state s);

enum hand_what { HANDED_RANGE, HANDED_ROWS, HANDED_ASIDE, HANDED_REPLAY };

/* What one aside or waiting row of a hand-out is. */
struct hand_item {
    struct place place;    /* journal rows */
    struct epoch epoch;    /* aside rows: with place, the row's id */
    uint32_t file, offset; /* aside rows */
    uint32_t attempt;
    uint64_t uuid_hash;
};

/* An order to a worker. Borrowed by the table's function for the call. */
struct hand {
    uint64_t token;
    uint32_t worker, lane;
    enum hand_what what;
    uint64_t replay;            /* id */
    bool stable, exact, spread; /* wait for go; a repeated plan; shard by position, not by uuid */
    bool cut;                   /* as it was written down ahead, or not at all */
    bool new_ids;
    uint32_t shard, shard_count;
    uint32_t max_rows;
    uint64_t max_bytes;
    uint64_t base;         /* journal segment of a range */
    struct place from, to; /* `to`: the end with `exact`, otherwise where it ends at the latest; position 0: not set */
    uint64_t limit;
    uint64_t only_uuid;
    struct epoch epoch; /* with new_ids */
    uint32_t attempt;
    const uint64_t *held;
    uint32_t held_count;
    const struct hand_item *items;
    uint32_t item_count;
};

/* A row's verdict that is not plainly OK, as the host told it. */
struct judged {
    struct place place;
    uint64_t uuid_hash;
    int64_t after_ms;
    uint32_t verdict; /* enum hg_verdict or host_verdict */
    uint32_t rows;    /* of VERDICT_CLIENT: how many from `place` on */
    bool unjudged;
    char *reason; /* owned, may be NULL */
};

/* What a worker has. */
struct handed {
    bool busy, taken;
    enum { GO_NOT_NEEDED, GO_WANTED, GO_WRITTEN } go; /* stable batches: the plan must be durable before the push */
    uint64_t token;
    enum hand_what what;
    uint32_t lane;
    uint64_t replay; /* id, for HANDED_REPLAY */
    struct place from, first, end;
    uint64_t limit;
    uint32_t rows; /* in the push */
    uint64_t bytes;
    uint64_t end_row;    /* rows of the journal before `end` */
    uint64_t first_hash; /* uuid of the first row */
    int64_t began_ms, deadline_ms;
    bool deadline_passed;
    bool stable, exact, cut; /* as it was handed out */
    bool first_push;         /* nothing else was pushed by this host before or beside it */
    uint32_t max_rows;
    struct hand_item *items; /* of ROWS and ASIDE */
    uint32_t item_count;
    struct judged *judged;
    uint32_t judged_count, judged_cap;
};

struct lane {
    struct place next;
    uint64_t row; /* rows of the journal before `next` */
    struct cursor_plan plan;
    struct cursor_ahead ahead;           /* behind the plan; ahead.c */
    uint32_t ahead_drawn, ahead_durable; /* its ends that a checkpoint has, and the medium */
    bool ahead_again;                    /* from an earlier life: some of its batches may have been pushed */
    uint32_t max_rows;         /* halved after a deadline, 1 while suspects are tried, doubled after success */
    struct place suspects_end; /* rows before this are tried one at a time; position 0: none */
    struct place alone;        /* the row of the next two */
    uint32_t crashes, overdue; /* of a row that was handed out alone */
    int signal;                /* of the last crash */
    struct place turn;         /* of the waiting rows those from here on come next */
    uint32_t attempt;          /* tries of what stands at `next`, from 0 */
    uint64_t give_up;          /* rows before this position are given up; 0: none */
    bool give_up_dead;         /* as dead letters */
    bool sweeping;             /* a checkpoint under way gives some of them up */
    char give_up_why[160];
    int64_t first_try_ms;   /* of what stands at `next`; 0: not tried */
    struct place first_end; /* up to here it was tried then; position 0: not known */
    int64_t last_done_ms;   /* end of its last push; 0: none since the start */
};

struct done {        /* the end of a push, from the host */
    uint32_t result; /* enum hg_result */
    uint32_t rows, delivered, listed;
    struct place end;
    int64_t after_ms, push_us;
    uint64_t bytes;
    bool has_state, bad_result;
    struct slice state, reason;
};

enum host_end {
    HOST_CRASHED,  /* by a signal of its own, or it exited while pushing */
    HOST_KILLED,   /* from outside, out of memory: no evidence */
    HOST_DEADLINE, /* by us, because a push took too long */
    HOST_MEMORY,   /* by us, above MEMORY_MAX */
    HOST_STOPPED,  /* as ordered */
    HOST_NOT_NOW,  /* open() or start() says not now */
    HOST_BROKEN,   /* open() or start() says broken, settings refused, cannot be loaded */
    HOST_PROTOCOL, /* by us, because it sent nonsense: evidence like a crash */
};

struct host_down {
    enum host_end end;
    int signal;         /* or 0 */
    int lane;           /* the worker that crashed, if it said so, else -1 */
    const char *reason; /* for people */
};

struct pusher;

/* Orders. None may call back into the pusher before it returns, but `start`, which may tell pusher_host_down. */
struct pusher_ops {
    void (*hand)(void *arg, struct pusher *p, const struct hand *hand);
    void (*go)(void *arg, struct pusher *p, uint32_t worker, uint64_t token);
    void (*start)(void *arg, struct pusher *p);                   /* start a host; pusher_host_ready or _down follows */
    void (*kill)(void *arg, struct pusher *p, enum host_end why); /* SIGKILL; pusher_host_down follows */
    void (*stop)(void *arg, struct pusher *p);                    /* ask it to finish; pusher_host_down follows */
    void (*checkpoint)(void *arg, struct pusher *p, struct checkpoint *cp); /* write it; pusher_checkpointed follows */
    int (*segment_at)(void *arg, uint64_t position, struct journal_segment *out);
    struct journal_mark (*durable)(void *arg);
    const struct row_source *source;                                      /* for checkpoints, on worker threads */
    bool (*aside_full)(void *arg, enum aside_state state, uint64_t more); /* dead.max_bytes, park.max_bytes */
    uint32_t (*running)(void *arg);                                       /* pushers with a host: they share the disk */
    void (*damage)(void *arg, struct pusher *p, uint64_t from, uint64_t to);
    void (*changed)(void *arg, struct pusher *p, const char *event, const char *text); /* worth a log line */
    void *arg;
};

struct pusher_counts { /* since start of this process; durable totals stand in the cursor */
    uint64_t retries, restarts, unjudged, uncertain, deadline_kills, memory_kills, crashes, lost, damaged;
    uint64_t delivered_rows; /* every row that passed; also evidence that others pass */
    uint64_t given_up_expired, given_up_full, given_up_forgotten;
    uint64_t skipped_plugin, skipped_client;
};

struct replay_job {
    struct cursor_replay c;
    enum replay_end { REPLAY_RUNS, REPLAY_DONE, REPLAY_STOPPED, REPLAY_FAILED } end;
    bool out;
    int64_t next_due_ms;
    uint32_t stuck; /* tries of the same rows */
};

enum { PUSH_BUCKETS = 12 };
extern const double push_bounds[PUSH_BUCKETS];

/* A row set that an operator has settled, until the lane has passed it and nothing of it is open. */
struct ruling {
    struct cursor_ruling c;
    uint64_t sequence; /* of the first cursor that holds it */
    bool looked;       /* what is aside of it was settled, and the lane has not come to it since */
};

struct pusher {
    uint32_t magic;
    struct link link; /* the owner's */
    char *name, *plugin, *dir;
    char *clients; /* CLIENTS, or NULL: everybody's row sets are for it */
    struct pusher_settings settings;
    uint32_t flags; /* enum hg_pusher_flag */
    uint32_t worker_count;
    const struct pusher_ops *ops;
    void *owner; /* the owner's */

    enum pusher_state state;
    int64_t state_since_us; /* wall clock */
    char error[512];        /* last one, for people */
    bool paused, wanted, forgotten, stopping, broken;

    enum { HOST_NONE, HOST_STARTING, HOST_READY, HOST_ENDING } host;
    bool kill_sent;
    uint32_t pushes;   /* begun by this host */
    int64_t end_by_ms; /* a host that shall end must have ended by then; 0: not set */
    int64_t restart_at_ms;
    int64_t down_since_ms;  /* open() has been saying not now since then; 0: it does not */
    uint64_t down_position; /* what was durable at that time */
    uint32_t deaths;        /* without a push that returned in between */
    uint32_t failed_starts;

    uint64_t registered;
    uint32_t lane_count;
    bool spread;   /* lanes are chosen by position (ORDER=none) */
    uint32_t turn; /* the lane that is asked first */
    struct lane *lanes;
    struct handed *workers; /* CURSOR_LANES of them */
    uint32_t worker_top;    /* no worker from this one on was ever handed anything */
    struct waiting waiting;
    struct aside aside;
    struct place suspect; /* the row that is a suspect now; position 0: none */

    uint32_t not_now; /* in a row */
    int64_t not_now_until_ms;
    int64_t start_deadline_ms;
    uint64_t reshard_at;  /* lanes stop at this position until all are there; 0: not needed */
    bool aside_suspected; /* some row that is aside may be suspected */
    int64_t aside_due_ms; /* when a row that is aside may be due */
    uint32_t rejects;     /* in a row, without a delivery */
    uint64_t random;      /* state of the jitter's generator */
    uint64_t row_bytes;   /* of a row of the last push, on average */
    uint64_t next_token;
    uint32_t next_plan;

    /* what the next checkpoint carries */
    bool dirty, urgent;
    struct settle_entry *settles;
    size_t settle_count, settle_cap;
    struct aside_add *adds;
    size_t add_count, add_cap;
    struct sweep *sets; /* whole row sets to be set aside as dead letters, or given up */
    size_t set_count, set_cap;
    struct note *notes;
    size_t note_count;
    struct ruling rulings[CURSOR_RULINGS];
    uint32_t ruling_count;
    struct checkpoint *writing; /* under way; borrowed by the table's function */
    bool write_failed;
    int64_t checkpoint_at_ms, checkpoint_share_ms;
    uint64_t sequence;
    uint64_t durable_low; /* position that the durable cursor releases */
    uint64_t give_up_to;  /* forgotten: as in the cursor */
    uint64_t give_up_row; /* rows of the journal before that; after a start perhaps more */
    int64_t tended_ms;    /* when the waiting rows were looked at last */

    struct replay_job replays[CURSOR_REPLAYS];
    uint32_t replay_count;
    uint64_t next_replay;
    bool replay_turn;

    uint64_t totals[TOTALS]; /* as in struct cursor */
    struct pusher_counts counts;
    uint64_t push_counts[PUSH_BUCKETS + 1];
    double push_seconds;
    unsigned char plugin_state[CURSOR_STATE];
    size_t plugin_state_len;
};

/* `dir` is the pusher's folder. Loads the cursor and what is aside, or registers (the caller then waits for the first
 * checkpoint): at `registered`. `lost`: both slots of the cursor were damaged; it began again at the oldest segment. */
struct pusher_init {
    const char *name, *plugin, *dir;
    const struct pusher_settings *settings;
    uint32_t flags, workers;
    const struct pusher_ops *ops;
    void *owner;
    uint64_t register_row; /* rows of the journal before register_at */
    uint64_t register_at;  /* position for a pusher that is new */
    uint64_t oldest;       /* of the journal */
    uint64_t seed;
};
int pusher_new(struct pusher **out, const struct pusher_init *init, int64_t now, bool *lost, struct err *e) MUST_CHECK;
/* Make a new pusher's registration durable; blocks. Nothing may be acknowledged before: a pusher that is registered
 * only in memory would, after a crash, be registered behind rows that were meant for it. */
int pusher_register(struct pusher *p, struct err *e) MUST_CHECK;
void pusher_free(struct pusher **p);
/* New settings after a reload or a replaced file; the host is started again by the caller where needed. */
void pusher_configure(struct pusher *p, const struct pusher_settings *settings, uint32_t flags, uint32_t workers);

/* CLIENTS as text; empty: everybody. The host looks at it while rows pass, sweeps where they are given up. */
int pusher_set_clients(struct pusher *p, const char *clients) MUST_CHECK;

/* --- events --- */
void pusher_want(struct pusher *p, bool wanted, int64_t now); /* there is a plugin to run, with good settings */
void pusher_mark(struct pusher *p, enum pusher_state state,
                 const char *reason); /* ORPHANED, REFUSED, UNCONFIGURED, BROKEN */
void pusher_host_ready(struct pusher *p, int64_t now);
void pusher_host_down(struct pusher *p, const struct host_down *down, int64_t now);
int pusher_taken(struct pusher *p, uint32_t worker, uint64_t token, struct place first, struct place end, uint32_t rows,
                 uint64_t bytes, uint64_t first_hash, uint64_t end_row,
                 int64_t now) MUST_CHECK; /* ERR_SYNTAX: not what was handed out */
int pusher_judged(struct pusher *p, uint32_t worker, uint64_t token, const struct judged *row,
                  struct slice reason) MUST_CHECK;
int pusher_done(struct pusher *p, uint32_t worker, uint64_t token, const struct done *done, int64_t now) MUST_CHECK;
void pusher_damage(struct pusher *p, uint64_t from, uint64_t to);
/* The checkpoint that was handed out is written (0) or failed; the pusher frees it. */
void pusher_checkpointed(struct pusher *p, int status, const char *reason, int64_t now);
/* Hand out what can be handed out, pass deadlines, begin checkpoints. Returns when to call it again at the latest. */
int64_t pusher_step(struct pusher *p, int64_t now);

/* --- an operator's wishes --- */
void pusher_pause(struct pusher *p, bool paused, int64_t now); /* resume also mends `broken` */
/* Try now whatever waits for its time: the far end, a start, single rows. */
void pusher_hurry(struct pusher *p, int64_t now);
void pusher_stop(struct pusher *p);        /* no further hand-outs */
bool pusher_quiet(const struct pusher *p); /* nothing with a worker, nothing to be written */
/* Let the rows before `position` go: as dead letters, or skipped. Happens with the next checkpoints. */
void pusher_give_up(struct pusher *p, uint64_t position, bool dead, const char *why);
/* What is before `end` becomes dead letters, parked rows too; what comes later is not for it; nothing is delivered any
 * more, also after a restart. Its host has ended, and it is quiet. Blocks until that is on disk; the rows follow. */
int pusher_forget(struct pusher *p, struct journal_mark end, struct err *e) MUST_CHECK;
/* One that was let go is wanted again: it registers as a new one does, and keeps its dead letters. Blocks. */
int pusher_register_again(struct pusher *p, uint64_t at, uint64_t row, struct err *e) MUST_CHECK;
/* ERR_BUSY: it was forgotten, and would never try it; or a row is to be changed that goes with its whole set. */
int pusher_dead_retry(struct pusher *p, struct aside_entry *entry, struct slice new_data, int64_t now) MUST_CHECK;
void pusher_dead_drop(struct pusher *p, struct aside_entry *entry);
/* Try what is not settled of this row set now instead of when it is due; the number of rows whose delay was cut short.
 */
uint32_t pusher_expedite(struct pusher *p, const struct epoch *epoch, uint64_t position, int64_t now);
/* One row set, by an operator's word (ruling.c). `note`: for the receipt, a JSON object, copied. */
struct chosen_set {
    uint64_t position, uuid_hash, bytes;
    struct epoch epoch;
    uint32_t rows;
};
/* Rows of it that are open or dead letters, and not ruled on in this way already. */
uint32_t pusher_rulable(const struct pusher *p, const struct chosen_set *set, enum ruling_kind kind);
/* Take them for delivered, or give them up: durable with the next checkpoint, and carried out as they come back from
 * workers, or when the lane comes to them. ERR_LIMIT: there are as many rulings as can be. */
int pusher_rule(struct pusher *p, const struct chosen_set *set, enum ruling_kind kind, const char *note) MUST_CHECK;
/* Its rows that are dead letters here. */
uint32_t pusher_dead_rows(const struct pusher *p, const struct chosen_set *set);
/* Rows of it that are settled, in whichever way. */
uint32_t pusher_settled_rows(const struct pusher *p, const struct chosen_set *set);
/* They are to be delivered again, with their ids. ERR_LIMIT: there is no room for copies of them (park.max_bytes);
 * ERR_BUSY: it was forgotten, or rows of it are about to be set aside. */
int pusher_send_again(struct pusher *p, const struct chosen_set *set, const char *note, int64_t now) MUST_CHECK;
/* The sequence of the cursor that will hold what was wished until now: on disk once `sequence` has reached it. */
uint64_t pusher_written_by(const struct pusher *p);
int pusher_replay(struct pusher *p, const struct cursor_replay *replay, uint64_t *id) MUST_CHECK;
/* How it stands, in a word: running, done, overtaken (done, but part of it was gone), stopped, failed. */
const char *replay_word(const struct replay_job *job);
void pusher_replay_end(struct pusher *p, uint64_t id);

/* --- looking --- */
/* Everything before this position is settled (in memory, or durably). */
uint64_t pusher_low(const struct pusher *p);
/* Everything before this position was looked at: it is settled, set aside, or waits alone for another try. UINT64_MAX:
 * it was let go and takes nothing more. */
uint64_t pusher_passed(const struct pusher *p);
/* Where a row set stands: rows of `rows` that are not yet settled, and how many of those wait for another try. */
struct pusher_view {
    uint32_t pending, waiting, parked, attempts;
    uint32_t ruled; /* not reached yet, but an operator has settled them */
    enum ruling_kind ruling;
    bool delivering;
};
void pusher_view(const struct pusher *p, uint64_t position, uint32_t rows, uint64_t uuid_hash, struct pusher_view *out);
/* Is the row set at this position for it? Not what came before it was registered, nor after it was forgotten. */
bool pusher_takes(const struct pusher *p, uint64_t position);
/* Behind the last durable row that is for it. */
struct journal_mark pusher_end(const struct pusher *p);
/* Rows and bytes that are durable and not settled; rows is exact with one lane. */
void pusher_lag(const struct pusher *p, uint64_t *rows, uint64_t *bytes);
/* Entries of the settle stream that are not on disk yet. */
void pusher_settles(const struct pusher *p, settle_visit *visit, void *arg);
/* It was forgotten and what it held is given up: it pins nothing. */
bool pusher_let_go(const struct pusher *p);
/* Nothing left to deliver up to `position`, nothing waiting, nothing parked. */
bool pusher_drained(const struct pusher *p, uint64_t position);

#endif

/* The inside of a journal: what its threads share. Only files of this folder include it.
 *
 * Who owns what: everything in `struct journal` is under `lock`, but what is marked as the writer's or the
 * helper's own. A segment in the table is removed and freed by the helper only, so the helper may look at its constant
 * parts without the lock; everyone else copies what it needs while holding it.
 *
 * commit_step and helper_step do all the work and never wait: the threads call them when there is something to do, a
 * simulator calls them in whatever order it likes. */
#ifndef HG_JOURNAL_STATE_H
#define HG_JOURNAL_STATE_H

#include "journal/index.h"
#include "journal/journal.h"

#include <pthread.h>
#include <sys/uio.h>

#define JOURNAL_MAGIC 0x484A524Eu
#define POSITION_NONE UINT64_MAX

enum {
    PREPARED_MAX = 2,   /* segments made ready ahead */
    SPARE_KEEP = 2,     /* drained segments kept for being used again though their time is over */
    DAMAGES_MAX = 1024, /* ranges remembered; more are counted only */
    WRITE_PARTS = 1024, /* of one pwritev */
    WRITE_HEADERS = 256,
};

enum commit_state {
    COMMIT_IDLE,     /* nothing is left to do */
    COMMIT_SEGMENT,  /* waits for the helper to make a segment, or to say that it cannot */
    COMMIT_SYNC_DUE, /* nothing is left but a sync at writer.sync_due_ms */
    COMMIT_MORE,     /* commit_one has left something */
};

struct segment {
    struct segment_header header; /* as on disk, or told from its groups when that is lost */
    uint64_t end;                 /* durable and valid up to here */
    uint64_t file_bytes;
    int64_t sealed_us; /* 0: the head */
    uint32_t holds;
    bool voided;                  /* a write or sync of it failed: never written, synced or used again */
    bool indexed;                 /* its index file is good as far as known */
    struct index *memory;         /* the head's, and until the file is written */
    struct index_filter filter;   /* of keys; valid when `indexed` */
    struct index_clients clients; /* valid when `indexed` */
    int64_t keep_ms;              /* its clients' keep, as of `kept` */
    uint64_t kept;                /* the journal's `keeps` of then; 0: not looked at */
    struct segment *next;         /* in the list of discarded ones */
    bool unnamed;                 /* discarded before it got its name: it is still `.new` */
    bool anchor;                  /* discarded, but nothing else may tell how far positions were used: see retain.c */
};

struct prepared {
    struct segment *segment; /* base, size, salt, epoch and stream are set */
    int fd;
};

/* Of whoever commits: the commit thread, or for one group a loop that has taken its place (`committing`). */
struct writer {
    int fd;               /* of the head, -1: none */
    struct segment *head; /* in the table, or (before its first group) not yet */
    bool begun;           /* its header is written */
    uint64_t at;          /* position of the next group */
    uint32_t prev_crc;
    uint64_t rows;            /* cumulative */
    uint64_t synced;          /* position: everything before is on the medium */
    bool unsynced;            /* something was written after that */
    int64_t sync_due_ms;      /* DURABILITY_INTERVAL */
    int64_t sync_ns;          /* moving average of fdatasync; 0: none yet */
    bool lonely;              /* the last group was one entry */
    struct commit_queue *own; /* of the loop that commits: it is not woken */
    struct journal_entry *pile, **pile_end;
    struct iovec parts[WRITE_PARTS];
    unsigned char headers[WRITE_HEADERS][RECORD_HEADER];
    unsigned char group[GROUP_HEADER];
    unsigned char page[SEGMENT_HEADER];
};

/* trial.c */
struct trial {
    int64_t asked_ms; /* when one was asked for that is not done; 0: none */
    int64_t told_ms;  /* of the last word about the disk: a trial, or a group that was synced */
    int code;         /* of that: 0, or the disk took nothing */
    char text[256];   /* why, for people */
};

struct journal {
    uint32_t magic;
    struct journal_options options; /* dir is a copy */
    struct epoch epoch, stream;
    int lock_fd;
    pthread_mutex_t lock;
    pthread_cond_t work;   /* for the commit thread */
    pthread_cond_t chores; /* for the helper */
    pthread_t commit_thread, helper_thread;
    bool started, closing, stopping, chores_waiting;
    bool committing;         /* someone has the writer */
    enum commit_state state; /* the writer's, as it was left */

    struct journal_entry *queue, **queue_end;
    struct segment **table; /* by base */
    uint32_t count, cap;
    struct prepared prepared[PREPARED_MAX];
    uint32_t prepared_count;
    bool need_segment;         /* the commit thread waits for one */
    struct segment *discarded; /* files of no use that still take space: for the helper to remove */
    struct segment *spares;    /* files of the right size that recovery found made ready */
    uint64_t next_base;        /* of the next segment to be made */
    struct journal_mark mark;
    uint64_t released;

    int intake;
    char text[256];
    uint64_t bytes;
    uint64_t commits, syncs, voided;
    uint64_t sync_counts[SYNC_BUCKETS + 1];
    double sync_seconds;
    struct read_damage damages[DAMAGES_MAX];
    uint32_t damage_known, damage_taken;
    uint64_t damage_count;
    struct trial trial;

    struct journal_keep *keep; /* of clients */
    uint32_t keep_count;
    int64_t keep_common_ms;
    uint64_t keeps; /* how often these, or keep_ms, were set; from 1 */

    int64_t retry_ms;             /* the helper's own: not before that */
    int64_t discard_ms, index_ms; /* the same for removing files and for writing indexes */
    struct writer writer;
};

/* --- open and close without threads --- */
int journal_open_quiet(struct journal **out, const struct journal_options *options, struct journal_report *report,
                       struct err *e) MUST_CHECK;
int journal_start(struct journal *j) MUST_CHECK; /* the threads */
void journal_free(struct journal **j);           /* after the threads ended, or without them */

/* --- steps --- */
enum commit_state commit_step(struct journal *j);
enum commit_state commit_one(struct journal *j); /* at most one group */
void commit_finish(struct journal *j);           /* the last sync, at close */
/* One piece of work; false: there is none before *wait_ms have passed (-1: until something changes). */
bool helper_step(struct journal *j, int64_t *wait_ms);

/* --- pieces, under the lock unless they say otherwise --- */
struct segment *segment_new(uint64_t base, uint64_t size);
void segment_free(struct segment **s);
int table_reserve(struct journal *j, uint32_t more) MUST_CHECK;
void table_insert(struct journal *j, struct segment *s); /* after table_reserve; by base */
void table_remove(struct journal *j, const struct segment *s);
struct segment *table_find(const struct journal *j, uint64_t base);
struct segment *table_last(const struct journal *j);
struct segment *table_below(const struct journal *j, uint64_t base); /* the last one whose base is below; NULL */
uint64_t segment_first(const struct segment *s);
void segment_describe(const struct segment *s, struct journal_segment *out);
void segment_discard(struct journal *j, struct segment *s); /* not in the table (any more) */
void helper_call(struct journal *j);                        /* there is work for the helper */
void commit_call(struct journal *j);                        /* ... for the commit thread */
void intake_set(struct journal *j, int code, const char *format, ...) PRINTF_LIKE(3, 4);
void sync_note(struct journal *j, int64_t ns);
void damage_note(struct journal *j, struct read_damage damage);
void journal_tell(struct journal *j); /* `changed`; without the lock */

/* retain.c */
bool segment_drained(const struct journal *j, const struct segment *s);
bool segment_reusable(const struct journal *j, const struct segment *s);
/* The oldest segment if it may go: its time is over, or (`pressure`) it is only drained. NULL: none may. */
struct segment *retain_candidate(const struct journal *j, int64_t now_us, bool pressure);
/* How many of the drained ones have had their time. */
uint32_t retain_overdue(const struct journal *j, int64_t now_us);
/* Milliseconds until the next one has; -1: none waits. */
int64_t retain_wait(const struct journal *j, int64_t now_us);

/* The clients that have row sets in it; NULL: not known now. */
const struct index_clients *segment_clients(const struct segment *s);

/* prepare.c, the helper's; without the lock */
bool prepare_step(struct journal *j, int64_t now_ms);
bool discard_step(struct journal *j, int64_t now_ms);
uint32_t prepare_ahead(const struct journal *j); /* how many are wanted */
bool retire_step(struct journal *j);

/* trial.c */
bool trial_step(struct journal *j, int64_t now_ms); /* the helper's; without the lock */
void trial_passed(struct journal *j);               /* a sync of rows went well */
void trial_health(const struct journal *j, struct journal_health *out);

/* index_job.c */
void index_distrust(struct journal *j, uint64_t base); /* its file is no good: the segment itself counts */
bool index_step(struct journal *j, int64_t now_ms);
/* An index in memory for a sealed segment that has none; without the lock, the caller holds the segment. */
int index_build(struct journal *j, uint64_t base) MUST_CHECK;
int index_path(const struct journal *j, uint64_t base, char *out) MUST_CHECK;

/* recover.c */
int journal_recover(struct journal *j, struct journal_report *report, struct err *e) MUST_CHECK;

static inline void journal_lock(struct journal *j)
{
    CHECK(pthread_mutex_lock(&j->lock) == 0);
}

static inline void journal_unlock(struct journal *j)
{
    CHECK(pthread_mutex_unlock(&j->lock) == 0);
}

#endif

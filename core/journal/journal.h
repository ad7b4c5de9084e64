/* The journal: append-only segments, group commit, recovery, retention, indexes. A stream, not a global.
 *
 * Threads: one commit thread writes and syncs; one helper thread prepares segments, writes indexes, removes and
 * recycles old ones. Everything declared here may be called from any thread unless it says otherwise. What is announced
 * by journal_durable() has been fdatasync'ed (in durability `fsync`) and survives kill -9 and power loss.
 *
 * Layout of the directory: `lock`, `<base, 16 hex digits>.seg`, `<base>.idx`, `damaged/`. */
#ifndef HG_JOURNAL_JOURNAL_H
#define HG_JOURNAL_JOURNAL_H

#include "base/client.h"
#include "journal/reader.h"
#include "journal/record.h"

#include <stdatomic.h>

struct journal;

enum durability { DURABILITY_FSYNC, DURABILITY_INTERVAL, DURABILITY_NONE };

struct journal_options {
    const char *dir;        /* made when missing; copied */
    uint64_t segment_bytes; /* a multiple of 4096 */
    uint64_t max_bytes;     /* of all segments together */
    uint64_t min_free;      /* bytes the file system must keep free */
    enum durability durability;
    uint32_t interval_ms; /* of DURABILITY_INTERVAL */
    int64_t keep_ms;      /* how long settled segments linger */
    uint64_t keep_bytes;  /* how much of them at most */
    uint32_t retry_ms;    /* how often a disk that failed is tried again; 0: every second */
    /* Called on the journal's threads, never with a lock held, must not block: something changed that the owner of the
     * journal looks at (journal_health, journal_take_damage, a full budget). */
    void (*changed)(void *arg);
    void *arg;
};

/* What recovery found; texts are for the log. */
struct journal_report {
    uint32_t segments;
    uint64_t torn_bytes;    /* of a tail that was cut and kept aside */
    uint32_t damages;       /* ranges, also available by journal_take_damage */
    bool unverified_medium; /* O_DIRECT refused: the page cache was dropped instead */
};

/* ERR_BUSY: another process has it open. ERR_VERSION: written by a newer headgate, untouched. Draws a new epoch. */
int journal_open(struct journal **out, const struct journal_options *options, struct journal_report *report,
                 struct err *e) MUST_CHECK;
/* Commits what is queued, stops the threads, releases the lock. NULL is allowed. */
void journal_close(struct journal **j);
/* Limits that a reload may change. */
void journal_reconfigure(struct journal *j, const struct journal_options *options);
/* How long settled row sets of clients linger: `common_ms` for those that are not named, 0: as keep_ms, which is also
 * for row sets of nobody. A segment lingers as long as the longest of the clients that have row sets in it. Copied;
 * ERR_NOMEM: it stays as it was. */
struct journal_keep {
    char name[CLIENT_MAX + 1];
    int64_t keep_ms; /* 0: as keep_ms of the options */
};
int journal_keep_clients(struct journal *j, int64_t common_ms, const struct journal_keep *clients,
                         uint32_t count) MUST_CHECK;

/* --- writing --- */

/* Where finished entries go: one for each loop. The commit thread pushes and then calls `wake` once a group. The queue
 * must outlive the journal. */
struct commit_queue {
    void (*wake)(void *arg); /* from the commit thread; must not block */
    void *arg;
    _Atomic(struct journal_entry *) done; /* a stack; take it with commit_take */
};

/* One request: all its records are committed together or not at all. Owned by the caller, who keeps it and every
 * slice in it alive until it comes back through its queue. */
struct journal_entry {
    struct journal_entry *next; /* the journal's, while it has the entry */
    struct commit_queue *queue;
    struct record_parts *records; /* in */
    uint32_t count;               /* in, at least 1 */
    uint64_t length;              /* the journal's: bytes of all records */
    /* out: */
    int status; /* 0, ERR_IO (disk; the rows' fate is unknown), ERR_FULL (budget or disk full, nothing written) */
    uint64_t *positions; /* `count` of them, caller's memory */
    struct epoch epoch;
    int64_t received_us;
};

/* Queue an entry. 0, or at once ERR_FULL (budget), ERR_IO (a disk error, no segment), ERR_CLOSED, ERR_LIMIT (larger
 * than a segment takes): then the entry is not queued. */
int journal_append(struct journal *j, struct journal_entry *entry) MUST_CHECK;
/* For a loop that would rather commit by itself than wake a thread. journal_put queues an entry as journal_append does,
 * but wakes nobody; one of the other two must follow soon. journal_wake: the commit thread takes it.
 * journal_commit_here commits it on this thread where that is sure to be quick: it is small, nothing else waits, the
 * group before was as lonely, and fdatasync has taken less than half a millisecond of late. Then it returns true, the
 * entry is back in `own`, and own->wake was not called. False: the commit thread was woken. */
int journal_put(struct journal *j, struct journal_entry *entry) MUST_CHECK;
void journal_wake(struct journal *j);
bool journal_commit_here(struct journal *j, struct commit_queue *own) MUST_CHECK;
/* Take all finished entries of a queue, oldest first (linked by `next`); NULL when there are none. */
struct journal_entry *commit_take(struct commit_queue *queue);

/* --- what is durable --- */

struct journal_mark {
    uint64_t position; /* everything before is durable */
    uint64_t rows;     /* cumulative rows before it */
};
struct journal_mark journal_durable(struct journal *j);
enum durability journal_durability(struct journal *j);

struct journal_health {
    int intake;              /* 0, or why nothing can be appended now: ERR_FULL, ERR_IO */
    char text[256];          /* the last error, for people */
    uint64_t bytes;          /* of all segments */
    uint64_t limit;          /* budget in force */
    uint64_t pinned_from;    /* the position given by journal_release last */
    uint64_t commits, syncs; /* since start */
    uint64_t voided;         /* segments voided since start */
    uint32_t damages;        /* ranges known */
    double sync_seconds_sum;
    int trial;            /* 0, or the disk took nothing when that was tried last, or it does not answer */
    char trial_text[256]; /* how, for people */
};
void journal_health(struct journal *j, struct journal_health *out);
/* Let the helper try whether the disk takes something, unless a sync has shown it in the last seconds; `trial` of the
 * health tells it later, and `changed` is called when it has become another. For who asks for readiness. */
void journal_try(struct journal *j);

/* Histogram of fdatasync times since start: counts[i] are those above sync_bounds[i - 1] and not above sync_bounds[i]
 * (seconds), each counted in one bucket only; the last is what was longer. */
enum { SYNC_BUCKETS = 14 };
extern const double sync_bounds[SYNC_BUCKETS];
void journal_sync_histogram(struct journal *j, uint64_t counts[SYNC_BUCKETS + 1], double *sum);

/* --- reading: what hosts, receipts and replay need --- */

struct journal_segment {
    uint64_t base;
    uint64_t first; /* position of its first group */
    uint64_t end;   /* durable and valid up to here; grows while it is the head */
    uint64_t salt;
    uint64_t first_row;
    struct epoch epoch;
    int64_t created_us;
    int64_t sealed_us; /* when the last group was written, wall clock; 0 while it is the head */
    bool head;
};

/* The segment that holds `position`, or the next one after it. ERR_NOTFOUND: at or beyond the head's end. */
int journal_segment_at(struct journal *j, uint64_t position, struct journal_segment *out) MUST_CHECK;
/* The oldest segment there is. */
int journal_oldest(struct journal *j, struct journal_segment *out) MUST_CHECK;
/* A read-only descriptor of its own (the caller closes it), and a hold that keeps the file from being recycled until
 * journal_unhold. ERR_NOTFOUND when it is gone. */
int journal_hold(struct journal *j, uint64_t base, int *fd, struct err *e) MUST_CHECK;
void journal_unhold(struct journal *j, uint64_t base);

/* Everything before `position` is settled and durably so for everyone: retention may take it. Never goes back. */
void journal_release(struct journal *j, uint64_t position);

/* Damage found since the last call (by recovery or told by journal_report_damage); true while there is more. */
bool journal_take_damage(struct journal *j, struct read_damage *out);
void journal_report_damage(struct journal *j, struct read_damage damage);

/* --- looking things up (may read files: not on a loop thread) --- */

/* A record by batch id: ERR_NOTFOUND (never given by this journal), ERR_GONE (its segment is gone), 0 with the segment.
 */
int journal_find_batch(struct journal *j, const struct epoch *epoch, uint64_t position,
                       struct journal_segment *segment) MUST_CHECK;
/* Positions of row sets with this uuid, newest first, before `*before` (UINT64_MAX to begin), at most `max`. The
 * caller compares the text: a hash may collide. */
int journal_find_uuid(struct journal *j, struct slice uuid, uint64_t before, uint64_t *positions, uint32_t max,
                      uint32_t *count) MUST_CHECK;
/* First record of the latest request with this scoped key hash, durable ones only. ERR_NOTFOUND. Cheap when no segment
 * has it (a filter in memory), so it may be called on the loop thread. */
int journal_find_key(struct journal *j, uint64_t key_hash, uint64_t *position) MUST_CHECK;
/* The hash for a key in its scope (client and path). */
uint64_t journal_key_hash(struct slice client, struct slice path, struct slice key);

/* Row sets in the order of the journal, newest first, those at positions before `*before` (UINT64_MAX to begin): of one
 * client (`client` "": of nobody; ptr NULL: of everybody), received in [from_us, to_us). At most `max` positions; at
 * most `look` are looked at, so that a request costs no more than that: `*before` moves to where to go on, 0: there are
 * no more. The caller compares the client: with very many in one segment some of others come too. */
struct journal_sets {
    struct slice client;
    int64_t from_us, to_us; /* wall clock */
};
int journal_find_sets(struct journal *j, const struct journal_sets *what, uint64_t *before, uint32_t look,
                      uint64_t *positions, uint32_t max, uint32_t *count) MUST_CHECK;
/* The row sets of clients from `position` on, oldest first, with the bytes of their records. Those of clients that are
 * too many for a segment's table come with an empty name. For a start: `each` is called under the lock, which is also
 * held while files are read. */
int journal_each_set(struct journal *j, uint64_t position,
                     void (*each)(void *arg, struct slice client, uint64_t position, uint32_t bytes),
                     void *arg) MUST_CHECK;

/* Read one record by position into `copy` (grown as needed); slices of `out` point into it. */
int journal_read(struct journal *j, uint64_t position, struct buf *copy, struct record *out) MUST_CHECK;

/* --- offline --- */

/* Walk a closed journal's directory read-only. Called for every record and damage in order; a non-zero return stops. */
struct journal_visitor {
    int (*segment)(void *arg, const struct segment_header *header, const char *file);
    int (*record)(void *arg, const struct record *record, const struct epoch *epoch);
    int (*damage)(void *arg, struct read_damage damage, const char *what);
    void *arg;
};
int journal_walk(const char *dir, const struct journal_visitor *visitor, struct err *e) MUST_CHECK;
/* Copy what is whole into a new directory `to` (must not exist), same ids. */
int journal_repair(const char *from, const char *to, struct err *e) MUST_CHECK;

#endif

/* Rows set aside for one pusher: copies that no longer pin the journal. (Where the row set is the unit, a parked one is
 * one whole set: place.row PLACE_SET. Its dead letters are rows.) Each is in one of three states: *parked* (still
 * tried on its own), *retrying* (a dead letter that an operator sent again), *dead* (waiting for an operator).
 *
 * On disk: `dir`/aside/<number>, numbered append-only files. A file begins with a segment header (record.h), then
 * records: RECORD_ASIDE holds one row with its context and why it is here; RECORD_STATE changes the state of one. In
 * memory: one small entry for each row that is here, found by id, by uuid and by where it lies; those that something is
 * to be done with are in a list of their own, so that a million dead letters cost memory and no time. The index belongs
 * to the loop thread; aside_append and aside_state run on a worker thread, one call at a time (a checkpoint), and the
 * index is changed afterwards with aside_apply.
 *
 * A file goes when it is the oldest and nothing in it is alive. */
#ifndef HG_DELIVERY_ASIDE_H
#define HG_DELIVERY_ASIDE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "delivery/place.h"
#include "journal/record.h"

enum aside_state { ASIDE_PARKED = 1, ASIDE_RETRYING = 2, ASIDE_DEAD = 3, ASIDE_GONE = 4 };

/* One row in the index. */
struct aside_entry {
    struct epoch epoch; /* with place: the row's id */
    struct place place;
    uint64_t uuid_hash;
    int64_t since_us; /* wall clock: when it came into this state */
    int64_t due_ms;   /* monotonic; parked and retrying: not before (not stored) */
    uint32_t file, offset, length;
    uint32_t rows; /* 1, or those of the set */
    uint32_t attempts;
    uint32_t returned;                 /* how often it was sent again and came back */
    uint32_t id_older, uuid_older;     /* number + 1 of the one before it with the same hash, 0: none */
    uint32_t active_next, active_prev; /* number + 1 in the list of active ones, 0: none */
    uint8_t state;                     /* enum aside_state */
    uint8_t crashes;                   /* of the plugin with this row alone, in a fresh host (not stored) */
    bool suspected;                    /* it was there when the plugin crashed: it goes alone, and first (not stored) */
    bool solo;                         /* it was there when the plugin hung: it goes alone (not stored) */
    bool suspect;                      /* crashed it three times: not tried until a neighbour has passed (not stored) */
    bool out;                          /* handed to a worker */
    bool changed;                      /* its state is not yet on disk */
    bool moving;                       /* a copy of it is being written that takes its place */
    bool active;                       /* in the list of active ones */
};

/* A row to be set aside. */
struct aside_add {
    struct place place;
    struct epoch epoch;
    uint64_t uuid_hash;
    uint32_t attempts, returned;
    uint8_t state; /* any but ASIDE_GONE */
    bool suspect;  /* as in the entry */
    char reason[256];
    /* with from_file: the copy of a row that is here, not of the journal's. With `moved` it takes that one's place: to
     * carry another reason, or so that an old file can go; an empty reason keeps the old one */
    uint32_t from_file, from_offset;
    bool moved;
    char *data; /* else an edited dead letter: a new row with this data; owned, freed by whoever frees the array */
    size_t data_len;
    int64_t since_us; /* 0: now */
    /* out, by aside_append: */
    uint32_t file, offset, length, rows;
    bool lost; /* the journal no longer has the row (damage): nothing was written */
};

/* A state change to be made durable. */
struct aside_change {
    uint32_t file, offset;
    uint32_t attempts, returned;
    int64_t since_us;
    uint8_t state;
};

/* Where rows are read from: the journal, given by the caller so that this file knows no threads. Slices of `record` are
 * valid until the next call. Called on worker threads, for several pushers at a time. */
struct row_source {
    int (*at)(void *arg, void **session, uint64_t position, struct record *record);
    /* The first row set at or after `*position` and before `limit`; moves `*position` behind it. ERR_NOTFOUND: none. */
    int (*next)(void *arg, void **session, uint64_t *position, uint64_t limit, struct record *record);
    void (*end)(void *arg, void **session); /* gives back what a session keeps open */
    void *arg;
};

struct held_uuid {
    uint64_t hash; /* 0: free */
    uint32_t rows;
};

struct aside {
    char *dir;                   /* the pusher's folder */
    struct aside_entry *entries; /* in the order of files and offsets; those that are gone stay until a sweep */
    size_t count, cap;
    size_t gone, front;        /* how many are gone; the first that is needed, or one before it */
    uint32_t *by_id, *by_uuid; /* number + 1 of the newest with that hash; a power of two, as many as `cap` or more */
    size_t heads;
    uint32_t active_first, active_last; /* number + 1 */
    struct held_uuid *held;             /* of parked rows: a hash table, at most half full */
    size_t held_slots, held_used;
    bool held_lost;                    /* no memory for it: the entries are searched */
    uint64_t dead_bytes, parked_bytes; /* of living rows (record lengths) */
    size_t dead_count, parked_count;
    uint32_t file; /* number of the newest file, 0: none yet */
    uint32_t oldest;
    uint64_t size;        /* of the newest file, what is valid */
    uint64_t total_bytes; /* of all files */
};

/* Load `dir`/aside. A torn end is cut; damage in the middle is stepped over and counted in `damaged`. */
int aside_open(struct aside *a, const char *dir, uint32_t *damaged, struct err *e) MUST_CHECK;
void aside_close(struct aside *a);

/* Worker thread: append rows and changes, make them durable. Fills the out-members of `adds`. Uses a copy of `file`,
 * `size` handed in by `at` and moves them; after an error `at` is as it was and the same call may be made again. */
struct aside_end {
    uint32_t file;
    uint64_t size;
    uint64_t written; /* bytes, headers of new files included */
};
int aside_append(const char *dir, struct aside_end *at, struct aside_add *adds, size_t add_count,
                 const struct aside_change *changes, size_t change_count, const struct row_source *source,
                 struct err *e) MUST_CHECK;

/* Loop thread, after the append succeeded, in the order of appending, with room for all of them (aside_reserve). The
 * number of rows that were lost. */
int aside_reserve(struct aside *a, size_t more) MUST_CHECK;
size_t aside_apply(struct aside *a, const struct aside_add *adds, size_t count);
/* One entry at the end; there is room for it (also for reading the files back). */
void aside_put(struct aside *a, const struct aside_entry *entry);
/* And how far the files reach now. */
void aside_grown(struct aside *a, const struct aside_end *end);

/* Find by id, NULL when it is not here. A row of a set that is here is that set. */
struct aside_entry *aside_find(struct aside *a, const struct epoch *epoch, struct place place);
/* Find by where it lies, NULL when it does not. */
struct aside_entry *aside_at(struct aside *a, uint32_t file, uint32_t offset);
/* Is a row of this uuid parked? */
bool aside_holds(const struct aside *a, uint64_t uuid_hash);
/* Every uuid that has parked rows; some may come twice. */
void aside_held(const struct aside *a, void (*visit)(void *arg, uint64_t uuid_hash), void *arg);
/* Dead weight has grown too much: the oldest file's living rows should be moved (see aside_add). */
bool aside_bloated(const struct aside *a);
/* Moves one entry between states (the only place that does): counters follow, and it is active. */
void aside_move(struct aside *a, struct aside_entry *entry, enum aside_state state, int64_t since_us);
/* The active ones: all that are parked, retrying or changed, and some that were. NULL: no more. The one at hand may be
 * moved between the calls. */
struct aside_entry *aside_active(const struct aside *a);
struct aside_entry *aside_active_next(const struct aside *a, const struct aside_entry *entry);
/* Takes what needs nothing more out of the active ones. */
void aside_rest(struct aside *a);
/* Number of the first entry at or behind this place in the files; `count` when there is none. */
size_t aside_from(const struct aside *a, uint32_t file, uint32_t offset);
/* The numbers of all entries from `from` on with this hash of their uuid, in order; `*out` is the caller's to free. */
int aside_of_uuid(const struct aside *a, uint64_t uuid_hash, size_t from, size_t **out, size_t *count) MUST_CHECK;
/* Remove the oldest files nobody needs; drop entries that are gone from the index when they are many. */
void aside_sweep(struct aside *a);

/* Read one row's record into `copy`; slices of `out` point there. Any thread. */
int aside_read(const char *dir, uint32_t file, uint32_t offset, struct buf *copy, struct record *out) MUST_CHECK;
/* Path of a file, for handing its descriptor to a host. */
void aside_path(const char *dir, uint32_t file, char *out, size_t size);
/* The reason text of an aside record. */
struct slice aside_reason(const struct record *record);

#endif

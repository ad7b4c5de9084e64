/* Rows set aside for one pusher: copies that no longer pin the journal. Each is in one of three states: *parked* (still
 * tried on its own), *retrying* (a dead letter that an operator sent again), *dead* (waiting for an operator).
 *
 * On disk: `dir`/aside/<number>, numbered append-only files. A file begins with a segment header (record.h), then
 * records: RECORD_ASIDE holds one row with its context and why it is here; RECORD_STATE changes the state of one. In
 * memory: one small entry for each row that is here. The index belongs to the loop thread; aside_append and aside_state
 * run on a worker thread, one call at a time (a checkpoint), and the index is changed afterwards with aside_apply.
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
    uint32_t attempts;
    uint32_t returned; /* how often it was sent again and came back */
    uint8_t state;     /* enum aside_state */
    bool out;          /* handed to a worker */
    bool changed;      /* its state is not yet on disk */
};

/* A row to be set aside. */
struct aside_add {
    struct place place;
    struct epoch epoch;
    uint64_t uuid_hash;
    uint32_t attempts;
    uint8_t state; /* ASIDE_PARKED or ASIDE_DEAD */
    char reason[256];
    /* instead of the journal's row: an edited dead letter, a new row (copy of `from` with other data) */
    uint32_t from_file, from_offset;
    char *data; /* NULL: the journal's row; else owned, freed by whoever frees the array */
    size_t data_len;
    /* out, by aside_append: */
    uint32_t file, offset, length;
    int64_t since_us;
    bool lost; /* the journal no longer has the row (damage): nothing was written */
};

/* A state change to be made durable. */
struct aside_change {
    uint32_t file, offset;
    uint32_t attempts, returned;
    int64_t since_us;
    uint8_t state;
    char reason[256]; /* empty: keep the old one */
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

struct aside {
    char *dir; /* the pusher's folder */
    struct aside_entry *entries;
    size_t count, cap;
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
 * `size` handed in by `at` and moves them. */
struct aside_end {
    uint32_t file;
    uint64_t size;
};
int aside_append(const char *dir, struct aside_end *at, struct aside_add *adds, size_t add_count,
                 const struct aside_change *changes, size_t change_count, const struct row_source *source,
                 struct err *e) MUST_CHECK;

/* Loop thread, after the append succeeded. */
int aside_apply(struct aside *a, const struct aside_end *end, const struct aside_add *adds, size_t count) MUST_CHECK;

/* Find by id, NULL when it is not here. */
struct aside_entry *aside_find(struct aside *a, const struct epoch *epoch, struct place place);
/* Moves one entry between states (the only place that does): counters follow. */
void aside_move(struct aside *a, struct aside_entry *entry, enum aside_state state, int64_t since_us);
/* Drop entries that are gone from the index, remove the oldest files nobody needs. */
void aside_sweep(struct aside *a);

/* Read one row's record into `copy`; slices of `out` point there. Any thread. */
int aside_read(const char *dir, uint32_t file, uint32_t offset, struct buf *copy, struct record *out) MUST_CHECK;
/* Path of a file, for handing its descriptor to a host. */
void aside_path(const char *dir, uint32_t file, char *out, size_t size);
/* The reason text of an aside record. */
struct slice aside_reason(const struct record *record);

#endif

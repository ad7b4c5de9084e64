/* The rows of one push, as they are lent to the plugin: `struct hg_rows` of the SDK, seen from inside. One for each
 * worker, used again for every push. One thread. */
#ifndef HG_HOST_LENT_H
#define HG_HOST_LENT_H

#include "base/buf.h"
#include "base/id.h"
#include "headgate.h"
#include "host/loft.h"
#include "host/window.h"
#include "host/wire.h"
#include "journal/record.h"
#include "rows/rows.h"

enum {
    LENT_MAGIC = 0x4C454E54,
    LENT_BYTES_MAX = 1 << 30,  /* of one push's copied records */
    REASON_BYTES_MAX = 8 << 20 /* of one push's reasons; what comes after has none */
};

/* What the rows of one record have in common. In the loft. */
struct lent_record {
    struct epoch epoch;  /* of the rows' ids */
    uint64_t position;   /* of the rows' ids */
    uint64_t place;      /* where the record was read: its position, or the offset in an aside file */
    int64_t received_us; /* wall clock */
    uint64_t uuid_hash;
    struct slice context, uuid, client;
    uint32_t rows; /* in the whole record */
    uint32_t store, attempt, origin;
    bool set;                  /* in an aside file: a whole set lies there; else its one row */
    char id[BATCH_ID_LEN + 1]; /* made when it is first asked for; empty before */
};

struct hg_row {
    struct lent_record *record;
    const char *data;
    const struct slice *tags; /* a context that replaces the record's tags, in the loft; or NULL */
    uint64_t index;           /* or INDEX_NONE */
    uint32_t length;
    uint32_t number; /* in its row set */
    /* the plugin's answer: */
    uint32_t verdict; /* 0: none yet */
    uint32_t reason_length;
    const char *reason;
    int64_t after_ms;
    uint16_t step; /* the processor whose verdict it is, from 1; 0: the pusher's */
    bool spoilt;   /* a processor wanted it changed, and it could not be */
};

/* A row that is told about but was not lent. */
struct left_out {
    struct wire_place place;
    uint64_t uuid_hash;
    uint32_t verdict, store;
    uint32_t rows;      /* of VERDICT_CLIENT */
    const char *reason; /* static, or NULL */
};

struct hg_rows {
    uint32_t magic;
    struct loft copies, reasons;
    struct hg_row *rows;
    uint32_t count, cap;
    const uint32_t *seen; /* the rows that the plugin sees, by their place; NULL: all. In the loft */
    uint32_t seen_count;
    const char *changing; /* the processor that has them; NULL: the pusher */
    struct scan *scan;    /* looks at what processors make; made when it is needed first */
    struct buf made;
    struct left_out *left;
    uint32_t left_count, left_cap;
    uint64_t bytes;   /* of the rows' data */
    uint32_t misuse;  /* verdicts that were no verdict or about no row */
    int64_t after_ms; /* of the call */
    uint32_t reason_length;
    char reason[HG_REASON_MAX];
    struct window window;
};

void lent_init(struct hg_rows *l);
void lent_fini(struct hg_rows *l);
/* Forget the rows; memory beyond what ordinary batches need is given back. `all`: every byte of it. */
void lent_reset(struct hg_rows *l, bool all);

/* Copy what rows `first` to `end` of a record need. `like` has everything but the slices. The rows are there as a whole
 * or, after ERR_NOMEM, not at all. */
int lent_add(struct hg_rows *l, const struct lent_record *like, const struct record *r, uint32_t first,
             uint32_t end) MUST_CHECK;
int lent_leave(struct hg_rows *l, const struct left_out *left) MUST_CHECK;
/* The place the daemon knows a row by. */
struct wire_place lent_place(const struct hg_row *row);

/* What the plugin sees: its n-th row, or NULL. */
size_t lent_seen_count(const struct hg_rows *l);
struct hg_row *lent_seen(const struct hg_rows *l, size_t n);
/* Rows that have a verdict are out of sight from now on. HG_ALL_OK, or HG_NOT_NOW without memory. */
int lent_narrow(struct hg_rows *l);
/* The rows are a processor's now, named so; NULL: the pusher's. */
void lent_change(struct hg_rows *l, const char *processor);
/* change.c: other data, another tag (NULL: none of that name) for the n-th row seen. False: it is not what a client
 * could have posted, or there is no memory; the row is spoilt then. */
bool lent_set_data(struct hg_rows *l, size_t n, struct slice json);
bool lent_set_tag(struct hg_rows *l, size_t n, const char *name, const char *value);
/* Where the row's tags are. */
struct slice lent_tags(const struct hg_row *row);
/* A tag entry of a context; `*at` starts at 0, false at the end. */
bool lent_tag_next(struct slice context, size_t *at, struct slice *name, struct slice *value);

/* Under the lock of the window, where there is one. */
void lent_judge(struct hg_rows *l, size_t n, uint32_t verdict, int64_t after_ms, const char *reason);
/* For a pusher whose unit is the row set: a set of which any row is to be tried again, or was not judged, is tried
 * again as a whole. `result` of the push, enum hg_result. */
void lent_whole_sets(struct hg_rows *l, uint32_t result);
void lent_not_now(struct hg_rows *l, int64_t after_ms, const char *reason);
/* Bytes of `text` that are kept of a reason: whole characters of UTF-8 only. */
uint32_t reason_cut(const char *text);

#endif

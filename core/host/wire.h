/* The control channel between the daemon and a plugin's host: messages of a SOCK_SEQPACKET pair, native byte order
 * (both ends are one build on one machine; HELLO proves it). No rows of a pusher cross it: only ranges, verdicts and
 * descriptors. A puller's rows do, in pieces, one emission at a time: that is the credit. The daemon's memory for
 * one puller is bounded by http.max_body, and for all of them, with HTTP, by http.max_memory.
 *
 * The daemon trusts nothing that comes from a host: a message that is too short, of an unknown type, or about a token
 * that was not handed out ends the host. The host trusts the daemon.
 *
 * Descriptors of a host at exec: 0 /dev/null, 1 and 2 the log pipe, 3 this channel, 4 the setup text (a file, read
 * once: setup.h). Its environment is empty but for PATH, LANG, TZ and the plugin's own library settings. */
#ifndef HG_HOST_WIRE_H
#define HG_HOST_WIRE_H

#include "delivery/verdict.h"

#include <stdint.h>

enum { WIRE_MAGIC = 0x48475731, WIRE_MAX = 48 * 1024, WIRE_CHANNEL_FD = 3, WIRE_SETUP_FD = 4 };

enum wire_type {
    /* daemon -> host */
    WIRE_SEGMENT = 1, /* + one descriptor */
    WIRE_DROP,
    WIRE_HAND, /* at most one outstanding for each lane */
    WIRE_GO,
    WIRE_REOPEN,
    WIRE_PROBE,
    WIRE_STOP,
    WIRE_PULL,    /* a puller: call pull() once; PULLED follows */
    WIRE_EMITTED, /* the answer to EMIT */
    /* host -> daemon */
    WIRE_READY = 32,  /* every worker has opened */
    WIRE_OPEN_FAILED, /* the host exits after it */
    WIRE_TAKEN,       /* just before push(): exactly what the worker has */
    WIRE_VERDICTS,    /* rows of the push that are not plainly OK; several messages when there are many */
    WIRE_DONE,
    WIRE_DAMAGE,
    WIRE_DROPPED,
    WIRE_CRASH, /* from the signal handler */
    WIRE_COUNT,
    WIRE_PROBED,
    WIRE_EMIT, /* a piece of row sets to be taken in; the next emission begins only after EMITTED */
    WIRE_PULLED,
};

struct wire_head {
    uint32_t magic;
    uint16_t type;
    uint16_t lane;
    uint64_t token; /* of the hand-out, 0 where it does not apply */
};

enum wire_store { STORE_JOURNAL = 0, STORE_ASIDE = 1 };

/* A file the host may read from now on. Journal: base is the segment's position. Aside: base is the file's number. */
struct wire_segment {
    struct wire_head head;
    uint32_t store;
    uint32_t reserved;
    uint64_t base;
    uint64_t salt;
    uint8_t epoch[16];
};

struct wire_drop { /* DROP and DROPPED */
    struct wire_head head;
    uint32_t store;
    uint32_t reserved;
    uint64_t base;
};

enum hand_kind {
    HAND_RANGE, /* the worker forms one batch from `from` on; what it took is told by TAKEN */
    HAND_LIST,  /* exactly these rows, in this order */
};

enum hand_flag {
    HAND_REPLAY = 1, /* origin is replay */
    HAND_STABLE = 2, /* wait for GO between TAKEN and push(); held rows are told alone, never amid a batch */
    HAND_SPREAD = 8, /* the shard is chosen by the record's position (shard_takes), not by its uuid */
    HAND_CUT = 32, /* a batch that was written down ahead: as many rows as max_rows and max_bytes let in, or, while the
                    * uuid of one of them is held, none at all */
    HAND_NEW_IDS = 16, /* row ids are formed with `epoch` instead of the segment's */
    HAND_EXACT = 4,    /* a plan is being repeated: take everything from `from` to `to`, ignoring max_rows/max_bytes; or
                        * the whole list, or nothing while some of it cannot be read */
};

struct wire_place { /* a row: the position of its record and its number */
    uint64_t position;
    uint32_t row;
    uint32_t reserved;
};

struct wire_item { /* of HAND_LIST */
    uint32_t store;
    uint32_t attempt;
    uint64_t base;
    uint64_t uuid_hash;      /* 0: not told */
    struct wire_place place; /* row PLACE_SET: the whole set. In an aside file: offset, else row 0; all of one file */
};

/* Followed by `held` x uint64_t hashes of uuids whose rows are left out (verdict HELD), or by `items` x wire_item. */
struct wire_hand {
    struct wire_head head;
    uint16_t kind;
    uint16_t flags;
    uint32_t shard_count; /* > 1: only row sets with hash_bytes(uuid) % shard_count == shard */
    uint32_t shard;
    uint32_t max_rows;
    uint64_t max_bytes;
    uint64_t base;          /* segment of a range */
    struct wire_place from; /* first row of the range */
    struct wire_place to;   /* end of the range (exclusive) with HAND_EXACT, else at the latest; position 0: none */
    uint64_t limit;         /* durable end of the range: a group's end */
    uint64_t only_uuid;     /* replay: only row sets with this hash, 0: all */
    uint32_t attempt;       /* of the range's rows */
    uint32_t held;
    uint32_t items;
    int32_t timeout_ms; /* for time_left() */
    uint8_t epoch[16];  /* HAND_NEW_IDS */
};

struct wire_taken {
    struct wire_head head;
    struct wire_place first; /* of the rows that will be pushed */
    struct wire_place end;   /* the range's next row */
    uint32_t rows;           /* 0: nothing of it is for this lane; push() is not called */
    uint32_t reserved;
    uint64_t bytes;
    uint64_t first_hash; /* hash_bytes of the first row's uuid */
    uint64_t end_row;    /* rows of the journal before `end`; 0: nothing was read */
};

/* Followed by `count` entries, each wire_row and then `reason` bytes, padded to 8. */
struct wire_verdicts {
    struct wire_head head;
    uint32_t count;
    uint32_t reserved;
};

struct wire_row {
    struct wire_place place;
    uint64_t uuid_hash;
    int64_t after_ms;
    uint32_t verdict;
    uint32_t reason; /* bytes that follow */
    uint32_t store;
    uint32_t unjudged; /* 1: the plugin forgot it (verdict is RETRY) */
    uint32_t rows;     /* of VERDICT_CLIENT: how many from `place` on */
    uint32_t step;     /* of SKIP: the processor that skipped it, from 1; 0: the pusher */
};

/* Followed by `state` bytes of durable state (when has_state), then `reason` bytes. */
struct wire_done {
    struct wire_head head;
    uint32_t result;       /* enum hg_result */
    uint32_t rows;         /* handed to push() */
    uint32_t delivered;    /* of them OK */
    uint32_t listed;       /* entries sent in VERDICTS messages for this token */
    struct wire_place end; /* as in TAKEN */
    int64_t after_ms;      /* of HG_NOT_NOW */
    int64_t push_us;       /* time in push() */
    uint64_t bytes;
    uint32_t has_state;
    uint32_t state;
    uint32_t reason;
    uint32_t bad_result; /* 1: the plugin returned something that is no hg_result */
};

struct wire_ready {
    struct wire_head head;
    uint32_t workers;
    uint32_t confined; /* 1: Landlock and seccomp are in force */
};

/* Followed by `reason` bytes. `token` for PROBED answers that PROBE. */
struct wire_outcome { /* OPEN_FAILED, PROBED */
    struct wire_head head;
    uint32_t result; /* enum hg_open_result */
    uint32_t reason;
};

struct wire_damage {
    struct wire_head head;
    uint64_t from, to;
};

struct wire_crash {
    struct wire_head head; /* lane: the worker that crashed, 0xFFFF: not a worker */
    int32_t signal;
    uint32_t reserved;
};

struct wire_count { /* followed by `name` bytes */
    struct wire_head head;
    uint64_t add;
    uint32_t name;
    uint32_t reserved;
};

/* Followed by `length` bytes from `offset` on of the emission: `position` bytes, then `sets` documents, one a line. Its
 * pieces come in order; `token` counts emissions. */
struct wire_emit {
    struct wire_head head;
    uint64_t total; /* bytes of the whole emission */
    uint64_t offset;
    uint32_t length;
    uint32_t sets;
    uint32_t position;
    uint32_t has_position; /* 1: the position is replaced, though perhaps by an empty one */
};

/* Followed by `reason` bytes. */
struct wire_emitted {
    struct wire_head head;
    uint32_t result;  /* enum hg_emit_result */
    uint32_t bad_set; /* of HG_EMIT_REFUSED */
    uint32_t reason;
    uint32_t reserved;
};

/* Followed by `reason` bytes. `token` answers PULL. */
struct wire_pulled {
    struct wire_head head;
    uint32_t result; /* enum hg_pull_result */
    uint32_t reason;
};

#endif

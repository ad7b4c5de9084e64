/* The bytes of the journal: segment headers, groups, records, context. docs/format.md draws them; this is the only
 * code that knows the offsets. All numbers are little-endian. Pure functions, any thread.
 *
 * A position is a byte's place in the whole journal: segment `base` + offset in the file. */
#ifndef HG_JOURNAL_RECORD_H
#define HG_JOURNAL_RECORD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/slice.h"
#include "rows/rows.h"

enum {
    JOURNAL_VERSION = 1,
    SEGMENT_HEADER = 4096,
    GROUP_HEADER = 64,
    RECORD_HEADER = 64,
    RECORD_ALIGN = 8,
};

enum record_type {
    RECORD_ROWS = 1,     /* a row set */
    RECORD_ASIDE = 2,    /* one row set aside for one pusher, with where it came from and why (aside files only) */
    RECORD_STATE = 3,    /* a change of state of an aside row (aside files only) */
    RECORD_POSITION = 4, /* where a puller is in its source: no rows; the position is the data */
};

/* Context entries: u16 tag, u16 length, bytes; then padding to 8 after the last. A reader that meets an unknown tag
 * with CONTEXT_CRITICAL set refuses the record. */
enum context_tag {
    CONTEXT_CRITICAL = 0x8000,
    CONTEXT_UUID = 0x8001,
    CONTEXT_CLIENT = 0x0002,
    CONTEXT_TAG = 0x0003,       /* u8 name length, name, value */
    CONTEXT_KEY = 0x0004,       /* Idempotency-Key; only in a request's first record */
    CONTEXT_DIGEST = 0x0005,    /* SHA-256 of the decoded body, with CONTEXT_KEY */
    CONTEXT_DOCUMENTS = 0x0006, /* u32: records of the request, with CONTEXT_KEY */
    CONTEXT_PATH = 0x0007,      /* request path, with CONTEXT_KEY (its scope) */
    CONTEXT_TRACEPARENT = 0x0008,
    CONTEXT_PULLER = 0x0009,    /* name of the puller that the rows, or the position, come from */
    CONTEXT_ROW_ID = 0x8010,    /* aside: the row's own id, text */
    CONTEXT_REASON = 0x0011,    /* aside: why */
    CONTEXT_ASIDE = 0x8012,     /* aside: struct of aside.h */
    CONTEXT_ASIDE_SET = 0x8014, /* aside: empty; the record is a whole row set, set aside as one */
    CONTEXT_OLD_ID = 0x0013,    /* a new row made from an old one: the old row's id */
};

struct segment_header {
    uint64_t base;      /* position of the header's first byte */
    uint64_t size;      /* bytes of the file, header included */
    struct epoch epoch; /* of every group in it: a segment is written in one life of the journal only */
    uint64_t salt;      /* of this life of the file; groups repeat it */
    uint64_t prev_base; /* the segment before, UINT64_MAX: none */
    uint64_t prev_end;  /* valid end of that one: what lies beyond is void, not damage */
    uint64_t first_row; /* cumulative row number at its start */
    int64_t created_us;
    struct epoch prev_epoch; /* of the segment before; zero: none */
    struct epoch stream;     /* the journal's own mark, the same in all its segments for ever: tells a foreign file */
};

struct group_header {
    uint64_t position; /* of the header itself */
    struct epoch epoch;
    uint64_t salt;
    uint64_t durable;  /* up to here the journal was durable when this group was written */
    uint32_t length;   /* with the header */
    uint32_t records;  /* 0: nothing but room that a repair left empty */
    uint32_t last_crc; /* `crc` of its last record, 0 when there is none */
};

struct record {
    uint64_t position;
    int64_t received_us;
    uint64_t first_row; /* rows of the journal before this record */
    uint32_t length;    /* with header and padding */
    uint32_t rows;
    uint32_t prev_crc; /* `crc` of the record before in the same segment, 0 for the first */
    uint32_t crc;
    uint16_t type;
    struct slice context;
    struct slice spans; /* rows x 16 bytes; use record_span */
    struct slice data;  /* verbatim body; spans' offsets count from here */
};

void segment_header_write(const struct segment_header *h, unsigned char out[SEGMENT_HEADER]);
/* ERR_DAMAGED (bad magic or CRC), ERR_VERSION (newer, with its number in `e`). */
int segment_header_read(const unsigned char in[SEGMENT_HEADER], struct segment_header *out, struct err *e) MUST_CHECK;

void group_header_write(const struct group_header *h, unsigned char out[GROUP_HEADER]);
/* ERR_DAMAGED unless magic and CRC are right and `position` and `salt` are the ones expected. */
int group_header_read(const unsigned char in[GROUP_HEADER], uint64_t position, uint64_t salt,
                      struct group_header *out) MUST_CHECK;

/* The same with any salt: for a segment whose own header is lost. */
int group_header_peek(const unsigned char in[GROUP_HEADER], uint64_t position, struct group_header *out) MUST_CHECK;
/* Magic and position of a group or a record, whole or not: something of this very place was written here. 16 bytes. */
bool group_header_mark(const unsigned char *in, uint64_t position);
bool record_mark(const unsigned char *in, uint64_t position);

/* A record about to be written, in pieces so that the body is never copied. */
struct record_parts {
    uint16_t type;
    uint32_t rows;
    struct slice context; /* padded to 8 by context_finish */
    const struct row_span *spans;
    struct slice data;
    uint32_t body_crc;            /* of context, spans, data and the padding: record_body_crc */
    uint64_t uuid_hash, key_hash; /* journal_append's, for its indexes; 0: none */
    struct slice client;          /* the same; points into `context` */
};

uint32_t record_body_crc(const struct record_parts *parts);
/* Bytes it takes in the journal; 0 when they do not fit into 32 bits. */
uint32_t record_length(const struct record_parts *parts);
/* The 64 bytes that go before context, spans and data; returns the record's crc (the next one's prev_crc). */
uint32_t record_header_write(const struct record_parts *parts, uint64_t position, int64_t received_us,
                             uint64_t first_row, uint32_t prev_crc, unsigned char out[RECORD_HEADER]);

/* Only the header: enough to know the length. ERR_DAMAGED when magic, position or its CRC are wrong. */
int record_peek(const unsigned char in[RECORD_HEADER], uint64_t position, struct record *out) MUST_CHECK;
/* The whole record at `bytes` (at least the length its header says), checked; slices point into `bytes`. Also
 * ERR_VERSION when its context has an unknown critical entry. */
int record_parse(struct slice bytes, uint64_t position, struct record *out) MUST_CHECK;
struct row_span record_span(const struct record *r,
                            uint32_t row); /* row < rows, checked by record_parse to be inside data */
struct slice record_row(const struct record *r, uint32_t row); /* the data object's bytes */

int context_add(struct buf *context, uint16_t tag, struct slice value) MUST_CHECK;
int context_add_tag(struct buf *context, struct slice name, struct slice value) MUST_CHECK;
int context_finish(struct buf *context) MUST_CHECK; /* pads to 8 */
/* First entry with the tag; false when there is none. */
bool context_get(struct slice context, uint16_t tag, struct slice *value);
/* ERR_VERSION: an unknown critical entry; ERR_DAMAGED: the entries do not add up. */
int context_check(struct slice context) MUST_CHECK;
/* Walk all: `*at` starts at 0. */
bool context_next(struct slice context, size_t *at, uint16_t *tag, struct slice *value);

#endif

/* Row sets: one pass over a request's body finds the rows and every fault, without building a tree.
 *
 * The scanner works on the decoded body in place and hands out offsets into it; the journal stores the body verbatim
 * and the spans beside it. Rules: contract section 3; JSON is RFC 8259, restricted to I-JSON (RFC 7493).
 *
 * A `struct scan` keeps its memory between requests and belongs to one thread. */
#ifndef HG_ROWS_ROWS_H
#define HG_ROWS_ROWS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    UUID_MAX_CHARS = 128, /* characters, so at most four times as many bytes */
    UUID_MAX_BYTES = 4 * UUID_MAX_CHARS,
    TAGS_MAX = 16,
    TAG_VALUE_MAX = 256, /* bytes, after unescaping */
    KEY_MAX_BYTES = 256, /* of a key of `data` (and of a tag's name) */
    FAULTS_MAX = 100,    /* reported for one request */
};

#define INDEX_NONE UINT64_MAX
#define INDEX_MAX  ((UINT64_C(1) << 53) - 1)

/* Where a row's `data` object stands. Exactly the journal's layout (docs/format.md), little-endian. */
struct row_span {
    uint32_t offset; /* of the object's `{`, from the start of the document */
    uint32_t length; /* to its `}` inclusive */
    uint64_t index;  /* or INDEX_NONE */
};

struct tag {
    struct slice name; /* unescaped, in the body or the scan's memory */
    struct slice value;
};

/* One valid document: {"uuid":…,"row":…} or {"uuid":…,"rows":[…]}. */
struct row_set {
    struct slice document;        /* inside the body: from `{` to `}` */
    struct slice uuid;            /* unescaped, in the body or the scan's memory */
    const struct row_span *spans; /* `rows` of them, in the scan's memory */
    uint32_t rows;
    uint32_t tag_count;
    const struct tag *tags;
    uint32_t ignored_count; /* JSON pointers of keys that were not understood, at most FAULTS_MAX */
    const struct slice *ignored;
};

enum fault_kind {
    FAULT_SYNTAX, /* 400: not JSON, not UTF-8 */
    FAULT_SCHEMA, /* 422: JSON, but not a valid row set */
    FAULT_LIMIT,  /* 413: more rows than http.max_rows */
};

struct fault {
    enum fault_kind kind;
    const char *type; /* stable word of fault.def, e.g. "missing", "camel_case", "duplicate_key", "range", "syntax" */
    struct slice pointer; /* RFC 6901, in the scan's memory; "" is the whole document */
    struct slice detail;  /* one sentence that says what to do */
    uint64_t line;        /* from 1; of the body (for NDJSON: the document's line) */
    uint64_t column;      /* from 1, in bytes; 0 for schema and limit faults of NDJSON documents */
    uint64_t byte;        /* offset in the body */
};

struct scan_rules {
    uint32_t max_rows;  /* of the request; with ndjson also its documents */
    uint32_t max_depth; /* nesting of a value inside `data`: a scalar there is 1 */
    bool any_keys;      /* rows.keys = any, and the older paths: the camelCase pattern is lifted */
    bool ndjson;        /* documents one a line; blank lines are skipped; CRLF allowed */
    bool single;        /* the older path /data: `row` only */
    bool batch;         /* the older path /data/batch: `rows` only */
};

struct scan;

/* NULL when out of memory. */
struct scan *scan_new(void);
void scan_free(struct scan **s);

/* Scan a whole body. Returns 0 when every document is valid: then scan_sets() are the row sets (none for an empty
 * NDJSON body is a fault: "empty"). Otherwise ERR_SYNTAX (a FAULT_SYNTAX is among the faults: the first, and scanning
 * of that document stopped there), ERR_RANGE (only FAULT_SCHEMA), ERR_LIMIT (too many rows: a FAULT_LIMIT is the last
 * one found), or ERR_NOMEM; then there are no sets. All results are valid until the next call and as long as `body`
 * is. The detail of a fault is told in a sentence without the document's own text. */
int scan_body(struct scan *s, const struct scan_rules *rules, struct slice body) MUST_CHECK;

const struct row_set *scan_sets(const struct scan *s, uint32_t *count);
const struct fault *scan_faults(const struct scan *s, uint32_t *count);
uint32_t scan_rows(const struct scan *s); /* in all documents of the last body */
/* The uuid of the first document that has one, also after a refusal (then of any length and content); ptr NULL: none.
 */
struct slice scan_uuid(const struct scan *s);

/* When more than `keep` bytes are held give them all back, so that one large body does not pin them for ever. Results
 * are gone then. */
void scan_trim(struct scan *s, size_t keep);

/* For the older gateway's answers. Its word for a fault's type; "value_error" for a word that is not in fault.def. */
const char *fault_legacy_type(const char *type);
/* A fault's pointer as its `loc`: "/rows/0/index" becomes ["body","rows",0,"index"]. ERR_LIMIT, ERR_NOMEM. */
int fault_loc_json(struct slice pointer, struct buf *out) MUST_CHECK;

/* Walking a row's data object that is known to be valid (it was scanned before it was stored); used by the plugin host.
 */
struct json_field {
    struct slice key;   /* as written, without quotes; escapes not resolved */
    struct slice value; /* as written */
    bool key_escaped;   /* the key holds a backslash: compare with json_unescape */
};

/* `*at` starts at 0; false at the end. Also walks arrays (key empty). */
bool json_next(struct slice container, size_t *at, struct json_field *out);
/* The value of one key of an object, false when it is not there. `key` is plain text. */
bool json_get(struct slice object, struct slice key, struct slice *value);
/* The text of a JSON string (with its quotes) into `out`; the length, or -1 when it does not fit or is no string. */
long json_unescape(struct slice string, char *out, size_t size);

#endif

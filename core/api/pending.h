/* One request on its way through intake: from a valid body to its answer. Internal to core/api; loop thread. */
#ifndef HG_API_PENDING_H
#define HG_API_PENDING_H

#include "api/intake.h"
#include "api/media.h"
#include "base/list.h"

#include <openssl/evp.h>
#include <stdatomic.h>

struct intake;

/* What the answer says of one document, and where its context stands. Offsets into `text`. */
struct document {
    uint32_t context, context_len;
    uint32_t uuid, uuid_len;       /* as JSON */
    uint32_t ignored, ignored_len; /* as a JSON array; no length: none */
    uint32_t rows;
    uint64_t uuid_hash;
};

enum outcome {
    OUTCOME_STORED,   /* committed just now */
    OUTCOME_REPLAYED, /* committed before, or by the request that this one joined */
    OUTCOME_CONFLICT, /* the key belongs to another body */
    OUTCOME_FAILED,   /* `code` says why */
};

struct pending {
    struct pending *next; /* free list, or the list of finished ones */
    struct intake *intake;
    struct http_request *request;
    struct journal_entry entry;
    struct record_parts *records; /* `cap` of each of these three */
    uint64_t *positions;
    struct document *documents;
    uint32_t cap, count;
    struct row_span *spans;
    uint32_t span_cap, span_count;
    struct buf text;
    bool older, ndjson;
    uint64_t taken_bytes; /* of its client's account */
    bool keyed, entered;  /* has a key; is in the keyring */
    struct keyring_entry key;
    uint64_t found; /* position of the first record that the key names */
    uv_work_t work;
    enum outcome outcome;
    int code;
    uint32_t wait_s;
    enum { WAIT_ASKING, WAIT_LATER, WAIT_NEXT, WAIT_OVER } waiting;
    uint32_t waited; /* documents whose receipt is there */
    struct intake_wait wait;
    struct buf receipts;
};

struct intake {
    uint32_t magic;
    uv_loop_t *loop;
    struct intake_options options;
    uv_async_t async;
    uv_check_t polled;
    uv_prepare_t polling;
    uint32_t handles;  /* of these three, that are not closed */
    uint32_t appended; /* requests that went to the journal in this turn of the loop */
    struct commit_queue committed;
    _Atomic(struct pending *) joined; /* a stack: outcomes of the requests they joined; from any loop */
    struct pending *spare;
    uint32_t spare_count, busy;
    struct scan *scan;
    EVP_MD *sha256; /* fetched before the first request: libcrypto does not survive its own start without memory */
    EVP_MD_CTX *hash;
    struct buf answer; /* scratch */
    _Atomic(const char *) refusing, refusing_word;
    struct refusal_note note; /* of the refusal that is being answered */
    void (*closed)(void *arg);
    void *closed_arg;
    _Atomic uint64_t rows, bytes, seconds_ns;
    _Atomic uint64_t durable[REQUEST_BUCKETS + 1];
    _Atomic uint64_t status[500];
    _Atomic uint64_t seconds[REQUEST_BUCKETS + 1];
};

#define INTAKE_MAGIC 0x696E746Bu

/* --- pending.c: memory --- */

/* NULL when out of memory. */
struct pending *pending_take(struct intake *i, struct http_request *r);
void pending_give(struct pending **p);
/* Its outcome is known: what was let in for its client is there now, or it is not. While the request lives. */
void pending_account(struct pending *p, bool stored);
void pendings_free(struct intake *i);
/* Take over what was scanned: records with their contexts, spans and what the answer will say. The body stays where it
 * is. ERR_NOMEM, ERR_FULL (no room in the memory budget for it). */
int pending_build(struct pending *p, const struct row_set *sets, uint32_t count) MUST_CHECK;

/* --- commit.c: from a built request to its outcome --- */

/* Goes on with the key, or straight to the journal. The answer comes sooner or later. */
void pending_submit(struct pending *p);
/* From the loop: what the journal and other requests have finished. */
void pending_collect(struct intake *i);
/* A turn of the loop has seen all that was readable; `alone`: nothing else is meanwhile. What was appended in it is
 * committed, here if it is one request. */
void pending_turn(struct intake *i, bool alone);

/* intake.c: the bucket of the histograms. */
size_t request_bucket(int64_t spent_ns);

/* --- acknowledge.c, refuse.c: answers --- */

/* The outcome is known: wait for receipts if that was asked for, answer, and give the memory back. */
void pending_answer(struct pending *p);
/* Faults of the scan, in the shape of the path. `code` is scan_body's. */
void refuse_faults(struct intake *i, struct http_request *r, int code, bool older, bool ndjson);
/* One sentence. */
struct http_problem refusal_plain(int status, const char *word, const char *detail);
void refuse_plain(struct http_request *r, int status, const char *word, const char *detail);
/* 413 or 503 for an ERR_ code of the journal. */
void refuse_code(struct http_request *r, int code);

#endif

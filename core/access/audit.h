/* The audit log: who did what, when and why. `audit.log` in the data directory, one JSON object a line, in the order
 * things were done; `audit.log.1` is the one before it.
 *
 *     {"time":"…","who":"key dg50hp1c5v0j ops","peer":"127.0.0.1:40312","action":"pusher.pause","path":"…",
 *      "query":"…","body":"…","why":"…","status":200}
 *
 * `query`, `body` and `why` only where there is something. A line is written with one write, so the command and the
 * daemon may both append. Any thread. */
#ifndef HG_ACCESS_AUDIT_H
#define HG_ACCESS_AUDIT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum { AUDIT_BODY_MAX = 512, AUDIT_WHY_MAX = 512 }; /* bytes that are kept */

struct audit_note {
    const char *action;     /* "pusher.pause", "key.add" */
    struct slice who, peer; /* peer: where it came from, may be empty */
    struct slice path, query, body, why;
    int status; /* of the answer; 0: none was given */
};

/* Append; in the page cache when it returns, so a daemon that is killed has written it. Where the file has `half` bytes
 * it first becomes the one before, which goes; `half` 0: never. The sentence of an error names the file. */
int audit_append(const char *data_dir, const struct audit_note *note, uint64_t half, struct err *e) MUST_CHECK;
/* What was appended is on disk. Blocks. */
int audit_sync(const char *data_dir, struct err *e) MUST_CHECK;

/* The newest `limit` entries that are not older than `since_us` (wall clock), the newest first, as the elements of a
 * JSON array. Lines that were torn by a crash are passed over. Blocks. */
int audit_read(const char *data_dir, int64_t since_us, uint32_t limit, struct buf *out, struct err *e) MUST_CHECK;

#endif

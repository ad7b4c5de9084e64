/* Content codings of request bodies: gzip (RFC 1952) and zstd (RFC 8878), undone as the bytes arrive. A stream belongs
 * to one thread. Internal to core/http. */
#ifndef HG_HTTP_CODING_H
#define HG_HTTP_CODING_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>

enum coding_kind { CODING_NONE, CODING_GZIP, CODING_ZSTD, CODING_UNKNOWN };

enum { ZSTD_WINDOW_LOG = 23 }; /* 8 MiB: what RFC 9659 lets a sender use */

struct coding;

/* The coding a field value names: "identity" (or nothing) is CODING_NONE. */
enum coding_kind coding_kind_of(struct slice value);

/* A decoder for one body. ERR_NOMEM. */
int coding_new(struct coding **out, enum coding_kind kind) MUST_CHECK;
void coding_free(struct coding **c);
enum coding_kind coding_kind(const struct coding *c);
/* Ready for another body, memory kept. */
void coding_reset(struct coding *c);
/* Bytes of memory it holds now. */
size_t coding_memory(const struct coding *c);

/* All of a body lies in one piece: how many bytes come out, by its own word; 0: it cannot be decoded in one go, or says
 * more than can be. */
size_t coding_whole_size(const struct coding *c, struct slice body);
/* Decode it in one go into `size` bytes, as many as it said. False: it is not what it said, or not of one piece;
 * whatever is in `out`, the decoder is as before, and coding_feed tells what is wrong. */
bool coding_whole(struct coding *c, struct slice body, char *out, size_t size) MUST_CHECK;
/* Decode from the front of `*in` to `out`; `*used` is how many bytes came out. 0: all input consumed. ERR_FULL: `out`
 * is full and more may come. ERR_SYNTAX: not such a stream, or something else behind it. ERR_NOMEM. */
int coding_feed(struct coding *c, struct slice *in, char *out, size_t room, size_t *used) MUST_CHECK;
/* The input has ended: 0, or ERR_SYNTAX when the stream was cut short. */
int coding_end(const struct coding *c) MUST_CHECK;

#endif

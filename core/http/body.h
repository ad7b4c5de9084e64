/* A request's body on its way in: where its bytes are put, how many it may have, what they cost. Internal to core/http;
 * server's thread. */
#ifndef HG_HTTP_BODY_H
#define HG_HTTP_BODY_H

#include "base/budget.h"
#include "http/chunk.h"
#include "http/coding.h"
#include "http/head.h"

enum {
    SPARE_BUFFERS = 32,             /* kept for the next body */
    SPARE_BUFFER_MAX = 1024 * 1024, /* larger ones go back to the system, which clears their pages once more */
    SPARE_BYTES_MAX = 8 << 20,      /* of all that are kept */
    SPARE_CODINGS = 8,              /* of each kind */
    SPARE_CODING_MAX = 1024 * 1024,
};

/* Buffers and decoders that bodies of one server share one after the other. */
struct body_pool {
    struct budget *budget;
    struct {
        char *ptr;
        size_t cap;
    } buffers[SPARE_BUFFERS];
    uint32_t buffer_count;
    size_t buffer_bytes; /* of all of them */
    struct coding *codings[2][SPARE_CODINGS];
    uint32_t coding_count[2];
};

enum body_way {
    BODY_NONE,   /* no body, or none with bytes */
    BODY_PLACE,  /* declared length, in the connection's input buffer behind the head */
    BODY_OWN,    /* declared length, in a buffer of its own */
    BODY_STREAM, /* chunks or a content coding: decoded from the input buffer into a buffer of its own */
};

enum body_result {
    BODY_MORE,  /* more must come */
    BODY_WHOLE, /* complete */
    BODY_PAUSE, /* no room in the budget: call again later with the same input */
    BODY_BAD,   /* `bad` says why; the connection cannot be used further */
};

struct body {
    enum body_way way;
    bool chunked;
    bool ended;      /* the last byte of the message has been consumed; decoded bytes may still be due */
    uint64_t length; /* declared; not for chunks */
    uint64_t came;   /* of a declared length: bytes consumed (stream, own) */
    uint64_t max;    /* http.max_body */
    struct chunk chunk;
    struct slice piece; /* of the input: consumed from the framing, not yet decoded */
    struct coding *coding;
    char *own;
    size_t len;  /* bytes of the body in `own` */
    size_t room; /* of `own` that is paid for */
    size_t cap;  /* of `own` */
    struct charge charge;
    struct refusal bad;
};

void body_pool_init(struct body_pool *p, struct budget *budget);
void body_pool_fini(struct body_pool *p);

/* Begin the body that `h` declares. `max` bytes of body and `extra_max` of chunk extensions and trailers are allowed.
 * BODY_WHOLE when there is none, BODY_MORE, or BODY_BAD. */
enum body_result body_begin(struct body *b, struct body_pool *p, const struct head *h, uint64_t max,
                            uint32_t extra_max) MUST_CHECK;
/* BODY_PLACE: `have` bytes of it are in the input buffer. */
enum body_result body_placed(struct body *b, struct body_pool *p, size_t have) MUST_CHECK;
/* From BODY_PLACE to BODY_OWN: the bytes that came so far move. BODY_MORE, BODY_PAUSE or BODY_BAD. */
enum body_result body_move(struct body *b, struct body_pool *p, struct slice have) MUST_CHECK;
/* BODY_OWN: where the next bytes of the socket go; at least one byte. BODY_MORE, BODY_PAUSE or BODY_BAD. */
enum body_result body_tail(struct body *b, struct body_pool *p, char **at, size_t *len) MUST_CHECK;
/* BODY_OWN: `len` bytes have been put there. */
void body_came(struct body *b, size_t len);
/* BODY_STREAM, before the first body_feed: is the body better fed as a whole, when `have` bytes of it are in the input
 * buffer, which has room for `room` of it? */
bool body_gathers(const struct body *b, size_t have, size_t room);
/* BODY_STREAM: consume from the front of `*in`. After BODY_PAUSE the input must be where it was. */
enum body_result body_feed(struct body *b, struct body_pool *p, struct slice *in) MUST_CHECK;
/* Give back memory, decoder and budget. */
void body_fini(struct body *b, struct body_pool *p);

#endif

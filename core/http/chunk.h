/* The chunked transfer coding (RFC 9112 section 7.1), decoded piece by piece without copying. Pure; internal to
 * core/http. */
#ifndef HG_HTTP_CHUNK_H
#define HG_HTTP_CHUNK_H

#include "base/slice.h"

#include <stdint.h>

enum chunk_result {
    CHUNK_MORE, /* everything was consumed, more must come */
    CHUNK_DATA, /* `data` is a piece of the body, inside the input; call again */
    CHUNK_DONE, /* the body and its trailers are complete; what is left of the input is the next request's */
    CHUNK_BAD,  /* `status` and `detail` say why */
};

struct chunk {
    uint8_t state;
    uint8_t digits;
    uint64_t left;      /* bytes of the chunk still to come */
    uint32_t extra;     /* bytes of extensions and trailers so far */
    uint32_t extra_max; /* and how many are allowed */
    int status;
    const char *detail;
};

void chunk_begin(struct chunk *c, uint32_t extra_max);
/* Consume from the front of `*in`. */
enum chunk_result chunk_next(struct chunk *c, struct slice *in, struct slice *data);

#endif

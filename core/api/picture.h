/* Where each pusher is with one row set: taken of the delivery state, completed from the settle streams, and written as
 * the `pushers` and `outcome` of a receipt. */
#ifndef HG_API_PICTURE_H
#define HG_API_PICTURE_H

#include "api/api.h"

/* A row set that is in the journal. */
struct batch {
    uint64_t position;
    struct journal_segment segment;
    uint32_t rows;
    int64_t received_us;
    uint64_t uuid_hash;
    struct buf uuid, tags; /* tags: a JSON object */
    char client[CLIENT_MAX + 1];
};

struct picture;
struct pictures {
    struct picture *all;
    size_t count;
};

/* Of every pusher that the row set is for. Loop thread. ERR_NOMEM: `pictures_free` is due all the same. */
int pictures_take(struct api *api, const struct batch *b, struct pictures *out) MUST_CHECK;

/* What became of the rows that are settled; `tells_who`: with what operators said. Reads files: worker thread. */
int pictures_count(struct pictures *p, const struct batch *b, bool tells_who) MUST_CHECK;

/* `"pushers":{…},"outcome":"…"`. Any thread, once counted. */
int pictures_write(const struct pictures *p, struct buf *out) MUST_CHECK;

void pictures_free(struct pictures *p);

#endif

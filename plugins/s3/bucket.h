/* A bucket: objects are put into it whole, by one request or in parts. */
#ifndef S3_BUCKET_H
#define S3_BUCKET_H

#include "common/http_client.h"
#include "common/objects.h"
#include "common/sigv4.h"
#include "headgate.h"

struct bucket_settings {
    struct http_settings http; /* its `url` is the server's address */
    struct sigv4_keys keys;
    const char *name;
    int virtual_host; /* the bucket's name in front of the server's, not in the path */
    size_t part_size;
};

struct bucket;

/* NULL with a sentence; `*broken` is 1 when only another setting can help. Texts of the settings are kept. */
struct bucket *bucket_new(const struct bucket_settings *settings, struct hg_host *host, const struct hg_api *api,
                          char *why, size_t why_size, int *broken);
void bucket_free(struct bucket **b);

/* Begins an upload under this name and lets it go: may objects be put here? */
enum object_outcome bucket_try(struct bucket *b, const char *key);

const char *bucket_reason(const void *bucket); /* why the last one was not stored, in the server's words */

/* `far` is a struct bucket. */
extern const struct object_store bucket_store;

#endif

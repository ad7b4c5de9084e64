/* Rows as whole objects (files of a server, objects of a bucket): from the rows of a push to objects to verdicts, for
 * any store into which a named object can be put so that it is there whole or not at all, and a repeat overwrites it.
 * Pushers that use it have HG_STABLE_BATCH. One thread. Needs -lcrypto -lz -lzstd. */
#ifndef COMMON_OBJECTS_H
#define COMMON_OBJECTS_H

#include "common/strbuf.h"
#include "common/template.h"
#include "headgate.h"

enum object_form { FORM_NDJSON, FORM_CSV };
enum object_pack { PACK_NONE, PACK_GZIP, PACK_ZSTD };

enum object_outcome {
    OBJECT_STORED,
    OBJECT_NAME,    /* no object can have this name */
    OBJECT_SIZE,    /* too large for the store */
    OBJECT_REFUSED, /* not now, and surely not stored */
    OBJECT_UNKNOWN  /* no answer, or one that does not say: it may be stored */
};

/* `far` is what the pusher has of the store. */
struct object_store {
    enum object_outcome (*put)(void *far, const char *name, const char *type, const void *body, size_t len);
    const char *(*reason)(const void *far); /* why the last one was not stored, in the far end's words */
    int64_t (*after)(const void *far);      /* milliseconds that it asked for, 0: did not; or NULL */
};

struct objects {
    const struct hg_api *api;
    struct hg_host *host;
    const struct object_store *store;
    void *far;
    struct template *prefix; /* freed with objects_fini */
    enum object_form form;
    enum object_pack pack;
    struct strbuf names;        /* every row's expanded prefix, a NUL behind each */
    struct strbuf text, packed; /* an object */
    struct strbuf key;          /* its name */
    int uncertain;              /* an object of the rows that come next may be stored already */
};

void objects_init(struct objects *d);
void objects_fini(struct objects *d);

/* enum hg_result. */
int objects_push(struct objects *d, struct hg_rows *rows);

#endif

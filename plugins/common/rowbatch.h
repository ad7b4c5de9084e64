/* What a puller has read and not yet emitted: data objects and whole documents in their order, each with the line it
 * began on. One thread. */
#ifndef COMMON_ROWBATCH_H
#define COMMON_ROWBATCH_H

#include "common/strbuf.h"
#include "headgate.h"

enum { ROWBATCH_ROWS = 1000, ROWBATCH_BYTES = 512 << 10 };

struct rowbatch_item {
    size_t at, len; /* in `text` */
    uint64_t line;
    int64_t index; /* of a data object; -1: none */
    int document;  /* a whole {"uuid":…,"row":…}; else a data object */
};

struct rowbatch {
    struct strbuf text;
    struct rowbatch_item *items; /* ROWBATCH_ROWS */
    size_t count;
    size_t limit; /* rows that are a full batch now */
};

/* Why a batch was not taken. */
struct rowbatch_fault {
    size_t item; /* the first bad one; `count`: none in particular, but all together */
    char reason[HG_REASON_MAX];
};

int rowbatch_init(struct rowbatch *b); /* 0, or -1: no memory */
void rowbatch_fini(struct rowbatch *b);
void rowbatch_clear(struct rowbatch *b);
/* A batch was refused, and no item of it in particular: the next ones are smaller, until some were taken. 0: it cannot
 * be any smaller. */
int rowbatch_shrink(struct rowbatch *b);
void rowbatch_grow(struct rowbatch *b); /* one was taken */
int rowbatch_full(const struct rowbatch *b);
/* Copied. 0, or -1: no memory, or it is larger than a batch may ever be. Not when it is full. */
int rowbatch_add(struct rowbatch *b, const char *ptr, size_t len, uint64_t line);
/* The same for what is a data object whatever its keys are called. `index`: -1: none. */
int rowbatch_add_data(struct rowbatch *b, const char *ptr, size_t len, uint64_t line, int64_t index);
/* Emits the first `count` items: data objects that stand together as one row set of `uuid`. enum hg_emit_result. With
 * a position of NULL it stays as it is. */
int rowbatch_emit(const struct rowbatch *b, size_t count, const struct hg_api *api, struct hg_host *host,
                  const char *uuid, const void *position, size_t position_size, struct rowbatch_fault *out);

/* Whether a JSON object is a whole document: it has the key "uuid", and "row" or "rows". Any text may be asked about.
 */
int rowbatch_is_document(const char *ptr, size_t len);

#endif

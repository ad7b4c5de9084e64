/* From rows to objects to verdicts. */
#ifndef S3_DELIVER_H
#define S3_DELIVER_H

#include "bucket.h"

#include "common/ranges.h"
#include "common/strbuf.h"
#include "common/template.h"

enum object_form { FORM_NDJSON, FORM_CSV };
enum object_pack { PACK_NONE, PACK_GZIP, PACK_ZSTD };

struct deliver {
    const struct hg_api *api;
    struct hg_host *host;
    struct bucket *bucket;
    struct template *prefix;
    enum object_form form;
    enum object_pack pack;
    struct strbuf names;        /* every row's expanded prefix, a NUL behind each */
    struct strbuf text, packed; /* an object */
    struct strbuf key;          /* its name */
    int uncertain;              /* an object of the rows that come next may be stored already */
};

void deliver_init(struct deliver *d);
void deliver_fini(struct deliver *d);

/* enum hg_result. */
int deliver_rows(struct deliver *d, struct hg_rows *rows);

#endif

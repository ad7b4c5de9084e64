/* From rows to requests to verdicts. */
#ifndef HTTP_DELIVER_H
#define HTTP_DELIVER_H

#include "body.h"

#include "common/http_client.h"

struct deliver {
    const struct hg_api *api;
    struct hg_host *host;
    struct http_client *client;
    struct oauth *oauth; /* NULL: no tokens */
    const char *method;
    enum body_shape shape;
    int pack;
    const char *secret; /* for the signature, or NULL */
    struct strbuf text, packed;
    struct http_answer answer;
};

/* enum hg_result. */
int deliver_rows(struct deliver *d, struct hg_rows *rows);

/* One HEAD request: 1 when the far end would probably take rows; else 0 with a reason. */
int deliver_probe(struct deliver *d, char *why, size_t size);

#endif

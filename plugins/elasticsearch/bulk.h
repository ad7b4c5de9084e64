/* One _bulk request: its body, and what its answer says about each row.
 * https://opensearch.org/docs/latest/api-reference/document-apis/bulk/ */
#ifndef ELASTICSEARCH_BULK_H
#define ELASTICSEARCH_BULK_H

#include "common/http_client.h"
#include "common/ranges.h"
#include "common/template.h"
#include "headgate.h"

/* Rows of the range as `create` actions; out->failed on lack of memory. */
void bulk_build(struct strbuf *out, const struct template *index, const struct hg_api *api, const struct hg_rows *rows,
                struct range r);

enum { BULK_REASON_SIZE = 800 };

enum bulk_kind {
    BULK_JUDGED,    /* every row */
    BULK_WAITS,     /* the server takes none of them for now; `reason` is the first one's */
    BULK_UNREADABLE /* it is no answer to this request; nothing was judged */
};

/* Judges the rows by a 200. A row that has to wait is judged RETRY, unless the whole server has no room: then it is not
 * about rows. */
enum bulk_kind bulk_judge(const struct http_answer *answer, const struct hg_api *api, struct hg_rows *rows,
                          struct range r, char reason[BULK_REASON_SIZE]);

/* These servers say in JSON what is wrong. 1: it is a 400 without that, so it is of another server on the way, as
 * nginx answers where a client's certificate is missing. */
int bulk_stranger(const struct http_answer *answer);

#endif

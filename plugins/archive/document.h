/* A row set as text: the document that is kept, and its tags. */
#ifndef ARCHIVE_DOCUMENT_H
#define ARCHIVE_DOCUMENT_H

#include "common/rowset.h"
#include "common/strbuf.h"
#include "headgate.h"

/* Appends the row set as one JSON document that can be posted again. */
void document_json(struct strbuf *out, const struct hg_api *api, const struct hg_rows *rows, struct rowset set);

/* Appends its rows as NDJSON, as the `file` pusher writes them. */
void document_lines(struct strbuf *out, const struct hg_api *api, const struct hg_rows *rows, struct rowset set);

/* Appends every tag, sorted by name, as a line `name = value`; line feeds, carriage returns and backslashes of a value
 * as \n, \r and \\. */
void document_tags(struct strbuf *out, const struct hg_api *api, const struct hg_row *row);

#endif

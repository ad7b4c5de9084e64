/* Rows as CSV (RFC 4180, with line feeds): a line of names, then a line for each row.
 *
 * Columns are _id, _uuid, _index, _received, then every key of these rows in the order in which each first came. A text
 * stands as its characters, null and a missing key as nothing, an empty text as "", everything else as the JSON that
 * was sent. */
#ifndef COMMON_CSV_H
#define COMMON_CSV_H

#include "common/strbuf.h"
#include "headgate.h"

/* The rows of a push with these numbers. out->failed on lack of memory. */
void csv_build(struct strbuf *out, const struct hg_api *api, const struct hg_rows *rows, const size_t *numbers,
               size_t count);

#endif

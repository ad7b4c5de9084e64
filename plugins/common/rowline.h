/* One row as one JSON object on one line, the form that `file`, `stdout` and `http` share:
 *
 *     {"id":"…","uuid":"…","index":0,"received":"2026-01-31T12:00:00.123456Z","data":{…as sent…}}
 *
 * `index` is left out where the row has none. `data` is byte for byte what the client sent, but for one thing: a raw
 * line feed or carriage return (in valid JSON these can only be space between tokens) is written as a space, so that a
 * row is one line. No newline is appended. */
#ifndef COMMON_ROWLINE_H
#define COMMON_ROWLINE_H

#include "common/strbuf.h"
#include "headgate.h"

/* What every such line begins and ends with; a reader tells a whole line by these. */
#define ROWLINE_HEAD   "{\"id\":\""
#define ROWLINE_SECOND "\",\"uuid\":\""
#define ROWLINE_TAIL   "}}"

/* Appends the line; on failure out->failed is set and `out` is as it was before. */
void rowline_add(struct strbuf *out, const struct hg_api *api, const struct hg_row *row);

/* What becomes of a row as a message: its line (built in `text`), or its data alone. ptr NULL: there is no memory. */
enum row_form { ROW_FORM_ROW, ROW_FORM_DATA };
struct hg_text rowline_payload(struct strbuf *text, const struct hg_api *api, const struct hg_row *row, int32_t form);

#endif

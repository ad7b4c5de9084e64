/* Rows as columns: {"key":[value of the first row, of the second, …],…}. */
#ifndef RIFFYN_FOLD_H
#define RIFFYN_FOLD_H

#include "common/strbuf.h"
#include "headgate.h"

struct fold;

struct fold *fold_new(size_t text_max); /* NULL: no memory. `text_max`: bytes that a column may have */
void fold_free(struct fold **f);

enum { FOLD_KEYS_MAX = 4096 };
enum fold_result { FOLD_OK, FOLD_TOO_WIDE /* more keys than that */, FOLD_NO_MEMORY };

/* Begins anew; adds a row as the next element of every list. After anything but FOLD_OK only clearing is of use. */
void fold_clear(struct fold *f);
enum fold_result fold_add(struct fold *f, const struct hg_api *api, const struct hg_row *row);

/* Appends the object. Keys stand in the order in which they came first; a row that lacks one has null there. Values are
 * as they were sent, every digit. out->failed on lack of memory. */
void fold_write(struct fold *f, struct strbuf *out);

#endif

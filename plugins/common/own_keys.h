/* Where a row's keys stand side by side with what the gateway itself says about the row (columns of CSV, fields of a
 * hash), that has names with an underscore: _id, _uuid, _index, _received. */
#ifndef COMMON_OWN_KEYS_H
#define COMMON_OWN_KEYS_H

#include "headgate.h"

enum { OWN_KEYS = 4 };
extern const char *const own_keys[OWN_KEYS];

/* One of the row's data has such a name (only possible with rows.keys = any). */
int own_key_taken(const struct hg_api *api, const struct hg_row *row);

#define OWN_KEY_TAKEN "it has a key named _id, _uuid, _index or _received, which the gateway writes itself"

#endif

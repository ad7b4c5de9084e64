/* A JSON value as another type, without losing a digit. */
#ifndef FIELDS_CAST_H
#define FIELDS_CAST_H

#include "common/strbuf.h"
#include "fields/rules.h"

/* Appends `value` as `type`; null stays null. `plain`: the characters of a string (its own bytes for other types).
 * NULL, or why it cannot be: static. */
const char *cast_add(struct strbuf *out, enum rule_type type, const struct hg_value *value, struct hg_text plain);

#endif

/* What the options say about each field of a row's data, as one list sorted by name. */
#ifndef FIELDS_RULES_H
#define FIELDS_RULES_H

#include "headgate.h"

#include <stddef.h>

enum rule_action { RULE_NONE, RULE_DROP, RULE_MASK, RULE_HASH, RULE_CAST };
enum rule_type { TYPE_STRING, TYPE_INTEGER, TYPE_NUMBER, TYPE_BOOLEAN };

struct rule {
    const char *name; /* borrowed from the configuration */
    int kept;         /* named in KEEP */
    enum rule_action action;
    enum rule_type type; /* RULE_CAST */
    const char *renamed; /* NULL: keeps its name */
};

struct rules {
    struct rule *all;
    size_t count;
    int keeping; /* KEEP is set: fields that it does not name go */
};

/* The options that make rules. */
struct rule_options {
    struct hg_list keep, drop, mask, hash;
    struct hg_map rename, cast;
};

/* 1; 0 with a sentence in `why` when they contradict each other; -1: no memory. rules_fini in any case. */
int rules_make(struct rules *r, const struct rule_options *options, char *why, size_t size);
void rules_fini(struct rules *r);
const struct rule *rules_find(const struct rules *r, struct hg_text name); /* NULL: nothing is said of it */

#endif

/* What the kit's own files share. Tests include testkit.h. */
#ifndef HG_TESTKIT_INNER_H
#define HG_TESTKIT_INNER_H

#include "headgate.h"

/* --- testkit_json.c: JSON by its spans ---------------------------------------------------------------------------- */

/* The value at `*at`, spaces before it skipped; moves behind it. 1, or 0: no value there. */
int kit_json_value(struct hg_text text, size_t *at, struct hg_value *out);
int kit_json_only(struct hg_text text, struct hg_value *out); /* the same, with nothing behind it */
int kit_json_next(struct hg_text container, size_t *at, struct hg_text *key, struct hg_value *out);
int kit_json_field(struct hg_text object, const char *key, struct hg_value *out);
long kit_json_text(struct hg_text json, char *out, size_t size);

/* --- testkit_options.c: settings to a configuration struct -------------------------------------------------------- */

struct kit_setting {
    char *name, *value;
};

struct kit_config {
    void *bytes; /* the plugin's struct */
    void **owned;
    size_t owned_count;
};

/* 1, or 0 with a sentence in `why`. Freed with kit_config_fini in either case. */
int kit_config_fill(struct kit_config *c, const struct hg_plugin *plugin, const struct kit_setting *settings,
                    size_t count, char *why, size_t why_size);
void kit_config_fini(struct kit_config *c);

#endif

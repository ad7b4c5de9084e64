/* The daemon's settings: defaults < file < environment < flags, from one table (options.def), each value with where it
 * came from. All faults are found in one go. Plugin instances' settings are kept as text and resolved when their option
 * table is known.
 *
 * `struct settings` is plain data: a reload makes a second one and compares. Single-threaded. */
#ifndef HG_CONF_CONF_H
#define HG_CONF_CONF_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The typed values, one member for each row of options.def: settings.http_listen, settings.journal_max_bytes … Texts
 * are owned by the struct. Lists (several addresses, folders) are NULL-terminated arrays. */
#include "conf/every.h"
#include "conf/settings.h"

struct conf; /* everything that was read: typed settings, plugin texts, origins */

struct conf_input {
    const char *file;         /* --config; NULL: HEADGATE_CONFIG, else the default path, which may be absent */
    const char *const *flags; /* "section.key=value", NULL-terminated; NULL: none */
    char *const *environment; /* NULL-terminated, as in environ */
};

/* Faults and notices are lines of text (one each). `faults` empty and 0: usable. ERR_CONFIG: `faults` says all that is
 * wrong. `notices` are for the log (ignored variables of Kubernetes …). */
int conf_load(const struct conf_input *input, struct conf **out, struct buf *faults, struct buf *notices) MUST_CHECK;
void conf_free(struct conf **c);
const struct settings *conf_settings(const struct conf *c);

/* Walk the daemon's settings: section.key, value as text ("(hidden)" for secrets), origin ("default", "file PATH:LINE",
 * "environment NAME", "flag"), and whether a reload can change it. */
struct conf_line {
    const char *key, *value, *origin;
    bool reloadable;
};
bool conf_next(const struct conf *c, size_t *at, struct conf_line *out);
/* The same for the settings whose values differ between the two, as they stand in `b`. Origins do not count. */
bool conf_changed(const struct conf *a, const struct conf *b, size_t *at, struct conf_line *out);

/* The limits of this client: its own section's, or everybody's. */
struct client_limits conf_client_limits(const struct conf *c, struct slice name);
/* The clients that have a section; NULL behind the last. */
const char *conf_client_name(const struct conf *c, size_t at);
bool conf_client_has_section(const struct conf *c, struct slice name);

/* --- plugin instances --- */

/* Options every pusher has (contract section 2). */
enum pusher_enabled { ENABLED_AUTO, ENABLED_YES, ENABLED_NO };
enum pusher_order { ORDER_UUID, ORDER_NONE };
enum pusher_from { FROM_NOW, FROM_START };
enum pusher_full { FULL_BLOCK, FULL_DEAD_LETTER, FULL_SKIP };

struct pusher_settings {
    enum pusher_enabled enabled;
    uint32_t parallel;
    uint32_t batch_rows;
    uint64_t batch_bytes;
    int64_t batch_wait_ms, timeout_ms, retry_min_ms, retry_max_ms;
    int64_t retry_for_ms; /* 0: for ever */
    uint32_t reject_breaker;
    enum pusher_order order;
    uint64_t memory_max; /* 0: off */
    bool confine;
    enum pusher_from from;
    bool from_given;        /* FROM was written by somebody */
    uint64_t max_lag_bytes; /* 0: off */
    int64_t max_lag_ms;     /* 0: off */
    enum pusher_full when_full;
    const char *const *clients; /* names, NULL-terminated; none: everybody's. The instance's; not in a pusher */
    const char *when;           /* NULL: every row. Owned by the instance, as `process`; delivery has neither */
    const char *const *process; /* NULL-terminated */
    struct every every;         /* of a puller */
    const char *client;         /* of a puller: whose its rows are; NULL: nobody's. Owned by the instance */
};

struct conf_option { /* of a plugin: what conf needs to know to resolve its settings */
    const char *name;
    bool secret;
};

struct conf_value {
    char *name, *value, *origin;
    bool secret;
};

struct instance {
    char *name; /* "file", "warehouse" */
    char *use;  /* the plugin's name */
    struct pusher_settings common;
    struct conf_value *values; /* the plugin's own options that were set (not empty), `_FILE` forms read */
    size_t count;
    bool touched;                     /* any option of its own was set */
    struct conf_value *common_values; /* the common options in force as text with origin, for `headgate config` */
    size_t common_count;
};

/* Is NAME an option that all pushers have, or reserved? A plugin may not have one of that name. */
bool conf_option_taken(const char *name);

/* Names of all instances, given the names of the plugins that are there: each plugin's first instance, and those made
 * by USE. Faults: bad names, equal or nested prefixes, USE of an unknown plugin (a notice). Caller frees with
 * names_free. ERR_CONFIG fills the names all the same, but for those that are refused; of two that collide it is the
 * later one (`plugins` in their order, then those made by USE): a plugin dropped in never takes the place of one that
 * runs, if the running ones stand first. */
int conf_instances(const struct conf *c, const char *const *plugins, size_t plugin_count, char ***names, char ***uses,
                   size_t *count, struct buf *faults, struct buf *notices) MUST_CHECK;
void conf_names_free(char **names, size_t count);

/* One instance resolved. ERR_CONFIG with every fault (unknown option with the nearest name, bad common option, both the
 * plain and the _FILE form, unreadable _FILE) as lines in `faults`; `out` is filled as far as possible all the same. */
int conf_instance(const struct conf *c, const char *name, const char *use, const struct conf_option *options,
                  size_t option_count, struct instance *out, struct buf *faults) MUST_CHECK;
void instance_fini(struct instance *i);
/* What was set that an instance of this kind (a puller, else a pusher) has no use for: a line each in `faults`; their
 * number. */
size_t conf_misplaced(const struct instance *i, bool puller, struct buf *faults);
/* A common option in force, as text. */
const char *instance_common(const struct instance *i, const char *name);
/* Same settings in both? (reload: restart its host or not) */
bool instance_equal(const struct instance *a, const struct instance *b);

/* --- generated texts, from options.def --- */
int conf_print_ini(struct buf *out) MUST_CHECK;       /* etc/headgate.ini: every option with its default, commented */
int conf_print_reference(struct buf *out) MUST_CHECK; /* docs/settings.md */

#endif

/* What the kit's own files share. Tests include testkit.h. */
#ifndef HG_TESTKIT_INNER_H
#define HG_TESTKIT_INNER_H

#include "testkit.h"

#include <pthread.h>

/* --- testkit_json.c: JSON by its spans --- */

/* The value at `*at`, spaces before it skipped; moves behind it. 1, or 0: no value there. */
int kit_json_value(struct hg_text text, size_t *at, struct hg_value *out);
int kit_json_only(struct hg_text text, struct hg_value *out); /* the same, with nothing behind it */
int kit_json_sound(struct hg_value value);                    /* what it contains are values, too */
int kit_json_next(struct hg_text container, size_t *at, struct hg_text *key, struct hg_value *out);
int kit_json_field(struct hg_text object, const char *key, struct hg_value *out);
long kit_json_text(struct hg_text json, char *out, size_t size);

/* --- testkit_options.c: settings to a configuration struct --- */

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

/* --- testkit.c --- */

enum { SETTINGS_MAX = 256, TAGS_MAX = 16, LOGS_MAX = 1000, COUNTERS_MAX = 100, TEXT_SIZE = 1024, EMIT_MOST = 100000 };

struct hg_row {
    char id[HG_ROW_ID_SIZE];
    char batch[HG_BATCH_ID_SIZE];
    char *uuid, *data, *client;
    char *tags[TAGS_MAX], *values[TAGS_MAX];
    size_t tag_count;
    uint32_t number;
    int last;
    int64_t index, received;
    uint32_t attempt, origin;
    int spoilt; /* a processor's change of it failed */
};

struct verdict {
    uint32_t verdict;
    int64_t after;
    char reason[HG_REASON_MAX];
};

struct hg_rows {
    struct testkit *kit;
    struct hg_row *rows; /* copies */
    size_t count;
    struct verdict *verdicts;
};

struct hg_host {
    char state[HG_STATE_MAX];
    size_t state_len;
    char settled[HG_ROW_ID_SIZE + 2]; /* rows with a lower id are settled */
    struct testkit *kit;
    int64_t time_left, waited;
    int64_t stop_at; /* of `waited`; -1: never */
    int stopping;
    char fault[TEXT_SIZE];
    char *logs[LOGS_MAX];
    uint32_t levels[LOGS_MAX];
    size_t log_count;
    char *counters[COUNTERS_MAX];
    uint64_t counted[COUNTERS_MAX];
    size_t counter_count;
    pthread_mutex_t lock; /* of all that a plugin's other threads may reach */
    pthread_cond_t settled_one;
};

struct testkit {
    struct hg_host host;
    void *library;
    const struct hg_plugin *plugin;
    struct kit_setting settings[SETTINGS_MAX];
    size_t setting_count;
    struct kit_config config;
    int started, opened;
    void *worker;
    struct hg_row *rows;
    size_t row_count, set_count;
    int64_t received, time_left;
    char client[TEXT_SIZE];
    uint32_t origin, attempt;
    struct verdict *verdicts;   /* of the last push */
    uint64_t token, last_token; /* of its window; 0: closed */
    size_t first, count, forgotten;
    char push_reason[HG_REASON_MAX];
    int64_t push_after;
    struct hg_rows made; /* what process() made of its rows */

    int pulling; /* inside pull() */
    size_t placed, notified, emit_most;
    int unnotified;
    size_t fails; /* emissions that are still to be answered with `fails_as` */
    int fails_as;
    char fails_why[HG_REASON_MAX];
    int64_t full; /* as testkit_full() */
};

/* Keeps a sentence for testkit_fault(); returns 0. */
int kit_fault(struct testkit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- testkit_api.c: the table that a plugin is given --- */

extern const struct hg_api kit_api;

/* With the lock held: rows of the last push that are not settled. */
size_t kit_later(const struct testkit *kit);
/* Close the window: what is not settled gets this verdict. */
void kit_window_close(struct testkit *kit, uint32_t rest);

size_t kit_counter_find(const struct hg_host *host, const char *name); /* counter_count when it is not there */

void kit_stop_check(struct hg_host *host);                              /* with the lock held: the clock has moved on */
int kit_state_put(struct hg_host *host, const void *state, size_t len); /* 1, or 0: too long */

/* --- testkit_pull.c --- */

int kit_emit(struct hg_host *host, const struct hg_emit *emit, struct hg_emitted *out);
void kit_notify(struct testkit *kit); /* of the position that is durable */

/* --- testkit_process.c --- */

void kit_made_drop(struct testkit *kit);
int kit_set_data(struct hg_rows *rows, size_t n, const char *json, size_t len);
int kit_set_tag(struct hg_rows *rows, size_t n, const char *name, const char *value);

/* --- testkit_rows.c: row sets as text --- */

/* A document's rows, or one row, behind those that are there. 1, or 0 and a fault: then the caller cuts what was added.
 */
int kit_document_add(struct testkit *kit, struct hg_text json);
int kit_row_add(struct testkit *kit, struct hg_row row); /* takes over what it owns */
void kit_rows_cut(struct testkit *kit, size_t count);
void kit_set_end(struct testkit *kit, size_t first); /* rows from there on are a set */
int kit_row_copy(const struct testkit *kit, const struct hg_row *from, struct hg_row *to); /* 0: no memory */
void kit_row_fini(struct hg_row *row);
struct hg_text kit_text(const char *text);

#endif

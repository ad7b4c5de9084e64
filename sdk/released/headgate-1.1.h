/* headgate.h - the one header a plugin needs. C11 and libc only; compiles as C99 and as C++17.
 *
 * A plugin is a shared object that exports one function, hg_plugin(), which returns a constant description: its name,
 * its options, and a table of callbacks. The host process loads it, checks and fills its options, and calls it.
 * Everything a plugin can ask of the host goes through the table of functions `struct hg_api` that it is given; nothing
 * is linked.
 *
 * A pusher in short:
 *
 *     open()   connects (or says not now), once for each worker
 *     push()   gets one or more rows, delivers them, says what became of each
 *     close()  disconnects
 *
 * A processor stands before the pushers that name it (PROCESS=a,b) and changes, skips or refuses their rows.
 *
 * Each worker runs in a thread of its own and calls with its own state; push() may block. Rows and every pointer
 * reached from them are lent until push() returns. Texts given to the host are copied.
 *
 * A puller takes rows in: pull() fetches from its source and gives row sets to emit(), which returns when they are
 * durable, together with the puller's place in its source.
 *
 * What pushers use is frozen: within ABI 1 it only grows. What is marked provisional (processors, pullers) may still
 * change.
 *
 * Change log: ABI 1.0 - first.
 *             ABI 1.1 - HG_PLAN_AHEAD. Frozen for pushers. (A processor's start and stop: once a process.) */
#ifndef HEADGATE_H
#define HEADGATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HG_ABI_MAJOR 1
#define HG_ABI_MINOR 1

/* Put before hg_plugin() so that it is visible in a plugin built with -fvisibility=hidden. */
#define HG_EXPORT __attribute__((visibility("default")))

struct hg_host; /* the host's side of one worker */
struct hg_rows; /* the rows of one push */
struct hg_row;  /* one of them */
struct hg_puller;

/* --- options ------------------------------------------------------------------------------------------------------ */

/* An option NAME of the instance `file` is set by PLUGIN_FILE_NAME, or in the settings file. The member at `offset` of
 * the plugin's configuration struct is filled before open() is called and stays until the process ends. */
enum hg_type {
    HG_STRING = 1, /* const char *; NULL when unset */
    HG_INTEGER,    /* int64_t */
    HG_NUMBER,     /* double */
    HG_BOOLEAN,    /* int32_t: 1 or 0; written yes/no, true/false, 1/0 */
    HG_DURATION,   /* int64_t milliseconds; written 200ms, 10s, 5m, 24h, 0 */
    HG_SIZE,       /* int64_t bytes; written 64KiB, 16MiB, 1GiB, 0 */
    HG_CHOICE,     /* int32_t: place in `limits` ("single|array|ndjson"), from 0 */
    HG_LIST,       /* struct hg_list; written with commas between */
    HG_MAP,        /* struct hg_map; written name=value, commas between */
    HG_PATH,       /* const char *; NULL when unset */
    HG_URL         /* const char *: http or https with a host; NULL when unset */
};

enum hg_option_flag {
    HG_REQUIRED = 1, /* without it the instance does not start */
    HG_SECRET = 2,   /* never shown; may be given as NAME_FILE */
    HG_READ = 4,     /* a path the plugin reads */
    HG_WRITE = 8,    /* a path the plugin writes (also its folder) */
    HG_FOLDER = 16   /* with the two before: the path is a folder, and nothing beside it is touched */
};

struct hg_list {
    const char *const *items;
    size_t count;
};

struct hg_map {
    const char *const *names;
    const char *const *values;
    size_t count;
};

struct hg_option {
    const char *name;     /* [A-Z][A-Z0-9_]* */
    uint32_t type;        /* enum hg_type */
    uint32_t flags;       /* enum hg_option_flag */
    const char *fallback; /* default, as it would be written; NULL: none (numbers 0, texts NULL) */
    const char *limits;   /* numbers, durations, sizes: "min..max", either may be left out; choices: "a|b|c"; or NULL */
    const char *text;     /* one sentence for the reference page */
    const char *group;    /* options with the same group: exactly one of them must be set; or NULL */
    size_t offset;        /* of the member in the configuration struct */
};

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

/* About one row. The first verdict given for a row counts. */
enum hg_verdict {
    HG_OK = 1,    /* delivered */
    HG_DUPLICATE, /* was there already: as good as delivered */
    HG_SKIP,      /* not for this pusher */
    HG_RETRY,     /* this row again later; later rows of its uuid wait for it */
    HG_REJECT,    /* never: becomes a dead letter with the reason */
    HG_LATER      /* not known yet: settle() will tell. Only after later() */
};

/* About the call. A zero, or anything else, is taken as HG_NOT_NOW: what was forgotten is never taken for delivered. */
enum hg_result {
    HG_ALL_OK = 1, /* every row that was not judged is OK */
    HG_JUDGED = 2, /* every row was judged; one that was not is RETRY and a counted fault of the plugin */
    HG_NOT_NOW = 3 /* no row is to blame: the far end is down, busy, refuses the password …; rows judged OK stay OK */
};

/* What start(), open() and probe() return. */
enum hg_open_result {
    HG_OPEN_OK = 1,
    HG_OPEN_NOT_NOW = 2, /* tried again with backoff */
    HG_OPEN_BROKEN = 3   /* no use trying again until a setting or the plugin changes */
};

enum hg_origin { HG_LIVE = 1, HG_RETRIED = 2, HG_REPLAY = 3 };

enum hg_level { HG_LOG_ERROR = 0, HG_LOG_WARN, HG_LOG_INFO, HG_LOG_DEBUG };

enum {
    HG_ROW_ID_SIZE = 64, /* bytes for a row id with its NUL */
    HG_BATCH_ID_SIZE = 64,
    HG_STATE_MAX = 4096, /* bytes of durable state */
    HG_REASON_MAX = 1024 /* bytes of a reason that are kept */
};

/* --- what the host offers ----------------------------------------------------------------------------------------- */

struct hg_text {
    const char *ptr; /* not NUL-terminated */
    size_t len;
};

enum hg_value_type { HG_NULL = 1, HG_FALSE, HG_TRUE, HG_NUM, HG_STR, HG_ARRAY, HG_OBJECT };

/* A JSON value: its bytes exactly as the client sent them. */
struct hg_value {
    uint32_t type;     /* enum hg_value_type */
    uint32_t reserved; /* 0 */
    struct hg_text json;
};

/* --- rows in (provisional) ---------------------------------------------------------------------------------------- */

struct hg_new_row {
    struct hg_text data; /* a JSON object */
    int64_t index;       /* -1: none */
};

struct hg_tag {
    struct hg_text name, value;
};

/* One row set: what one document of POST /v1/rows is, under the same rules. */
struct hg_set {
    struct hg_text uuid;
    const struct hg_new_row *rows;
    size_t row_count;
    const struct hg_tag *tags;
    size_t tag_count;
    struct hg_text document; /* ptr not NULL: the whole {"uuid":…,"row":…} as JSON, instead of all the above */
};

struct hg_emit {
    uint32_t size;     /* sizeof(struct hg_emit) */
    uint32_t set_size; /* sizeof(struct hg_set) */
    const struct hg_set *sets;
    size_t set_count;     /* 0: only the position moves on */
    const void *position; /* opaque, at most HG_STATE_MAX bytes; NULL: stays as it is */
    size_t position_size;
    int64_t wait_ms; /* while no rows can be taken: so long at most; -1: until they can, or the host stops */
};

enum hg_emit_result {
    HG_EMITTED = 1,      /* durable */
    HG_EMIT_NOT_NOW = 2, /* nothing was taken: the disk budget is spent, a disk error, the daemon is about to stop */
    HG_EMIT_REFUSED = 3  /* nothing was taken: a set breaks the rules. `bad_set`, `reason` */
};

struct hg_emitted {
    uint32_t size;              /* sizeof(struct hg_emitted) */
    uint32_t reserved;          /* 0 */
    size_t bad_set;             /* the first that is refused; set_count: none in particular (too large together) */
    char reason[HG_REASON_MAX]; /* its faults, or why not now; cut to what fits */
};

/* --- the table ---------------------------------------------------------------------------------------------------- */

/* Grows at the end only; `size` tells how much of it this host has. Every function may be called from the thread that
 * the callback runs in; log, count, time_left, stopping, wait, settle and settle_not_now from any thread. */
struct hg_api {
    uint32_t size;
    uint32_t abi_minor; /* of the host */

    /* Rows. `n` counts from 0; NULL beyond the end. */
    size_t (*row_count)(const struct hg_rows *rows);
    const struct hg_row *(*row)(const struct hg_rows *rows, size_t n);
    void (*row_id)(const struct hg_row *row, char out[HG_ROW_ID_SIZE]);     /* the same for ever, never given twice */
    void (*batch_id)(const struct hg_row *row, char out[HG_BATCH_ID_SIZE]); /* of the row set it came in */
    struct hg_text (*uuid)(const struct hg_row *row);
    uint32_t (*number)(const struct hg_row *row); /* in its row set, from 0 */
    int (*last)(const struct hg_row *row);        /* 1: the last of its row set */
    int64_t (*index)(const struct hg_row *row);   /* -1: none */
    struct hg_text (*client)(const struct hg_row *row);
    int64_t (*received)(const struct hg_row *row);    /* microseconds since 1970-01-01 UTC */
    uint32_t (*attempt)(const struct hg_row *row);    /* 1: the first try */
    uint32_t (*origin)(const struct hg_row *row);     /* enum hg_origin */
    struct hg_text (*data)(const struct hg_row *row); /* the `data` object, as sent */
    /* One tag; len 0 and ptr NULL when it is not there. All: n from 0 until it returns 0. */
    struct hg_text (*tag)(const struct hg_row *row, const char *name);
    int (*tag_at)(const struct hg_row *row, size_t n, struct hg_text *name, struct hg_text *value);
    /* One value by key: 1 found, 0 not there. All in order: `*at` starts at 0, returns 0 at the end; the key comes
     * without quotes, escapes unresolved (text() resolves them). Elements of an array have an empty key. */
    int (*field)(const struct hg_row *row, const char *key, struct hg_value *out);
    int (*next)(struct hg_text container, size_t *at, struct hg_text *key, struct hg_value *out);
    /* The characters of a JSON string into `out` with a NUL; its length, or -1: no string, or it does not fit. */
    long (*text)(struct hg_text json, char *out, size_t size);

    /* Verdicts, from push() only. `after_ms`: not before; 0: the host decides. `reason`: may be NULL. */
    void (*judge)(struct hg_rows *rows, size_t n, uint32_t verdict, int64_t after_ms, const char *reason);
    /* Says why and from when on; returns HG_NOT_NOW, so that `return api->not_now(rows, 0, "…");` is the idiom. */
    int (*not_now)(struct hg_rows *rows, int64_t after_ms, const char *reason);

    /* The host. */
    const char *(*instance)(const struct hg_host *host);    /* name of this instance */
    void (*fail)(struct hg_host *host, const char *reason); /* why open() or probe() did not succeed */
    void (*log)(struct hg_host *host, uint32_t level, const char *text);
    void (*count)(struct hg_host *host, const char *name, uint64_t add); /* a counter, shown as a metric */
    int64_t (*time_left)(const struct hg_host *host); /* milliseconds until push() is taken for stuck */
    int (*stopping)(const struct hg_host *host);      /* 1: finish what is begun and return */
    int (*wait)(struct hg_host *host, int64_t ms);    /* 1: time is over, 0: interrupted by a stop */
    /* Durable state (of a puller: its position), at most HG_STATE_MAX bytes: stored together with the fact that this
     * push is settled, so that after a crash it is the state that belongs to the first row that may come again.
     * state_set from push() only. */
    size_t (*state_get)(const struct hg_host *host, void *out, size_t size);
    int (*state_set)(struct hg_host *host, const void *state, size_t len); /* 1, or 0: too long */
    /* 1 when a row with this id lies before everything that may be handed to this worker again. */
    int (*settled)(const struct hg_host *host, const char *row_id);

    /* Verdicts after push() has returned, for a far end with a window. In push(): later() gives the token of this push
     * (never 0, never the same twice); judge rows HG_LATER; return. The rows themselves are lent until then only. Each
     * such row is settled once, from any thread, also while push() is still at it; the first verdict counts. When
     * push() has returned, flush() is called at once if some rows are not settled; the worker gets no other rows until
     * all are. What is not settled when time_left() is 0 comes again. settle_not_now() is for a far end that went away:
     * what is not settled is not to blame, as with HG_NOT_NOW. Both: 1, or 0 when it came too late or is about no such
     * row. */
    uint64_t (*later)(struct hg_rows *rows);
    int (*settle)(struct hg_host *host, uint64_t token, size_t n, uint32_t verdict, int64_t after_ms,
                  const char *reason);
    int (*settle_not_now)(struct hg_host *host, uint64_t token, int64_t after_ms, const char *reason);

    /* From process() only (provisional, as processors are). What the next processor and the pusher see of the row from
     * now on; its id, uuid, place and index stay. Both: 1; 0: it cannot be, and the row is tried again later unless it
     * is judged otherwise: a row that should have been changed never goes on as it was. */
    int (*set_data)(struct hg_rows *rows, size_t n, const char *json, size_t len);       /* a JSON object; copied */
    int (*set_tag)(struct hg_rows *rows, size_t n, const char *name, const char *value); /* NULL: without this tag */
    /* Provisional. Rows in, from pull() only: enum hg_emit_result. All sets of one call and the position become durable
     * in one write, or none of them does. Waits while rows cannot be taken. `out` may be NULL. */
    int (*emit)(struct hg_host *host, const struct hg_emit *emit, struct hg_emitted *out);
};

/* --- what a plugin offers ----------------------------------------------------------------------------------------- */

enum hg_pusher_flag {
    HG_STABLE_BATCH = 1, /* after a crash the same rows come again as the same batch */
    HG_WHOLE_SETS = 2,   /* never part of a row set: `unit` of delivery is the set */
    HG_MANUAL_START = 4, /* starts only with ENABLED=yes */
    HG_PLAN_AHEAD = 8 /* with HG_STABLE_BATCH: many batches may come again, each as it was, not only the last. (1.1) */
};

struct hg_pusher {
    uint32_t size; /* sizeof(struct hg_pusher) */
    uint32_t flags;
    uint32_t max_parallel; /* workers that may run at the same time; 0: any number */
    uint32_t reserved;     /* 0 */

    /* Optional, once a process, before the first open() and after the last close(); enum hg_open_result. */
    int (*start)(struct hg_host *host, const struct hg_api *api, const void *config);
    void (*stop)(void);
    /* Each worker, in its own thread. On failure call api->fail, leave nothing behind, *state is ignored. */
    int (*open)(struct hg_host *host, const struct hg_api *api, const void *config, void **state);
    void (*close)(void *state);
    /* May block. Rows in order. Returns enum hg_result. */
    int (*push)(void *state, struct hg_rows *rows);
    /* Optional. Nothing more comes for now (the host stops, has nothing to do, or waits for rows that were judged
     * HG_LATER): write out what is held back. HG_ALL_OK, or HG_NOT_NOW with api->fail. */
    int (*flush)(void *state);
    /* Optional. SIGUSR1: close and open files. */
    void (*reopen)(void *state);
    /* Optional. Is the far end there, are the rights there? Called with a worker's state between pushes. */
    int (*probe)(void *state);
};

/* Provisional: what is said of processors may still change. A processor runs in the process of each pusher that names
 * it, in the pusher's threads. It sees every row again that comes again, so what it makes of a row must depend on the
 * row and its settings alone. */
struct hg_processor {
    uint32_t size;  /* sizeof(struct hg_processor) */
    uint32_t flags; /* none yet: 0 */

    /* Optional, once a process, however many instances of this processor stand in it (host and config are the first
     * one's): for what all share, a library's global state. What is an instance's belongs into open(). */
    int (*start)(struct hg_host *host, const struct hg_api *api, const void *config);
    void (*stop)(void);
    /* Each worker of the pusher, in its own thread: before the pusher's open(), after its close(); as a pusher's. */
    int (*open)(struct hg_host *host, const struct hg_api *api, const void *config, void **state);
    void (*close)(void *state);
    /* Rows in order, each at most once. HG_ALL_OK: every row that was not judged goes on, changed or not. A row may be
     * judged HG_SKIP (counted with this instance's name), HG_RETRY or HG_REJECT (a dead letter, which keeps the row as
     * it came). HG_NOT_NOW, or anything else: all of them come again, the pusher gets none. */
    int (*process)(void *state, struct hg_rows *rows);
};

/* Provisional. */
enum hg_pull_result {
    HG_PULLED = 1,       /* there may be more: called again at once */
    HG_PULL_NOTHING = 2, /* nothing more for now: called again as EVERY says, without it after a delay that grows */
    HG_PULL_NOT_NOW = 3, /* the source is away, api->fail says why: called again after a delay that grows */
    HG_PULL_BROKEN = 4   /* no use trying again until a setting or the source changes; api->fail says why */
};

/* One worker: all calls but stop() come from its thread. */
struct hg_puller {
    uint32_t size;  /* sizeof(struct hg_puller) */
    uint32_t flags; /* HG_MANUAL_START or 0 */

    /* Optional, as with a pusher. */
    int (*start)(struct hg_host *host, const struct hg_api *api, const void *config);
    void (*stop)(void);
    /* api->state_get tells the position that belongs to the last durable row; nothing: from the beginning. */
    int (*open)(struct hg_host *host, const struct hg_api *api, const void *config, void **state);
    void (*close)(void *state);
    /* May block for as long as api->stopping is 0 (api->wait is interrupted by a stop). Returns enum hg_pull_result. */
    int (*pull)(void *state);
    /* Optional. Everything up to this position is durable: what lies before it may be removed at the source. Called
     * after open() with what was found, and from inside emit() when it has succeeded; may come twice for one. */
    void (*notify)(void *state, const void *position, size_t size);
    /* Optional, between two pulls. */
    void (*reopen)(void *state);
    int (*probe)(void *state);
};

enum hg_kind { HG_PUSHER = 1, HG_PULLER = 2, HG_PROCESSOR = 3 };

struct hg_plugin {
    uint32_t abi_major; /* HG_ABI_MAJOR: must be the host's */
    uint32_t abi_minor; /* the minor this plugin needs: must not be above the host's */
    uint32_t size;      /* sizeof(struct hg_plugin) */
    uint32_t kind;      /* enum hg_kind */
    const char *name;   /* [a-z][a-z0-9-]*: name of its first instance */
    const char *version;
    const char *summary; /* one sentence */
    const struct hg_option *options;
    size_t option_count;
    size_t option_size;                   /* sizeof(struct hg_option) */
    size_t config_size;                   /* of the configuration struct */
    const struct hg_pusher *pusher;       /* of kind HG_PUSHER */
    const struct hg_puller *puller;       /* of kind HG_PULLER */
    const struct hg_processor *processor; /* of kind HG_PROCESSOR */
};

/* The one exported function. */
HG_EXPORT const struct hg_plugin *hg_plugin(void);

#ifdef __cplusplus
}
#endif

#endif

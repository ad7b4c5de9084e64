/* The setup text: what the daemon tells a host before it begins, and what a host prints when asked to describe a
 * plugin.
 *
 * Lines `name value`; a value that may hold anything is `name <bytes>` followed by exactly that many bytes and a
 * newline (the keys `set` and `state` below). Read and written by both sides with the functions here.
 *
 * Setup: `instance NAME`, `plugin PATH`, `lock PATH`, `workers N`, `batch_rows N`, `batch_bytes N`, `timeout_ms N`,
 * `confine yes|no`, `trial yes|no`, `clients NAMES`, `set OPTION BYTES`, `state BYTES`. Then for each processor, in
 * order: `processor NAME`, `loads PATH`, and `set OPTION BYTES` for its own settings. */
#ifndef HG_HOST_SETUP_H
#define HG_HOST_SETUP_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { PROCESSORS_MAX = 16 }; /* of one pusher, its WHEN included */

struct setting {
    char *name;  /* option, upper case */
    char *value; /* NUL-terminated */
};

struct setup {
    char *instance;
    char *plugin; /* path of the private copy to load */
    char *lock;   /* path of the instance's lock file */
    uint32_t workers;
    uint32_t batch_rows;
    uint64_t batch_bytes;
    int64_t timeout_ms;
    bool confine;
    char *clients; /* names with commas between, or NULL: everybody's rows */
    char *state;   /* durable state to begin with */
    size_t state_len;
    bool trial; /* only the processors are opened: `headgate check` */
    struct setting *settings;
    size_t count;
    struct setup *processors; /* of each only `instance`, `plugin` and settings */
    size_t processor_count;
};

int setup_write(const struct setup *s, struct buf *out) MUST_CHECK;
int setup_read(struct slice text, struct setup *out, struct err *e) MUST_CHECK;
void setup_fini(struct setup *s);

/* What `headgate-host --describe FILE` prints, parsed. Owned strings. */
struct described_option {
    char *name, *fallback, *limits, *text, *group; /* all but name and text may be NULL */
    uint32_t type, flags;                          /* enum hg_type, enum hg_option_flag */
};

struct described {
    char *name, *version, *summary;
    uint32_t kind, flags, max_parallel, abi_minor;
    struct described_option *options;
    size_t count;
};

int described_write(const struct described *d, struct buf *out) MUST_CHECK;
int described_read(struct slice text, struct described *out, struct err *e) MUST_CHECK;
void described_fini(struct described *d);

/* `headgate-host --check` and the daemon's own check before a start: every fault of the settings of one instance
 * against the plugin's option table, one line each appended to `faults` (`OPTION: sentence`); the number of faults.
 * `missing` is set when a required option (or group) is unset. Pure. */
size_t described_check(const struct described *d, const struct setting *settings, size_t count, struct buf *faults,
                       bool *missing);

#endif

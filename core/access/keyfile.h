/* The keys of a data directory on disk: `keys`, written by `headgate key`, and `keys.used`, written by the daemon. Both
 * are JSON (docs/access.md) and replaced as a whole, so a reader sees the one before or the one after. Blocking file
 * work; any thread. */
#ifndef HG_ACCESS_KEYFILE_H
#define HG_ACCESS_KEYFILE_H

#include "access/key.h"

enum { KEYS_MAX = 1000, KEYFILE_BYTES = 1 << 20 };

struct keyfile {
    struct key *keys; /* by id, ascending; of this struct */
    size_t count;
};

void keyfile_fini(struct keyfile *f);
const struct key *keyfile_find(const struct keyfile *f, const char *id);

/* No file: no keys. ERR_DAMAGED, ERR_VERSION (a newer one wrote it), ERR_DENIED, ERR_IO with a sentence. */
int keyfile_read(const char *data_dir, struct keyfile *out, struct err *e) MUST_CHECK;
/* Durable when it returns. The file is the directory's owner's, and nobody else's to read. */
int keyfile_write(const char *data_dir, const struct keyfile *f, struct err *e) MUST_CHECK;
/* Held while a file is read, changed and written; released by closing it. */
int keyfile_lock(const char *data_dir, int *fd, struct err *e) MUST_CHECK;
/* Make room for one more, at its place. ERR_LIMIT, ERR_NOMEM. */
int keyfile_add(struct keyfile *f, const struct key *k, struct err *e) MUST_CHECK;
bool keyfile_remove(struct keyfile *f, const char *id);

/* When each key was used last, seconds since 1970; 0: never, or not known. `used` has f->count places. A file that is
 * not there or not readable says nothing; nothing hangs on it. */
void keyfile_used_read(const char *data_dir, const struct keyfile *f, int64_t *used);
int keyfile_used_text(const struct keyfile *f, const int64_t *used, struct buf *out) MUST_CHECK;
int keyfile_used_write(const char *data_dir, struct slice text) MUST_CHECK;

/* Put a small file of the data directory in the place of the one before; `durable`: it is on disk when it returns. */
int keyfile_replace(const char *data_dir, const char *name, struct slice text, bool durable, struct err *e) MUST_CHECK;

/* For files beside them. A file made by root becomes the directory's owner's; what was made or renamed there is on
 * disk. 0, or the number of the error. */
int keyfile_give(const char *data_dir, int fd);
int keyfile_sync_dir(const char *data_dir);

/* RFC 3339 in UTC, whole seconds. */
enum { MOMENT_MAX = 32 };
void moment_text(int64_t seconds, char out[MOMENT_MAX]);
int moment_parse(const char *text, int64_t *seconds) MUST_CHECK;

#endif

/* Names of files and the folders they lie in: folders that are made on demand, parts that are too long. Functions that
 * touch the disk return 0 or an errno. Any thread. */
#ifndef COMMON_PATHS_H
#define COMMON_PATHS_H

#include "common/strbuf.h"

enum { PATH_SUFFIX_MAX = 16 };

/* Appends `path` to `out`; a part of it (between slashes) that a file system would refuse as too long keeps its
 * beginning and its suffix and gets `~` and 16 hex digits of its hash between them. */
void path_shorten(const char *path, struct strbuf *out);

/* Where ".ndjson" begins in the part from `ptr` to `end` of a path, at most PATH_SUFFIX_MAX bytes; `end`: it has none.
 */
const char *path_suffix(const char *ptr, const char *end);

/* Makes the folders above `path` that are missing; with `sync` each is durable before the next. */
int path_make_folders(const char *path, int sync);

/* fsync of the folder that `path` lies in. */
int path_sync_folder(const char *path);

/* Opens the folder that `path` lies in; the caller closes it. */
int path_open_folder(const char *path, int *fd);

/* Whether something can be written in the folder of `path`, or in the nearest one above it that exists. Only what the
 * path has before its first variable part (`%` or `{`) is looked at. */
int path_writable(const char *path);

/* Permissions written in octal, 0 to 0777: 0, or -1 when `text` is not that (or NULL). */
int path_mode(const char *text, unsigned *mode);

#endif

/* Names of files: folders that are made on demand, parts that are too long, numbers of rotated files. */
#ifndef FILE_PATHS_H
#define FILE_PATHS_H

#include "common/strbuf.h"

#include <stdint.h>
#include <sys/types.h>

/* Appends `path` to `out`; a part of it (between slashes) that a file system would refuse as too long keeps its
 * beginning and its suffix and gets `~` and 16 hex digits of its hash between them. */
void path_shorten(const char *path, struct strbuf *out);

/* Makes the folders above `path` that are missing; with `sync` each is durable before the next. errno or 0. */
int path_make_folders(const char *path, int sync);

/* fsync of the folder that `path` lies in. errno or 0. */
int path_sync_folder(const char *path);

/* Highest number below `below` of the rotated files of `path` (name-0001.ndjson); 0: there is none. errno or 0. */
int path_last_rotated(const char *path, uint64_t below, uint64_t *number);

/* Appends the name of the rotated file with this number. */
void path_rotated(const char *path, uint64_t number, struct strbuf *out);

/* Appends the path of the file with this inode in the folder of `path`; nothing when there is none. */
void path_find_inode(const char *path, uint64_t ino, struct strbuf *out);

#endif

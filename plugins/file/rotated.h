/* Names of rotated files, and of files that were renamed by somebody else. */
#ifndef FILE_ROTATED_H
#define FILE_ROTATED_H

#include "common/strbuf.h"

#include <stdint.h>

/* Highest number below `below` of the rotated files of `path` (name-0001.ndjson); 0: there is none. errno or 0. */
int path_last_rotated(const char *path, uint64_t below, uint64_t *number);

/* Appends the name of the rotated file with this number. */
void path_rotated(const char *path, uint64_t number, struct strbuf *out);

/* Appends the path of the file with this inode in the folder of `path`; nothing when there is none. */
void path_find_inode(const char *path, uint64_t ino, struct strbuf *out);

#endif

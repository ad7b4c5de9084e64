/* Files of a journal's directory: their names, and whole reads and writes that take short counts and interruptions. */
#ifndef HG_JOURNAL_FILES_H
#define HG_JOURNAL_FILES_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { FILE_PAGE = 4096, FILE_PIECE = 1024 * 1024 };

/* FILE_KIND(name, suffix): what may stand in the directory, beside `lock` and `damaged`. */
#define FILE_KINDS(FILE_KIND)                                                                                          \
    FILE_KIND(SEGMENT, ".seg")                                                                                         \
    FILE_KIND(INDEX, ".idx")                                                                                           \
    FILE_KIND(NEW, ".new") /* being made: of no worth after a crash */

enum file_kind {
#define FILE_KIND(name, suffix) FILE_##name,
    FILE_KINDS(FILE_KIND)
#undef FILE_KIND
        FILE_KIND_COUNT
};

/* `out` holds PATH_MAX bytes; ERR_LIMIT when the path is longer. */
int file_path(const char *dir, uint64_t base, enum file_kind kind, char *out) MUST_CHECK;
int path_join(const char *dir, const char *name, char *out) MUST_CHECK;
/* False when it is no such name. */
bool file_name_parse(const char *name, uint64_t *base, enum file_kind *kind);

/* As sys->open, but taken up again when interrupted; -1 and errno. */
int file_open(const char *path, int flags);

/* All of them return 0 or the code of errno, which is left as it was. */
int file_write(int fd, const void *from, size_t len, uint64_t at) MUST_CHECK;
int file_writev(int fd, struct iovec *parts, int count, uint64_t at) MUST_CHECK; /* `parts` is used up */
/* ERR_NOTFOUND when the file is shorter. */
int file_read(int fd, void *to, size_t len, uint64_t at) MUST_CHECK;
int file_zero(int fd, uint64_t from, uint64_t to) MUST_CHECK;
int file_sync(int fd) MUST_CHECK;
int dir_sync(const char *dir) MUST_CHECK;
/* Made when missing; its own entry is synced too. */
int dir_make(const char *path) MUST_CHECK;
/* Gone is as good as removed. */
int file_remove(const char *path); /* tidying up: may be ignored */
/* A random number that is not 0; ERR_IO when the system has none. */
int salt_draw(uint64_t *out) MUST_CHECK;

#endif

/* A folder for one test, and whole files in one call. Everything fails the running test when it cannot be done. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include <stddef.h>

/* Makes a folder of its own, in memory where the system has one; its path, to be given to scratch_remove. */
char *scratch_make(void);
void scratch_remove(char **folder); /* with everything in it */

/* `folder`/`name` as text; holds until the eighth call after it. */
const char *scratch_path(const char *folder, const char *name);

char *scratch_read(const char *path, size_t *len); /* NULL when there is no such file; else with a NUL, to be freed */
void scratch_write(const char *path, const void *bytes, size_t len); /* an existing file keeps its inode */
size_t scratch_count(const char *folder);                            /* entries, the folders' own not counted */

#endif

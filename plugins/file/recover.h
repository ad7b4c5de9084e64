/* What an earlier process left behind, looked at when a file is opened. */
#ifndef FILE_RECOVER_H
#define FILE_RECOVER_H

#include "store.h"

/* After outfile_open: cuts what is torn, finds rows that are there already, also in rotated files. `rotated`: this
 * process has just moved the old file away. On failure the file is as it was and must be closed. */
enum store_result recover_file(struct store *s, struct outfile *f, int rotated);

/* The file that was written to last according to the durable state, wherever it is now. */
enum store_result recover_newest(struct store *s);

#endif

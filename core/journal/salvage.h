/* Copying what is whole of a segment into a new file, and keeping what is cut or damaged aside. */
#ifndef HG_JOURNAL_SALVAGE_H
#define HG_JOURNAL_SALVAGE_H

#include "journal/scan.h"

/* Write into `fd` (new, empty): `header` (its salt goes into every group), then everything from the first group to
 * `end`, each byte at its old place, zeros to the next page; synced. With `tidy`, what is not whole is left out and its
 * room is made an empty group, so that no reader meets damage there any more; else it is kept as it is. */
int salvage_copy(struct reader *from, const struct segment_header *header, uint64_t end, bool tidy, int fd) MUST_CHECK;
/* Keep bytes [from, to) of the reader's file as `damaged/<base>-<offset>.<suffix>` of `dir`, synced. */
int salvage_keep(const char *dir, struct reader *r, uint64_t from, uint64_t to, const char *suffix) MUST_CHECK;
/* Move a whole file into `damaged/`, under a name that is not taken. */
int salvage_move(const char *dir, const char *name) MUST_CHECK;

#endif

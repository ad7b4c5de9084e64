/* A pusher in the test kit, by what became of its rows. Everything fails the running test when it is not as told. */
#ifndef TEST_PUSHED_H
#define TEST_PUSHED_H

#include "testkit.h"

void pushed_start(struct testkit *kit); /* start() and open() */

/* Pushes as many rows from `first` on as `verdicts` has letters: o d s r x for OK DUPLICATE SKIP RETRY REJECT, - for
 * none. push() returns `result`, and has forgotten no row. */
void pushed_gives(struct testkit *kit, size_t first, int result, const char *verdicts);

#endif

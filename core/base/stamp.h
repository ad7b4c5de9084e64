/* Has a file changed? What stat() says of it, to be compared later. Links are followed, so a file that is replaced by
 * pointing a link elsewhere (as Kubernetes does) has changed too. Any thread. */
#ifndef HG_BASE_STAMP_H
#define HG_BASE_STAMP_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct stamp {
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

/* 0 also when there is no such file; an errno (and the stamp of no file) when it cannot be told. */
int stamp_take(const char *path, struct stamp *out);
bool stamp_same(const struct stamp *a, const struct stamp *b);

#endif

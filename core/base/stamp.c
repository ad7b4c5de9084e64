/* Changes of files, seen by stat(): cheap enough to ask several times a second, and there is nothing to watch that
 * could overflow or be lost with a rename. */
#include "base/stamp.h"

#include "base/sys.h"

#include <errno.h>

int stamp_take(const char *path, struct stamp *out)
{
    struct stat st;
    *out = (struct stamp){.there = false};
    if (sys->stat(path, &st) != 0)
        return errno == ENOENT ? 0 : errno;
    *out = (struct stamp){
        .there = true, .device = st.st_dev, .inode = st.st_ino, .size = st.st_size, .modified = st.st_mtim};
    return 0;
}

bool stamp_same(const struct stamp *a, const struct stamp *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

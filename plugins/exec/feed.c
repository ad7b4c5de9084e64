/* Memory is one line's and a little more; a line beyond the limit is told once and skipped. */
#include "feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10 };

void feed_fini(struct feed *f)
{
    free(f->bytes);
    *f = (struct feed){.line = 1};
}

static int room(struct feed *f)
{
    if (f->used > 0) {
        memmove(f->bytes, f->bytes + f->used, f->filled - f->used);
        f->filled -= f->used;
        f->used = 0;
    }
    if (f->cap - f->filled >= READ_BYTES)
        return 0;
    size_t cap = f->cap == 0 ? 2 * READ_BYTES : f->cap * 2;
    char *grown = realloc(f->bytes, cap);
    if (!grown)
        return ENOMEM;
    f->bytes = grown;
    f->cap = cap;
    return 0;
}

int feed_read(struct feed *f, int fd)
{
    int number = room(f);
    if (number != 0 || f->ended)
        return number;
    ssize_t n = read(fd, f->bytes + f->filled, READ_BYTES);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : errno;
    f->filled += (size_t)n;
    f->ended = n == 0;
    return 0;
}

enum feed_result feed_next(struct feed *f, const char **line, size_t *len)
{
    for (;;) {
        char *at = f->bytes + f->used;
        size_t left = f->filled - f->used;
        char *feed = left > 0 ? memchr(at, '\n', left) : NULL;
        size_t size = feed ? (size_t)(feed - at) : left;
        int whole = feed || (f->ended && left > 0);
        if (!whole && left <= FEED_LINE_MAX)
            return FEED_NONE;
        f->used += size + (feed != NULL);
        int cut = f->cut, too_long = size > FEED_LINE_MAX;
        f->cut = !whole;
        if (whole)
            f->line++;
        if (cut) /* the rest of what was told already */
            continue;
        *line = at;
        *len = size > 0 && at[size - 1] == '\r' ? size - 1 : size;
        return too_long ? FEED_LONG : FEED_LINE;
    }
}

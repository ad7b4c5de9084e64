/* Lines out of a pipe that does not block. */
#ifndef EXEC_FEED_H
#define EXEC_FEED_H

#include <stddef.h>
#include <stdint.h>

enum { FEED_LINE_MAX = 16 << 20 };

struct feed {
    char *bytes;
    size_t cap, filled, used;
    uint64_t line; /* of the next line, from 1 */
    int ended;     /* the other end is closed, and all was read */
    int cut;       /* the rest of a line that was too long is thrown away until its end */
};

enum feed_result {
    FEED_LINE,
    FEED_LONG, /* a line of more than FEED_LINE_MAX bytes: its beginning */
    FEED_NONE, /* nothing whole is there now */
};

void feed_fini(struct feed *f); /* as after zeroing */
/* Reads what is there; 0, or an errno. */
int feed_read(struct feed *f, int fd);
/* The next line without its end; valid until the next feed_read. At the end also one without a line feed. */
enum feed_result feed_next(struct feed *f, const char **line, size_t *len);

#endif

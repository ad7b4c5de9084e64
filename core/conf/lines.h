/* Faults and notices: sentences, one a line, into a buffer that somebody else gave. Counted also when they no longer
 * fit, so that a full buffer can not turn a fault into success. */
#ifndef HG_CONF_LINES_H
#define HG_CONF_LINES_H

#include "base/buf.h"

struct lines {
    struct buf *to; /* NULL: only counted */
    size_t count;
};

/* One line. Control characters in what is inserted become `?`: a value can not forge a second line. */
void lines_add(struct lines *l, const char *format, ...) PRINTF_LIKE(2, 3);

/* Text in memory of its own; NULL when there is none. */
char *lines_copy(const char *format, ...) PRINTF_LIKE(1, 2);

#endif

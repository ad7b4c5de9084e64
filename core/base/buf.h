/* A growing byte buffer that was told its maximum at birth.
 *
 * Owned by whoever holds the struct; `buf_free` returns the memory. Not shared between threads. After a failure
 * (ERR_NOMEM, ERR_LIMIT) the content is as it was before the call. */
#ifndef HG_BASE_BUF_H
#define HG_BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

#include <stdarg.h>
#include <stdint.h>

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max; /* bytes; len never exceeds it */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);                           /* back to the state after buf_init */
void buf_clear(struct buf *b);                          /* length 0, memory kept */
int buf_reserve(struct buf *b, size_t more) MUST_CHECK; /* room for `more` bytes after len */
int buf_add(struct buf *b, const void *ptr, size_t len) MUST_CHECK;
int buf_adds(struct buf *b, const char *text) MUST_CHECK;
int buf_addc(struct buf *b, char c) MUST_CHECK;
int buf_addn(struct buf *b, uint64_t number) MUST_CHECK; /* in decimal */
int buf_addf(struct buf *b, const char *format, ...) MUST_CHECK PRINTF_LIKE(2, 3);
int buf_vaddf(struct buf *b, const char *format, va_list args) MUST_CHECK PRINTF_LIKE(2, 0);
/* `text` as a JSON string with its quotes: control characters escaped, invalid UTF-8 replaced by U+FFFD. */
int buf_add_json(struct buf *b, struct slice text) MUST_CHECK;
const char *buf_str(struct buf *b); /* NUL-terminated view; "" when there is no memory for the NUL */

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_make(b->ptr, b->len);
}

#endif

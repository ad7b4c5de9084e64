/* A growing text buffer that was told its maximum at birth.
 *
 * Failure sticks: what is added after memory or the maximum ran out is left out, and `failed` says so once at the end,
 * so that a line of ten additions needs one check. Not shared between threads. */
#ifndef COMMON_STRBUF_H
#define COMMON_STRBUF_H

#include <stddef.h>

struct strbuf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max; /* bytes; len never exceeds it */
    int failed; /* 1: something was left out */
};

void strbuf_init(struct strbuf *b, size_t max);
void strbuf_fini(struct strbuf *b);               /* frees; usable again as after init */
void strbuf_clear(struct strbuf *b);              /* length 0, not failed; memory kept */
void strbuf_cut(struct strbuf *b, size_t len);    /* back to `len` bytes, not failed */
char *strbuf_room(struct strbuf *b, size_t more); /* where `more` bytes may be written (then add to len), or NULL */
void strbuf_add(struct strbuf *b, const void *ptr, size_t len);
void strbuf_adds(struct strbuf *b, const char *text);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *strbuf_str(struct strbuf *b); /* with a NUL behind it; "" when there is no memory for that */

#endif

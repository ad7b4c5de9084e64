/* Growth doubles, so that a batch's text settles on one allocation; after that a push allocates nothing. */
#include "common/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRBUF_FIRST = 256 };

void strbuf_init(struct strbuf *b, size_t max)
{
    *b = (struct strbuf){.max = max};
}

void strbuf_fini(struct strbuf *b)
{
    free(b->ptr);
    strbuf_init(b, b->max);
}

void strbuf_clear(struct strbuf *b)
{
    strbuf_cut(b, 0);
}

void strbuf_cut(struct strbuf *b, size_t len)
{
    b->len = len < b->len ? len : b->len;
    b->failed = 0;
}

char *strbuf_room(struct strbuf *b, size_t more)
{
    if (b->failed || more > b->max - b->len) {
        b->failed = 1;
        return NULL;
    }
    size_t need = b->len + more;
    if (need > b->cap) {
        size_t cap = b->cap < STRBUF_FIRST ? STRBUF_FIRST : b->cap;
        while (cap < need)
            cap = cap > b->max / 2 ? b->max : cap * 2;
        if (cap < need)
            cap = need;
        char *ptr = realloc(b->ptr, cap);
        if (!ptr) {
            b->failed = 1;
            return NULL;
        }
        b->ptr = ptr;
        b->cap = cap;
    }
    return b->ptr + b->len;
}

void strbuf_add(struct strbuf *b, const void *ptr, size_t len)
{
    char *at = len ? strbuf_room(b, len) : NULL;
    if (!at)
        return;
    memcpy(at, ptr, len);
    b->len += len;
}

void strbuf_adds(struct strbuf *b, const char *text)
{
    strbuf_add(b, text, strlen(text));
}

void strbuf_addc(struct strbuf *b, char c)
{
    strbuf_add(b, &c, 1);
}

void strbuf_addf(struct strbuf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *at = len < 0 ? NULL : strbuf_room(b, (size_t)len + 1);
    if (at) {
        vsnprintf(at, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    } else {
        b->failed = 1;
    }
    va_end(again);
    va_end(args);
}

const char *strbuf_str(struct strbuf *b)
{
    int failed = b->failed;
    b->failed = 0;
    b->max++; /* the NUL is not content */
    char *at = strbuf_room(b, 1);
    b->max--;
    b->failed = failed;
    if (!at)
        return "";
    *at = '\0';
    return b->ptr;
}

/* A borrowed range of bytes. Never stored beyond the call that lent it, never NUL-terminated by promise. */
#ifndef HG_BASE_SLICE_H
#define HG_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

#define SLICE_FMT     "%.*s"
#define SLICE_ARG(s)  (int)(s).len, (s).ptr
#define SLICE_LIT(lt) ((struct slice){lt, sizeof(lt) - 1})

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, text == NULL ? 0 : strlen(text)};
}

static inline struct slice slice_make(const void *ptr, size_t len)
{
    return (struct slice){(const char *)ptr, len};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
    return slice_eq(a, slice_of(text));
}

#endif

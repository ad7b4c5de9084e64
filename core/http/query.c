/* Percent-decoding of path segments and query parameters (RFC 3986 section 2.1; '+' is a space in queries, as HTML
 * forms write it). NUL never comes out, so that no text is cut short by it. Pure functions. */
#include "http/bytes.h"
#include "http/http.h"

static long unescape(struct slice text, bool plus, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = text.len - i > 2 ? byte_hex(text.ptr[i + 1]) : -1;
            int low = text.len - i > 2 ? byte_hex(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (c == '\0' || len + 1 >= size)
            return -1;
        out[len++] = c;
    }
    if (size == 0)
        return -1;
    out[len] = '\0';
    return (long)len;
}

long http_unescape(struct slice text, char *out, size_t size)
{
    return unescape(text, false, out, size);
}

long http_query(const struct http_request *r, const char *name, char *out, size_t size)
{
    struct slice rest = r->query;
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        struct slice pair = slice_make(rest.ptr, end == NULL ? rest.len : (size_t)(end - rest.ptr));
        rest = slice_make(rest.ptr + pair.len, rest.len - pair.len);
        if (rest.len > 0)
            rest = slice_make(rest.ptr + 1, rest.len - 1);
        const char *equal = pair.len == 0 ? NULL : memchr(pair.ptr, '=', pair.len);
        size_t key = equal == NULL ? pair.len : (size_t)(equal - pair.ptr);
        if (!slice_is(slice_make(pair.ptr, key), name))
            continue;
        struct slice value = equal == NULL ? slice_make(pair.ptr + key, 0) : slice_make(equal + 1, pair.len - key - 1);
        long len = unescape(value, true, out, size);
        return len < 0 ? -2 : len;
    }
    return -1;
}

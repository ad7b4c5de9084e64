/* What a request line may name: a path on this server (origin-form), the same with its authority in front
 * (absolute-form), or "*" for OPTIONS. CONNECT's authority-form is refused: nothing is proxied here. Percent escapes
 * must be whole but are not decoded, so that no route ever compares two spellings. Pure functions. */
#include "http/target.h"

#include "http/bytes.h"

static bool escaped_are(struct slice s, enum byte_class class)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '%') {
            if (s.len - i < 3 || byte_hex(s.ptr[i + 1]) < 0 || byte_hex(s.ptr[i + 2]) < 0)
                return false;
            i += 2;
        } else if (!byte_is(s.ptr[i], class)) {
            return false;
        }
    }
    return true;
}

static const char *path_parse(struct slice text, struct target *out)
{
    const char *mark = text.len == 0 ? NULL : memchr(text.ptr, '?', text.len);
    size_t len = mark == NULL ? text.len : (size_t)(mark - text.ptr);
    out->path = slice_make(text.ptr, len);
    out->query = mark == NULL ? slice_make(text.ptr + len, 0) : slice_make(mark + 1, text.len - len - 1);
    if (!escaped_are(out->path, BYTE_PATH) || !escaped_are(out->query, BYTE_QUERY))
        return "the request target holds a byte or a percent escape that is not allowed there";
    if (out->path.len == 0)
        out->path = SLICE_LIT("/");
    return NULL;
}

static bool has_prefix(struct slice text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && slice_same(slice_make(text.ptr, len), slice_of(prefix));
}

static const char *absolute_parse(struct slice text, size_t scheme, struct target *out)
{
    size_t end = scheme;
    while (end < text.len && text.ptr[end] != '/' && text.ptr[end] != '?')
        end++;
    out->authority = slice_make(text.ptr + scheme, end - scheme);
    return path_parse(slice_make(text.ptr + end, text.len - end), out);
}

const char *target_parse(struct slice text, enum http_method method, struct target *out)
{
    *out = (struct target){0};
    if (text.len > 0 && text.ptr[0] == '/')
        return path_parse(text, out);
    if (method == HTTP_OPTIONS && slice_is(text, "*")) {
        out->path = text;
        return NULL;
    }
    if (has_prefix(text, "http://"))
        return absolute_parse(text, 7, out);
    if (has_prefix(text, "https://"))
        return absolute_parse(text, 8, out);
    return "the request target is neither a path nor an absolute URL";
}

/* IPv6 in brackets: hexadecimal digits, colons and dots; whether it is an address that exists decides nothing here. */
static size_t literal_length(struct slice host)
{
    for (size_t i = 1; i < host.len; i++) {
        if (host.ptr[i] == ']')
            return i > 2 ? i + 1 : 0;
        if (!byte_is(host.ptr[i], BYTE_HEX) && host.ptr[i] != ':' && host.ptr[i] != '.')
            return 0;
    }
    return 0;
}

static bool port_valid(struct slice port)
{
    unsigned value = 0;
    for (size_t i = 0; i < port.len; i++) {
        if (port.ptr[i] < '0' || port.ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(port.ptr[i] - '0');
        if (value > 65535)
            return false;
    }
    return true;
}

bool host_valid(struct slice host)
{
    size_t len = 0;
    if (host.len > 0 && host.ptr[0] == '[') {
        len = literal_length(host);
    } else {
        while (len < host.len && host.ptr[len] != ':')
            len++;
        if (!escaped_are(slice_make(host.ptr, len), BYTE_HOST) || memchr(host.ptr, ',', len) != NULL)
            return false;
    }
    if (len == 0)
        return false;
    if (len == host.len)
        return true;
    return host.ptr[len] == ':' && port_valid(slice_make(host.ptr + len + 1, host.len - len - 1));
}

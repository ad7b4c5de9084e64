/* Walking JSON that was scanned before: the plugin host's way to a row's fields.
 *
 * Stored rows are valid, so values are skipped by their brackets and quotes without being checked again. What a plugin
 * hands in may be anything: no step goes beyond the slice, and a walk over something else than JSON just ends. */
#include "rows/text.h"

/* The position after a string whose opening quote is at p; NULL: it has no end. */
static const uint8_t *string_skip(const uint8_t *p, const uint8_t *end)
{
    for (p = plain_skip(p + 1, end); p < end && *p != '"'; p = plain_skip(p, end)) {
        p += *p == '\\' ? 2 : 1;
        if (p > end)
            return NULL;
    }
    return p < end ? p + 1 : NULL;
}

static const uint8_t *nest_skip(const uint8_t *p, const uint8_t *end)
{
    size_t open = 0;
    while (p != NULL && p < end) {
        uint8_t c = *p;
        if (c == '"') {
            p = string_skip(p, end);
            continue;
        }
        p++;
        open += c == '{' || c == '[';
        open -= c == '}' || c == ']';
        if (open == 0)
            return p;
    }
    return NULL;
}

static const uint8_t *value_skip(const uint8_t *p, const uint8_t *end)
{
    uint8_t c = peek(p, end);
    if (c == '"')
        return string_skip(p, end);
    if (c == '{' || c == '[')
        return nest_skip(p, end);
    const uint8_t *from = p;
    while (p<end && * p> ' ' && *p != ',' && *p != '}' && *p != ']')
        p++;
    return p > from ? p : NULL;
}

/* From the opening quote of a key to its value. */
static const uint8_t *key_skip(const uint8_t *p, const uint8_t *end, struct json_field *out)
{
    if (peek(p, end) != '"')
        return NULL;
    const uint8_t *plain = plain_skip(p + 1, end);
    const uint8_t *stop = peek(plain, end) == '"' ? plain + 1 : string_skip(p, end);
    if (stop == NULL)
        return NULL;
    out->key = slice_make(p + 1, (size_t)(stop - p) - 2);
    out->key_escaped = stop != plain + 1 && memchr(p, '\\', out->key.len + 1) != NULL;
    p = space_skip(stop, end);
    return peek(p, end) == ':' ? space_skip(p + 1, end) : NULL;
}

bool json_next(struct slice container, size_t *at, struct json_field *out)
{
    if (*at >= container.len)
        return false;
    const uint8_t *from = (const uint8_t *)container.ptr, *end = from + container.len;
    const uint8_t *p = space_skip(from + *at, end);
    bool object = container.ptr[0] == '{';
    if (*at > 0 ? peek(p, end) != ',' : !object && container.ptr[0] != '[')
        return false;
    struct json_field field = {.key = {"", 0}};
    p = space_skip(p + 1, end);
    if (object)
        p = key_skip(p, end, &field);
    const uint8_t *stop = p == NULL ? NULL : value_skip(p, end);
    if (stop == NULL)
        return false;
    field.value = slice_make(p, (size_t)(stop - p));
    *out = field;
    *at = (size_t)(stop - from);
    return true;
}

bool json_get(struct slice object, struct slice key, struct slice *value)
{
    struct json_field field;
    size_t at = 0;
    if (object.len == 0 || object.ptr[0] != '{')
        return false;
    while (json_next(object, &at, &field)) {
        bool same =
            field.key_escaped ? text_is((const uint8_t *)field.key.ptr, field.key.len, key) : slice_eq(field.key, key);
        if (same) {
            *value = field.value;
            return true;
        }
    }
    return false;
}

long json_unescape(struct slice string, char *out, size_t size)
{
    struct text text;
    struct misread bad;
    const uint8_t *from = (const uint8_t *)string.ptr, *end = from + string.len;
    if (string.len < 2 || *from != '"' || text_scan(from, end, &text, &bad) != end)
        return -1;
    size_t len = text_unescape(text.ptr, text.len, out, size);
    if (len > size)
        return -1;
    if (len < size)
        out[len] = '\0';
    return (long)len;
}

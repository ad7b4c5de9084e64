/* Walking JSON that was scanned before: the plugin host's way to a row's fields.
 *
 * Stored rows are valid, so values are skipped by their brackets and quotes without being checked again. What a plugin
 * hands in may be anything: no step goes beyond the slice, and a walk over something else than JSON just ends. */
#include "rows/text.h"

/* The position after a string whose opening quote is at p; NULL: it has no end. */
static const uint8_t *string_skip_rest(const uint8_t *p, const uint8_t *end)
{
    for (; p < end && *p != '"'; p = plain_skip(p, end)) {
        if (end - p < 2)
            return NULL;
        p += *p == '\\' ? 2 : 1;
    }
    return p < end ? p + 1 : NULL;
}

static inline const uint8_t *string_skip(const uint8_t *p, const uint8_t *end)
{
    p = plain_skip(p + 1, end);
    return peek(p, end) == '"' ? p + 1 : string_skip_rest(p, end);
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
static inline const uint8_t *key_skip(const uint8_t *p, const uint8_t *end, struct json_field *out)
{
    if (peek(p, end) != '"')
        return NULL;
    const uint8_t *plain = plain_skip(p + 1, end);
    bool is_plain = peek(plain, end) == '"';
    const uint8_t *stop = is_plain ? plain + 1 : string_skip_rest(plain, end);
    if (stop == NULL)
        return NULL;
    out->key = slice_make(p + 1, (size_t)(stop - p) - 2);
    out->key_escaped = !is_plain && memchr(plain, '\\', (size_t)(stop - plain)) != NULL;
    p = space_skip(stop, end);
    return peek(p, end) == ':' ? space_skip(p + 1, end) : NULL;
}

/* The field behind the bracket or comma at p; the position after its value, NULL: there is none. */
static inline const uint8_t *field_scan(const uint8_t *p, const uint8_t *end, bool object, struct json_field *out)
{
    p = space_skip(p + 1, end);
    *out = (struct json_field){.key = {"", 0}};
    if (object)
        p = key_skip(p, end, out);
    const uint8_t *stop = p == NULL ? NULL : value_skip(p, end);
    if (stop != NULL)
        out->value = slice_make(p, (size_t)(stop - p));
    return stop;
}

bool json_next(struct slice container, size_t *at, struct json_field *out)
{
    if (*at >= container.len)
        return false;
    const uint8_t *from = (const uint8_t *)container.ptr, *end = from + container.len;
    const uint8_t *p = space_skip(from + *at, end);
    bool object = *from == '{';
    struct json_field field;
    if (*at > 0 ? peek(p, end) != ',' : !object && *from != '[')
        return false;
    p = field_scan(p, end, object, &field);
    if (p == NULL)
        return false;
    *out = field;
    *at = (size_t)(p - from);
    return true;
}

bool json_get(struct slice object, struct slice key, struct slice *value)
{
    const uint8_t *p = (const uint8_t *)object.ptr, *end = p + object.len;
    struct json_field field;
    if (object.len == 0 || *p != '{')
        return false;
    while ((p = field_scan(p, end, true, &field)) != NULL) {
        bool same =
            field.key_escaped ? text_is((const uint8_t *)field.key.ptr, field.key.len, key) : slice_eq(field.key, key);
        if (same) {
            *value = field.value;
            return true;
        }
        p = space_skip(p, end);
        if (peek(p, end) != ',')
            break;
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

/* Small header languages, compared whole and never by a part: a substring that looks like JSON in a type that is not
 * has let web forms through elsewhere. */
#include "api/media.h"

#include <strings.h>

static bool same(struct slice a, const char *text)
{
    return a.len == strlen(text) && strncasecmp(a.ptr, text, a.len) == 0;
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cut the part before `separator` off `*rest`; false when nothing is left. */
static bool part_next(struct slice *rest, char separator, struct slice *part)
{
    if (rest->ptr == NULL)
        return false;
    const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, separator, rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->ptr);
    *part = trim(slice_make(rest->ptr, len));
    *rest = end == NULL ? slice_make(NULL, 0) : slice_make(end + 1, rest->len - len - 1);
    return true;
}

/* name=value or name="value"; false when it is neither. */
static bool pair_split(struct slice pair, struct slice *name, struct slice *value)
{
    const char *equal = pair.len == 0 ? NULL : memchr(pair.ptr, '=', pair.len);
    if (equal == NULL || equal == pair.ptr)
        return false;
    *name = trim(slice_make(pair.ptr, (size_t)(equal - pair.ptr)));
    *value = trim(slice_make(equal + 1, pair.len - (size_t)(equal + 1 - pair.ptr)));
    if (value->len >= 2 && value->ptr[0] == '"' && value->ptr[value->len - 1] == '"')
        *value = slice_make(value->ptr + 1, value->len - 2);
    return true;
}

static bool json_suffix(struct slice type)
{
    static const char prefix[] = "application/", suffix[] = "+json";
    size_t fixed = sizeof prefix - 1 + sizeof suffix - 1;
    return type.len > fixed && strncasecmp(type.ptr, prefix, sizeof prefix - 1) == 0 &&
           strncasecmp(type.ptr + type.len - (sizeof suffix - 1), suffix, sizeof suffix - 1) == 0 &&
           memchr(type.ptr, ' ', type.len) == NULL;
}

enum media media_of(struct slice content_type)
{
    struct slice rest = content_type, type, parameter, name, value;
    if (!part_next(&rest, ';', &type))
        return MEDIA_OTHER;
    while (part_next(&rest, ';', &parameter)) {
        if (parameter.len == 0)
            continue;
        if (!pair_split(parameter, &name, &value))
            return MEDIA_OTHER;
        if (same(name, "charset") && !same(value, "utf-8"))
            return MEDIA_OTHER;
    }
    if (same(type, "application/json") || json_suffix(type))
        return MEDIA_JSON;
    return same(type, "application/x-ndjson") || same(type, "application/ndjson") ? MEDIA_NDJSON : MEDIA_OTHER;
}

static uint32_t seconds_of(struct slice text, uint32_t most)
{
    uint32_t seconds = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        seconds = seconds * 10 + (uint32_t)(text.ptr[i] - '0');
        if (seconds > most)
            seconds = most; /* and stays: the next digit only makes it more */
    }
    return seconds;
}

uint32_t prefer_wait(const struct http_request *r, uint32_t most)
{
    for (uint32_t i = 0; i < r->field_count; i++) {
        struct slice rest = r->fields[i].value, preference, pair, name, value;
        if (!same(r->fields[i].name, "prefer"))
            continue;
        while (part_next(&rest, ',', &preference)) {
            if (part_next(&preference, ';', &pair) && pair_split(pair, &name, &value) && same(name, "wait"))
                return seconds_of(value, most);
        }
    }
    return 0;
}

static bool hex(struct slice s, size_t at, size_t len)
{
    bool zero = true;
    for (size_t i = at; i < at + len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        zero = zero && c == '0';
    }
    return len == 2 || !zero; /* ids of nothing but zeros are not valid */
}

bool traceparent_of(const struct http_request *r, struct slice *out)
{
    struct slice s;
    if (!http_field(r, "traceparent", &s) || s.len != 55 || s.ptr[2] != '-' || s.ptr[35] != '-' || s.ptr[52] != '-')
        return false;
    if (!hex(s, 0, 2) || !hex(s, 3, 32) || !hex(s, 36, 16) || !hex(s, 53, 2) || memcmp(s.ptr, "ff", 2) == 0)
        return false;
    *out = s;
    return true;
}

bool key_valid(struct slice key)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= 0x20 || key.ptr[i] >= 0x7F)
            return false;
    return key.len >= 1 && key.len <= 255;
}

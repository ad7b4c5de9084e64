/* Finds values in JSON text without building anything. It is made for texts that a test author wrote: it takes all
 * valid JSON, and refuses what it would have to guess about, but it is no validator. Nesting is bounded. */
#include "testkit_inner.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

static void space_skip(struct hg_text t, size_t *at)
{
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): NUL is none of them */
    while (*at < t.len && memchr(" \t\r\n", t.ptr[*at], 4))
        ++*at;
}

static int string_skip(struct hg_text t, size_t *at)
{
    for (++*at; *at < t.len; ++*at) {
        if (t.ptr[*at] == '\\')
            ++*at;
        else if (t.ptr[*at] == '"') {
            ++*at;
            return 1;
        }
    }
    return 0;
}

static int word_skip(struct hg_text t, size_t *at, const char *word)
{
    size_t len = strlen(word);
    if (t.len - *at < len || memcmp(t.ptr + *at, word, len) != 0)
        return 0;
    *at += len;
    return 1;
}

static int number_skip(struct hg_text t, size_t *at)
{
    size_t from = *at;
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): NUL is none of them */
    while (*at < t.len && memchr("+-.0123456789Ee", t.ptr[*at], 15))
        ++*at;
    return *at > from;
}

/* Behind the bracket that closes the one at *at. */
static int nested_skip(struct hg_text t, size_t *at)
{
    char open[DEPTH_MAX];
    size_t depth = 0;
    while (*at < t.len) {
        char c = t.ptr[*at];
        if (c == '"') {
            if (!string_skip(t, at))
                return 0;
            continue;
        }
        ++*at;
        if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX)
                return 0;
            open[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (depth == 0 || open[--depth] != c)
                return 0;
            if (depth == 0)
                return 1;
        }
    }
    return 0;
}

static uint32_t type_of(char c)
{
    switch (c) {
    case '{': return HG_OBJECT;
    case '[': return HG_ARRAY;
    case '"': return HG_STR;
    case 't': return HG_TRUE;
    case 'f': return HG_FALSE;
    case 'n': return HG_NULL;
    }
    return HG_NUM;
}

int kit_json_value(struct hg_text text, size_t *at, struct hg_value *out)
{
    space_skip(text, at);
    if (*at >= text.len)
        return 0;
    size_t from = *at;
    uint32_t type = type_of(text.ptr[from]);
    int ok = type == HG_OBJECT || type == HG_ARRAY ? nested_skip(text, at)
             : type == HG_STR                      ? string_skip(text, at)
             : type == HG_TRUE                     ? word_skip(text, at, "true")
             : type == HG_FALSE                    ? word_skip(text, at, "false")
             : type == HG_NULL                     ? word_skip(text, at, "null")
                                                   : number_skip(text, at);
    if (ok)
        *out = (struct hg_value){.type = type, .json = {text.ptr + from, *at - from}};
    return ok;
}

int kit_json_only(struct hg_text text, struct hg_value *out)
{
    size_t at = 0;
    if (!kit_json_value(text, &at, out))
        return 0;
    space_skip(text, &at);
    return at == text.len;
}

/* No deeper than nested_skip() has gone. */
int kit_json_sound(struct hg_value value)
{
    struct hg_text key;
    struct hg_value inner;
    size_t at = 0;
    if (value.type != HG_OBJECT && value.type != HG_ARRAY)
        return 1;
    while (kit_json_next(value.json, &at, &key, &inner))
        if (!kit_json_sound(inner))
            return 0;
    return at + 1 == value.json.len;
}

int kit_json_next(struct hg_text container, size_t *at, struct hg_text *key, struct hg_value *out)
{
    struct hg_value name = {.type = 0};
    int is_object = container.len > 0 && container.ptr[0] == '{';
    if (*at == 0)
        *at = 1;
    space_skip(container, at);
    if (*at < container.len && container.ptr[*at] == ',')
        ++*at;
    if (is_object) {
        if (!kit_json_value(container, at, &name) || name.type != HG_STR)
            return 0;
        space_skip(container, at);
        if (*at >= container.len || container.ptr[(*at)++] != ':')
            return 0;
        name.json.ptr++;
        name.json.len -= 2;
    }
    if (!kit_json_value(container, at, out))
        return 0;
    *key = name.json;
    return 1;
}

int kit_json_field(struct hg_text object, const char *key, struct hg_value *out)
{
    size_t at = 0, len = strlen(key);
    struct hg_text name;
    struct hg_value value;
    while (kit_json_next(object, &at, &name, &value)) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a name that was read lies somewhere */
        if (name.len != len || memcmp(name.ptr, key, len) != 0)
            continue;
        *out = value;
        return 1;
    }
    return 0;
}

static int hex_read(struct hg_text t, size_t at, unsigned *out)
{
    static const char digits[] = "0123456789abcdef";
    unsigned value = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = '\0';
        if (i < t.len)
            c = t.ptr[i] >= 'A' && t.ptr[i] <= 'F' ? (char)(t.ptr[i] + 32) : t.ptr[i];
        const char *digit = c ? strchr(digits, c) : NULL;
        if (!digit)
            return 0;
        value = value << 4 | (unsigned)(digit - digits);
    }
    *out = value;
    return 1;
}

static size_t utf8_put(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00u >> len & 0xf0) | code);
    return len;
}

/* The escape at *at (behind the backslash) as UTF-8; its bytes, 0 when it is none. */
static size_t escape_read(struct hg_text t, size_t *at, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = t.ptr[(*at)++];
    const char *place = c ? strchr(from, c) : NULL;
    if (place) {
        out[0] = to[place - from];
        return 1;
    }
    unsigned code, low;
    if (c != 'u' || !hex_read(t, *at, &code))
        return 0;
    *at += 4;
    if (code >= 0xd800 && code < 0xdc00) {
        if (t.len - *at < 6 || t.ptr[*at] != '\\' || t.ptr[*at + 1] != 'u' || !hex_read(t, *at + 2, &low) ||
            low < 0xdc00 || low > 0xdfff)
            return 0;
        *at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return utf8_put(code, out);
}

long kit_json_text(struct hg_text json, char *out, size_t size)
{
    size_t used = 0;
    if (json.len < 2 || json.ptr[0] != '"')
        return -1;
    json.len--;
    for (size_t at = 1; at < json.len;) {
        char bytes[4] = {json.ptr[at], 0, 0, 0};
        size_t len = 1;
        at++;
        if (bytes[0] == '\\')
            len = at < json.len ? escape_read(json, &at, bytes) : 0;
        if (len == 0 || size - used <= len)
            return -1;
        memcpy(out + used, bytes, len);
        used += len;
    }
    if (used >= size)
        return -1;
    out[used] = '\0';
    return (long)used;
}

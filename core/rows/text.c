/* JSON text: the slow ways, taken when a string is more than plain ASCII, and unescaping.
 *
 * Noncharacters (U+FFFE …) are let through: RFC 7493 forbids them, but they are legal JSON and legal UTF-8, and rows
 * are stored and handed on as sent. Lone surrogates cannot be handed on as UTF-8 by any reader, so they are refused. */
#include "rows/text.h"

enum { HIGH_FIRST = 0xD800, LOW_FIRST = 0xDC00, SURROGATE_END = 0xE000 };

const uint8_t *space_rest(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

size_t utf8_scan(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    if (left < 2 || (p[1] & 0xC0) != 0x80)
        return 0;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        return 2;
    if (left < 3 || (p[2] & 0xC0) != 0x80)
        return 0;
    if ((p[0] & 0xF0) == 0xE0)
        return (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ? 0 : 3;
    if (left < 4 || (p[3] & 0xC0) != 0x80 || p[0] < 0xF0 || p[0] > 0xF4)
        return 0;
    return (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F) ? 0 : 4;
}

/* Four hex digits; -1 when they are not there. */
static int32_t hex4(const uint8_t *p, const uint8_t *end)
{
    int32_t value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = p[i] >= '0' && p[i] <= '9'   ? p[i] - '0'
                    : p[i] >= 'a' && p[i] <= 'f' ? p[i] - 'a' + 10
                    : p[i] >= 'A' && p[i] <= 'F' ? p[i] - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static bool low_surrogate_at(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return false;
    int32_t unit = hex4(p + 2, end);
    return unit >= LOW_FIRST && unit < SURROGATE_END;
}

static const uint8_t *misread_at(struct misread *bad, enum fault_id id, const uint8_t *at, const uint8_t *end)
{
    *bad = (struct misread){.id = at >= end ? FAULT_END : id, .at = at >= end ? end : at};
    return NULL;
}

/* From the backslash of \uXXXX (or of a pair of them) to what follows. */
static const uint8_t *unicode_escape(const uint8_t *p, const uint8_t *end, bool *nul, struct misread *bad)
{
    int32_t unit = hex4(p + 2, end);
    if (unit < 0)
        return misread_at(bad, FAULT_ESCAPE, p, end);
    if (unit == 0)
        *nul = true;
    if (unit < HIGH_FIRST || unit >= SURROGATE_END)
        return p + 6;
    if (unit >= LOW_FIRST || !low_surrogate_at(p + 6, end))
        return misread_at(bad, FAULT_SURROGATE, p, end);
    return p + 12;
}

static const uint8_t *escape_scan(const uint8_t *p, const uint8_t *end, bool *nul, struct misread *bad)
{
    if (end - p < 2)
        return misread_at(bad, FAULT_END, end, end);
    if (p[1] == 'u')
        return unicode_escape(p, end, nul, bad);
    if (p[1] == 0 || strchr("\"\\/bfnrt", p[1]) == NULL)
        return misread_at(bad, FAULT_ESCAPE, p, end);
    return p + 2;
}

const uint8_t *text_rest(const uint8_t *p, const uint8_t *end, struct text *out, struct misread *bad)
{
    while (p < end && *p != '"') {
        if (*p == '\\') {
            out->escaped = true;
            p = escape_scan(p, end, &out->nul, bad);
            if (p == NULL)
                return NULL;
        } else if (*p >= 0x80) {
            size_t len = utf8_scan(p, end);
            if (len == 0)
                return misread_at(bad, FAULT_UTF8, p, end);
            p += len;
            continue; /* text of other scripts comes in runs */
        } else if (*p < ' ') {
            return misread_at(bad, FAULT_CONTROL, p, end);
        }
        p = plain_skip(p, end);
    }
    if (p == end)
        return misread_at(bad, FAULT_END, end, end);
    out->len = (size_t)(p - out->ptr);
    return p + 1;
}

const uint8_t *literal_rest(const uint8_t *p, const uint8_t *end)
{
    static const char *const literals[] = {"true", "false", "null"};
    for (size_t i = 0; i < COUNT_OF(literals); i++) {
        size_t len = strlen(literals[i]);
        if ((size_t)(end - p) >= len && memcmp(p, literals[i], len) == 0)
            return p + len;
    }
    return NULL;
}

static size_t utf8_put(int32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* One character of a valid string, which begins with a backslash: its bytes into `out`, its written length. A string
 * that is not valid gives anything, but is not left. */
static size_t escape_resolve(const uint8_t *p, const uint8_t *end, char out[4], size_t *len)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    size_t left = (size_t)(end - p);
    if (left < 6 || p[1] != 'u') {
        const char *found = left < 2 || p[1] == 0 ? NULL : strchr(from, p[1]);
        out[0] = found != NULL ? to[found - from] : (char)p[left > 1];
        *len = 1;
        return left < 2 ? 1 : 2;
    }
    int32_t unit = hex4(p + 2, end);
    bool pair = unit >= HIGH_FIRST && unit < LOW_FIRST && left >= 12;
    if (pair)
        unit = 0x10000 + ((unit - HIGH_FIRST) << 10) + (hex4(p + 8, end) - LOW_FIRST);
    *len = utf8_put(unit, out);
    return pair ? 12 : 6;
}

size_t text_unescape(const uint8_t *ptr, size_t len, char *out, size_t size)
{
    const uint8_t *end = ptr + len;
    size_t done = 0;
    while (ptr < end) {
        const uint8_t *slash = memchr(ptr, '\\', (size_t)(end - ptr));
        size_t run = (size_t)((slash == NULL ? end : slash) - ptr);
        if (run > size - done)
            return SIZE_MAX;
        if (run > 0)
            memcpy(out + done, ptr, run);
        done += run;
        ptr += run;
        if (slash == NULL)
            break;
        char bytes[4];
        size_t count;
        ptr += escape_resolve(ptr, end, bytes, &count);
        if (count > size - done)
            return SIZE_MAX;
        memcpy(out + done, bytes, count);
        done += count;
    }
    return done;
}

bool text_is(const uint8_t *ptr, size_t len, struct slice plain)
{
    const uint8_t *end = ptr + len;
    size_t at = 0;
    while (ptr < end) {
        char bytes[4] = {(char)*ptr};
        size_t count = 1;
        ptr += *ptr == '\\' ? escape_resolve(ptr, end, bytes, &count) : 1;
        if (count > plain.len - at || memcmp(plain.ptr + at, bytes, count) != 0)
            return false;
        at += count;
    }
    return at == plain.len;
}

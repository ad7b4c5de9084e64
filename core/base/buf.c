/* Growing buffers: doubling up to the maximum given at birth. No I/O, no state of its own. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST = 256 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    free(b->ptr);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

int buf_reserve(struct buf *b, size_t more)
{
    CHECK(b->len <= b->max);
    if (more > b->max - b->len)
        return ERR_LIMIT;
    size_t need = b->len + more + 1; /* one more for the NUL of buf_str */
    if (need <= b->cap)
        return ERR_OK;
    size_t cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap * 2;
    if (cap < need)
        cap = need;
    if (cap > b->max + 1)
        cap = b->max + 1;
    char *ptr = realloc(b->ptr, cap);
    if (ptr == NULL)
        return ERR_NOMEM;
    b->ptr = ptr;
    b->cap = cap;
    return ERR_OK;
}

int buf_add(struct buf *b, const void *ptr, size_t len)
{
    int code = b->cap - b->len > len ? ERR_OK : buf_reserve(b, len); /* mostly there is room: no call */
    if (code != ERR_OK)
        return code;
    if (len > 0)
        memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
    return ERR_OK;
}

int buf_adds(struct buf *b, const char *text)
{
    return buf_add(b, text, strlen(text));
}

int buf_addc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_addn(struct buf *b, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return buf_add(b, digits + at, sizeof digits - at);
}

/* Into the room that is there, as a rule; once more where that is too small. */
int buf_vaddf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    size_t room = b->cap - b->len;
    va_copy(again, args);
    int len = vsnprintf(room > 0 ? b->ptr + b->len : NULL, room, format, again);
    va_end(again);
    if (len < 0)
        return ERR_INTERNAL;
    int code = buf_reserve(b, (size_t)len);
    if (code != ERR_OK)
        return code;
    if ((size_t)len >= room)
        vsnprintf(b->ptr + b->len, (size_t)len + 1, format, args);
    b->len += (size_t)len;
    return ERR_OK;
}

int buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int code = buf_vaddf(b, format, args);
    va_end(args);
    return code;
}

/* Length of the valid UTF-8 sequence at p (RFC 3629 section 4), 0 when there is none. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
        (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return len;
}

static int add_json_char(struct buf *b, const unsigned char *p, size_t len)
{
    if (len == 0)
        return buf_add(b, "\xEF\xBF\xBD", 3);
    if (len > 1 || (p[0] >= 0x20 && p[0] != '"' && p[0] != '\\' && p[0] != 0x7F))
        return buf_add(b, p, len);
    switch (p[0]) {
    case '"': return buf_add(b, "\\\"", 2);
    case '\\': return buf_add(b, "\\\\", 2);
    case '\n': return buf_add(b, "\\n", 2);
    case '\r': return buf_add(b, "\\r", 2);
    case '\t': return buf_add(b, "\\t", 2);
    default: return buf_addf(b, "\\u%04x", p[0]);
    }
}

/* Bytes at the beginning that need no look: printable ASCII but quotes and backslashes. */
static size_t plain_run(const unsigned char *p, size_t len)
{
    size_t n = 0;
    while (n < len && p[n] >= 0x20 && p[n] < 0x7F && p[n] != '"' && p[n] != '\\')
        n++;
    return n;
}

int buf_add_json(struct buf *b, struct slice text)
{
    size_t before = b->len;
    int code = buf_addc(b, '"');
    for (size_t i = 0; code == ERR_OK && i < text.len;) {
        const unsigned char *p = (const unsigned char *)text.ptr + i;
        size_t run = plain_run(p, text.len - i);
        size_t len = run > 0 ? run : utf8_length(p, text.len - i);
        code = run > 0 ? buf_add(b, p, run) : add_json_char(b, p, len);
        i += len == 0 ? 1 : len;
    }
    if (code == ERR_OK)
        code = buf_addc(b, '"');
    if (code != ERR_OK)
        b->len = before;
    return code;
}

const char *buf_str(struct buf *b)
{
    if (b->ptr == NULL && buf_reserve(b, 0) != ERR_OK)
        return "";
    CHECK(b->ptr != NULL);
    b->ptr[b->len] = '\0';
    return b->ptr;
}

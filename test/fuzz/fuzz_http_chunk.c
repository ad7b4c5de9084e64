/* The chunked decoder: the same body comes out in whatever pieces the input arrives; it is accepted where a second
 * reading of the rules, written here, accepts it, and ends at the same byte with the same length; and chunked again it
 * is accepted with the same bytes. The first byte says where the input is cut. */
#include "http/chunk.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EXTRA_MAX = 256 };

struct decoded {
    enum chunk_result last;
    char *body;
    size_t len, left;
    int status;
};

static void need(bool condition)
{
    if (!condition)
        abort();
}

static struct decoded decode(const char *bytes, size_t len, size_t step)
{
    struct decoded d = {.last = CHUNK_MORE, .body = malloc(len + 1)};
    struct chunk c;
    chunk_begin(&c, EXTRA_MAX);
    need(d.body != NULL);
    for (size_t at = 0; at < len && (d.last == CHUNK_MORE || d.last == CHUNK_DATA); at += step) {
        struct slice in = slice_make(bytes + at, len - at < step ? len - at : step), data;
        while ((d.last = chunk_next(&c, &in, &data)) == CHUNK_DATA) {
            need(data.len > 0 && d.len + data.len <= len);
            memcpy(d.body + d.len, data.ptr, data.len);
            d.len += data.len;
        }
        need(d.last != CHUNK_MORE || in.len == 0);
        if (d.last == CHUNK_DONE)
            d.left = in.len + (len - at < step ? 0 : len - at - step);
    }
    d.status = c.status;
    return d;
}

/* --- the second reading: RFC 9112 section 7.1, on a body that lies there whole --- */

static bool is_token(char c)
{
    return c != '\0' &&
           strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c) != NULL;
}

/* From `*at` to the next CR LF, which is passed; false where something stands there that no line holds. */
static bool line_read(struct slice text, size_t *at, struct slice *line)
{
    size_t end = *at;
    while (end < text.len && (text.ptr[end] == '\t' || (unsigned char)text.ptr[end] >= ' ') && text.ptr[end] != 0x7F)
        end++;
    if (text.len - end < 2 || memcmp(text.ptr + end, "\r\n", 2) != 0)
        return false;
    *line = slice_make(text.ptr + *at, end - *at);
    *at = end + 2;
    return true;
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    long n = at == NULL ? -1 : at - digits;
    return (int)(n >= 16 ? n - 6 : n);
}

static bool size_read(struct slice line, uint64_t *size)
{
    size_t i = 0;
    for (*size = 0; i < line.len && hex_value(line.ptr[i]) >= 0; i++)
        *size = *size * 16 + (uint64_t)hex_value(line.ptr[i]);
    return i > 0 && i <= 16 && (i == line.len || line.ptr[i] == ';');
}

/* Is it a whole body? How many bytes it has, and how many stand behind it. */
static bool plain_read(struct slice text, size_t *len, size_t *left)
{
    struct slice line;
    uint64_t size = 1;
    size_t at = 0;
    for (*len = 0; size > 0; *len += (size_t)size, at += size > 0 ? (size_t)size + 2 : 0) {
        if (!line_read(text, &at, &line) || !size_read(line, &size) || size > text.len - at)
            return false;
        if (size > 0 && (text.len - at - size < 2 || memcmp(text.ptr + at + size, "\r\n", 2) != 0))
            return false;
    }
    while (line_read(text, &at, &line)) {
        *left = text.len - at;
        if (line.len == 0)
            return true;
        size_t name = 0;
        while (name < line.len && is_token(line.ptr[name]))
            name++;
        if (name == 0 || name == line.len || line.ptr[name] != ':')
            return false;
    }
    return false;
}

/* --- what must hold --- */

static void again(const struct decoded *d)
{
    size_t room = d->len + 64, len = 0;
    char *text = malloc(room);
    need(text != NULL);
    if (d->len > 0) {
        len = (size_t)snprintf(text, room, "%zX\r\n", d->len);
        memcpy(text + len, d->body, d->len);
        len += d->len;
        memcpy(text + len, "\r\n", 2);
        len += 2;
    }
    memcpy(text + len, "0\r\n\r\n", 5);
    struct decoded second = decode(text, len + 5, 7);
    need(second.last == CHUNK_DONE && second.left == 0 && second.len == d->len);
    need(d->len == 0 || memcmp(second.body, d->body, d->len) == 0);
    free(second.body);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const char *bytes = (const char *)data + 1;
    struct decoded whole = decode(bytes, size - 1, SIZE_MAX / 2);
    struct decoded cut = decode(bytes, size - 1, (size_t)data[0] + 1);
    need(whole.last == cut.last && whole.len == cut.len && whole.status == cut.status && whole.left == cut.left);
    need(whole.len == 0 || memcmp(whole.body, cut.body, whole.len) == 0);
    need(whole.last != CHUNK_BAD || whole.status == 400 || whole.status == 431);
    size_t plain_len, plain_left;
    bool plain = plain_read(slice_make(bytes, size - 1), &plain_len, &plain_left);
    if (whole.last == CHUNK_DONE)
        need(plain && whole.len == plain_len && whole.left == plain_left);
    else
        need(!plain || whole.status == 431);
    if (whole.last == CHUNK_DONE)
        again(&whole);
    free(whole.body);
    free(cut.body);
    return 0;
}

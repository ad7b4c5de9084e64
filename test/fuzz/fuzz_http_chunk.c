/* The chunked decoder: the same body comes out in whatever pieces the input arrives, never more than went in, and a
 * body that was accepted, chunked again, is accepted with the same bytes. The first byte says where the input is cut.
 */
#include "http/chunk.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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
    if (whole.last == CHUNK_DONE)
        again(&whole);
    free(whole.body);
    free(cut.body);
    return 0;
}

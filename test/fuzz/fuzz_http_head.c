/* The request parser: whatever comes, in whatever pieces, the result is the same, nothing outside the head is read, and
 * what is accepted holds no byte that another reader could take for a line's end. The first byte says where it is cut;
 * the rest is the head, in memory of exactly its size. Query strings are decoded on the way. */
#include "http/head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX = 2048 };

static void need(bool condition)
{
    if (!condition)
        abort();
}

static void inside(const struct head *h, const char *bytes, struct slice s)
{
    need(s.len == 0 || slice_is(s, "/") || (s.ptr >= bytes && s.ptr + s.len <= bytes + h->length));
    need(s.len == 0 || (memchr(s.ptr, '\r', s.len) == NULL && memchr(s.ptr, '\n', s.len) == NULL &&
                        memchr(s.ptr, '\0', s.len) == NULL));
}

static void decode(struct slice query)
{
    static const char *const names[] = {"", "a", "uuid", "since"};
    const struct http_request r = {.query = query};
    char out[16];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        long len = http_query(&r, names[i], out, sizeof out);
        need(len < (long)sizeof out && (len < 0 || (size_t)len == strlen(out)));
    }
    need(http_unescape(query, out, sizeof out) < (long)sizeof out);
}

static void judge(const struct head *h, const char *bytes, size_t len)
{
    need(h->length <= len && h->length <= HEAD_MAX && h->length >= 16);
    need(memcmp(bytes + h->length - 4, "\r\n\r\n", 4) == 0);
    need(h->target.path.len > 0);
    inside(h, bytes, h->method_text);
    inside(h, bytes, h->target.path);
    inside(h, bytes, h->target.query);
    decode(h->target.query);
    need(!(h->chunked && h->has_length));
    need(h->field_count <= HEAD_FIELDS_MAX);
    for (uint32_t i = 0; i < h->field_count; i++) {
        inside(h, bytes, h->fields[i].name);
        inside(h, bytes, h->fields[i].value);
        need(h->fields[i].name.len > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head whole, cut;
    if (size < 1)
        return 0;
    size_t len = size - 1, step = (size_t)data[0] + 1;
    char *bytes = malloc(len);
    need(bytes != NULL);
    memcpy(bytes, data + 1, len);
    head_begin(&whole, HEAD_MAX);
    head_begin(&cut, HEAD_MAX);
    enum head_state first = head_parse(&whole, bytes, len), second = HEAD_MORE;
    for (size_t at = 0; second == HEAD_MORE && at < len; at += step)
        second = head_parse(&cut, bytes, len - at < step ? len : at + step);
    need(first == second);
    if (first == HEAD_BAD)
        need(whole.bad.status == cut.bad.status && whole.bad.status >= 400 && whole.bad.detail != NULL);
    if (first == HEAD_MORE)
        need(len <= HEAD_MAX + 1);
    if (first == HEAD_DONE) {
        need(whole.length == cut.length && whole.field_count == cut.field_count);
        judge(&whole, bytes, len);
    }
    free(bytes);
    return 0;
}

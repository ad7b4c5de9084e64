/* Packed bodies: what is taken in pieces of any size is taken in one piece too, with the same bytes; never more comes
 * out than may; and the budget is paid back. The first byte says what the rest is: a gzip body, a zstd body, or bare
 * deflate data, which get a head and a true trailer here, since no fuzzer finds a checksum. The second says where it is
 * cut. */
#include "http/body.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 64 * 1024, INPUT_MAX = 1 << 20, HEAD = 10, TRAILER = 8 };

struct taken {
    enum body_result result;
    char *bytes;
    size_t len;
};

static void need(bool condition)
{
    if (!condition)
        abort();
}

static struct taken take(enum coding_kind kind, const char *bytes, size_t len, size_t step)
{
    struct budget budget = {.max = 1 << 26};
    struct body_pool pool;
    struct body body;
    const struct head head = {.coding = kind, .has_length = true, .body_length = len};
    body_pool_init(&pool, &budget);
    struct taken t = {.result = body_begin(&body, &pool, &head, MAX, 0)};
    for (size_t at = 0; at < len && t.result == BODY_MORE; at += step) {
        struct slice in = slice_make(bytes + at, len - at < step ? len - at : step);
        t.result = body_feed(&body, &pool, &in);
        need(t.result != BODY_MORE || in.len == 0);
    }
    need(t.result == BODY_WHOLE || t.result == BODY_BAD);
    need(t.result != BODY_WHOLE || body.len <= MAX);
    t.len = t.result == BODY_WHOLE ? body.len : 0;
    need((t.bytes = malloc(t.len + 1)) != NULL);
    if (t.len > 0)
        memcpy(t.bytes, body.own, t.len);
    body_fini(&body, &pool);
    body_pool_fini(&pool);
    need(budget.used == 0);
    return t;
}

static void compare(enum coding_kind kind, const char *bytes, size_t len, size_t step)
{
    struct taken whole = take(kind, bytes, len, len), cut = take(kind, bytes, len, step);
    need(cut.result != BODY_WHOLE || whole.result == BODY_WHOLE);
    need(cut.result != BODY_WHOLE || (cut.len == whole.len && memcmp(cut.bytes, whole.bytes, cut.len) == 0));
    free(whole.bytes);
    free(cut.bytes);
}

static void little_endian(uint8_t *at, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(n >> 8 * i);
}

/* Bare data between a head and a trailer of its own. */
static void wrap(const uint8_t *data, size_t size, size_t step)
{
    static uint8_t out[MAX], body[INPUT_MAX + HEAD + TRAILER] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size, .next_out = out, .avail_out = MAX};
    need(inflateInit2(&z, -15) == Z_OK);
    bool ended = inflate(&z, Z_FINISH) == Z_STREAM_END;
    size_t used = size - z.avail_in, made = MAX - z.avail_out;
    inflateEnd(&z);
    if (!ended)
        return;
    memcpy(body + HEAD, data, used);
    little_endian(body + HEAD + used, (uint32_t)crc32(0, out, (uInt)made));
    little_endian(body + HEAD + used + 4, (uint32_t)made);
    struct taken t = take(CODING_GZIP, (const char *)body, HEAD + used + TRAILER, SIZE_MAX / 2);
    need(t.result == BODY_WHOLE && t.len == made && memcmp(t.bytes, out, made) == 0);
    free(t.bytes);
    compare(CODING_GZIP, (const char *)body, HEAD + used + TRAILER, step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > INPUT_MAX)
        return 0;
    size_t step = (size_t)data[1] + 1;
    const uint8_t *rest = data + 2;
    if (data[0] % 3 == 0)
        wrap(rest, size - 2, step);
    else if (size - 2 <= MAX)
        compare(data[0] % 3 == 1 ? CODING_GZIP : CODING_ZSTD, (const char *)rest, size - 2, step);
    return 0;
}

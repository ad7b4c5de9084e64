/* gzip and zstd as streams: input in pieces of any size, output into room that the caller grants, so that the size
 * limit and the memory budget hold before a byte is written and not after. gzip members may follow one another (RFC
 * 1952 section 2.2), so may zstd frames; anything else behind the end, or an end that does not come, is an error. The
 * window of zstd is bounded: a frame cannot make the decoder take more memory than that.
 *
 * A gzip body that lies in one piece says at its end how much comes out. Where that is so, libdeflate unpacks it in one
 * go, nearly three times as fast as zlib does bit by bit. What it does not take (several members, a size that is not
 * true, damage) goes through zlib as if it had not been tried, so that zlib alone decides what is refused. */
#include "http/coding.h"

#include "http/bytes.h"

#include <libdeflate.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    GZIP_BITS = 15 + 16,                         /* largest window, gzip wrapper only */
    GZIP_MEMORY = 32768 + 10 * 1024 + 12 * 1024, /* window and state of inflate, as its manual says; libdeflate's */
    GZIP_LEAST = 18,                             /* bytes of head and trailer, RFC 1952 section 2.3 */
    GZIP_FLAGS = 3,                              /* where they are */
    GZIP_HEAD_SUM = 2,                           /* a flag: the head has a checksum, which only zlib looks at */
    GZIP_RATIO = 1032,                           /* deflate cannot pack tighter */
};

struct coding {
    enum coding_kind kind;
    bool begun; /* at least one byte came */
    bool whole; /* the last member or frame is complete and nothing has come since */
    z_stream gzip;
    struct libdeflate_decompressor *quick; /* gzip in one piece */
    ZSTD_DStream *zstd;
};

enum coding_kind coding_kind_of(struct slice value)
{
    if (slice_same(value, SLICE_LIT("identity")))
        return CODING_NONE;
    if (slice_same(value, SLICE_LIT("gzip")) || slice_same(value, SLICE_LIT("x-gzip")))
        return CODING_GZIP;
    return slice_same(value, SLICE_LIT("zstd")) ? CODING_ZSTD : CODING_UNKNOWN;
}

static int zstd_open(struct coding *c)
{
    c->zstd = ZSTD_createDStream();
    if (c->zstd == NULL)
        return ERR_NOMEM;
    return ZSTD_isError(ZSTD_DCtx_setParameter(c->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)) ? ERR_INTERNAL : ERR_OK;
}

static int gzip_open(struct coding *c)
{
    c->quick = libdeflate_alloc_decompressor();
    return c->quick != NULL && inflateInit2(&c->gzip, GZIP_BITS) == Z_OK ? ERR_OK : ERR_NOMEM;
}

int coding_new(struct coding **out, enum coding_kind kind)
{
    CHECK(kind == CODING_GZIP || kind == CODING_ZSTD);
    struct coding *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->kind = kind;
    int code = kind == CODING_ZSTD ? zstd_open(c) : gzip_open(c);
    if (code != ERR_OK)
        coding_free(&c);
    else
        *out = c;
    return code;
}

void coding_free(struct coding **c)
{
    if (*c == NULL)
        return;
    if ((*c)->kind == CODING_ZSTD)
        ZSTD_freeDStream((*c)->zstd);
    else
        inflateEnd(&(*c)->gzip);
    libdeflate_free_decompressor((*c)->quick);
    free(*c);
    *c = NULL;
}

enum coding_kind coding_kind(const struct coding *c)
{
    return c->kind;
}

void coding_reset(struct coding *c)
{
    c->begun = c->whole = false;
    if (c->kind == CODING_ZSTD)
        ZSTD_DCtx_reset(c->zstd, ZSTD_reset_session_only);
    else
        CHECK(inflateReset(&c->gzip) == Z_OK);
}

size_t coding_memory(const struct coding *c)
{
    return c->kind == CODING_ZSTD ? ZSTD_sizeof_DStream(c->zstd) : GZIP_MEMORY;
}

static uint32_t little_endian(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

size_t coding_whole_size(const struct coding *c, struct slice body)
{
    const unsigned char *bytes = (const unsigned char *)body.ptr;
    if (c->kind != CODING_GZIP || body.len < GZIP_LEAST || (bytes[GZIP_FLAGS] & GZIP_HEAD_SUM) != 0)
        return 0;
    size_t size = little_endian(bytes + body.len - 4);
    return size / GZIP_RATIO <= body.len ? size : 0;
}

bool coding_whole(struct coding *c, struct slice body, char *out, size_t size)
{
    size_t read, made;
    if (libdeflate_gzip_decompress_ex(c->quick, body.ptr, body.len, out, size, &read, &made) != LIBDEFLATE_SUCCESS)
        return false;
    c->begun = c->whole = read == body.len && made == size;
    return c->whole;
}

static uInt clip(size_t n)
{
    return n > UINT_MAX / 2 ? UINT_MAX / 2 : (uInt)n;
}

static int gzip_feed(struct coding *c, struct slice *in, char *out, size_t room, size_t *used)
{
    while (in->len > 0 || !c->whole) {
        if (c->whole) {
            c->whole = false;
            CHECK(inflateReset(&c->gzip) == Z_OK);
        }
        z_stream *z = &c->gzip;
        uInt input = clip(in->len), output = clip(room - *used);
        z->next_in = (Bytef *)(uintptr_t)in->ptr;
        z->avail_in = input;
        z->next_out = (Bytef *)out + *used;
        z->avail_out = output;
        int result = inflate(z, Z_NO_FLUSH);
        *in = slice_make(in->ptr + (input - z->avail_in), in->len - (input - z->avail_in));
        *used += output - z->avail_out;
        if (result == Z_STREAM_END)
            c->whole = true;
        else if (result == Z_MEM_ERROR)
            return ERR_NOMEM;
        else if (result == Z_BUF_ERROR) /* no progress: more input or more room is needed */
            return *used == room ? ERR_FULL : ERR_OK;
        else if (result != Z_OK)
            return ERR_SYNTAX;
    }
    return ERR_OK;
}

static int zstd_feed(struct coding *c, struct slice *in, char *out, size_t room, size_t *used)
{
    for (;;) {
        ZSTD_inBuffer from = {in->ptr, in->len, 0};
        ZSTD_outBuffer to = {out, room, *used};
        size_t hint = ZSTD_decompressStream(c->zstd, &to, &from);
        if (ZSTD_isError(hint))
            return ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation ? ERR_NOMEM : ERR_SYNTAX;
        bool stuck = from.pos == 0 && to.pos == *used;
        *in = slice_make(in->ptr + from.pos, in->len - from.pos);
        *used = to.pos;
        c->whole = hint == 0;
        if (to.pos == room && !c->whole)
            return ERR_FULL;
        if (in->len == 0)
            return ERR_OK;
        if (stuck)
            return room == to.pos ? ERR_FULL : ERR_SYNTAX;
    }
}

int coding_feed(struct coding *c, struct slice *in, char *out, size_t room, size_t *used)
{
    *used = 0;
    if (in->len == 0 && (!c->begun || c->whole))
        return ERR_OK;
    c->begun = true;
    return c->kind == CODING_ZSTD ? zstd_feed(c, in, out, room, used) : gzip_feed(c, in, out, room, used);
}

int coding_end(const struct coding *c)
{
    return c->whole ? ERR_OK : ERR_SYNTAX;
}

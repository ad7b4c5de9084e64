/* A strict decoder of chunked bodies: sizes are plain hexadecimal digits, every line ends with CRLF, extensions are
 * skipped and trailer fields must be well formed before they are dropped. Extensions and trailers together are bounded,
 * so that a body cannot cost a hundred times its size. A state machine over single bytes; a chunk's data is handed out
 * in one piece for each input. */
#include "http/chunk.h"

#include "http/bytes.h"

enum state {
    SIZE,         /* digits of a chunk's size */
    EXTENSION,    /* from ';' to CR */
    SIZE_LF,      /* LF of the size line */
    DATA,         /* the chunk's bytes */
    DATA_CR,      /* CR behind them */
    DATA_LF,      /* LF behind them */
    TRAILER,      /* begin of a trailer line, or of the empty one that ends the body */
    TRAILER_NAME, /* its name */
    TRAILER_TEXT, /* its value */
    TRAILER_LF,   /* LF of a trailer line */
    LAST_LF,      /* LF of the empty line */
    FINISHED,
    BROKEN,
};

enum { DIGITS_MAX = 16 };

void chunk_begin(struct chunk *c, uint32_t extra_max)
{
    *c = (struct chunk){.state = SIZE, .extra_max = extra_max};
}

static enum chunk_result broken(struct chunk *c, int status, const char *detail)
{
    c->state = BROKEN;
    c->status = status;
    c->detail = detail;
    return CHUNK_BAD;
}

static enum chunk_result malformed(struct chunk *c)
{
    return broken(c, 400, "the chunked body is malformed");
}

/* A byte that carries nothing of the body: counted. */
static enum chunk_result extra(struct chunk *c, enum state next)
{
    if (++c->extra > c->extra_max)
        return broken(c, 431, "chunk extensions and trailers are longer than http.max_header");
    c->state = (uint8_t)next;
    return CHUNK_MORE;
}

static enum chunk_result go(struct chunk *c, enum state next)
{
    c->state = (uint8_t)next;
    return CHUNK_MORE;
}

static enum chunk_result size_byte(struct chunk *c, char b)
{
    int digit = byte_hex(b);
    if (digit >= 0) {
        if (c->digits == DIGITS_MAX)
            return malformed(c);
        c->digits++;
        c->left = c->left << 4 | (uint64_t)digit;
        return CHUNK_MORE;
    }
    if (c->digits == 0)
        return malformed(c);
    if (b == ';')
        return extra(c, EXTENSION);
    return b == '\r' ? go(c, SIZE_LF) : malformed(c);
}

static enum chunk_result line_byte(struct chunk *c, char b, enum state same, enum state end)
{
    if (b == '\r')
        return go(c, end);
    return byte_is(b, BYTE_TEXT) ? extra(c, same) : malformed(c);
}

static enum chunk_result name_byte(struct chunk *c, char b, bool first)
{
    if (byte_is(b, BYTE_TOKEN))
        return extra(c, TRAILER_NAME);
    if (first && b == '\r')
        return go(c, LAST_LF);
    return !first && b == ':' ? extra(c, TRAILER_TEXT) : malformed(c);
}

static enum chunk_result size_done(struct chunk *c)
{
    c->digits = 0;
    return go(c, c->left == 0 ? TRAILER : DATA);
}

static enum chunk_result step(struct chunk *c, char b)
{
    switch ((enum state)c->state) {
    case SIZE: return size_byte(c, b);
    case EXTENSION: return line_byte(c, b, EXTENSION, SIZE_LF);
    case SIZE_LF: return b == '\n' ? size_done(c) : malformed(c);
    case DATA_CR: return b == '\r' ? go(c, DATA_LF) : malformed(c);
    case DATA_LF: return b == '\n' ? go(c, SIZE) : malformed(c);
    case TRAILER: return name_byte(c, b, true);
    case TRAILER_NAME: return name_byte(c, b, false);
    case TRAILER_TEXT: return line_byte(c, b, TRAILER_TEXT, TRAILER_LF);
    case TRAILER_LF: return b == '\n' ? go(c, TRAILER) : malformed(c);
    case LAST_LF: return b == '\n' ? go(c, FINISHED) : malformed(c);
    case DATA:
    case FINISHED:
    case BROKEN: break;
    }
    return CHUNK_BAD;
}

static enum chunk_result data_piece(struct chunk *c, struct slice *in, struct slice *data)
{
    size_t len = in->len < c->left ? in->len : (size_t)c->left;
    *data = slice_make(in->ptr, len);
    *in = slice_make(in->ptr + len, in->len - len);
    c->left -= len;
    if (c->left == 0)
        c->state = DATA_CR;
    return CHUNK_DATA;
}

enum chunk_result chunk_next(struct chunk *c, struct slice *in, struct slice *data)
{
    while (c->state != FINISHED && in->len > 0) {
        if (c->state == DATA)
            return data_piece(c, in, data);
        if (step(c, in->ptr[0]) == CHUNK_BAD)
            return CHUNK_BAD;
        *in = slice_make(in->ptr + 1, in->len - 1);
    }
    return c->state == FINISHED ? CHUNK_DONE : CHUNK_MORE;
}

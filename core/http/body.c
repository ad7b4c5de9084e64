/* Bodies are collected so that the journal can write them without another copy: small ones stay where the socket put
 * them, behind the head in the connection's input buffer; larger ones of a declared length get a buffer that grows as
 * bytes arrive, up to that length, and the socket is read straight into it; chunked and compressed ones are decoded
 * into such a buffer, gzip in one go where all of it fits the input buffer. Nothing is reserved for a length that was
 * only declared.
 *
 * Every byte is paid for out of the budget (budget.h). When there is no room the caller stops reading and tries again
 * later: so everything here can be called again after BODY_PAUSE. */
#include "http/body.h"

#include <stdlib.h>

enum { OWN_FIRST = 16 * 1024, CODING_LARGE = 256 * 1024 };

static const struct refusal too_large = {413, "too-large", "the body is larger than http.max_body"};
static const struct refusal no_memory = {503, "memory", "out of memory for request bodies"};
static const struct refusal bad_coding = {400, "syntax", "the body is not what Content-Encoding says, or is cut short"};

void body_pool_init(struct body_pool *p, struct budget *budget)
{
    *p = (struct body_pool){.budget = budget};
}

void body_pool_fini(struct body_pool *p)
{
    while (p->buffer_count > 0)
        free(p->buffers[--p->buffer_count].ptr);
    for (size_t kind = 0; kind < COUNT_OF(p->codings); kind++)
        while (p->coding_count[kind] > 0)
            coding_free(&p->codings[kind][--p->coding_count[kind]]);
}

static enum body_result refuse(struct body *b, struct refusal why)
{
    b->bad = why;
    return BODY_BAD;
}

/* --- decoders --- */

static int coding_take(struct body *b, struct body_pool *p, enum coding_kind kind)
{
    uint32_t *count = &p->coding_count[kind == CODING_ZSTD];
    if (*count == 0)
        return coding_new(&b->coding, kind);
    b->coding = p->codings[kind == CODING_ZSTD][--*count];
    coding_reset(b->coding);
    return ERR_OK;
}

static void coding_give(struct body *b, struct body_pool *p)
{
    if (b->coding == NULL)
        return;
    size_t kind = coding_kind(b->coding) == CODING_ZSTD;
    if (p->coding_count[kind] < SPARE_CODINGS && coding_memory(b->coding) <= SPARE_CODING_MAX) {
        p->codings[kind][p->coding_count[kind]++] = b->coding;
        b->coding = NULL;
    }
    coding_free(&b->coding);
}

/* --- the buffer of its own --- */

static bool own_alloc(struct body *b, struct body_pool *p, size_t cap)
{
    if (cap <= b->cap)
        return true;
    if (b->own == NULL && cap <= SPARE_BUFFER_MAX && p->buffer_count > 0) {
        b->own = p->buffers[--p->buffer_count].ptr;
        b->cap = p->buffers[p->buffer_count].cap;
        p->buffer_bytes -= b->cap;
        if (cap <= b->cap)
            return true;
    }
    char *ptr = realloc(b->own, cap);
    if (ptr == NULL)
        return false;
    b->own = ptr;
    b->cap = cap;
    return true;
}

static void own_give(struct body *b, struct body_pool *p)
{
    if (b->own != NULL && b->cap <= SPARE_BUFFER_MAX && p->buffer_count < SPARE_BUFFERS &&
        b->cap <= SPARE_BYTES_MAX - p->buffer_bytes) {
        p->buffer_bytes += b->cap;
        p->buffers[p->buffer_count].ptr = b->own;
        p->buffers[p->buffer_count++].cap = b->cap;
    } else {
        free(b->own);
    }
    b->own = NULL;
}

/* A body is small or large by what is declared, so that the beginnings of large ones do not fill what is kept for small
 * ones; but nothing is paid for before it is there. */
static bool pay(struct body *b, struct body_pool *p, uint64_t bytes)
{
    size_t coding = b->coding == NULL ? 0 : coding_memory(b->coding);
    bool large = b->length > SMALL_BODY || bytes > SMALL_BODY || coding > CODING_LARGE;
    return budget_take(p->budget, &b->charge, bytes + coding, large);
}

/* Pay for and get room for at least `need` bytes in all, at most `most`. Where the budget is nearly used up the steps
 * get shorter by halves: with just what is needed a body would come byte by byte, and be moved for each of them. */
static enum body_result own_grow(struct body *b, struct body_pool *p, uint64_t need, uint64_t most)
{
    if (need <= b->room)
        return BODY_MORE;
    uint64_t want = b->room * 2 > OWN_FIRST ? b->room * 2 : OWN_FIRST;
    want = want < need ? need : want;
    want = want > most ? most : want;
    while (!pay(b, p, want)) {
        if (want == need)
            return BODY_PAUSE;
        want = need + (want - need) / 2;
    }
    if (!own_alloc(b, p, (size_t)want))
        return refuse(b, no_memory);
    b->room = (size_t)want;
    return BODY_MORE;
}

/* --- beginning --- */

enum body_result body_begin(struct body *b, struct body_pool *p, const struct head *h, uint64_t max, uint32_t extra_max)
{
    *b = (struct body){.way = BODY_NONE, .max = max, .chunked = h->chunked};
    b->length = h->has_length ? h->body_length : 0;
    if (b->length > max)
        return refuse(b, too_large);
    if (!h->chunked && b->length == 0)
        return BODY_WHOLE;
    b->way = h->chunked || h->coding != CODING_NONE ? BODY_STREAM : BODY_PLACE;
    chunk_begin(&b->chunk, extra_max);
    if (h->coding != CODING_NONE && coding_take(b, p, h->coding) != ERR_OK)
        return refuse(b, no_memory);
    return BODY_MORE;
}

/* --- a declared length, plain --- */

enum body_result body_placed(struct body *b, struct body_pool *p, size_t have)
{
    CHECK(b->way == BODY_PLACE && have <= b->length);
    if (!pay(b, p, have))
        return BODY_PAUSE;
    return have == b->length ? BODY_WHOLE : BODY_MORE;
}

enum body_result body_move(struct body *b, struct body_pool *p, struct slice have)
{
    CHECK(b->way == BODY_PLACE && have.len < b->length);
    enum body_result result = own_grow(b, p, have.len + 1, b->length);
    if (result != BODY_MORE)
        return result;
    memcpy(b->own, have.ptr, have.len);
    b->len = have.len;
    b->way = BODY_OWN;
    return BODY_MORE;
}

enum body_result body_tail(struct body *b, struct body_pool *p, char **at, size_t *len)
{
    CHECK(b->way == BODY_OWN && b->len < b->length);
    enum body_result result = own_grow(b, p, b->len + 1, b->length);
    if (result != BODY_MORE)
        return result;
    *at = b->own + b->len;
    *len = b->room - b->len;
    return BODY_MORE;
}

void body_came(struct body *b, size_t len)
{
    CHECK(b->way == BODY_OWN && len <= b->room - b->len);
    b->len += len;
}

/* --- chunks and codings --- */

/* One byte more than the maximum may come out, to tell "exactly the maximum" from "too large". */
static enum body_result stream_room(struct body *b, struct body_pool *p, size_t need)
{
    if (b->len + need > b->max + 1)
        need = (size_t)(b->max + 1 - b->len);
    return own_grow(b, p, b->len + need, b->max + 1);
}

static enum body_result plain_piece(struct body *b, struct body_pool *p)
{
    if (b->piece.len > b->max - b->len)
        return refuse(b, too_large);
    enum body_result result = stream_room(b, p, b->piece.len);
    if (result != BODY_MORE)
        return result;
    memcpy(b->own + b->len, b->piece.ptr, b->piece.len);
    b->len += b->piece.len;
    b->piece.len = 0;
    return BODY_MORE;
}

/* All of the packed body is there and nothing of it has been decoded. */
static bool piece_whole(const struct body *b)
{
    return b->piece.len > 0 && b->piece.len == b->length && b->len == 0;
}

/* In one go: BODY_WHOLE. BODY_MORE: that cannot be done. */
static enum body_result whole_piece(struct body *b, struct body_pool *p)
{
    size_t size = coding_whole_size(b->coding, b->piece);
    if (size == 0 || size > b->max)
        return BODY_MORE;
    enum body_result result = stream_room(b, p, size);
    if (result != BODY_MORE || !coding_whole(b->coding, b->piece, b->own, size))
        return result;
    b->len = size;
    b->piece.len = 0;
    return BODY_WHOLE;
}

static enum body_result coded_piece(struct body *b, struct body_pool *p)
{
    for (;;) {
        enum body_result result = stream_room(b, p, 1);
        if (result != BODY_MORE)
            return result;
        size_t used;
        int code = coding_feed(b->coding, &b->piece, b->own + b->len, b->room - b->len, &used);
        b->len += used;
        if (b->len > b->max)
            return refuse(b, too_large);
        if (code == ERR_SYNTAX)
            return refuse(b, bad_coding);
        if (code == ERR_NOMEM)
            return refuse(b, no_memory);
        if (code == ERR_OK) /* what the decoder took meanwhile is paid for too */
            return pay(b, p, b->room) ? BODY_MORE : BODY_PAUSE;
    }
}

static enum body_result decode_piece(struct body *b, struct body_pool *p)
{
    if (b->coding == NULL)
        return b->piece.len == 0 ? BODY_MORE : plain_piece(b, p);
    enum body_result result = piece_whole(b) ? whole_piece(b, p) : BODY_MORE;
    if (result == BODY_WHOLE)
        return BODY_MORE;
    return result == BODY_MORE ? coded_piece(b, p) : result;
}

/* What a chunk's size announces counts at once, and so do compressed bytes: a stream of empty frames ends too. */
static enum body_result chunk_piece(struct body *b)
{
    b->came += b->piece.len;
    if (b->came > b->max || b->chunk.left > b->max - b->came)
        return refuse(b, too_large);
    return BODY_WHOLE;
}

/* BODY_WHOLE: there is a piece to decode; BODY_MORE: the input is used up, or the body has ended. */
static enum body_result next_piece(struct body *b, struct slice *in)
{
    if (b->chunked) {
        switch (chunk_next(&b->chunk, in, &b->piece)) {
        case CHUNK_MORE: return BODY_MORE;
        case CHUNK_DATA: return chunk_piece(b);
        case CHUNK_DONE: b->ended = true; return BODY_MORE;
        case CHUNK_BAD:
            return refuse(
                b, (struct refusal){b->chunk.status, b->chunk.status == 431 ? "too-large" : "syntax", b->chunk.detail});
        }
    }
    size_t len = in->len < b->length - b->came ? in->len : (size_t)(b->length - b->came);
    b->piece = slice_make(in->ptr, len);
    *in = slice_make(in->ptr + len, in->len - len);
    b->came += len;
    b->ended = b->came == b->length;
    return len > 0 ? BODY_WHOLE : BODY_MORE;
}

/* The next body may have the decoder while this one waits for the disk. */
static enum body_result stream_end(struct body *b, struct body_pool *p)
{
    if (b->coding != NULL && coding_end(b->coding) != ERR_OK)
        return refuse(b, bad_coding);
    coding_give(b, p);
    return BODY_WHOLE;
}

bool body_gathers(const struct body *b, size_t have, size_t room)
{
    bool gzip = b->coding != NULL && coding_kind(b->coding) == CODING_GZIP;
    return gzip && !b->chunked && b->came == 0 && have < b->length && b->length <= room;
}

enum body_result body_feed(struct body *b, struct body_pool *p, struct slice *in)
{
    CHECK(b->way == BODY_STREAM);
    for (;;) {
        enum body_result result = decode_piece(b, p);
        if (result != BODY_MORE)
            return result;
        if (b->ended)
            return stream_end(b, p);
        result = next_piece(b, in);
        if (result == BODY_BAD)
            return result;
        if (result == BODY_MORE && !b->ended)
            return BODY_MORE;
    }
}

void body_fini(struct body *b, struct body_pool *p)
{
    coding_give(b, p);
    own_give(b, p);
    budget_return(p->budget, &b->charge);
    *b = (struct body){0};
}

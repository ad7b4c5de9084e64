/* The bytes of segment headers, group headers and records: the only code that knows where each field stands.
 *
 * Everything has a magic, its own position and a CRC-32C, so a piece of a file proves by itself that it is whole and
 * that it belongs where it was found: stale bytes of an earlier life of a file carry another position. Pure functions,
 * any thread. docs/format.md draws what stands here. */
#include "journal/record.h"

#include "base/crc32c.h"
#include "journal/bytes.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "row spans are stored as they stand in memory");
_Static_assert(sizeof(struct row_span) == 16, "row spans are stored as they stand in memory");

#define SEGMENT_MAGIC 0x31534748u /* "HGS1" */
#define GROUP_MAGIC   0x31474748u /* "HGG1" */
#define RECORD_MAGIC  0x31524748u /* "HGR1" */

enum segment_offset {
    SEGMENT_AT_MAGIC = 0,
    SEGMENT_AT_VERSION = 4,
    SEGMENT_AT_BASE = 8,
    SEGMENT_AT_SIZE = 16,
    SEGMENT_AT_EPOCH = 24,
    SEGMENT_AT_SALT = 40,
    SEGMENT_AT_PREV_BASE = 48,
    SEGMENT_AT_PREV_END = 56,
    SEGMENT_AT_FIRST_ROW = 64,
    SEGMENT_AT_CREATED = 72,
    SEGMENT_AT_PREV_EPOCH = 80,
    SEGMENT_AT_STREAM = 96,
    SEGMENT_AT_CRC = SEGMENT_HEADER - 4,
};

enum group_offset {
    GROUP_AT_MAGIC = 0,
    GROUP_AT_RECORDS = 4,
    GROUP_AT_POSITION = 8,
    GROUP_AT_EPOCH = 16,
    GROUP_AT_SALT = 32,
    GROUP_AT_DURABLE = 40,
    GROUP_AT_LENGTH = 48,
    GROUP_AT_LAST_CRC = 52,
    GROUP_AT_RESERVED = 56,
    GROUP_AT_CRC = 60,
};

enum record_offset {
    RECORD_AT_MAGIC = 0,
    RECORD_AT_TYPE = 4,
    RECORD_AT_FLAGS = 6,
    RECORD_AT_POSITION = 8,
    RECORD_AT_RECEIVED = 16,
    RECORD_AT_FIRST_ROW = 24,
    RECORD_AT_LENGTH = 32,
    RECORD_AT_ROWS = 36,
    RECORD_AT_CONTEXT = 40,
    RECORD_AT_DATA = 44,
    RECORD_AT_PREV_CRC = 48,
    RECORD_AT_BODY_CRC = 52,
    RECORD_AT_RESERVED = 56,
    RECORD_AT_CRC = 60,
};

static const char zeros[RECORD_ALIGN];

/* --- segment header --- */

void segment_header_write(const struct segment_header *h, unsigned char out[SEGMENT_HEADER])
{
    memset(out, 0, SEGMENT_HEADER);
    put_u32(out + SEGMENT_AT_MAGIC, SEGMENT_MAGIC);
    put_u32(out + SEGMENT_AT_VERSION, JOURNAL_VERSION);
    put_u64(out + SEGMENT_AT_BASE, h->base);
    put_u64(out + SEGMENT_AT_SIZE, h->size);
    memcpy(out + SEGMENT_AT_EPOCH, h->epoch.bytes, EPOCH_BYTES);
    put_u64(out + SEGMENT_AT_SALT, h->salt);
    put_u64(out + SEGMENT_AT_PREV_BASE, h->prev_base);
    put_u64(out + SEGMENT_AT_PREV_END, h->prev_end);
    put_u64(out + SEGMENT_AT_FIRST_ROW, h->first_row);
    put_u64(out + SEGMENT_AT_CREATED, (uint64_t)h->created_us);
    memcpy(out + SEGMENT_AT_PREV_EPOCH, h->prev_epoch.bytes, EPOCH_BYTES);
    memcpy(out + SEGMENT_AT_STREAM, h->stream.bytes, EPOCH_BYTES);
    put_u32(out + SEGMENT_AT_CRC, crc32c(0, out, SEGMENT_AT_CRC));
}

/* The segment before lies before, and nothing that was ever written to it reaches into this one. */
static bool segment_chain_possible(const struct segment_header *h)
{
    return h->prev_base == UINT64_MAX ||
           (h->prev_base < h->base && h->prev_end >= h->prev_base && h->prev_end <= h->base);
}

int segment_header_read(const unsigned char in[SEGMENT_HEADER], struct segment_header *out, struct err *e)
{
    if (get_u32(in + SEGMENT_AT_MAGIC) != SEGMENT_MAGIC ||
        get_u32(in + SEGMENT_AT_CRC) != crc32c(0, in, SEGMENT_AT_CRC))
        return err_set(e, ERR_DAMAGED, "the segment's header is damaged");
    uint32_t version = get_u32(in + SEGMENT_AT_VERSION);
    if (version > JOURNAL_VERSION)
        return err_set(e, ERR_VERSION, "the journal's format is version %u, this headgate knows up to %u", version,
                       (unsigned)JOURNAL_VERSION);
    struct segment_header h = {
        .base = get_u64(in + SEGMENT_AT_BASE),
        .size = get_u64(in + SEGMENT_AT_SIZE),
        .salt = get_u64(in + SEGMENT_AT_SALT),
        .prev_base = get_u64(in + SEGMENT_AT_PREV_BASE),
        .prev_end = get_u64(in + SEGMENT_AT_PREV_END),
        .first_row = get_u64(in + SEGMENT_AT_FIRST_ROW),
        .created_us = (int64_t)get_u64(in + SEGMENT_AT_CREATED),
    };
    memcpy(h.epoch.bytes, in + SEGMENT_AT_EPOCH, EPOCH_BYTES);
    memcpy(h.prev_epoch.bytes, in + SEGMENT_AT_PREV_EPOCH, EPOCH_BYTES);
    memcpy(h.stream.bytes, in + SEGMENT_AT_STREAM, EPOCH_BYTES);
    if (version == 0 || h.size <= SEGMENT_HEADER || h.base > UINT64_MAX / 2 || h.size > UINT64_MAX / 4 ||
        !segment_chain_possible(&h))
        return err_set(e, ERR_DAMAGED, "the segment's header holds impossible numbers");
    *out = h;
    return ERR_OK;
}

/* --- group header --- */

void group_header_write(const struct group_header *h, unsigned char out[GROUP_HEADER])
{
    put_u32(out + GROUP_AT_MAGIC, GROUP_MAGIC);
    put_u32(out + GROUP_AT_RECORDS, h->records);
    put_u64(out + GROUP_AT_POSITION, h->position);
    memcpy(out + GROUP_AT_EPOCH, h->epoch.bytes, EPOCH_BYTES);
    put_u64(out + GROUP_AT_SALT, h->salt);
    put_u64(out + GROUP_AT_DURABLE, h->durable);
    put_u32(out + GROUP_AT_LENGTH, h->length);
    put_u32(out + GROUP_AT_LAST_CRC, h->last_crc);
    put_u32(out + GROUP_AT_RESERVED, 0);
    put_u32(out + GROUP_AT_CRC, crc32c(0, out, GROUP_AT_CRC));
}

bool group_header_mark(const unsigned char *in, uint64_t position)
{
    return get_u32(in + GROUP_AT_MAGIC) == GROUP_MAGIC && get_u64(in + GROUP_AT_POSITION) == position;
}

int group_header_peek(const unsigned char in[GROUP_HEADER], uint64_t position, struct group_header *out)
{
    if (!group_header_mark(in, position) || get_u32(in + GROUP_AT_CRC) != crc32c(0, in, GROUP_AT_CRC))
        return ERR_DAMAGED;
    struct group_header h = {
        .position = position,
        .salt = get_u64(in + GROUP_AT_SALT),
        .durable = get_u64(in + GROUP_AT_DURABLE),
        .length = get_u32(in + GROUP_AT_LENGTH),
        .records = get_u32(in + GROUP_AT_RECORDS),
        .last_crc = get_u32(in + GROUP_AT_LAST_CRC),
    };
    if (h.length < GROUP_HEADER || h.length % RECORD_ALIGN != 0)
        return ERR_DAMAGED;
    memcpy(h.epoch.bytes, in + GROUP_AT_EPOCH, EPOCH_BYTES);
    *out = h;
    return ERR_OK;
}

int group_header_read(const unsigned char in[GROUP_HEADER], uint64_t position, uint64_t salt, struct group_header *out)
{
    struct group_header h;
    int code = group_header_peek(in, position, &h);
    if (code != ERR_OK)
        return code;
    if (h.salt != salt)
        return ERR_DAMAGED;
    *out = h;
    return ERR_OK;
}

/* --- records --- */

static uint64_t content_length(size_t context, uint32_t rows, size_t data)
{
    return RECORD_HEADER + (uint64_t)context + (uint64_t)rows * sizeof(struct row_span) + (uint64_t)data;
}

static uint64_t length_align(uint64_t length)
{
    return (length + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

uint32_t record_length(const struct record_parts *p)
{
    if (p->context.len > UINT32_MAX || p->data.len > UINT32_MAX)
        return 0;
    uint64_t length = length_align(content_length(p->context.len, p->rows, p->data.len));
    return length > UINT32_MAX - 2 * SEGMENT_HEADER ? 0 : (uint32_t)length;
}

uint32_t record_body_crc(const struct record_parts *p)
{
    uint32_t crc = crc32c(0, p->context.ptr, p->context.len);
    crc = crc32c(crc, p->spans, (size_t)p->rows * sizeof(struct row_span));
    crc = crc32c(crc, p->data.ptr, p->data.len);
    uint64_t content = content_length(p->context.len, p->rows, p->data.len);
    return crc32c(crc, zeros, (size_t)(length_align(content) - content));
}

uint32_t record_header_write(const struct record_parts *p, uint64_t position, int64_t received_us, uint64_t first_row,
                             uint32_t prev_crc, unsigned char out[RECORD_HEADER])
{
    CHECK(p->context.len % RECORD_ALIGN == 0);
    put_u32(out + RECORD_AT_MAGIC, RECORD_MAGIC);
    put_u16(out + RECORD_AT_TYPE, p->type);
    put_u16(out + RECORD_AT_FLAGS, 0);
    put_u64(out + RECORD_AT_POSITION, position);
    put_u64(out + RECORD_AT_RECEIVED, (uint64_t)received_us);
    put_u64(out + RECORD_AT_FIRST_ROW, first_row);
    put_u32(out + RECORD_AT_LENGTH, record_length(p));
    put_u32(out + RECORD_AT_ROWS, p->rows);
    put_u32(out + RECORD_AT_CONTEXT, (uint32_t)p->context.len);
    put_u32(out + RECORD_AT_DATA, (uint32_t)p->data.len);
    put_u32(out + RECORD_AT_PREV_CRC, prev_crc);
    put_u32(out + RECORD_AT_BODY_CRC, p->body_crc);
    put_u32(out + RECORD_AT_RESERVED, 0);
    uint32_t crc = crc32c(0, out, RECORD_AT_CRC);
    put_u32(out + RECORD_AT_CRC, crc);
    return crc;
}

bool record_mark(const unsigned char *in, uint64_t position)
{
    return get_u32(in + RECORD_AT_MAGIC) == RECORD_MAGIC && get_u64(in + RECORD_AT_POSITION) == position;
}

int record_peek(const unsigned char in[RECORD_HEADER], uint64_t position, struct record *out)
{
    if (!record_mark(in, position) || get_u32(in + RECORD_AT_CRC) != crc32c(0, in, RECORD_AT_CRC))
        return ERR_DAMAGED;
    struct record r = {
        .position = position,
        .received_us = (int64_t)get_u64(in + RECORD_AT_RECEIVED),
        .first_row = get_u64(in + RECORD_AT_FIRST_ROW),
        .length = get_u32(in + RECORD_AT_LENGTH),
        .rows = get_u32(in + RECORD_AT_ROWS),
        .prev_crc = get_u32(in + RECORD_AT_PREV_CRC),
        .crc = get_u32(in + RECORD_AT_CRC),
        .type = get_u16(in + RECORD_AT_TYPE),
    };
    uint32_t context = get_u32(in + RECORD_AT_CONTEXT), data = get_u32(in + RECORD_AT_DATA);
    if (context % RECORD_ALIGN != 0 || length_align(content_length(context, r.rows, data)) != r.length)
        return ERR_DAMAGED;
    *out = r;
    return ERR_OK;
}

static bool spans_fit(const struct record *r)
{
    for (uint32_t i = 0; i < r->rows; i++) {
        struct row_span s = record_span(r, i);
        if (s.offset > r->data.len || s.length > r->data.len - s.offset)
            return false;
    }
    return true;
}

int record_parse(struct slice bytes, uint64_t position, struct record *out)
{
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    struct record r;
    if (bytes.len < RECORD_HEADER || record_peek(in, position, &r) != ERR_OK || r.length > bytes.len ||
        get_u32(in + RECORD_AT_BODY_CRC) != crc32c(0, in + RECORD_HEADER, r.length - RECORD_HEADER))
        return ERR_DAMAGED;
    r.context = slice_make(in + RECORD_HEADER, get_u32(in + RECORD_AT_CONTEXT));
    r.spans = slice_make(r.context.ptr + r.context.len, (size_t)r.rows * sizeof(struct row_span));
    r.data = slice_make(r.spans.ptr + r.spans.len, get_u32(in + RECORD_AT_DATA));
    if (!spans_fit(&r))
        return ERR_DAMAGED;
    int code = get_u16(in + RECORD_AT_FLAGS) != 0 ? ERR_VERSION : context_check(r.context);
    if (code == ERR_OK)
        *out = r;
    return code;
}

struct row_span record_span(const struct record *r, uint32_t row)
{
    CHECK(row < r->rows);
    const char *at = r->spans.ptr + (size_t)row * sizeof(struct row_span);
    return (struct row_span){.offset = get_u32(at), .length = get_u32(at + 4), .index = get_u64(at + 8)};
}

struct slice record_row(const struct record *r, uint32_t row)
{
    struct row_span s = record_span(r, row);
    return slice_make(r->data.ptr + s.offset, s.length);
}

/* Bytes of headers, records and context: what is written is read back, and no flipped byte goes unnoticed. */
#include "base/crc32c.h"
#include "base/hash.h"
#include "journal/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static const struct epoch epoch = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct segment_header header_make(void)
{
    return (struct segment_header){.base = 0x123456000,
                                   .size = 0x4000000,
                                   .epoch = epoch,
                                   .salt = 0xFEDCBA9876543210,
                                   .prev_base = 0x11000,
                                   .prev_end = 0x12008,
                                   .first_row = 77,
                                   .created_us = 1700000000000001,
                                   .prev_epoch = epoch,
                                   .stream = epoch};
}

static void test_segment_header(void **state)
{
    (void)state;
    unsigned char page[SEGMENT_HEADER];
    struct segment_header h = header_make(), back;
    struct err e;
    segment_header_write(&h, page);
    assert_int_equal(segment_header_read(page, &back, &e), ERR_OK);
    assert_memory_equal(&h, &back, sizeof h);
    /* The golden offsets of docs/format.md. */
    assert_memory_equal(page, "HGS1\x01\0\0\0", 8);
    assert_memory_equal(page + 8, "\x00\x60\x45\x23\x01\0\0\0", 8);
    assert_memory_equal(page + 24, epoch.bytes, EPOCH_BYTES);
    assert_memory_equal(page + 40, "\x10\x32\x54\x76\x98\xBA\xDC\xFE", 8);
    for (int i = 0; i < SEGMENT_HEADER; i++) {
        page[i] ^= 0x40;
        int code = segment_header_read(page, &back, &e);
        assert_int_equal(code, ERR_DAMAGED);
        page[i] ^= 0x40;
    }
}

static void page_seal(unsigned char page[SEGMENT_HEADER])
{
    uint32_t crc = crc32c(0, page, SEGMENT_HEADER - 4);
    memcpy(page + SEGMENT_HEADER - 4, &crc, 4);
}

static void test_segment_version(void **state)
{
    (void)state;
    unsigned char page[SEGMENT_HEADER];
    struct segment_header h = header_make(), back;
    struct err e = {.text = ""};
    segment_header_write(&h, page);
    page[4] = JOURNAL_VERSION + 1;
    page_seal(page);
    assert_int_equal(segment_header_read(page, &back, &e), ERR_VERSION);
    assert_non_null(strstr(e.text, "version 2"));
    page[4] = 0;
    page_seal(page);
    assert_int_equal(segment_header_read(page, &back, &e), ERR_DAMAGED);
    h.size = SEGMENT_HEADER; /* a size that holds nothing */
    segment_header_write(&h, page);
    assert_int_equal(segment_header_read(page, &back, &e), ERR_DAMAGED);
    h = header_make();
    h.prev_end = h.base + 8; /* the one before would reach into this one */
    segment_header_write(&h, page);
    assert_int_equal(segment_header_read(page, &back, &e), ERR_DAMAGED);
}

static void test_group_header(void **state)
{
    (void)state;
    unsigned char bytes[GROUP_HEADER];
    struct group_header g = {.position = 0x5000,
                             .epoch = epoch,
                             .salt = 99,
                             .durable = 0x4800,
                             .length = 1024,
                             .records = 3,
                             .last_crc = 0xABCDEF01};
    struct group_header back;
    group_header_write(&g, bytes);
    assert_int_equal(group_header_read(bytes, 0x5000, 99, &back), ERR_OK);
    assert_memory_equal(&back.epoch, &g.epoch, sizeof g.epoch);
    assert_true(back.position == g.position && back.salt == g.salt && back.durable == g.durable);
    assert_true(back.length == g.length && back.records == g.records && back.last_crc == g.last_crc);
    assert_int_equal(group_header_read(bytes, 0x5008, 99, &back), ERR_DAMAGED);
    assert_int_equal(group_header_read(bytes, 0x5000, 98, &back), ERR_DAMAGED);
    assert_int_equal(group_header_peek(bytes, 0x5000, &back), ERR_OK);
    assert_true(group_header_mark(bytes, 0x5000));
    assert_false(group_header_mark(bytes, 0x5008));
    for (int i = 0; i < GROUP_HEADER; i++) {
        bytes[i] ^= 1;
        assert_int_equal(group_header_read(bytes, 0x5000, 99, &back), ERR_DAMAGED);
        bytes[i] ^= 1;
    }
    g.length = 60; /* shorter than itself */
    group_header_write(&g, bytes);
    assert_int_equal(group_header_read(bytes, 0x5000, 99, &back), ERR_DAMAGED);
    g.length = 1025;
    group_header_write(&g, bytes);
    assert_int_equal(group_header_read(bytes, 0x5000, 99, &back), ERR_DAMAGED);
}

/* A record in one piece, as it stands in the journal. */
struct made {
    struct buf context;
    struct record_parts parts;
    char *bytes;
    uint32_t length;
    uint32_t crc;
};

static void record_make(struct made *m, const struct row_span *spans, uint32_t rows, const char *data)
{
    m->parts = (struct record_parts){
        .type = RECORD_ROWS, .rows = rows, .context = buf_slice(&m->context), .spans = spans, .data = slice_of(data)};
    m->parts.body_crc = record_body_crc(&m->parts);
    m->length = record_length(&m->parts);
    m->bytes = calloc(1, m->length);
    assert_non_null(m->bytes);
    m->crc = record_header_write(&m->parts, 0x9000, 123456789, 42, 7, (unsigned char *)m->bytes);
    char *at = m->bytes + RECORD_HEADER;
    if (m->context.len > 0)
        memcpy(at, m->context.ptr, m->context.len);
    at += m->context.len;
    if (rows > 0)
        memcpy(at, spans, rows * sizeof *spans);
    memcpy(at + rows * sizeof *spans, data, strlen(data));
}

static void made_free(struct made *m)
{
    free(m->bytes);
    buf_free(&m->context);
}

static void test_record(void **state)
{
    (void)state;
    struct made m;
    struct record r;
    const struct row_span spans[] = {{.offset = 2, .length = 3, .index = 11},
                                     {.offset = 5, .length = 1, .index = INDEX_NONE}};
    buf_init(&m.context, 4096);
    assert_int_equal(context_add(&m.context, CONTEXT_UUID, SLICE_LIT("plate-7")), ERR_OK);
    assert_int_equal(context_finish(&m.context), ERR_OK);
    record_make(&m, spans, 2, "0123456789ABC");
    assert_int_equal(m.length % RECORD_ALIGN, 0);
    assert_int_equal(record_parse(slice_make(m.bytes, m.length), 0x9000, &r), ERR_OK);
    assert_true(r.position == 0x9000 && r.received_us == 123456789 && r.first_row == 42 && r.prev_crc == 7);
    assert_int_equal(r.crc, m.crc);
    assert_int_equal(r.length, m.length);
    assert_int_equal(r.rows, 2);
    assert_int_equal(r.type, RECORD_ROWS);
    assert_true(slice_is(r.data, "0123456789ABC"));
    assert_true(slice_is(record_row(&r, 0), "234"));
    assert_true(slice_is(record_row(&r, 1), "5"));
    assert_true(record_span(&r, 0).index == 11 && record_span(&r, 1).index == INDEX_NONE);
    struct slice uuid;
    assert_true(context_get(r.context, CONTEXT_UUID, &uuid) && slice_is(uuid, "plate-7"));
    assert_false(context_get(r.context, CONTEXT_KEY, &uuid));
    /* Not elsewhere, not in part. */
    assert_int_equal(record_parse(slice_make(m.bytes, m.length), 0x9008, &r), ERR_DAMAGED);
    assert_int_equal(record_parse(slice_make(m.bytes, m.length - 8), 0x9000, &r), ERR_DAMAGED);
    assert_int_equal(record_parse(slice_make(m.bytes, 10), 0x9000, &r), ERR_DAMAGED);
    for (uint32_t i = 0; i < m.length; i++)
        for (int bit = 0; bit < 8; bit++) {
            m.bytes[i] = (char)(m.bytes[i] ^ (1 << bit));
            assert_int_equal(record_parse(slice_make(m.bytes, m.length), 0x9000, &r), ERR_DAMAGED);
            m.bytes[i] = (char)(m.bytes[i] ^ (1 << bit));
        }
    made_free(&m);
}

static void test_record_empty(void **state)
{
    (void)state;
    struct made m;
    struct record r;
    buf_init(&m.context, 16);
    record_make(&m, NULL, 0, "");
    assert_int_equal(m.length, RECORD_HEADER);
    assert_int_equal(record_parse(slice_make(m.bytes, m.length), 0x9000, &r), ERR_OK);
    assert_int_equal(r.rows, 0);
    made_free(&m);
}

static void test_spans_outside(void **state)
{
    (void)state;
    const struct row_span bad[] = {
        {.offset = 14}, {.offset = 3, .length = 11}, {.offset = 13, .length = 1}, {.offset = UINT32_MAX, .length = 2}};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct made m;
        struct record r;
        buf_init(&m.context, 16);
        record_make(&m, &bad[i], 1, "0123456789ABC");
        assert_int_equal(record_parse(slice_make(m.bytes, m.length), 0x9000, &r), ERR_DAMAGED);
        made_free(&m);
    }
}

static void test_length_limits(void **state)
{
    (void)state;
    struct record_parts big = {.rows = UINT32_MAX};
    assert_int_equal(record_length(&big), 0);
    big = (struct record_parts){.data = {NULL, (size_t)UINT32_MAX + 1}};
    assert_int_equal(record_length(&big), 0);
    big.data.len = UINT32_MAX - 3000;
    assert_int_equal(record_length(&big), 0);
}

static void test_context(void **state)
{
    (void)state;
    struct buf b;
    struct slice value;
    buf_init(&b, 65536 + 1024);
    assert_int_equal(context_add_tag(&b, SLICE_LIT("run"), SLICE_LIT("7")), ERR_OK);
    assert_int_equal(context_add(&b, CONTEXT_CLIENT, SLICE_LIT("")), ERR_OK);
    assert_int_equal(context_add_tag(&b, SLICE_LIT("a"), SLICE_LIT("bc")), ERR_OK);
    assert_int_equal(context_finish(&b), ERR_OK);
    assert_int_equal(b.len % 8, 0);
    size_t at = 0, entries = 0;
    uint16_t tag;
    while (context_next(buf_slice(&b), &at, &tag, &value))
        entries++;
    assert_int_equal(entries, 3);
    assert_true(context_get(buf_slice(&b), CONTEXT_TAG, &value));
    assert_memory_equal(value.ptr, "\003run7", 5);
    assert_true(context_get(buf_slice(&b), CONTEXT_CLIENT, &value) && value.len == 0);
    assert_int_equal(context_check(buf_slice(&b)), ERR_OK);
    char *large = calloc(1, 65536);
    assert_int_equal(context_add(&b, CONTEXT_CLIENT, slice_make(large, 65536)), ERR_LIMIT);
    assert_int_equal(context_add(&b, CONTEXT_CLIENT, slice_make(large, 65535)), ERR_OK);
    assert_int_equal(context_add(&b, CONTEXT_CLIENT, slice_make(large, 65535)), ERR_LIMIT); /* the buffer's */
    assert_int_equal(context_add_tag(&b, slice_make(large, 256), SLICE_LIT("")), ERR_LIMIT);
    assert_int_equal(context_add_tag(&b, SLICE_LIT("x"), slice_make(large, 65535)), ERR_LIMIT);
    assert_int_equal(context_add_tag(&b, SLICE_LIT("x"), slice_make(large, 4096)), ERR_LIMIT);
    free(large);
    buf_free(&b);
}

static void test_context_unknown(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    assert_int_equal(context_add(&b, 0x0777, SLICE_LIT("later")), ERR_OK);
    assert_int_equal(context_finish(&b), ERR_OK);
    assert_int_equal(context_check(buf_slice(&b)), ERR_OK);
    assert_int_equal(context_add(&b, 0x8777, SLICE_LIT("must be known")), ERR_OK);
    assert_int_equal(context_finish(&b), ERR_OK);
    assert_int_equal(context_check(buf_slice(&b)), ERR_DAMAGED); /* nothing may stand behind padding */
    buf_clear(&b);
    assert_int_equal(context_add(&b, 0x8777, SLICE_LIT("must be known")), ERR_OK);
    assert_int_equal(context_finish(&b), ERR_OK);
    assert_int_equal(context_check(buf_slice(&b)), ERR_VERSION);
    assert_int_equal(context_check(SLICE_LIT("\x02\x00\xFF\x00\0\0\0\0")), ERR_DAMAGED); /* leads out */
    assert_int_equal(context_check(SLICE_LIT("\x00\x00\x00\x00\0\0\0\1")), ERR_DAMAGED); /* padding is not zero */
    buf_free(&b);
}

/* A record that only a newer headgate understands is whole, and refused. */
static void test_record_critical(void **state)
{
    (void)state;
    struct made m;
    struct record r;
    buf_init(&m.context, 64);
    assert_int_equal(context_add(&m.context, 0x8777, SLICE_LIT("x")), ERR_OK);
    assert_int_equal(context_finish(&m.context), ERR_OK);
    record_make(&m, NULL, 0, "data");
    assert_int_equal(record_parse(slice_make(m.bytes, m.length), 0x9000, &r), ERR_VERSION);
    made_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment_header),  cmocka_unit_test(test_segment_version),
        cmocka_unit_test(test_group_header),    cmocka_unit_test(test_record),
        cmocka_unit_test(test_record_empty),    cmocka_unit_test(test_spans_outside),
        cmocka_unit_test(test_length_limits),   cmocka_unit_test(test_context),
        cmocka_unit_test(test_context_unknown), cmocka_unit_test(test_record_critical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

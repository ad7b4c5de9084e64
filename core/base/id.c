/* Row and row set ids: base 32 with the digits of RFC 4648 section 7 in lower case, which keep the order of numbers. */
#include "base/id.h"

#include "base/sys.h"

enum { EPOCH_DIGITS = 26, POSITION_DIGITS = 13, ROW_DIGITS = 5, RANDOM_BYTES = 10 };

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
}

int epoch_draw(struct epoch *out)
{
    struct epoch e;
    uint64_t ms = (uint64_t)clock_wall_us() / 1000;
    for (int i = 0; i < 6; i++)
        e.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    if (sys->random(e.bytes + 6, RANDOM_BYTES) != RANDOM_BYTES)
        return ERR_IO;
    *out = e;
    return ERR_OK;
}

/* The last `count` digits of it. */
static inline void number_text(uint64_t value, int count, char *out)
{
    for (int i = count - 1; i >= 0; i--, value >>= 5)
        out[i] = digits[value & 31];
}

static void epoch_text(const struct epoch *epoch, char *out)
{
    uint64_t hi = 0, lo = 0;
    for (int i = 0; i < 8; i++) {
        hi = hi << 8 | epoch->bytes[i];
        lo = lo << 8 | epoch->bytes[8 + i];
    }
    number_text(hi >> 56, 2, out); /* 130 bits, of which the first two are always 0: 10 + 60 + 60 */
    number_text(hi << 4 | lo >> 60, 12, out + 2);
    number_text(lo, 12, out + 14);
}

void batch_id_text(const struct epoch *epoch, uint64_t position, char out[BATCH_ID_LEN + 1])
{
    epoch_text(epoch, out);
    out[EPOCH_DIGITS] = '-';
    number_text(position, POSITION_DIGITS, out + EPOCH_DIGITS + 1);
    out[BATCH_ID_LEN] = '\0';
}

void row_id_extend(const char batch[BATCH_ID_LEN], uint32_t row, char out[ROW_ID_LEN + 1])
{
    memcpy(out, batch, BATCH_ID_LEN);
    out[BATCH_ID_LEN] = '-';
    number_text(row, ROW_DIGITS, out + BATCH_ID_LEN + 1);
    out[ROW_ID_LEN] = '\0';
}

void row_id_text(const struct epoch *epoch, uint64_t position, uint32_t row, char out[ROW_ID_LEN + 1])
{
    char batch[BATCH_ID_LEN + 1];
    batch_id_text(epoch, position, batch);
    row_id_extend(batch, row, out);
}

static int number_parse(const char *text, int count, uint64_t *out)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) {
        int d = digit_value(text[i]);
        if (d < 0 || value >> 59 != 0)
            return ERR_SYNTAX;
        value = value << 5 | (unsigned)d;
    }
    *out = value;
    return ERR_OK;
}

static int epoch_parse(const char *text, struct epoch *out)
{
    uint64_t hi = 0, lo = 0;
    for (int i = 0; i < EPOCH_DIGITS; i++) {
        int d = digit_value(text[i]);
        if (d < 0 || hi >> 59 != 0)
            return ERR_SYNTAX;
        hi = hi << 5 | lo >> 59;
        lo = lo << 5 | (unsigned)d;
    }
    for (int i = 0; i < 8; i++) {
        out->bytes[i] = (uint8_t)(hi >> (56 - 8 * i));
        out->bytes[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
    }
    return ERR_OK;
}

int batch_id_parse(struct slice text, struct epoch *epoch, uint64_t *position)
{
    struct epoch e;
    uint64_t at;
    if (text.len != BATCH_ID_LEN || text.ptr[EPOCH_DIGITS] != '-' || epoch_parse(text.ptr, &e) != ERR_OK ||
        number_parse(text.ptr + EPOCH_DIGITS + 1, POSITION_DIGITS, &at) != ERR_OK)
        return ERR_SYNTAX;
    *epoch = e;
    *position = at;
    return ERR_OK;
}

int row_id_parse(struct slice text, struct epoch *epoch, uint64_t *position, uint32_t *row)
{
    uint64_t number;
    if (text.len != ROW_ID_LEN || text.ptr[BATCH_ID_LEN] != '-' ||
        number_parse(text.ptr + BATCH_ID_LEN + 1, ROW_DIGITS, &number) != ERR_OK)
        return ERR_SYNTAX;
    int code = batch_id_parse(slice_make(text.ptr, BATCH_ID_LEN), epoch, position);
    if (code == ERR_OK)
        *row = (uint32_t)number;
    return code;
}

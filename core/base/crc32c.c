/* CRC-32C: the processor's own instruction where it has one, else eight tables of 256 entries.
 *
 * One instruction at a time waits three cycles for its own result, so long inputs run as three independent streams
 * whose results are joined by a table that advances a CRC over a fixed number of zero bytes. */
#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

enum { STREAM = 1024 }; /* bytes of each of the three streams */

static uint32_t table[8][256];
static uint32_t advance[4][256]; /* a CRC moved over STREAM zero bytes, byte by byte of the CRC */
static int has_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t step_zero_bytes(uint32_t crc, size_t count)
{
    while (count-- > 0)
        crc = (crc >> 8) ^ table[0][crc & 0xFF];
    return crc;
}

static void tables_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0);
        table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t i = 0; i < 256; i++)
            table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xFF];
    for (int k = 0; k < 4; k++)
        for (uint32_t i = 0; i < 256; i++)
            advance[k][i] = step_zero_bytes(i << (8 * k), STREAM);
#if defined(__x86_64__)
    has_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

static uint64_t load64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t run_tables(uint32_t crc, const unsigned char *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8) {
        uint32_t lo = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        crc = table[7][lo & 0xFF] ^ table[6][(lo >> 8) & 0xFF] ^ table[5][(lo >> 16) & 0xFF] ^ table[4][lo >> 24] ^
              table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
    }
    for (; len > 0; p++, len--)
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xFF];
    return crc;
}

#if defined(__x86_64__)
static uint32_t move(uint32_t crc)
{
    return advance[0][crc & 0xFF] ^ advance[1][(crc >> 8) & 0xFF] ^ advance[2][(crc >> 16) & 0xFF] ^
           advance[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t run_instruction(uint32_t crc, const unsigned char *p, size_t len)
{
    for (; len >= 3 * STREAM; p += 3 * STREAM, len -= 3 * STREAM) {
        uint64_t a = crc, b = 0, c = 0;
        for (size_t i = 0; i < STREAM; i += 8) {
            a = __builtin_ia32_crc32di(a, load64(p + i));
            b = __builtin_ia32_crc32di(b, load64(p + STREAM + i));
            c = __builtin_ia32_crc32di(c, load64(p + 2 * STREAM + i));
        }
        crc = move(move((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    }
    uint64_t wide = crc;
    for (; len >= 8; p += 8, len -= 8)
        wide = __builtin_ia32_crc32di(wide, load64(p));
    crc = (uint32_t)wide;
    for (; len > 0; p++, len--)
        crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}
#endif

uint32_t crc32c_portable(uint32_t crc, const void *ptr, size_t len)
{
    pthread_once(&once, tables_make);
    return ~run_tables(~crc, ptr, len);
}

uint32_t crc32c(uint32_t crc, const void *ptr, size_t len)
{
    pthread_once(&once, tables_make);
#if defined(__x86_64__)
    if (has_instruction)
        return ~run_instruction(~crc, ptr, len);
#endif
    return ~run_tables(~crc, ptr, len);
}

/* CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected, as in RFC 3720 appendix B.4). Any thread. */
#ifndef HG_BASE_CRC32C_H
#define HG_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue `crc` (0 at the start) over `len` bytes: crc32c(crc32c(0, a), b) is the CRC of a followed by b. */
uint32_t crc32c(uint32_t crc, const void *ptr, size_t len);

/* The table-driven way, whatever the processor can do; for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *ptr, size_t len);

#endif

/* FNV-1a with a mixing step; the constants are those of the FNV and splitmix64 publications. */
#include "base/hash.h"

uint64_t hash_bytes(struct slice s)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001B3u;
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
    h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
    h ^= h >> 31;
    return h == 0 ? 1 : h;
}

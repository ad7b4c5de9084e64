/* One call of zlib: its bound says how much room the worst text needs. */
#include "common/gzip.h"

#include <stdint.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16 /* a gzip head */, GZIP_MEMORY = 8 };

int gzip_pack(struct strbuf *out, const struct strbuf *in)
{
    z_stream z = {.next_in = (Bytef *)in->ptr, .avail_in = (uInt)in->len};
    strbuf_clear(out);
    if (in->len > UINT32_MAX ||
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return -1;
    uLong bound = deflateBound(&z, (uLong)in->len);
    char *room = strbuf_room(out, bound);
    z.next_out = (Bytef *)room;
    z.avail_out = room ? (uInt)bound : 0;
    int rc = room ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
    out->len += rc == Z_STREAM_END ? z.total_out : 0;
    deflateEnd(&z);
    return rc == Z_STREAM_END ? 0 : -1;
}

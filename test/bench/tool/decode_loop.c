/* How fast the libraries unpack a body, with nothing around them.
 *
 *   decode_loop gzip|libdeflate|zstd FILE SECONDS
 *
 * gzip: with zlib. libdeflate: gzip, with libdeflate.
 *
 * Prints MB that come out a second of CPU time. */
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>

enum { IN_MAX = 16 << 20, OUT_MAX = 64 << 20, GZIP = 16 };

static char in[IN_MAX], out[OUT_MAX];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t gzip_unpack(z_stream *z, size_t len)
{
    inflateReset(z);
    z->next_in = (unsigned char *)in;
    z->avail_in = (unsigned)len;
    z->next_out = (unsigned char *)out;
    z->avail_out = OUT_MAX;
    return inflate(z, Z_FINISH) == Z_STREAM_END ? OUT_MAX - z->avail_out : 0;
}

static size_t libdeflate_unpack(struct libdeflate_decompressor *quick, size_t len)
{
    size_t got;
    return libdeflate_gzip_decompress(quick, in, len, out, OUT_MAX, &got) == LIBDEFLATE_SUCCESS ? got : 0;
}

static size_t zstd_unpack(ZSTD_DCtx *context, size_t len)
{
    size_t got = ZSTD_decompressDCtx(context, out, OUT_MAX, in, len);
    return ZSTD_isError(got) ? 0 : got;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 4 ? fopen(argv[2], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: decode_loop gzip|libdeflate|zstd FILE SECONDS\n");
        return 64;
    }
    size_t len = fread(in, 1, sizeof in, file), done = 0;
    fclose(file);
    z_stream z = {.next_in = NULL};
    ZSTD_DCtx *context = ZSTD_createDCtx();
    struct libdeflate_decompressor *quick = libdeflate_alloc_decompressor();
    if (context == NULL || quick == NULL || inflateInit2(&z, MAX_WBITS + GZIP) != Z_OK)
        return 1;
    double began = now(), spent = 0, seconds = strtod(argv[3], NULL);
    for (; spent < seconds; spent = now() - began) {
        size_t got = strcmp(argv[1], "gzip") == 0         ? gzip_unpack(&z, len)
                     : strcmp(argv[1], "libdeflate") == 0 ? libdeflate_unpack(quick, len)
                                                          : zstd_unpack(context, len);
        if (got == 0)
            return 1;
        done += got;
    }
    printf("%.1f\n", (double)done / spent / 1e6);
    inflateEnd(&z);
    libdeflate_free_decompressor(quick);
    ZSTD_freeDCtx(context);
    return 0;
}

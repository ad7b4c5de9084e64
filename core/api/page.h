/* The files of the page, as the Makefile has put them into the program (core/api/page/pack). */
#ifndef HG_API_PAGE_H
#define HG_API_PAGE_H

#include <stddef.h>

struct page_file {
    const char *path, *type, *version; /* version: an entity tag, with its quotes */
    const unsigned char *plain;
    size_t plain_len;
    const unsigned char *packed; /* gzip */
    size_t packed_len;
};

extern const struct page_file page_files[];
extern const size_t page_file_count;

#endif

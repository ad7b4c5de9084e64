/* Where the puller is: which file, how far. Its text is the position that is durable with the rows. */
#ifndef DIRECTORY_PLACE_H
#define DIRECTORY_PLACE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct place {
    uint64_t inode;
    int64_t born;    /* nanoseconds; of the last change where the file system does not know */
    uint64_t offset; /* the first byte that was not taken in */
    uint64_t line;   /* on which it stands, from 1 */
    uint64_t rows;   /* taken in so far */
    int whole;       /* 1: all of it is in; it is only to be put away */
    char name[NAME_MAX + 1];
};

enum { PLACE_SIZE = NAME_MAX + 160 };

/* Bytes written. A place without a name is none. */
size_t place_write(const struct place *p, char out[PLACE_SIZE]);
/* 0, or -1: it is not one of ours. Nothing at all is no file. */
int place_read(const char *bytes, size_t len, struct place *out);
/* Of a file that is open: who it is. 0, or -1 and errno. */
int place_identify(int fd, struct place *out);

#endif

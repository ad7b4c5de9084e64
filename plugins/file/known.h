/* A bounded set of files by device and inode: those that this process has opened, whose end it need not read again.
 * When it is full it starts anew, which only costs a second reading. */
#ifndef FILE_KNOWN_H
#define FILE_KNOWN_H

#include <stddef.h>
#include <stdint.h>

struct known {
    uint64_t *slots; /* 0: free */
    size_t count;
};

void known_fini(struct known *k);
void known_add(struct known *k, uint64_t dev, uint64_t ino);
int known_has(const struct known *k, uint64_t dev, uint64_t ino);

#endif

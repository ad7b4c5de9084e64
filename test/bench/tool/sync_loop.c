/* What the disk alone does: one page written and fdatasync'ed after the other, into a file that was written in full
 * before, as a recycled segment is.
 *
 *   sync_loop DIR SECONDS
 *
 * Prints how many a second. The file is removed at the end. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FILE_BYTES = 64 << 20, BLOCK = 1 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(int good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

static int file_make(const char *path)
{
    static char block[BLOCK];
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    must(fd >= 0, path);
    for (int done = 0; done < FILE_BYTES; done += BLOCK)
        must(write(fd, block, BLOCK) == BLOCK, "write");
    must(fsync(fd) == 0, "fsync");
    return fd;
}

int main(int argc, char **argv)
{
    char path[4096], page[PAGE];
    if (argc != 3) {
        fprintf(stderr, "usage: sync_loop DIR SECONDS\n");
        return 64;
    }
    snprintf(path, sizeof path, "%s/sync_loop.%d", argv[1], (int)getpid());
    int fd = file_make(path);
    memset(page, 'x', PAGE);
    double began = now(), seconds = strtod(argv[2], NULL), spent = 0;
    unsigned long count = 0;
    for (off_t at = 0; spent < seconds; at = (at + PAGE) % FILE_BYTES) {
        must(pwrite(fd, page, PAGE, at) == PAGE, "pwrite");
        must(fdatasync(fd) == 0, "fdatasync");
        count++;
        spent = now() - began;
    }
    unlink(path);
    printf("%.1f\n", (double)count / spent);
    return 0;
}

/* What a pusher to a file could do at best: append ready lines, so many at a time, and fdatasync after each time.
 *
 *   write_loop LINES TO EACH
 *
 * Prints lines a second, and lines a second of CPU time. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(int good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

int main(int argc, char **argv)
{
    struct stat st;
    if (argc != 4) {
        fprintf(stderr, "usage: write_loop LINES TO EACH\n");
        return 64;
    }
    int from = open(argv[1], O_RDONLY), to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    must(from >= 0 && to >= 0 && fstat(from, &st) == 0, argv[1]);
    size_t len = (size_t)st.st_size;
    char *text = malloc(len);
    must(text != NULL && pread(from, text, len, 0) == (ssize_t)len, argv[1]);
    double began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    unsigned long each = strtoul(argv[3], NULL, 10), lines = 0;
    for (char *at = text, *end = text + len; at < end;) {
        char *stop = at;
        for (unsigned long n = 0; n < each && stop < end; n++, lines++) {
            char *feed = memchr(stop, '\n', (size_t)(end - stop));
            stop = feed == NULL ? end : feed + 1;
        }
        must(write(to, at, (size_t)(stop - at)) == stop - at && fdatasync(to) == 0, argv[2]);
        at = stop;
    }
    printf("%.1f %.1f\n", (double)lines / (now(CLOCK_MONOTONIC) - began),
           (double)lines / (now(CLOCK_PROCESS_CPUTIME_ID) - cpu));
    return unlink(argv[2]);
}

/* The plugin's own counters, gathered until it is worth a message. Any thread. */
#ifndef HG_HOST_TALLY_H
#define HG_HOST_TALLY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { TALLY_NAMES = 32, TALLY_NAME_MAX = 63 };

struct tally {
    pthread_mutex_t mutex;
    uint32_t count;
    struct {
        char name[TALLY_NAME_MAX + 1];
        uint64_t add; /* since it was taken last */
    } entries[TALLY_NAMES];
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);
/* False: the name is not [a-z][a-z0-9_]* of at most TALLY_NAME_MAX, or there are too many names. */
bool tally_add(struct tally *t, const char *name, uint64_t add);
/* The next counter that has grown, set back to 0; `*at` starts at 0. False: no more. */
bool tally_take(struct tally *t, uint32_t *at, char name[TALLY_NAME_MAX + 1], uint64_t *add);

#endif

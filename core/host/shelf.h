/* The files this host may read: descriptors the daemon sent, by store and base. Put and dropped by the main thread,
 * used by workers. A dropped file stays open until the last worker that uses it has returned it. */
#ifndef HG_HOST_SHELF_H
#define HG_HOST_SHELF_H

#include "base/err.h"
#include "base/id.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { SHELF_MAX = 1024 };

struct shelf_file {
    uint64_t serial; /* never the same twice in one process: tells a new descriptor from an old one */
    uint64_t base, salt;
    struct epoch epoch;
    uint32_t store; /* enum wire_store */
    int fd;
    uint32_t users;
    bool dropped;
};

struct shelf {
    pthread_mutex_t mutex;
    struct shelf_file *files;
    size_t count, cap;
    uint64_t serial;
};

void shelf_init(struct shelf *s);
void shelf_fini(struct shelf *s); /* closes everything */
/* Takes over `file->fd` on success; serial and users are filled in. One that is there already: the new fd is closed. */
int shelf_put(struct shelf *s, const struct shelf_file *file) MUST_CHECK;
/* True: it is gone now. False: a worker uses it, shelf_return will tell. */
bool shelf_drop(struct shelf *s, uint32_t store, uint64_t base);
/* A copy of the entry; every take is followed by a return with its serial. ERR_NOTFOUND. */
int shelf_take(struct shelf *s, uint32_t store, uint64_t base, struct shelf_file *out) MUST_CHECK;
/* True when this was the last user of a dropped file, which is closed now: the daemon is to be told. */
bool shelf_return(struct shelf *s, uint64_t serial);

#endif

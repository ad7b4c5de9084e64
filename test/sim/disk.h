/* A disk in memory, behind the table of system calls. It keeps two pictures: what the page cache shows, and what is on
 * the medium. What was written and not synced may be lost, torn or kept at a power cut, each write for itself; names
 * likewise, until their folder is synced. */
#ifndef HG_SIM_DISK_H
#define HG_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct disk_rules {
    uint32_t faults;   /* calls in a thousand that fail */
    bool lies;         /* a failed sync leaves pages that look clean: the cache shows what the medium has not */
    bool direct;       /* O_DIRECT is there */
    bool bad_reads;    /* reads fail with EIO, as of a medium that has gone bad */
    uint64_t capacity; /* bytes of all files together */
};

void disk_new(const struct disk_rules *rules); /* an empty one with the folder `/d`, and `sys` is its table */
void disk_free(void);
struct disk_rules *disk_rules(void);

/* After so many more calls that change something it is dead: nothing has an effect any more and every call fails, until
 * disk_killed or disk_power_cut. -1: never. */
void disk_fuse(int calls);
bool disk_dead(void);
/* The process is gone: its descriptors are closed, the cache stays. */
void disk_killed(void);
/* The machine is gone: only the medium stays. */
void disk_power_cut(void);
/* One bit of the medium, and of what the cache shows, in a file whose path has `part` in it. False: there is none. */
bool disk_flip(const char *part, size_t from, size_t *at);
/* Reads that failed with EIO so far. */
uint32_t disk_unread(void);
/* Descriptors that are open: none may be left when everything is closed. */
uint32_t disk_open_files(void);

/* Messages of the model host to the daemon leave through sendmsg: given to this, in order. */
extern void (*disk_message)(const struct iovec *parts, size_t count);

#endif

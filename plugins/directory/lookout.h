/* Which file is next: a look into the folder, and word from the kernel when another look is worth while. */
#ifndef DIRECTORY_LOOKOUT_H
#define DIRECTORY_LOOKOUT_H

#include "place.h"

#include "headgate.h"

struct lookout {
    const char *folder;
    int notify; /* inotify, -1: none */
    int unripe; /* the last look passed over a file that somebody is still writing */
};

/* 0, or an errno. */
int lookout_open(struct lookout *l, const char *folder, int watch);
void lookout_close(struct lookout *l);
/* The oldest file that is whole, open for reading; its name and identity in `out`. -1: none; *number: errno or 0. */
int lookout_next(struct lookout *l, struct place *out, int *number);
/* The file of a place, open for reading, if it is still that file. -1: it is not; *number as above. */
int lookout_again(struct lookout *l, const struct place *of, int *number);
/* Waits until something has changed, a while has passed, or the host stops: then 0. */
int lookout_wait(struct lookout *l, struct hg_host *host, const struct hg_api *api);

#endif

/* A folder of a target's own: in TMPDIR where that is set, else in memory. It goes with the process that made it, and
 * not with a child of that (AFL++ forks). What a crash leaves goes with TMPDIR. Included by one file of a program. */
#ifndef FUZZ_SCRATCH_H
#define FUZZ_SCRATCH_H

#include "base/check.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[128];
static pid_t scratch_maker;

static int scratch_remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

/* `path` and all that is in it. */
static inline void scratch_remove(const char *path)
{
    nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void scratch_make(void)
{
    const char *in = getenv("TMPDIR");
    if (in == NULL)
        in = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    CHECK(snprintf(scratch, sizeof scratch, "%s/hg-fuzz-XXXXXX", in) < (int)sizeof scratch);
    CHECK(mkdtemp(scratch) != NULL);
    scratch_maker = getpid();
}

static __attribute__((destructor)) void scratch_tidy(void)
{
    if (scratch_maker == getpid())
        scratch_remove(scratch);
}

#endif

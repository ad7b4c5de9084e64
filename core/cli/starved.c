/* A time limit is a statement about a plugin. On a machine with more to do than processors it becomes one about the
 * machine, unless the time is left out in which the plugin would have run and could not. Linux keeps that for each
 * thread: the second number of /proc/PID/task/TID/schedstat, in nanoseconds. */
#include "cli/starved.h"

#include <dirent.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

enum { LEAST_PART = 10 };

static int64_t thread_starved_ns(const char *folder, const char *thread)
{
    char path[320];
    int64_t ns = 0;
    snprintf(path, sizeof path, "%s/%s/schedstat", folder, thread);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return 0; /* "." and "..", or it has just ended */
    if (fscanf(in, "%*d %" SCNd64, &ns) != 1)
        ns = 0;
    fclose(in);
    return ns;
}

int64_t starved_ms(pid_t pid)
{
    char folder[40];
    int64_t ns = 0;
    snprintf(folder, sizeof folder, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        ns += thread_starved_ns(folder, e->d_name);
    closedir(dir);
    return ns / 1000000;
}

int64_t starved_less(int64_t ms, int64_t starved)
{
    int64_t most = ms - ms / LEAST_PART;
    return ms - (starved < 0 ? 0 : starved < most ? starved : most);
}

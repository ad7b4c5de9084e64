/* Seeded bug: fdatasync says that all went well at once, and is done a little later by another thread. Every sync takes
 * place, but answers are out before it has ended. */
#include "hook/recorder.h"

#include "base/check.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static struct sys recording;

static void *later(void *arg)
{
    const struct timespec a_little = {.tv_nsec = 20 * 1000 * 1000};
    int fd = (int)(intptr_t)arg;
    nanosleep(&a_little, NULL);
    recording.fdatasync(fd);
    close(fd);
    return NULL;
}

static int sync_later(int fd)
{
    pthread_t thread;
    int own = dup(fd);
    CHECK(own >= 0 && pthread_create(&thread, NULL, later, (void *)(intptr_t)own) == 0);
    pthread_detach(thread);
    return 0;
}

void sys_hook(void)
{
    static struct sys table;
    recording = recorder_table();
    table = recording;
    table.fdatasync = sync_later;
    sys = &table;
}

/* Seeded bug: fdatasync does nothing and says that all went well. The recorder stands below and sees no sync. */
#include "hook/recorder.h"

static int sync_nothing(int fd)
{
    (void)fd;
    return 0;
}

void sys_hook(void)
{
    static struct sys table;
    table = recorder_table();
    table.fdatasync = sync_nothing;
    sys = &table;
}

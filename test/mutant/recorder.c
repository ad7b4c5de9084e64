/* No bug: the daemon as it is, with its calls recorded. */
#include "hook/recorder.h"

void sys_hook(void)
{
    static struct sys table;
    table = recorder_table();
    sys = &table;
}

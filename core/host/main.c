/* headgate-host: the process that runs one plugin. Started by the daemon (wire.h says with which descriptors), or with
 * --describe to print what a file is. */
#include "base/sys.h"
#include "host/life.h"
#include "host/look.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_USAGE = 64 };

int main(int argc, char **argv)
{
    sys_hook();
    if (argc == 3 && strcmp(argv[1], "--describe") == 0)
        return look_print(argv[2]);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("headgate-host %s\n", HG_VERSION) > 0 ? 0 : 1;
    if (argc == 1 && fcntl(WIRE_CHANNEL_FD, F_GETFD) >= 0 && fcntl(WIRE_SETUP_FD, F_GETFD) >= 0)
        return life_run();
    fprintf(stderr, "headgate-host is started by headgate; by hand: headgate-host --describe FILE\n");
    return EXIT_USAGE;
}

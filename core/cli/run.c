/* `headgate run`: the daemon, with the flags of the command line. */
#include "api/daemon.h"
#include "cli/flags.h"
#include "cli/say.h"

#include <limits.h>
#include <unistd.h>

int verb_run(int argc, char **argv)
{
    struct args a;
    struct flags f = {.count = 0};
    char host[PATH_MAX];
    struct err e = {0};
    int exit = args_parse(&a, "run", argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&a, 0, 0);
    if (exit == EXIT_DONE)
        exit = flags_read(&f, &a);
    if (exit == EXIT_DONE && daemon_find_host(host, sizeof host, &e) != ERR_OK)
        exit = say_error(EXIT_CONFIG, "%s", e.text);
    if (exit == EXIT_DONE) {
        struct daemon_options options = {.input = f.input, .host = host, .hint = isatty(STDOUT_FILENO) != 0};
        exit = daemon_run(&options);
    }
    flags_fini(&f);
    args_fini(&a);
    return exit;
}

/* The command `headgate`: finds the verb in the table and calls it. Help, version and unknown verbs are answered here;
 * everything else is the verb's own. */
#include "cli/cli.h"

#include "base/sys.h"
#include "cli/say.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* What was typed, as one text ("dead lst"), for the nearest verb. */
static int unknown_verb(int argc, char **argv)
{
    char typed[128];
    bool two = argc > 1 && argv[1][0] != '-' && help_group(NULL, argv[0]) > 0;
    snprintf(typed, sizeof typed, "%.60s%s%.60s", argv[0], two ? " " : "", two ? argv[1] : "");
    if ((argc == 1 || argv[1][0] == '-') && help_group(stderr, argv[0]) > 0)
        return EXIT_USAGE;
    const char *near = verb_nearest(typed);
    if (near != NULL)
        return say_error(EXIT_USAGE, "there is no verb `%s`; did you mean `%s`?", typed, near);
    return say_error(EXIT_USAGE, "there is no verb `%s`; `headgate help` lists them", typed);
}

static int help(int argc, char **argv)
{
    int used;
    if (argc == 0) {
        help_all(stdout);
        return EXIT_DONE;
    }
    const struct verb *verb = verb_match(argc, argv, &used);
    size_t group = help_group(verb == NULL ? stdout : NULL, argv[0]);
    if (verb == NULL)
        return group > 0 ? EXIT_DONE : unknown_verb(argc, argv);
    help_verb(stdout, verb);
    return EXIT_DONE;
}

static int dispatch(int argc, char **argv)
{
    int used;
    if (argc == 0) {
        help_all(stderr);
        return EXIT_USAGE;
    }
    if (is_help(argv[0]) || strcmp(argv[0], "help") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "version") == 0) {
        puts("headgate " HG_VERSION);
        return EXIT_DONE;
    }
    const struct verb *verb = verb_match(argc, argv, &used);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i]))
            return help(verb == NULL ? 1 : argc, argv);
    if (verb == NULL)
        return unknown_verb(argc, argv);
    return verb->run(argc - used + 1, argv + used - 1);
}

int main(int argc, char **argv)
{
    sys_hook();
    int exit = dispatch(argc > 0 ? argc - 1 : 0, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout))
        return say_error(exit == EXIT_DONE ? EXIT_DISK : exit, "cannot write to standard output: %s", strerror(errno));
    return exit;
}

/* The command: its verbs, its exit codes, and what every verb's function is.
 *
 * A verb is called on the main thread with `argv[0]` its last word and the options behind it, and returns the process's
 * exit code. It reads its options with args_parse (args.h). Everything it prints for people goes through say.h. */
#ifndef HG_CLI_CLI_H
#define HG_CLI_CLI_H

#include "base/err.h"

#include <stddef.h>
#include <stdio.h>

enum exit_code {
    EXIT_DONE = 0,
#define EXIT(name, number, text) EXIT_##name = (number),
#include "cli/exits.def"
#undef EXIT
};

/* The exit code for an error of the core (err.h). */
int exit_of(int code);

enum option_id {
#define OPTION(id, name, argument, help) OPT_##id,
#include "cli/options.def"
#undef OPTION
    OPT_COUNT
};

struct option_row {
    const char *name;     /* without the dashes */
    const char *argument; /* NULL: a switch */
    const char *help;
};
extern const struct option_row option_rows[OPT_COUNT];

struct verb {
    const char *words; /* "status", "dead list" */
    int (*run)(int argc, char **argv);
    const char *arguments;
    const char *help; /* one line */
    const unsigned char *options;
    size_t option_count;
};
extern const struct verb verbs[];
extern const size_t verb_count;

/* By its words ("dead list"); NULL when there is none. */
const struct verb *verb_find(const char *words);
/* The longest verb that the words at `argv` begin with; `*used` is how many it took. NULL: none. */
const struct verb *verb_match(int argc, char **argv, int *used);
/* The verb, or first word of verbs, nearest to what was typed; NULL when nothing is near. */
const char *verb_nearest(const char *typed);

void help_all(FILE *out);
void help_verb(FILE *out, const struct verb *verb);
/* All verbs of two words that begin with this one ("dead"); how many there are. `out` NULL: only counts. */
size_t help_group(FILE *out, const char *word);

#define VERB(words, function, ...) int function(int argc, char **argv);
#include "cli/verbs.def"
#undef VERB
/* `headgate config --offline`; verb_config hands its arguments on unchanged. */
int verb_config_offline(int argc, char **argv);

#endif

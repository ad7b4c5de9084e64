/* A verb's options and arguments, read by getopt_long from the option table. Values are borrowed from argv.
 * Main thread. */
#ifndef HG_CLI_ARGS_H
#define HG_CLI_ARGS_H

#include "cli/cli.h"

#include <stdbool.h>
#include <stdint.h>

struct args {
    const struct verb *verb;
    char **copy; /* of argv, permuted: options first */
    struct args_given {
        enum option_id option;
        const char *value; /* "" for a switch */
    } * given;             /* in the order they were written */
    size_t given_count;
    char **rest; /* what is no option */
    int rest_count;
};

/* EXIT_DONE, or EXIT_USAGE or EXIT_INTERNAL with the reason said. `words` names the verb. args_fini in every case. */
int args_parse(struct args *a, const char *words, int argc, char **argv) MUST_CHECK;
void args_fini(struct args *a);

bool args_has(const struct args *a, enum option_id option);
/* The last value given, or `otherwise`. */
const char *args_value(const struct args *a, enum option_id option, const char *otherwise);
/* Every value of an option that may be repeated; `*at` starts at 0; NULL at the end. */
const char *args_next(const struct args *a, enum option_id option, size_t *at);
/* EXIT_USAGE with the reason said unless there are between `least` and `most` arguments (`most` < 0: any number). */
int args_expect(const struct args *a, int least, int most) MUST_CHECK;
/* A whole number of an option within the limits; untouched when it was not given. */
int args_number(const struct args *a, enum option_id option, int64_t least, int64_t most, int64_t *out) MUST_CHECK;
/* A duration (`25s`) of an option in milliseconds; untouched when it was not given. */
int args_duration(const struct args *a, enum option_id option, int64_t *ms) MUST_CHECK;

#endif

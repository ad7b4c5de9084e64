/* Options from the table through getopt_long, with the nearest name for what is unknown. getopt's own state is global:
 * main thread only. */
#include "cli/args.h"

#include "cli/say.h"
#include "conf/value.h"

#include <getopt.h>
#include <stdlib.h>

enum { LONG_BASE = 256 }; /* getopt's return values: beyond every character */

static void args_unknown(const struct args *a, const char *typed)
{
    const char *names[OPT_COUNT];
    for (size_t i = 0; i < a->verb->option_count; i++)
        names[i] = option_rows[a->verb->options[i]].name;
    char word[64];
    const char *bare = typed + strspn(typed, "-");
    snprintf(word, sizeof word, "%.*s", (int)strcspn(bare, "="), bare);
    const char *near = value_nearest(word, names, a->verb->option_count);
    if (near != NULL)
        say_note("%s: unknown option %s; did you mean --%s?", a->verb->words, typed, near);
    else
        say_note("%s: unknown option %s; `headgate help %s` lists them", a->verb->words, typed, a->verb->words);
}

static bool args_known(const struct args *a, const char *typed)
{
    const char *bare = typed + strspn(typed, "-");
    size_t len = strcspn(bare, "=");
    for (size_t i = 0; i < a->verb->option_count; i++) {
        const char *name = option_rows[a->verb->options[i]].name;
        if (strlen(name) == len && strncmp(name, bare, len) == 0)
            return true;
    }
    return false;
}

static int args_read(struct args *a, int argc, const struct option *table)
{
    optind = 0;
    opterr = 0;
    for (int got; (got = getopt_long(argc, a->copy, ":", table, NULL)) != -1;) {
        const char *typed = a->copy[optind - 1];
        if (got == ':')
            return say_error(EXIT_USAGE, "%s: %s needs a value", a->verb->words, typed);
        if (got == '?' && args_known(a, typed))
            return say_error(EXIT_USAGE, "%s: %.*s takes no value", a->verb->words, (int)strcspn(typed, "="), typed);
        if (got == '?') {
            args_unknown(a, typed);
            return EXIT_USAGE;
        }
        a->given[a->given_count++] =
            (struct args_given){(enum option_id)(got - LONG_BASE), optarg == NULL ? "" : optarg};
    }
    a->rest = a->copy + optind;
    a->rest_count = argc - optind;
    return EXIT_DONE;
}

int args_parse(struct args *a, const char *words, int argc, char **argv)
{
    *a = (struct args){.verb = verb_find(words)};
    CHECK(a->verb != NULL);
    struct option table[OPT_COUNT + 1] = {0};
    for (size_t i = 0; i < a->verb->option_count; i++) {
        const struct option_row *row = &option_rows[a->verb->options[i]];
        table[i] = (struct option){row->name, row->argument != NULL ? required_argument : no_argument, NULL,
                                   LONG_BASE + a->verb->options[i]};
    }
    a->copy = calloc((size_t)argc + 1, sizeof *a->copy);
    a->given = calloc((size_t)argc + 1, sizeof *a->given);
    if (a->copy == NULL || a->given == NULL)
        return say_error(EXIT_INTERNAL, "out of memory");
    memcpy(a->copy, argv, (size_t)argc * sizeof *argv);
    return args_read(a, argc, table);
}

void args_fini(struct args *a)
{
    free(a->copy);
    free(a->given);
    *a = (struct args){0};
}

const char *args_value(const struct args *a, enum option_id option, const char *otherwise)
{
    for (size_t i = a->given_count; i > 0; i--)
        if (a->given[i - 1].option == option)
            return a->given[i - 1].value;
    return otherwise;
}

bool args_has(const struct args *a, enum option_id option)
{
    return args_value(a, option, NULL) != NULL;
}

const char *args_next(const struct args *a, enum option_id option, size_t *at)
{
    while (*at < a->given_count) {
        const struct args_given *given = &a->given[(*at)++];
        if (given->option == option)
            return given->value;
    }
    return NULL;
}

int args_expect(const struct args *a, int least, int most)
{
    if (a->rest_count >= least && (most < 0 || a->rest_count <= most))
        return EXIT_DONE;
    if (a->rest_count < least)
        return say_error(EXIT_USAGE, "%s: %s is missing", a->verb->words, a->verb->arguments);
    return say_error(EXIT_USAGE, "%s: `%s` is too much; usage: headgate %s %s", a->verb->words, a->rest[most],
                     a->verb->words, a->verb->arguments);
}

int args_number(const struct args *a, enum option_id option, int64_t least, int64_t most, int64_t *out)
{
    const char *text = args_value(a, option, NULL);
    if (text == NULL)
        return EXIT_DONE;
    struct err e;
    int64_t number;
    if (value_integer(text, &number, &e) != ERR_OK)
        return say_error(EXIT_USAGE, "%s: --%s: %s", a->verb->words, option_rows[option].name, e.text);
    if (number < least || number > most)
        return say_error(EXIT_USAGE, "%s: --%s must be between %lld and %lld", a->verb->words, option_rows[option].name,
                         (long long)least, (long long)most);
    *out = number;
    return EXIT_DONE;
}

int args_duration(const struct args *a, enum option_id option, int64_t *ms)
{
    const char *text = args_value(a, option, NULL);
    if (text == NULL)
        return EXIT_DONE;
    struct err e;
    if (value_duration(text, ms, &e) != ERR_OK)
        return say_error(EXIT_USAGE, "%s: --%s: %s", a->verb->words, option_rows[option].name, e.text);
    return EXIT_DONE;
}

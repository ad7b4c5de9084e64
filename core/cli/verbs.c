/* The tables of verbs and options, finding a verb by what was typed, and the help texts made from the tables.
 *
 * Read-only data and printing; main thread. Nothing here knows what a verb does. */
#include "cli/cli.h"

#include "cli/say.h"
#include "conf/value.h"

#include <string.h>

enum { WORD_MAX = 64, HELP_COLUMN = 24, LINE_WIDTH = 80 };

const struct option_row option_rows[OPT_COUNT] = {
#define OPTION(id, name, argument, help) {name, argument, help},
#include "cli/options.def"
#undef OPTION
};

const struct verb verbs[] = {
#define VERB(words, function, arguments, help, ...)                                                                    \
    {words, function, arguments, help, (const unsigned char[]){__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__})},
#include "cli/verbs.def"
#undef VERB
};
const size_t verb_count = COUNT_OF(verbs);

int exit_of(int code)
{
    switch ((enum err_code)code) {
    case ERR_OK: return EXIT_DONE;
    case ERR_IO:
    case ERR_FULL:
    case ERR_DENIED: return EXIT_DISK;
    case ERR_LIMIT:
    case ERR_SYNTAX:
    case ERR_RANGE:
    case ERR_UNKNOWN:
    case ERR_MISSING:
    case ERR_EXISTS:
    case ERR_NOTFOUND:
    case ERR_GONE:
    case ERR_DAMAGED:
    case ERR_VERSION: return EXIT_REFUSED;
    case ERR_BUSY:
    case ERR_CLOSED:
    case ERR_AGAIN:
    case ERR_TIMEOUT:
    case ERR_UNREACHABLE: return EXIT_UNREACHABLE;
    case ERR_CONFIG: return EXIT_CONFIG;
    case ERR_USAGE: return EXIT_USAGE;
    case ERR_NOMEM:
    case ERR_FILES:
    case ERR_INTERNAL:
    case ERR_COUNT: return EXIT_INTERNAL;
    }
    return EXIT_INTERNAL;
}

const struct verb *verb_find(const char *words)
{
    for (size_t i = 0; i < verb_count; i++)
        if (strcmp(verbs[i].words, words) == 0)
            return &verbs[i];
    return NULL;
}

const struct verb *verb_match(int argc, char **argv, int *used)
{
    char two[2 * WORD_MAX];
    if (argc >= 2 && strlen(argv[0]) < WORD_MAX && strlen(argv[1]) < WORD_MAX) {
        snprintf(two, sizeof two, "%s %s", argv[0], argv[1]);
        const struct verb *verb = verb_find(two);
        if (verb != NULL) {
            *used = 2;
            return verb;
        }
    }
    const struct verb *verb = argc >= 1 && strchr(argv[0], ' ') == NULL ? verb_find(argv[0]) : NULL;
    if (verb != NULL)
        *used = 1;
    return verb;
}

const char *verb_nearest(const char *typed)
{
    const char *words[COUNT_OF(verbs)];
    for (size_t i = 0; i < verb_count; i++)
        words[i] = verbs[i].words;
    return value_nearest(typed, words, verb_count);
}

/* One line "  left          right", the right side wrapped below itself. */
static void help_line(FILE *out, const char *left, const char *right)
{
    int used = fprintf(out, "  %s", left);
    if (used >= HELP_COLUMN) {
        fputc('\n', out);
        used = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - used, "");
    say_wrapped(out, HELP_COLUMN, LINE_WIDTH, right, true);
}

static void option_text(const struct option_row *row, char *out, size_t size)
{
    snprintf(out, size, row->argument != NULL ? "--%s %s" : "--%s", row->name, row->argument);
}

static void verb_line(FILE *out, const struct verb *verb)
{
    char left[2 * WORD_MAX];
    snprintf(left, sizeof left, "%s %s", verb->words, verb->arguments);
    help_line(out, left, verb->help);
}

void help_all(FILE *out)
{
    fputs("headgate: rows posted once reach every destination, once in effect.\n\n"
          "Usage: headgate VERB [OPTION...] [ARGUMENT...]\n\nVerbs:\n",
          out);
    for (size_t i = 0; i < verb_count; i++)
        verb_line(out, &verbs[i]);
    fputs("\nClient verbs ask the daemon at --admin ADDR, else at HEADGATE_ADMIN_LISTEN, else\n"
          "at what the settings file says, else at 127.0.0.1:8081; HEADGATE_TOKEN or\n"
          "HEADGATE_TOKEN_FILE is their bearer token.\n\nExit codes:\n",
          out);
    help_line(out, "0", "done");
#define EXIT(name, number, text) help_line(out, #number, text);
#include "cli/exits.def"
#undef EXIT
    fputs("\n`headgate help VERB` says more.\n", out);
}

void help_verb(FILE *out, const struct verb *verb)
{
    int used = fprintf(out, "Usage: headgate %s", verb->words);
    char text[WORD_MAX];
    for (size_t i = 0; i < verb->option_count; i++) {
        option_text(&option_rows[verb->options[i]], text, sizeof text);
        if (used + (int)strlen(text) + 3 > LINE_WIDTH)
            used = fprintf(out, "\n      ") - 1;
        used += fprintf(out, " [%s]", text);
    }
    if (used + (int)strlen(verb->arguments) + 1 > LINE_WIDTH)
        fputs("\n      ", out);
    fprintf(out, "%s%s\n\n", verb->arguments[0] != '\0' ? " " : "", verb->arguments);
    fprintf(out, "%s\n\n", verb->help);
    for (size_t i = 0; i < verb->option_count; i++) {
        const struct option_row *row = &option_rows[verb->options[i]];
        option_text(row, text, sizeof text);
        help_line(out, text, row->help);
    }
}

size_t help_group(FILE *out, const char *word)
{
    size_t len = strlen(word), found = 0;
    for (size_t i = 0; i < verb_count; i++) {
        if (strncmp(verbs[i].words, word, len) != 0 || verbs[i].words[len] != ' ')
            continue;
        if (found++ == 0 && out != NULL)
            fprintf(out, "Verbs of `headgate %s`:\n", word);
        if (out != NULL)
            verb_line(out, &verbs[i]);
    }
    return found;
}

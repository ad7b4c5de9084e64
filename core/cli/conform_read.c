/* check.ini: the settings file's own reader, other sections. `[options]` and `[second]` are options of the plugin,
 * `[rows]` good and bad, `[far]` up, down and count, `[check]` timeout. Values are lines of at most 198 bytes; a longer
 * row stands in a file of its own, `good = @FILE`. Options are written as in the settings file: `path`, not `PATH`. */
#include "cli/conform.h"

#include "cli/say.h"
#include "conf/inifile.h"
#include "conf/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROW_MAX = 1 << 20, TIMEOUT_LEAST_MS = 100, KEY_MAX = 64 };

static int take_text(char **to, const char *value)
{
    free(*to);
    *to = value[0] == '\0' ? NULL : strdup(value);
    return EXIT_DONE;
}

static int take_row(struct conform *c, char **to, const char *value)
{
    if (value[0] != '@')
        return take_text(to, value);
    char path[8192];
    char *text = calloc(1, ROW_MAX);
    snprintf(path, sizeof path, "%s/%s", value[1] == '/' ? "" : c->folder, value + 1);
    FILE *in = text == NULL ? NULL : fopen(path, "re");
    size_t n = in == NULL ? 0 : fread(text, 1, ROW_MAX - 1, in);
    if (in != NULL)
        fclose(in);
    if (n == 0) {
        free(text);
        return say_error(EXIT_CONFIG, "%s: %s", path, in == NULL ? strerror(errno) : "it is empty");
    }
    free(*to);
    *to = text;
    return EXIT_DONE;
}

/* Its name as the plugin has it. */
static void option_name(const struct inifile_entry *e, char out[KEY_MAX])
{
    size_t i = 0;
    for (; e->key[i] != '\0' && i + 1 < KEY_MAX; i++)
        out[i] = (char)(e->key[i] >= 'a' && e->key[i] <= 'z' ? e->key[i] - 'a' + 'A' : e->key[i]);
    out[i] = '\0';
}

static int take_option(struct conform *c, const struct inifile_entry *e)
{
    char name[KEY_MAX];
    option_name(e, name);
    return c->loaded ? subject_set(&c->subject, name, e->value) : EXIT_DONE;
}

static int take_second(struct conform *c, const struct inifile_entry *e)
{
    char name[KEY_MAX];
    option_name(e, name);
    if (c->second_count == SUBJECT_SETTINGS)
        return say_error(EXIT_CONFIG, "too many options");
    c->second[c->second_count++] = (struct setting){strdup(name), strdup(e->value)};
    return EXIT_DONE;
}

static int take_timeout(struct conform *c, const struct inifile_entry *e)
{
    struct err fault = {.text = ""};
    if (value_duration(e->value, &c->timeout_ms, &fault) == ERR_OK && c->timeout_ms >= TIMEOUT_LEAST_MS)
        return EXIT_DONE;
    return say_error(EXIT_CONFIG, "line %d: timeout: expected a duration of at least %d ms, found \"%s\"", e->line,
                     TIMEOUT_LEAST_MS, e->value);
}

static bool is(const struct inifile_entry *e, const char *section, const char *key)
{
    return strcmp(e->section, section) == 0 && (key == NULL || strcmp(e->key, key) == 0);
}

static int take(struct conform *c, const struct inifile_entry *e)
{
    if (is(e, "options", NULL))
        return take_option(c, e);
    if (is(e, "second", NULL))
        return take_second(c, e);
    if (is(e, "rows", "good"))
        return take_row(c, &c->good, e->value);
    if (is(e, "rows", "bad"))
        return take_row(c, &c->bad, e->value);
    if (is(e, "far", "up"))
        return take_text(&c->up, e->value);
    if (is(e, "far", "down"))
        return take_text(&c->down, e->value);
    if (is(e, "far", "count"))
        return take_text(&c->count, e->value);
    if (is(e, "check", "timeout"))
        return take_timeout(c, e);
    return say_error(EXIT_CONFIG, "line %d: check.ini has no [%s] %s", e->line, e->section, e->key);
}

/* The folder of the file, absolute. */
static void folder_of(struct conform *c, const char *path)
{
    char *real = realpath(path, NULL);
    snprintf(c->folder, sizeof c->folder, "%s", real == NULL ? path : real);
    free(real);
    char *slash = strrchr(c->folder, '/');
    if (slash == NULL)
        snprintf(c->folder, sizeof c->folder, ".");
    else
        slash[slash == c->folder] = '\0';
}

int conform_read(struct conform *c, const char *path, bool named)
{
    struct inifile file = {0};
    struct buf said;
    buf_init(&said, 64 << 10);
    struct lines faults = {.to = &said}, notices = {0};
    folder_of(c, path);
    int exit = inifile_read(path, !named, &file, &faults, &notices) == ERR_OK ? EXIT_DONE : EXIT_INTERNAL;
    for (char *line = (char *)(uintptr_t)buf_str(&said), *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        exit = say_error(EXIT_CONFIG, "%s", line);
    }
    for (size_t i = 0; exit == EXIT_DONE && i < file.count; i++)
        exit = take(c, &file.entries[i]);
    inifile_fini(&file);
    buf_free(&said);
    return exit;
}

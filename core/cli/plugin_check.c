/* `headgate plugin check F.so`: tries a plugin of any kind in everything that may befall it, each item in a fresh
 * host, and says what passed, what failed with the way to mend it, and what could not be tried. What it needs to know
 * stands in check.ini beside the plugin: options, a good and a bad row, commands for the far end. PLUGIN_… of the
 * environment, where a live system may stand, is read with --live only. */
#include "cli/conform.h"
#include "cli/say.h"
#include "headgate.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 10000, LOG_MAX = 1 << 20, COLUMN = 15 };

static const struct {
    const char *name, *title, *why;
} items[ITEM_COUNT] = {
#define ITEM(id, name, title, why) {name, title, why},
#include "cli/conform.def"
#undef ITEM
};

static const char *const state_words[] = {"passed", "failed", "not exercised"};

/* --- what is said --- */

static void show_text(const struct finding *f, enum item_id id)
{
    printf("%-*s %-10s %s\n", COLUMN, state_words[f->state], items[id].name, items[id].title);
    if (f->state == ITEM_NOT_EXERCISED)
        say_wrapped(stdout, 4, 100, f->text, false);
    if (f->state != ITEM_FAILED)
        return;
    for (const char *line = f->text; line != NULL;) { /* a report keeps its lines */
        const char *end = strchr(line, '\n');
        char one[1000];
        snprintf(one, sizeof one, "%.*s", end == NULL ? (int)strlen(line) : (int)(end - line), line);
        say_wrapped(stdout, 4, 100, one, false);
        line = end == NULL ? NULL : end + 1;
    }
    char text[700];
    snprintf(text, sizeof text, "Why it matters: %s.", items[id].why);
    say_wrapped(stdout, 4, 100, text, false);
    snprintf(text, sizeof text, "To mend it: %s.", f->mend);
    if (f->mend[0] != '\0')
        say_wrapped(stdout, 4, 100, text, false);
}

static int show_json(const struct conform *c, const struct finding *all, const bool *ran)
{
    struct buf b;
    bool any = false;
    buf_init(&b, 1 << 20);
    int code = buf_adds(&b, "{\"file\":");
    if (code == ERR_OK)
        code = buf_add_json(&b, slice_of(c->subject.path));
    if (code == ERR_OK)
        code = buf_adds(&b, ",\"items\":[");
    for (int i = 0; code == ERR_OK && i < ITEM_COUNT; i++) {
        if (!ran[i])
            continue;
        code = buf_addf(&b, "%s{\"item\":\"%s\",\"state\":\"%s\",\"text\":", any ? "," : "", items[i].name,
                        state_words[all[i].state]);
        if (code == ERR_OK)
            code = buf_add_json(&b, slice_of(all[i].text));
        if (code == ERR_OK)
            code = buf_adds(&b, ",\"mend\":");
        if (code == ERR_OK)
            code = buf_add_json(&b, slice_of(all[i].mend));
        if (code == ERR_OK)
            code = buf_addc(&b, '}');
        any = true;
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "]}\n");
    if (code == ERR_OK)
        fwrite(b.ptr, 1, b.len, stdout);
    buf_free(&b);
    return exit_of(code);
}

/* --- running --- */

static bool wanted(const struct args *a, const char *name)
{
    size_t at = 0;
    const char *only = args_next(a, OPT_ONLY, &at);
    if (only == NULL)
        return true;
    for (; only != NULL; only = args_next(a, OPT_ONLY, &at))
        if (strcmp(only, name) == 0)
            return true;
    return false;
}

static int only_check(const struct args *a)
{
    size_t at = 0;
    for (const char *only; (only = args_next(a, OPT_ONLY, &at)) != NULL;) {
        size_t i = 0;
        while (i < ITEM_COUNT && strcmp(items[i].name, only) != 0)
            i++;
        if (i == ITEM_COUNT)
            return say_error(EXIT_USAGE, "--only: there is no item \"%s\"", only);
    }
    return EXIT_DONE;
}

static int run_items(struct conform *c, const struct args *a)
{
    static struct finding all[ITEM_COUNT];
    static bool ran[ITEM_COUNT];
    size_t counts[3] = {0};
    static struct finding begin; /* of what is no item yet */
    c->finding = &begin;
    if (c->loaded && !conform_far(c, c->up))
        return say_error(EXIT_CONFIG, "the far end does not come up: %s", begin.text);
    bool json = args_has(a, OPT_JSON);
    size_t apply = 0;
    for (int i = 0; i < ITEM_COUNT; i++) {
        bool applies = conform_applies(c, (enum item_id)i);
        apply += applies;
        if (!(ran[i] = applies && wanted(a, items[i].name)))
            continue;
        conform_item(c, (enum item_id)i, &all[i]);
        counts[all[i].state]++;
        if (!json)
            show_text(&all[i], (enum item_id)i);
        fflush(stdout);
    }
    int exit = json ? show_json(c, all, ran) : EXIT_DONE;
    if (!json) {
        printf("%zu passed, %zu failed, %zu not exercised\n", counts[0], counts[1], counts[2]);
        if (counts[ITEM_PASSED] == apply)
            printf("%s %s conforms to ABI %d.%d\n", c->subject.about.name, c->subject.about.version, HG_ABI_MAJOR,
                   HG_ABI_MINOR);
    }
    return exit == EXIT_DONE && counts[ITEM_FAILED] > 0 ? EXIT_REFUSED : exit;
}

/* check.ini beside the plugin, unless another was named. */
static int read_ini(struct conform *c, const struct args *a)
{
    char beside[4200];
    const char *named = args_value(a, OPT_INI, NULL);
    snprintf(beside, sizeof beside, "%.4096s", c->subject.path);
    char *slash = strrchr(beside, '/');
    snprintf(slash + 1, sizeof beside - (size_t)(slash + 1 - beside), "check.ini");
    return conform_read(c, named == NULL ? beside : named, named != NULL);
}

static int prepare(struct conform *c, const struct args *a)
{
    struct err e = {.text = ""};
    int exit = only_check(a);
    if (exit == EXIT_DONE)
        exit = subject_open(&c->subject, a->rest[0], &c->refused);
    c->loaded = exit == EXIT_DONE;
    if (exit == EXIT_REFUSED && c->refused.text[0] != '\0')
        exit = EXIT_DONE; /* it is an item */
    if (exit == EXIT_DONE)
        exit = read_ini(c, a);
    if (exit == EXIT_DONE && c->loaded && args_has(a, OPT_LIVE))
        exit = subject_environment(&c->subject);
    if (exit == EXIT_DONE && c->loaded)
        exit = subject_arguments(&c->subject, a);
    if (exit == EXIT_DONE && c->loaded)
        exit = subject_carry(&c->subject, "null");
    if (exit == EXIT_DONE && tape_open(&c->tape, &e) != ERR_OK)
        exit = say_error(EXIT_INTERNAL, "%s", e.text);
    if (exit == EXIT_DONE && chdir(c->folder) != 0)
        exit = say_error(EXIT_DISK, "cannot go to %s", c->folder);
    return exit;
}

int verb_plugin_check(int argc, char **argv)
{
    static struct conform c; /* large */
    struct args a;
    c.timeout_ms = TIMEOUT_MS;
    c.tape.fd = -1;
    buf_init(&c.log, LOG_MAX);
    int exit = args_parse(&a, "plugin check", argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&a, 1, 1);
    if (exit == EXIT_DONE)
        exit = prepare(&c, &a);
    if (exit == EXIT_DONE)
        exit = run_items(&c, &a);
    conform_fini(&c);
    args_fini(&a);
    return exit;
}

/* Settings of a plugin without a daemon come from the words of the command (--set), from check.ini, or from the same
 * variables that the daemon would read. They are handed to the host as text: it checks them, as it always does. */
#include "cli/subject.h"

#include "api/daemon.h"
#include "base/buf.h"
#include "cli/say.h"
#include "conf/value.h"
#include "headgate.h"
#include "supervise/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_MAX = 64 << 10, VARIABLE_MAX = 160 };

static int subject_describe(struct subject *t, struct err *refused)
{
    struct err e = {.text = ""};
    int code = folder_describe(t->host, t->path, &t->about, &e);
    if (code == ERR_OK)
        return EXIT_DONE;
    if (refused != NULL)
        *refused = e;
    return refused != NULL ? EXIT_REFUSED : say_error(EXIT_REFUSED, "%s: %s", t->path, e.text);
}

int subject_open(struct subject *t, const char *path, struct err *refused)
{
    struct err e = {.text = ""};
    *t = (struct subject){.path = realpath(path, NULL)};
    if (t->path == NULL)
        return say_error(EXIT_DISK, "%s: %s", path, strerror(errno));
    if (daemon_find_host(t->host, sizeof t->host, &e) != ERR_OK)
        return say_error(EXIT_CONFIG, "%s", e.text);
    snprintf(t->work, sizeof t->work, "/tmp/headgate-plugin-XXXXXX");
    if (mkdtemp(t->work) == NULL) {
        t->work[0] = '\0';
        return say_error(EXIT_DISK, "cannot make a temporary folder: %s", strerror(errno));
    }
    snprintf(t->lock, sizeof t->lock, "%s/lock", t->work);
    return subject_describe(t, refused);
}

void subject_close(struct subject *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->settings[i].name);
        free(t->settings[i].value);
    }
    described_fini(&t->about);
    free(t->path);
    if (t->work[0] != '\0') {
        (void)unlink(t->lock);
        (void)rmdir(t->work);
    }
}

static const struct described_option *subject_option(const struct subject *t, const char *name)
{
    for (size_t i = 0; i < t->about.count; i++)
        if (strcmp(t->about.options[i].name, name) == 0)
            return &t->about.options[i];
    return NULL;
}

static int subject_no_option(const struct subject *t, const char *name)
{
    const char *names[SUBJECT_SETTINGS];
    size_t count = 0;
    for (; count < t->about.count && count < SUBJECT_SETTINGS; count++)
        names[count] = t->about.options[count].name;
    const char *near = value_nearest(name, names, count);
    return say_error(EXIT_CONFIG, "%s has no option %s%s%s", t->about.name, name, near == NULL ? "" : "; nearest is ",
                     near == NULL ? "" : near);
}

int subject_set(struct subject *t, const char *name, const char *value)
{
    if (subject_option(t, name) == NULL)
        return subject_no_option(t, name);
    size_t i = 0;
    while (i < t->count && strcmp(t->settings[i].name, name) != 0)
        i++;
    char *copy = strdup(value);
    if (i == t->count && copy != NULL && t->count < SUBJECT_SETTINGS)
        t->settings[t->count++] = (struct setting){.name = strdup(name)};
    if (copy == NULL || i == t->count || t->settings[i].name == NULL) {
        free(copy);
        return say_error(EXIT_INTERNAL, "out of memory");
    }
    free(t->settings[i].value);
    t->settings[i].value = copy;
    return EXIT_DONE;
}

/* A secret from a file; one newline at its end is cut. */
static int subject_secret(struct subject *t, const char *name, const char *path)
{
    static char text[SECRET_MAX];
    FILE *in = fopen(path, "re");
    size_t n = in == NULL ? 0 : fread(text, 1, sizeof text - 1, in);
    if (in == NULL)
        return say_error(EXIT_CONFIG, "%s_FILE: cannot read %s: %s", name, path, strerror(errno));
    fclose(in);
    text[n > 0 && text[n - 1] == '\n' ? n - 1 : n] = '\0';
    int exit = subject_set(t, name, text);
    explicit_bzero(text, sizeof text);
    return exit;
}

int subject_environment(struct subject *t)
{
    int exit = EXIT_DONE;
    for (size_t i = 0; exit == EXIT_DONE && i < t->about.count; i++) {
        const struct described_option *o = &t->about.options[i];
        char variable[VARIABLE_MAX];
        int len = snprintf(variable, sizeof variable - 8, "PLUGIN_%s_%s", t->about.name, o->name);
        for (char *c = variable; *c != '\0'; c++)
            *c = (char)(*c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
        const char *value = getenv(variable);
        memcpy(variable + len, "_FILE", sizeof "_FILE");
        const char *file = (o->flags & HG_SECRET) != 0 ? getenv(variable) : NULL;
        if (value != NULL && *value != '\0')
            exit = subject_set(t, o->name, value);
        else if (file != NULL && *file != '\0')
            exit = subject_secret(t, o->name, file);
    }
    return exit;
}

int subject_arguments(struct subject *t, const struct args *a)
{
    size_t at = 0;
    int exit = EXIT_DONE;
    for (const char *text; exit == EXIT_DONE && (text = args_next(a, OPT_SET, &at)) != NULL;) {
        const char *equals = strchr(text, '=');
        char *name = equals == NULL ? NULL : strndup(text, (size_t)(equals - text));
        exit = name == NULL ? say_error(EXIT_USAGE, "--set: expected NAME=VALUE, found \"%s\"", text)
                            : subject_set(t, name, equals + 1);
        free(name);
    }
    return exit;
}

/* Beside this program as it is built, as it is installed, or where it was meant to be installed. */
int subject_carry(struct subject *t, const char *carrier)
{
    static const char *const places[] = {"/plugins/", "/../lib/headgate/plugins/"};
    char self[4096];
    if (t->about.kind != HG_PROCESSOR)
        return EXIT_DONE;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; i <= COUNT_OF(places); i++) {
        if (i < COUNT_OF(places))
            snprintf(t->carrier, sizeof t->carrier, "%.4000s%s%s.so", self, places[i], carrier);
        else
            snprintf(t->carrier, sizeof t->carrier, "%s/lib/headgate/plugins/%s.so", HG_PREFIX, carrier);
        if (access(t->carrier, R_OK) == 0)
            return EXIT_DONE;
    }
    return say_error(EXIT_CONFIG, "a processor is tried before the pusher `%s`, and there is no %s", carrier,
                     t->carrier);
}

void subject_solo(struct subject *t, struct solo *s)
{
    const bool processor = t->about.kind == HG_PROCESSOR;
    solo_init(s, t->host);
    s->whole_sets = (t->about.flags & HG_WHOLE_SETS) != 0;
    s->setup = (struct setup){
        .instance = t->about.name,
        .plugin = processor ? t->carrier : t->path,
        .lock = (char *)(uintptr_t)t->lock,
        .workers = 1,
        .batch_rows = SOLO_ROWS_MAX,
        .batch_bytes = 1 << 20,
        .timeout_ms = 30000,
    };
    struct setup *own = processor ? &t->step : &s->setup;
    if (processor) {
        t->step = (struct setup){.instance = t->about.name, .plugin = t->path};
        s->setup.processors = own;
        s->setup.processor_count = 1;
    }
    own->settings = t->settings;
    own->count = t->count;
}

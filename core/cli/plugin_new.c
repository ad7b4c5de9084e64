/* `headgate plugin new NAME`: a folder that builds, passes its test and its check, and runs. The files are installed
 * with the SDK (sdk/new/KIND); three words in them stand for the name: @NAME@ (my-sink), @SYMBOL@ (my_sink) and @UPPER@
 * (MY_SINK). Nothing is overwritten; what was begun and failed is left to be looked at. */
#include "base/buf.h"
#include "base/sys.h"
#include "cli/args.h"
#include "cli/say.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_LEN_MAX = 48, TEMPLATE_MAX = 256 << 10 };

struct plugin_new {
    const char *name;
    char symbol[NAME_LEN_MAX + 1], upper[NAME_LEN_MAX + 1];
    char from[PATH_MAX];
};

static bool name_valid(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_LEN_MAX && name[0] >= 'a' && name[0] <= 'z' && name[len - 1] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static void names_make(struct plugin_new *n)
{
    for (size_t i = 0; n->name[i] != '\0'; i++) {
        char c = n->name[i] == '-' ? '_' : n->name[i];
        n->symbol[i] = c;
        n->upper[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
}

/* Beside this program as it is installed, where it was meant to be installed, or in the source tree it was built in. */
static int templates_find(struct plugin_new *n, const char *kind)
{
    static const char *const places[] = {"/../share/headgate/sdk/new/", "/../sdk/new/"};
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; i <= COUNT_OF(places); i++) {
        if (i < COUNT_OF(places))
            snprintf(n->from, sizeof n->from, "%.3000s%s%s", self, places[i], kind);
        else
            snprintf(n->from, sizeof n->from, "%s/share/headgate/sdk/new/%s", HG_PREFIX, kind);
        if (access(n->from, R_OK | X_OK) == 0)
            return EXIT_DONE;
    }
    return say_error(EXIT_CONFIG, "the SDK is not installed: no %s/share/headgate/sdk/new/%s", HG_PREFIX, kind);
}

/* The text with the three words replaced. */
static int text_fill(const struct plugin_new *n, struct slice text, struct buf *out)
{
    const struct {
        const char *word, *text;
    } words[] = {{"@NAME@", n->name}, {"@SYMBOL@", n->symbol}, {"@UPPER@", n->upper}};
    int code = ERR_OK;
    for (size_t at = 0; code == ERR_OK && at < text.len;) {
        size_t i = 0;
        while (i < COUNT_OF(words) && (text.len - at < strlen(words[i].word) ||
                                       memcmp(text.ptr + at, words[i].word, strlen(words[i].word)) != 0))
            i++;
        code = i < COUNT_OF(words) ? buf_adds(out, words[i].text) : buf_addc(out, text.ptr[at]);
        at += i < COUNT_OF(words) ? strlen(words[i].word) : 1;
    }
    return code;
}

/* plugin.c.in is NAME.c, test_plugin.c.in is test_NAME.c; the others keep their names. */
static void file_name(const struct plugin_new *n, const char *from, char *out, size_t size)
{
    bool test = strcmp(from, "test_plugin.c.in") == 0;
    if (test || strcmp(from, "plugin.c.in") == 0)
        snprintf(out, size, "%s/%s%s.c", n->name, test ? "test_" : "", n->name);
    else
        snprintf(out, size, "%s/%s", n->name, from);
}

static int file_write(const char *path, struct slice text)
{
    FILE *out = fopen(path, "wxe");
    bool good = out != NULL && fwrite(text.ptr, 1, text.len, out) == text.len;
    if (out != NULL && fclose(out) != 0)
        good = false;
    return good ? EXIT_DONE : say_error(EXIT_DISK, "%s: %s", path, strerror(errno));
}

static int file_make(void *arg, const char *name)
{
    const struct plugin_new *n = arg;
    static char bytes[TEMPLATE_MAX];
    char from[PATH_MAX + 300], to[PATH_MAX];
    snprintf(from, sizeof from, "%s/%s", n->from, name);
    FILE *in = fopen(from, "re");
    if (in == NULL)
        return say_error(EXIT_DISK, "%s: %s", from, strerror(errno));
    size_t len = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    struct buf text;
    buf_init(&text, 2 * TEMPLATE_MAX);
    file_name(n, name, to, sizeof to);
    int exit = text_fill(n, slice_make(bytes, len), &text) == ERR_OK ? file_write(to, buf_slice(&text)) : EXIT_INTERNAL;
    buf_free(&text);
    return exit;
}

static int folder_make(struct plugin_new *n)
{
    if (sys->mkdir(n->name, 0777) != 0)
        return say_error(EXIT_DISK, "%s: %s", n->name, strerror(errno));
    int exit = sys->list(n->from, file_make, n);
    if (exit < 0)
        exit = say_error(EXIT_DISK, "%s: %s", n->from, strerror(errno));
    if (exit == EXIT_DONE)
        printf("%s is there. Next:\n    cd %s\n    make test\n    make check\n", n->name, n->name);
    return exit;
}

static int new_plugin(const struct args *a)
{
    struct plugin_new n = {.name = a->rest[0]};
    const char *kind = args_value(a, OPT_KIND, "pusher");
    if (!name_valid(n.name))
        return say_error(EXIT_USAGE, "\"%s\" is no name for a plugin: [a-z][a-z0-9-]*, at most %d", n.name,
                         NAME_LEN_MAX);
    if (strcmp(kind, "pusher") != 0 && strcmp(kind, "puller") != 0 && strcmp(kind, "processor") != 0)
        return say_error(EXIT_USAGE, "--kind: expected pusher, puller or processor, found \"%s\"", kind);
    names_make(&n);
    int exit = templates_find(&n, kind);
    return exit == EXIT_DONE ? folder_make(&n) : exit;
}

int verb_plugin_new(int argc, char **argv)
{
    struct args a;
    int exit = args_parse(&a, "plugin new", argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&a, 1, 1);
    if (exit == EXIT_DONE)
        exit = new_plugin(&a);
    args_fini(&a);
    return exit;
}

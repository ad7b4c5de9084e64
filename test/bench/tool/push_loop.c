/* What a pusher does with nothing around it: its push() is called again and again with rows that are ready in memory.
 *
 *   push_loop PLUGIN BODY TIMES [NAME=VALUE…]
 *
 * BODY is a row set as it is posted; all its rows are one push. NAME=VALUE are the plugin's options. Prints rows a
 * second, and rows a second of CPU time. Only the time inside push() counts: what the kit does around it, which stands
 * for the host here, costs nothing. */
#include "testkit.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BODY_MAX = 16 << 20 };

static struct hg_plugin plugin;
static struct hg_pusher pusher;
static int (*push)(void *state, struct hg_rows *rows);
static double by_clock, by_cpu;

static double now(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int push_timed(void *state, struct hg_rows *rows)
{
    double began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    int result = push(state, rows);
    by_clock += now(CLOCK_MONOTONIC) - began;
    by_cpu += now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    return result;
}

static const struct hg_plugin *timed(void)
{
    return &plugin;
}

/* The plugin as it is, but for its push(). */
static int load(const char *path)
{
    union {
        void *found;
        const struct hg_plugin *(*call)(void);
    } entry = {.found = NULL};
    void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (file != NULL)
        entry.found = dlsym(file, "hg_plugin");
    if (entry.found == NULL || entry.call()->kind != HG_PUSHER)
        return -1;
    plugin = *entry.call();
    pusher = *plugin.pusher;
    push = pusher.push;
    pusher.push = push_timed;
    plugin.pusher = &pusher;
    return 0;
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "push_loop: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv)
{
    static char body[BODY_MAX + 1];
    FILE *file = argc > 3 ? fopen(argv[2], "rb") : NULL;
    if (file == NULL || load(argv[1]) != 0)
        return fail("usage", "push_loop PLUGIN BODY TIMES [NAME=VALUE...]");
    body[fread(body, 1, BODY_MAX, file)] = '\0';
    fclose(file);
    struct testkit *kit = testkit_link(timed);
    for (int i = 4; kit != NULL && i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            return fail(argv[i], "is no NAME=VALUE");
        *value = '\0';
        testkit_set(kit, argv[i], value + 1);
    }
    if (kit == NULL || testkit_start(kit) != HG_OPEN_OK)
        return fail(argv[1], kit == NULL ? "no plugin" : testkit_fault(kit));
    size_t rows = 0, each;
    for (long n = strtol(argv[3], NULL, 10); n > 0; n--, rows += each) {
        each = testkit_rows(kit, body);
        if (each == 0 || testkit_push(kit, rows, each) == HG_NOT_NOW)
            return fail("push", each == 0 ? testkit_fault(kit) : testkit_push_reason(kit));
    }
    printf("%.1f %.1f\n", (double)rows / by_clock, (double)rows / by_cpu);
    testkit_free(&kit);
    return 0;
}

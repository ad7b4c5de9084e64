/* The plugin folders as verbs look at them: scanned into a temporary place, each instance judged. Main thread,
 * blocking. */
#ifndef HG_CLI_FOLDERS_H
#define HG_CLI_FOLDERS_H

#include "cli/flags.h"
#include "supervise/folder.h"

struct folders {
    struct conf *conf;
    char copies[64];
    char host[4096];
    struct folder folder;
};

/* Load the settings and scan. EXIT_DONE, or an exit code with the reason said. folders_close in every case. */
int folders_open(struct folders *f, const struct flags *flags) MUST_CHECK;
void folders_close(struct folders *f);
/* What a verb does with the folders: reads its arguments (exactly `count` of them), opens, runs, closes. */
int folders_verb(const char *words, int argc, char **argv, int count,
                 int (*run)(const struct folders *, const struct args *)) MUST_CHECK;
/* The plugin with this name in its descriptor, NULL when there is none. */
const struct plugin_file *folders_find(const struct folders *f, const char *name);

#endif

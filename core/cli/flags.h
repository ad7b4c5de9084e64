/* Flags of verbs that read the settings themselves (run, check, config --offline, plugin list and describe), as the
 * settings' own "section.key=value" texts. Main thread. */
#ifndef HG_CLI_FLAGS_H
#define HG_CLI_FLAGS_H

#include "cli/args.h"
#include "conf/conf.h"

struct flags {
    char *texts[8];
    size_t count;
    struct conf_input input; /* borrows the texts, argv and the environment */
};

/* EXIT_DONE, or an exit code with the reason said. flags_fini in every case. */
int flags_read(struct flags *f, const struct args *a) MUST_CHECK;
void flags_fini(struct flags *f);
/* Load the settings; says every fault and notice. EXIT_DONE, EXIT_CONFIG or EXIT_INTERNAL. */
int flags_load(const struct flags *f, struct conf **conf) MUST_CHECK;

#endif

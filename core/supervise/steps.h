/* What stands before a pusher: its WHEN and its PROCESS, as processors with their files and settings. */
#ifndef HG_SUPERVISE_STEPS_H
#define HG_SUPERVISE_STEPS_H

#include "conf/conf.h"
#include "supervise/folder.h"

struct step {
    char *name; /* of the processor's instance; WHEN's is "when" */
    struct plugin_file *file;
    struct instance instance;
};

struct steps {
    struct step *all;
    size_t count;
};

/* Where processors are looked for; borrowed. */
struct step_places {
    const struct conf *conf;
    const struct folder *folder;
    char *const *names, *const *uses; /* all instances, as conf_instances gives them */
    size_t count;
};

/* The file of the plugin called so, or NULL. */
struct plugin_file *folder_file(const struct folder *f, const char *name);
/* An instance's settings against the options of its plugin's file (NULL: it has none). As conf_instance; an option
 * of pushers is a fault of a processor's. */
int file_instance(const struct plugin_file *file, const char *name, const char *use, const struct conf *conf,
                  struct instance *out, struct buf *faults) MUST_CHECK;
/* Every fault of a processor's settings as a line; true when there is any. `code` is what file_instance said. */
bool processor_faults(const struct plugin_file *file, const struct instance *i, int code, struct buf *faults);

/* The steps of a pusher's instance. ERR_CONFIG: lines in `faults` say what is missing or wrong; ERR_NOMEM. steps_fini
 * in any case. */
int steps_find(const struct step_places *places, const struct instance *pusher, struct steps *out,
               struct buf *faults) MUST_CHECK;
void steps_fini(struct steps *s);
/* All instances from number `first` on, which are processors', for those who look: also what no pusher names, and what
 * has faults. ERR_NOMEM. */
int steps_all(const struct step_places *places, size_t first, struct steps *out) MUST_CHECK;
/* The same files with the same settings, in the same order? */
bool steps_equal(const struct steps *a, const struct steps *b);

/* Put them into a host's setup; everything is borrowed. steps_setup_fini gives back what that took, also after a
 * failure.
 */
int steps_setup(const struct steps *s, struct setup *setup) MUST_CHECK;
void steps_setup_fini(struct setup *setup);

#endif

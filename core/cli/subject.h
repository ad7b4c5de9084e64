/* The plugin that `plugin run` and `plugin check` are about: a file, what it says of itself, its settings. */
#ifndef HG_CLI_SUBJECT_H
#define HG_CLI_SUBJECT_H

#include "cli/args.h"
#include "cli/solo.h"

enum { SUBJECT_SETTINGS = 256 };

struct subject {
    char *path;      /* absolute */
    char host[4096]; /* headgate-host */
    struct described about;
    struct setting settings[SUBJECT_SETTINGS];
    size_t count;
    char work[64], lock[96]; /* a temporary folder, and a lock file in it */
    char carrier[4200];      /* of a processor: the pusher that its host runs behind it */
    struct setup step;       /* of a processor: its part of a host's setup; borrowed from the others */
};

/* EXIT_DONE, or an exit code with the reason said. subject_close in every case. `refused`: where a file that is no
 * plugin is told instead of said; may be NULL. */
int subject_open(struct subject *t, const char *path, struct err *refused) MUST_CHECK;
void subject_close(struct subject *t);
/* An option as it would be written; later ones win. EXIT_CONFIG with the nearest name when there is no such option. */
int subject_set(struct subject *t, const char *name, const char *value) MUST_CHECK;
/* PLUGIN_<NAME>_<OPTION>, and _FILE for secrets, of this process's environment. */
int subject_environment(struct subject *t) MUST_CHECK;
/* NAME=VALUE of every --set. */
int subject_arguments(struct subject *t, const struct args *a) MUST_CHECK;
/* A host for it with these settings; not started. A processor stands before `carrier`, a bundled pusher. */
void subject_solo(struct subject *t, struct solo *s);
/* Find that pusher, if it is a processor. EXIT_CONFIG: it is not installed. */
int subject_carry(struct subject *t, const char *carrier) MUST_CHECK;

#endif

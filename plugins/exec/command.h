/* A command and its two pipes. One thread; every wait is bounded. */
#ifndef EXEC_COMMAND_H
#define EXEC_COMMAND_H

#include "headgate.h"

#include <sys/types.h>

struct command_start {
    const char *text;   /* for /bin/sh -c */
    const char *folder; /* to work in, NULL: the root */
    const struct hg_map *environment;
    const char *position; /* HEADGATE_POSITION; NULL: none */
    const char *instance; /* HEADGATE_INSTANCE */
};

struct command {
    pid_t pid; /* of the shell and of its process group; 0: none runs */
    int out, err;
};

/* 0, or an errno. */
int command_start(struct command *c, const struct command_start *start);
/* Asks it to end; SIGTERM for all of its group. */
void command_ask(const struct command *c);
/* Waits for it at most so long, then kills what is left of the group; `*status` as of waitpid, -1: not known. Closes
 * the pipes. */
void command_end(struct command *c, int wait_ms, int *status);

#endif

/* From rows to commands to verdicts. */
#ifndef REDIS_DELIVER_H
#define REDIS_DELIVER_H

#include "script.h"
#include "server.h"

struct deliver {
    const struct hg_api *api;
    struct hg_host *host;
    struct server server;
    struct script_plan plan;
    struct script script;
    size_t *rows; /* of the command under construction: numbers in the push */
    size_t row_room;
    size_t most; /* rows in one command, for now: fewer while a guilty one is looked for */
};

void deliver_init(struct deliver *d);
void deliver_fini(struct deliver *d);

/* enum hg_result. */
int deliver_rows(struct deliver *d, struct hg_rows *rows);

/* Runs the script for no row: 1 when the server is there and the rights are; else 0 with a reason. */
int deliver_probe(struct deliver *d, char *why, size_t size);

#endif

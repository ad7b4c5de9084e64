/* One push into SQLite. */
#ifndef SQLITE_LITEPUSH_H
#define SQLITE_LITEPUSH_H

#include "common/sqlverdicts.h"
#include "litefile.h"

struct litepush {
    const struct hg_api *api;
    struct hg_host *host;
    struct litefile file;
    struct sqlbatch batch;
    struct strbuf scratch;
    struct sqlverdicts verdicts;
};

int litepush_rows(struct litepush *p, struct hg_rows *rows);

/* Can the file be written, is the table as it must be? Nothing is changed. */
enum liteend litepush_probe(struct litepush *p, char *why, size_t size);

#endif

/* One connection to PostgreSQL that never blocks longer than it may. One thread. */
#ifndef POSTGRES_PGCONN_H
#define POSTGRES_PGCONN_H

#include "common/strbuf.h"
#include "headgate.h"

#include <postgresql/libpq-fe.h>

/* Texts may be NULL, and must live as long as the connection. */
struct pgsettings {
    const char *host, *user, *password, *database, *ca, *cert, *key;
    int64_t port, connect_ms, request_ms;
    int32_t tls; /* enum pgtls */
    int verify;
};

enum pgtls { PGTLS_AUTO, PGTLS_YES, PGTLS_NO };

/* How a statement ended. */
enum pgend {
    PG_FINE,
    PG_ROW,    /* something of the rows can never be taken */
    PG_STALE,  /* the table is not what it was */
    PG_NOT_NOW /* the server, the rights, the network: no row is to blame */
};

enum { PG_WHY = 900 };

struct pgconn {
    const struct hg_api *api;
    struct hg_host *host;
    const struct pgsettings *settings;
    PGconn *pg;       /* NULL: not connected */
    char why[PG_WHY]; /* of the last end that was not PG_FINE, on one line */
    char state[6];    /* its SQLSTATE; "" when it came from no server */
};

/* What came back from a string of statements. */
struct pganswer {
    PGresult *tables[2]; /* of its SELECTs, in order; the caller clears them */
    size_t table_count;
    long inserted; /* rows of its INSERT, or of its COPY when there is none */
};

/* What a COPY gets: `more` adds the next part to the empty buffer and returns 1, or 0 behind the last. The server reads
 * the first rows while the next are still being written. */
struct pgcopy {
    int (*more)(void *self, struct strbuf *out);
    void *self;
    struct strbuf *buffer;
};

void pganswer_clear(struct pganswer *a);

enum pgend pgconn_open(struct pgconn *c); /* does nothing when it is open */
void pgconn_close(struct pgconn *c);

/* Runs statements. `copy`: what the COPY among them gets. `first`: what the first cell of the first table must be, or
 * the COPY is given up as PG_STALE; NULL: anything. After a failure the transaction, if there is one, is aborted; a
 * connection that is of no more use is closed. `a` may be NULL. */
enum pgend pgconn_run(struct pgconn *c, const char *sql, const struct pgcopy *copy, const char *first,
                      struct pganswer *a);

#endif

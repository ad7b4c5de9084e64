/* One connection to MariaDB or MySQL. One thread. */
#ifndef MYSQL_MYCONN_H
#define MYSQL_MYCONN_H

#include "common/strbuf.h"
#include "headgate.h"

#include <mariadb/mysql.h>

/* Texts may be NULL, and must live as long as the connection. */
struct mysettings {
    const char *host, *socket, *user, *password, *database, *ca, *cert, *key;
    int64_t port, connect_ms, request_ms;
    int32_t tls; /* enum mytls */
    int verify;
};

enum mytls { MYTLS_AUTO, MYTLS_YES, MYTLS_NO };

/* How a statement ended. */
enum myend {
    MY_FINE,
    MY_ROW,    /* something of the rows can never be taken */
    MY_STALE,  /* the table is not what it was */
    MY_NOT_NOW /* the server, the rights, the network: no row is to blame */
};

enum { MY_WHY = 900 };

struct myconn {
    const struct hg_api *api;
    struct hg_host *host;
    const struct mysettings *settings;
    MYSQL *my;         /* NULL: not connected */
    int bulk;          /* the server takes arrays of parameters (MariaDB 10.2 and later) */
    size_t packet_max; /* bytes of one statement that the server takes */
    char why[MY_WHY];  /* of the last end that was not MY_FINE, on one line */
    unsigned number;   /* its error number; 0 when it came from no server */
};

enum myend myconn_open(struct myconn *c); /* does nothing when it is open */
void myconn_close(struct myconn *c);

/* Runs one statement. `*table`: its rows, if it has any, freed by the caller; `table` may be NULL. A connection that is
 * of no more use is closed. */
enum myend myconn_run(struct myconn *c, const char *sql, MYSQL_RES **table);

/* Takes over the error of the connection or of a statement; what it means. */
enum myend myconn_fault(struct myconn *c, unsigned number, const char *state, const char *text);

/* The words of our own for MY_NOT_NOW. */
enum myend myconn_say(struct myconn *c, const char *why);

#endif

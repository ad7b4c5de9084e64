/* What TLS listeners show and ask for: a certificate with its key, versions, and which clients' certificates are good.
 *
 * Read from files, and read again when one of them changes: connections to come get the new ones, those that are there
 * keep what they began with. tls_look and tls_close are for the thread that opened it; what is handed to listeners is
 * used by every loop. Neither logs. */
#ifndef HG_HTTP_TLS_H
#define HG_HTTP_TLS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct tls;

struct tls_options {
    const char *certificate; /* PEM: the certificate, and behind it those that lead to its root */
    const char *key;         /* PEM, without a pass phrase */
    const char *client_ca;   /* PEM: who signs certificates of clients; NULL: clients are not asked for one */
    const char *client_crl;  /* PEM: lists of those of them that are revoked; NULL: none is looked up */
    bool client_required;    /* a client without one is not let in at all */
    bool only_13;            /* TLS 1.3 only; else 1.2 too */
};

/* ERR_CONFIG with a sentence that names the file, ERR_NOMEM. */
int tls_open(struct tls **out, const struct tls_options *options, struct err *e) MUST_CHECK;
/* No listener may have it any more, and no connection be asked for its certificate; there may be some. */
void tls_close(struct tls **t);
/* Have the files changed? `*changed`: the new ones are in force. On an error those before stay, and it is told once for
 * each change. */
int tls_look(struct tls *t, bool *changed, struct err *e) MUST_CHECK;
/* When the certificate ends, seconds since 1970. */
int64_t tls_expires_s(const struct tls *t);
/* When the first of the lists of client_crl is out of date, from when on no certificate of its authority is good;
 * seconds since 1970, INT64_MAX: never. */
int64_t tls_crl_expires_s(const struct tls *t);

struct ssl_st;
struct x509_st;
/* For a connection that begins; NULL when out of memory. Any thread. */
struct ssl_st *tls_session(struct tls *t);
/* Is this client's certificate on a list by now? Any thread. */
bool tls_revoked(struct tls *t, const struct x509_st *certificate);

#endif

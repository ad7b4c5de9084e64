/* Which client certificate may do what: the file of tls.client_roles in force. A line for each:
 *
 *     # who                            roles           client
 *     dns:reader-3.lab.example         ingest          lab-a
 *     cn:operator                      operate,ingest
 *
 * Looking up is for any thread; everything else is for the thread that opened it. */
#ifndef HG_ACCESS_CERTS_H
#define HG_ACCESS_CERTS_H

#include "access/role.h"

struct certs;
struct x509_st;

enum { CERTS_MAX = 1000, CERT_WHO_MAX = 120 };

/* What stands in front of the colon. */
#define CERT_KINDS(K) K(CN, "cn") K(DNS, "dns") K(URI, "uri") K(EMAIL, "email") K(SHA256, "sha256")
enum cert_kind {
#define CERT_KIND(id, word) CERT_##id,
    CERT_KINDS(CERT_KIND)
#undef CERT_KIND
        CERT_KIND_COUNT
};

struct cert_rule {
    enum cert_kind kind;
    char *value; /* exactly this; dns, email and sha256 in lower case */
    unsigned roles;
    char client[CLIENT_MAX + 1]; /* "": not bound to one */
};

struct certfile {
    struct cert_rule *rules;
    size_t count;
};

/* The file's text. ERR_SYNTAX with a sentence that names the line, ERR_NOMEM. */
int certfile_parse(struct slice text, struct certfile *out, struct err *e) MUST_CHECK;
void certfile_fini(struct certfile *f);
/* The first line that the certificate fits, in the file's order; NULL: none. */
const struct cert_rule *certfile_find(const struct certfile *f, const struct x509_st *certificate);

int certs_open(struct certs **out, const char *path, struct err *e) MUST_CHECK;
void certs_close(struct certs **c);
/* As keys_look. */
int certs_look(struct certs *c, bool *changed, struct err *e) MUST_CHECK;
/* False: no line fits. Any thread. */
bool certs_find(struct certs *c, const struct x509_st *certificate, unsigned *roles, char client[CLIENT_MAX + 1],
                char who[CERT_WHO_MAX + 1]);

#endif

/* Lists of revoked certificates (CRL, RFC 5280 section 5), several in one PEM file; internal to core/http. A set of
 * lists does not change once it is read. */
#ifndef HG_HTTP_CRL_H
#define HG_HTTP_CRL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct crl;
struct ssl_ctx_st;
struct x509_st;

/* ERR_CONFIG with a sentence that names the setting and the file, also when there is no list in it; ERR_NOMEM. */
int crl_read(const char *file, struct crl **out, struct err *e) MUST_CHECK;
void crl_free(struct crl **c);
/* Each certificate of a client's chain is looked up from now on. The context keeps the lists itself. */
bool crl_use(const struct crl *c, struct ssl_ctx_st *context) MUST_CHECK;
/* When the first of them is out of date, seconds since 1970; INT64_MAX: never. */
int64_t crl_expires_s(const struct crl *c);
/* Does one of them list it? Their signatures are looked at in handshakes only. Not by two threads at a time. */
bool crl_lists(const struct crl *c, const struct x509_st *certificate);

#endif

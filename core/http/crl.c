/* Lists of revoked certificates, through OpenSSL.
 *
 * Whether a handshake goes through is decided by OpenSSL's own verification, with all that belongs to it: each
 * authority of the chain needs a list, signed by it and in date. So an authority without a list, or with one that is
 * out of date, lets nobody in: what is not known to be good is not. Here lists are read, and certificates looked up
 * whose handshake is long past. */
#include "http/crl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <time.h>

enum { LISTS_MAX = 1000 };

struct crl {
    X509_CRL *lists[LISTS_MAX];
    int count;
    int64_t expires_s;
};

static int64_t expiry(const X509_CRL *list)
{
    struct tm parts;
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    return next != NULL && ASN1_TIME_to_tm(next, &parts) == 1 ? (int64_t)timegm(&parts) : INT64_MAX;
}

/* Up to the file's end. False: what comes there is no list, or is one too many. */
static bool read_lists(struct crl *c, BIO *file)
{
    X509_CRL *list;
    while ((list = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL)) != NULL) {
        if (c->count == LISTS_MAX) {
            X509_CRL_free(list);
            return false;
        }
        int64_t expires_s = expiry(list);
        c->lists[c->count++] = list;
        c->expires_s = expires_s < c->expires_s ? expires_s : c->expires_s;
    }
    return c->count > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

int crl_read(const char *file, struct crl **out, struct err *e)
{
    struct crl *c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    c->expires_s = INT64_MAX;
    ERR_clear_error();
    BIO *bytes = BIO_new_file(file, "r");
    int code = ERR_OK;
    if (bytes == NULL)
        code = err_set(e, ERR_CONFIG, "tls.client_crl %s: %s", file, ERR_reason_error_string(ERR_peek_last_error()));
    else if (!read_lists(c, bytes))
        code = err_set(e, ERR_CONFIG,
                       "tls.client_crl %s: that is no list of revoked certificates in PEM, or is not whole", file);
    BIO_free(bytes);
    ERR_clear_error();
    if (code == ERR_OK)
        *out = c;
    else
        crl_free(&c);
    return code;
}

void crl_free(struct crl **c)
{
    if (*c == NULL)
        return;
    for (int i = 0; i < (*c)->count; i++)
        X509_CRL_free((*c)->lists[i]);
    free(*c);
    *c = NULL;
}

bool crl_use(const struct crl *c, SSL_CTX *context)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    for (int i = 0; i < c->count; i++)
        if (X509_STORE_add_crl(store, c->lists[i]) != 1)
            return false;
    return X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
                                       X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

int64_t crl_expires_s(const struct crl *c)
{
    return c->expires_s;
}

bool crl_lists(const struct crl *c, const X509 *certificate)
{
    X509_REVOKED *entry;
    for (int i = 0; i < c->count; i++)
        if (X509_CRL_get0_by_cert(c->lists[i], &entry, (X509 *)(uintptr_t)certificate) == 1)
            return true;
    return false;
}

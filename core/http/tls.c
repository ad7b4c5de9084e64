/* Contexts for TLS, through OpenSSL.
 *
 * Only what has no known weakness is offered: TLS 1.2 with forward secrecy and authenticated encryption, and 1.3; no
 * renegotiation, no compression. Sessions are resumed only where no client shows a certificate: a resumed one would not
 * look at it again. A change makes a whole new context, so there is never one with the certificate of today and the key
 * of yesterday; where the two do not fit (one of them has been replaced, the other not yet) the old context stays. */
#include "http/tls.h"

#include "base/stamp.h"
#include "http/crl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 4, CLIENT_CHAIN_MAX = 5 };

struct tls {
    char *files[FILES]; /* certificate, key, client_ca or NULL, client_crl or NULL */
    struct stamp stamps[FILES];
    bool client_required, only_13;
    pthread_mutex_t lock; /* of the two */
    SSL_CTX *context;
    struct crl *revoked; /* NULL: client_crl is not set */
    int64_t expires_s;
};

static int fault(struct err *e, const char *what, const char *file)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    err_set(e, ERR_CONFIG, "%s %s: %s", what, file, why == NULL ? "it cannot be used" : why);
    ERR_clear_error();
    return ERR_CONFIG;
}

/* There is nobody to ask for a pass phrase. */
static int no_phrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* Whoever asks for another protocol than ours is told so, instead of taking one for the other. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                           unsigned len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)arg;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, sizeof ours - 1, in, len) ==
                   OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool context_rules(SSL_CTX *c, bool only_13)
{
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(c, no_phrase);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(c, only_13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") == 1;
}

static int context_clients(const struct tls *t, SSL_CTX *c, struct err *e)
{
    const char *file = t->files[2];
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
    if (names == NULL || SSL_CTX_load_verify_file(c, file) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fault(e, "tls.client_ca", file);
    }
    SSL_CTX_set_client_CA_list(c, names); /* takes them */
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (t->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_verify_depth(c, CLIENT_CHAIN_MAX);
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(c, 0);
    return ERR_OK;
}

static int context_revoked(const struct tls *t, SSL_CTX *c, struct crl **out, struct err *e)
{
    int code = t->files[3] == NULL ? ERR_OK : crl_read(t->files[3], out, e);
    if (code == ERR_OK && *out != NULL && !crl_use(*out, c))
        code = fault(e, "tls.client_crl", t->files[3]);
    return code;
}

static int context_fill(const struct tls *t, SSL_CTX *c, struct err *e)
{
    if (!context_rules(c, t->only_13))
        return err_set(e, ERR_NOMEM, "this OpenSSL does not have what TLS needs here, or there is no memory");
    if (SSL_CTX_use_certificate_chain_file(c, t->files[0]) != 1)
        return fault(e, "tls.certificate", t->files[0]);
    if (SSL_CTX_use_PrivateKey_file(c, t->files[1], SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(c) != 1)
        return fault(e, "tls.key", t->files[1]);
    return t->files[2] == NULL ? ERR_OK : context_clients(t, c, e);
}

static int64_t expiry(SSL_CTX *c)
{
    struct tm parts;
    const X509 *certificate = SSL_CTX_get0_certificate(c);
    if (certificate == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1)
        return 0;
    return (int64_t)timegm(&parts);
}

static int load(struct tls *t, struct err *e)
{
    ERR_clear_error();
    SSL_CTX *fresh = SSL_CTX_new(TLS_server_method());
    if (fresh == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    struct crl *revoked = NULL;
    int code = context_fill(t, fresh, e);
    if (code == ERR_OK)
        code = context_revoked(t, fresh, &revoked, e);
    if (code != ERR_OK) {
        crl_free(&revoked);
        SSL_CTX_free(fresh);
        return code;
    }
    t->expires_s = expiry(fresh);
    pthread_mutex_lock(&t->lock);
    SSL_CTX *old = t->context;
    struct crl *before = t->revoked;
    t->context = fresh;
    t->revoked = revoked;
    pthread_mutex_unlock(&t->lock);
    SSL_CTX_free(old);
    crl_free(&before);
    return ERR_OK;
}

int tls_look(struct tls *t, bool *changed, struct err *e)
{
    bool other = false;
    *changed = false;
    for (int i = 0; i < FILES; i++) {
        struct stamp now;
        if (t->files[i] == NULL || stamp_take(t->files[i], &now) != 0 || stamp_same(&now, &t->stamps[i]))
            continue;
        t->stamps[i] = now;
        other = true;
    }
    int code = other ? load(t, e) : ERR_OK;
    *changed = other && code == ERR_OK;
    return code;
}

int tls_open(struct tls **out, const struct tls_options *options, struct err *e)
{
    const char *const files[FILES] = {options->certificate, options->key, options->client_ca, options->client_crl};
    bool changed = false;
    struct tls *t = calloc(1, sizeof *t);
    if (t == NULL || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    t->client_required = options->client_required;
    t->only_13 = options->only_13;
    bool whole = true;
    for (int i = 0; i < FILES; i++)
        whole = files[i] == NULL || (t->files[i] = strdup(files[i])) != NULL ? whole : false;
    int code = whole ? tls_look(t, &changed, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (code == ERR_OK && !changed) /* no file is there */
        code = load(t, e);
    if (code == ERR_OK)
        *out = t;
    else
        tls_close(&t);
    return code;
}

void tls_close(struct tls **t)
{
    if (*t == NULL)
        return;
    SSL_CTX_free((*t)->context);
    crl_free(&(*t)->revoked);
    for (int i = 0; i < FILES; i++)
        free((*t)->files[i]);
    pthread_mutex_destroy(&(*t)->lock);
    free(*t);
    *t = NULL;
}

int64_t tls_expires_s(const struct tls *t)
{
    return t->expires_s;
}

int64_t tls_crl_expires_s(const struct tls *t)
{
    return t->revoked == NULL ? INT64_MAX : crl_expires_s(t->revoked);
}

bool tls_revoked(struct tls *t, const X509 *certificate)
{
    if (t->files[3] == NULL)
        return false;
    pthread_mutex_lock(&t->lock);
    bool revoked = crl_lists(t->revoked, certificate);
    pthread_mutex_unlock(&t->lock);
    return revoked;
}

struct ssl_st *tls_session(struct tls *t)
{
    pthread_mutex_lock(&t->lock);
    SSL *ssl = SSL_new(t->context); /* holds the context itself */
    pthread_mutex_unlock(&t->lock);
    return ssl;
}

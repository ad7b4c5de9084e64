#include "webserver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS_MAX = 20000, HEAD_MAX = 65536, FIELDS_KEPT = 4 };

struct web {
    int listener;
    char url[64];
    SSL_CTX *tls;
    web_respond respond;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    struct web_request *requests;
    size_t count;
    _Atomic int peer; /* the connection that is open, -1: none */
};

struct peer {
    int fd;
    SSL *ssl;
};

static void must(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

/* --- a connection --- */

static long peer_read(struct peer *p, char *buf, size_t len)
{
    return p->ssl ? SSL_read(p->ssl, buf, (int)len) : (long)recv(p->fd, buf, len, 0);
}

static int peer_write(struct peer *p, const char *buf, size_t len)
{
    while (len > 0) {
        long n = p->ssl ? SSL_write(p->ssl, buf, (int)len) : (long)send(p->fd, buf, len, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
        buf += n;
        len -= (size_t)n;
    }
    return 1;
}

/* One request; 0 when the client is gone. */
static int request_read(struct peer *p, struct web_request *r)
{
    size_t used = 0, got = 0;
    char *end = NULL;
    *r = (struct web_request){.head = calloc(1, HEAD_MAX)};
    while (!end && used < HEAD_MAX - 1) {
        long n = peer_read(p, r->head + used, HEAD_MAX - 1 - used);
        if (n <= 0)
            return 0;
        used += (size_t)n;
        end = strstr(r->head, "\r\n\r\n");
    }
    r->len = (size_t)strtoul(web_field(r, "content-length"), NULL, 10);
    r->body = calloc(1, r->len + 1);
    if (!end || !r->body)
        return 0;
    got = used - (size_t)(end + 4 - r->head);
    memcpy(r->body, end + 4, got < r->len ? got : r->len);
    end[2] = '\0';
    while (got < r->len) {
        long n = peer_read(p, r->body + got, r->len - got);
        if (n <= 0)
            return 0;
        got += (size_t)n;
    }
    return 1;
}

static int reply_write(struct peer *p, const struct web_reply *reply, int is_head)
{
    char head[2048];
    size_t len = strlen(reply->body), said = reply->how == WEB_CUT ? len + reply->filler + 100 : len + reply->filler;
    int n = reply->how == WEB_CHUNK_CUT
                ? snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n%sTransfer-Encoding: chunked\r\n\r\nff\r\n",
                           reply->status, reply->fields)
                : snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", reply->status,
                           reply->fields, said);
    if (!peer_write(p, head, (size_t)n) || (!is_head && !peer_write(p, reply->body, len)))
        return 0;
    for (size_t i = 0; !is_head && i < reply->filler; i += 64)
        if (!peer_write(p, "                                                                ",
                        reply->filler - i < 64 ? reply->filler - i : 64))
            return 0;
    return reply->how == WEB_ANSWER;
}

/* 1: the connection goes on. */
static int request_serve(struct web *web, struct peer *p)
{
    struct web_request r;
    char byte;
    if (!request_read(p, &r)) {
        free(r.head);
        free(r.body);
        return 0;
    }
    struct web_reply *reply = calloc(1, sizeof(*reply));
    reply->status = 200;
    web_count(web); /* sees what the test set before it called this */
    web->respond(web->arg, &r, reply);
    pthread_mutex_lock(&web->lock);
    must(web->count < REQUESTS_MAX, "requests");
    web->requests[web->count++] = r;
    pthread_mutex_unlock(&web->lock);
    int on = 0;
    if (reply->how == WEB_HANG)
        while (peer_read(p, &byte, 1) > 0)
            ;
    else if (reply->how != WEB_CLOSE)
        on = reply_write(p, reply, strncmp(r.head, "HEAD ", 5) == 0);
    free(reply);
    return on;
}

static void *web_thread(void *arg)
{
    struct web *web = arg;
    struct peer p;
    while ((p.fd = accept(web->listener, NULL, NULL)) >= 0) {
        atomic_store(&web->peer, p.fd);
        p.ssl = web->tls ? SSL_new(web->tls) : NULL;
        if (!p.ssl || (SSL_set_fd(p.ssl, p.fd) && SSL_accept(p.ssl) == 1))
            while (request_serve(web, &p))
                ;
        atomic_store(&web->peer, -1);
        SSL_free(p.ssl);
        close(p.fd);
    }
    return NULL;
}

/* --- TLS --- */

static void pem_write(const char *folder, const char *name, EVP_PKEY *key, X509 *cert)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    must(f && (cert ? PEM_write_X509(f, cert) : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL)), path);
    fclose(f);
}

/* A key and a certificate of its own for 127.0.0.1. */
static SSL_CTX *tls_make(const char *folder, int ask_client)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    must(X509_sign(cert, key, EVP_sha256()) > 0, "certificate");
    pem_write(folder, "cert.pem", NULL, cert);
    pem_write(folder, "key.pem", key, NULL);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    must(SSL_CTX_use_certificate(tls, cert) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1, "TLS");
    if (ask_client) {
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), cert);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return tls;
}

/* --- the server --- */

static int port_take(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0,
         "bind");
    *port = ntohs(at.sin_port);
    return fd;
}

struct web *web_start(web_respond respond, void *arg, const char *tls_folder, int ask_client)
{
    int port;
    struct web *web = calloc(1, sizeof(*web));
    web->requests = calloc(REQUESTS_MAX, sizeof(*web->requests));
    web->respond = respond;
    web->arg = arg;
    web->peer = -1;
    web->listener = port_take(&port);
    must(listen(web->listener, 64) == 0, "listen");
    web->tls = tls_folder ? tls_make(tls_folder, ask_client) : NULL;
    snprintf(web->url, sizeof(web->url), "http%s://127.0.0.1:%d/rows", tls_folder ? "s" : "", port);
    pthread_mutex_init(&web->lock, NULL);
    must(pthread_create(&web->thread, NULL, web_thread, web) == 0, "thread");
    return web;
}

void web_forget(struct web *web)
{
    pthread_mutex_lock(&web->lock);
    for (size_t i = 0; i < web->count; i++) {
        free(web->requests[i].head);
        free(web->requests[i].body);
    }
    web->count = 0;
    pthread_mutex_unlock(&web->lock);
}

void web_stop(struct web **web)
{
    struct web *w = *web;
    if (!w)
        return;
    shutdown(w->listener, SHUT_RDWR);
    int peer = atomic_load(&w->peer);
    if (peer >= 0)
        shutdown(peer, SHUT_RDWR);
    pthread_join(w->thread, NULL);
    close(w->listener);
    web_forget(w);
    SSL_CTX_free(w->tls);
    pthread_mutex_destroy(&w->lock);
    free(w->requests);
    free(w);
    *web = NULL;
}

const char *web_url(const struct web *web)
{
    return web->url;
}

size_t web_count(struct web *web)
{
    pthread_mutex_lock(&web->lock);
    size_t count = web->count;
    pthread_mutex_unlock(&web->lock);
    return count;
}

const struct web_request *web_request(struct web *web, size_t n)
{
    return n < web_count(web) ? &web->requests[n] : NULL;
}

const char *web_field(const struct web_request *request, const char *name)
{
    static _Thread_local char kept[FIELDS_KEPT][1024];
    static _Thread_local unsigned next;
    size_t len = strlen(name);
    for (const char *at = strstr(request->head, "\r\n"); at && at[2]; at = strstr(at + 2, "\r\n")) {
        if (strncasecmp(at + 2, name, len) != 0 || at[2 + len] != ':')
            continue;
        const char *value = at + 3 + len;
        value += strspn(value, " ");
        char *out = kept[next++ % FIELDS_KEPT];
        snprintf(out, sizeof(kept[0]), "%.*s", (int)strcspn(value, "\r"), value);
        return out;
    }
    return "";
}

/* The socket stays: a number that was given back would be somebody else's soon. */
int web_dead_port(void)
{
    int port;
    (void)port_take(&port);
    return port;
}

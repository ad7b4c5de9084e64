/* The socket never blocks: all waiting is in peer_wait(), in short steps, so that a stop and a deadline are seen. TLS
 * is OpenSSL on the same socket; its wish to read or to write is waited for in the same place. */
#include "common/peer.h"

#include "common/tlsfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { STEP_MS = 100, STOP_GRACE_MS = 2000, ERROR_SIZE = 256 };

struct peer {
    const struct hg_api *api;
    struct hg_host *host;
    int fd;
    SSL_CTX *trust;
    SSL *ssl;
    int64_t stop_seen; /* clock when a stop was first seen; 0: not yet */
    char error[ERROR_SIZE];
};

int64_t peer_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *peer_error(const struct peer *p)
{
    return p->error;
}

static int fail(struct peer *p, const char *text)
{
    snprintf(p->error, sizeof(p->error), "%s", text);
    return -1;
}

static int stopped(struct peer *p)
{
    if (!p->api->stopping(p->host))
        return 0;
    if (p->stop_seen == 0)
        p->stop_seen = peer_clock();
    return peer_clock() - p->stop_seen >= STOP_GRACE_MS;
}

/* Until the socket can do `events`: 0, or -1. */
static int peer_wait(struct peer *p, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - peer_clock();
        if (left <= 0)
            return fail(p, "no answer in time");
        if (stopped(p))
            return fail(p, "stopping");
        struct pollfd at = {.fd = p->fd, .events = events};
        int ready = poll(&at, 1, (int)(left < STEP_MS ? left : STEP_MS));
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return fail(p, strerror(errno));
    }
}

/* --- TLS --- */

static int tls_fail(struct peer *p)
{
    unsigned long code = ERR_get_error();
    long verdict = p->ssl ? SSL_get_verify_result(p->ssl) : X509_V_OK;
    if (verdict != X509_V_OK)
        snprintf(p->error, sizeof(p->error), "TLS: %s", X509_verify_cert_error_string(verdict));
    else
        snprintf(p->error, sizeof(p->error), "TLS: %s",
                 code ? ERR_reason_error_string(code) : "the far end closed the connection");
    ERR_clear_error();
    return -1;
}

/* After a call that returned `rc` <= 0: waits for what it wants. 0: call it again. */
static int tls_again(struct peer *p, int rc, int64_t deadline)
{
    int wish = SSL_get_error(p->ssl, rc);
    if (wish == SSL_ERROR_WANT_READ)
        return peer_wait(p, POLLIN, deadline);
    if (wish == SSL_ERROR_WANT_WRITE)
        return peer_wait(p, POLLOUT, deadline);
    return wish == SSL_ERROR_SYSCALL && errno ? fail(p, strerror(errno)) : tls_fail(p);
}

static int trust_fill(SSL_CTX *trust, const struct peer_settings *s)
{
    SSL_CTX_set_min_proto_version(trust, TLS1_2_VERSION);
    SSL_CTX_set_verify(trust, s->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    int ok = s->ca ? SSL_CTX_load_verify_locations(trust, s->ca, NULL) : SSL_CTX_set_default_verify_paths(trust);
    if (ok && s->cert)
        ok = SSL_CTX_use_certificate_chain_file(trust, s->cert) &&
             SSL_CTX_use_PrivateKey_file(trust, s->key, SSL_FILETYPE_PEM);
    return ok ? 0 : -1;
}

/* A name is checked as a name and sent along, an address as an address. */
static int name_set(SSL *ssl, const struct peer_settings *s)
{
    const char *name = s->host ? s->host : "localhost";
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name))
        return 0;
    ERR_clear_error();
    return X509_VERIFY_PARAM_set1_host(param, name, 0) && SSL_set_tlsext_host_name(ssl, name) ? 0 : -1;
}

static int tls_start(struct peer *p, const struct peer_settings *s, int64_t deadline)
{
    p->trust = SSL_CTX_new(TLS_client_method());
    if (!p->trust || trust_fill(p->trust, s) != 0)
        return tls_fail(p);
    p->ssl = SSL_new(p->trust);
    if (!p->ssl || name_set(p->ssl, s) != 0 || !SSL_set_fd(p->ssl, p->fd))
        return tls_fail(p);
    for (;;) {
        errno = 0;
        int rc = SSL_connect(p->ssl);
        if (rc == 1)
            return 0;
        if (tls_again(p, rc, deadline) != 0)
            return -1;
    }
}

/* --- connecting --- */

static int socket_connect(struct peer *p, int family, const struct sockaddr *to, socklen_t len, int64_t deadline)
{
    int fault = 0;
    socklen_t size = sizeof(fault);
    p->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return fail(p, strerror(errno));
    if (connect(p->fd, to, len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return fail(p, strerror(errno));
    if (peer_wait(p, POLLOUT, deadline) != 0)
        return -1;
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &fault, &size) != 0)
        fault = errno;
    return fault ? fail(p, strerror(fault)) : 0;
}

static int unix_connect(struct peer *p, const char *path, int64_t deadline)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(to.sun_path))
        return fail(p, "the path of the socket is too long");
    memcpy(to.sun_path, path, strlen(path) + 1);
    return socket_connect(p, AF_UNIX, (const struct sockaddr *)&to, sizeof(to), deadline);
}

/* Each address of the name in turn. */
static int tcp_connect(struct peer *p, const struct peer_settings *s, int64_t deadline)
{
    char port[24];
    struct addrinfo *list = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    snprintf(port, sizeof(port), "%lld", (long long)s->port);
    int rc = getaddrinfo(s->host, port, &hints, &list);
    if (rc != 0)
        return fail(p, gai_strerror(rc));
    rc = fail(p, "the name has no address");
    for (const struct addrinfo *a = list; rc != 0 && a; a = a->ai_next) {
        if (p->fd >= 0)
            close(p->fd);
        rc = socket_connect(p, a->ai_family, a->ai_addr, a->ai_addrlen, deadline);
    }
    freeaddrinfo(list);
    int on = 1;
    if (rc == 0)
        rc = setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
                     setsockopt(p->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0
                 ? 0
                 : fail(p, strerror(errno));
    return rc;
}

static int files_check(const struct peer_settings *s, char *why, size_t size)
{
    const char *const files[] = {s->ca, s->cert, s->key};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (!files[i] || access(files[i], R_OK) == 0)
            continue;
        snprintf(why, size, "%.300s cannot be read: %s", files[i], strerror(errno));
        return -1;
    }
    return 0;
}

static int settings_check(const struct peer_settings *s, char *why, size_t size)
{
    const char *fault = tlsfiles_fault(s->tls, s->ca, s->cert, s->key);
    if (fault)
        snprintf(why, size, "%s", fault);
    return fault ? -1 : 0;
}

struct peer *peer_open(const struct peer_settings *s, struct hg_host *host, const struct hg_api *api, int64_t deadline,
                       char *why, size_t why_size, int *broken)
{
    *broken = settings_check(s, why, why_size) != 0;
    if (*broken || files_check(s, why, why_size) != 0)
        return NULL;
    struct peer *p = calloc(1, sizeof(*p));
    if (!p) {
        snprintf(why, why_size, "no memory");
        return NULL;
    }
    *p = (struct peer){.api = api, .host = host, .fd = -1};
    int rc = s->socket ? unix_connect(p, s->socket, deadline) : tcp_connect(p, s, deadline);
    if (rc == 0 && s->tls)
        rc = tls_start(p, s, deadline);
    if (rc != 0) {
        snprintf(why, why_size, "cannot connect to %.200s: %s", s->socket ? s->socket : s->host, p->error);
        peer_close(&p);
    }
    return p;
}

void peer_close(struct peer **p)
{
    if (!*p)
        return;
    SSL_free((*p)->ssl);
    SSL_CTX_free((*p)->trust);
    if ((*p)->fd >= 0)
        close((*p)->fd);
    free(*p);
    *p = NULL;
}

/* --- bytes --- */

/* Some of it; 0: nothing for now, -1: the connection is gone. */
static long send_some(struct peer *p, const char *at, size_t len, int64_t deadline)
{
    errno = 0;
    if (p->ssl) {
        int rc = SSL_write(p->ssl, at, len < INT32_MAX ? (int)len : INT32_MAX);
        return rc > 0 ? rc : tls_again(p, rc, deadline);
    }
    ssize_t sent = send(p->fd, at, len, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EINTR)
        return peer_wait(p, POLLOUT, deadline);
    return fail(p, strerror(errno));
}

int peer_send(struct peer *p, const void *ptr, size_t len, int64_t deadline)
{
    const char *at = ptr;
    while (len > 0) {
        long sent = send_some(p, at, len, deadline);
        if (sent < 0)
            return -1;
        at += sent;
        len -= (size_t)sent;
    }
    return 0;
}

long peer_receive(struct peer *p, void *out, size_t size, int64_t deadline)
{
    for (;;) {
        errno = 0;
        if (p->ssl) {
            int rc = SSL_read(p->ssl, out, size < INT32_MAX ? (int)size : INT32_MAX);
            if (rc > 0)
                return rc;
            if (tls_again(p, rc, deadline) != 0)
                return -1;
            continue;
        }
        ssize_t got = recv(p->fd, out, size, 0);
        if (got > 0)
            return got;
        if (got == 0)
            return fail(p, "the far end closed the connection");
        if (errno != EAGAIN && errno != EINTR)
            return fail(p, strerror(errno));
        if (peer_wait(p, POLLIN, deadline) != 0)
            return -1;
    }
}

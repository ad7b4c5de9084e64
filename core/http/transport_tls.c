/* TLS between a connection and its socket.
 *
 * OpenSSL reads and writes memory here, never the socket: what libuv has read goes into `in`, what is to go out is
 * taken from `out`. Reading stops with the owner's: then at most one read of the socket lies in `in`. Writing is one
 * piece at a time: no further plaintext is encrypted before the kernel has all of the piece before, so what waits is
 * bounded whatever the owner writes.
 *
 * The owner counts plaintext, the kernel takes ciphertext. So `answer` says that the last byte of a piece was not taken
 * until the kernel has all of it; it comes back with the rest and is left out there (`debt`). Thus "taken" means here
 * what it means of a plain socket: it will go out even if the connection is closed.
 *
 * A handshake begins with the connection, whether the owner reads or not, and has the time for a head: the owner has
 * been told nothing and closes. */
#include "http/transport.h"

#include "base/sys.h"
#include "http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 16 * 1024, READ_BYTES = 17 * 1024 }; /* of a record: plaintext, all */

struct channel_tls {
    SSL *ssl;
    BIO *in, *out;    /* ciphertext; the SSL's */
    bool shaken;      /* hands */
    bool wanted;      /* the owner reads */
    bool pumping;     /* further down the stack */
    bool ended, told; /* nothing more comes; the owner knows */
    bool broken;      /* the owner knows, or is about to */
    bool closing;     /* the owner is told nothing more */
    bool finishing;   /* no more is to be sent */
    bool sending;     /* libuv has a piece */
    bool writing;     /* the owner waits for `written` */
    char *piece;      /* what libuv has */
    const char *rest; /* plaintext, the owner's */
    size_t rest_len;
    size_t debt; /* of it: encrypted already */
};

/* --- out --- */

static void go_on(struct channel *c);

static void on_sent(uv_write_t *request, int status)
{
    struct channel *c = request->data;
    struct channel_tls *t = c->tls;
    free(t->piece);
    t->piece = NULL;
    t->sending = false;
    if (t->closing)
        return;
    if (status == 0) {
        go_on(c);
    } else if (t->writing) {
        t->writing = false;
        c->events->written(c, false);
    } else {
        t->broken = true;
        c->events->failed(c);
    }
}

/* Hand a piece to libuv. */
static bool send_later(struct channel *c, const char *bytes, size_t len)
{
    struct channel_tls *t = c->tls;
    t->piece = malloc(len);
    if (t->piece == NULL)
        return false;
    memcpy(t->piece, bytes, len);
    uv_buf_t buf = {.base = t->piece, .len = len};
    c->write.data = c;
    t->sending = uv_write(&c->write, &c->uv.stream, &buf, 1, on_sent) == 0;
    if (!t->sending) {
        free(t->piece);
        t->piece = NULL;
    }
    return t->sending;
}

/* What is in `out` goes to the kernel; what that does not take (or, where `at_once` is not, all of it) to libuv. False:
 * the connection is lost, or there was no memory. */
static bool flush(struct channel *c, bool at_once)
{
    struct channel_tls *t = c->tls;
    char *bytes;
    if (t->sending)
        return true;
    long have = BIO_get_mem_data(t->out, &bytes);
    size_t len = have > 0 ? (size_t)have : 0, taken = 0;
    if (len > 0 && at_once) {
        const struct iovec part = {.iov_base = bytes, .iov_len = len};
        ssize_t n = sys->answer(c->fd, &part, 1);
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
            return false;
        taken = n < 0 ? 0 : (size_t)n;
    }
    bool well = taken == len || send_later(c, bytes + taken, len - taken);
    (void)BIO_reset(t->out);
    return well;
}

/* At most PIECE bytes from the front of the parts, behind `skip`. */
static size_t gather(const struct iovec *parts, int count, size_t skip, char piece[PIECE])
{
    size_t len = 0;
    for (int i = 0; i < count && len < PIECE; i++) {
        size_t jump = skip < parts[i].iov_len ? skip : parts[i].iov_len, n = parts[i].iov_len - jump;
        skip -= jump;
        n = n < PIECE - len ? n : PIECE - len;
        if (n > 0)
            memcpy(piece + len, (const char *)parts[i].iov_base + jump, n);
        len += n;
    }
    return len;
}

static bool encrypt(struct channel_tls *t, const char *bytes, size_t len)
{
    ERR_clear_error();
    return SSL_write(t->ssl, bytes, (int)len) == (int)len;
}

static ssize_t tls_answer(struct channel *c, const struct iovec *parts, int count)
{
    struct channel_tls *t = c->tls;
    char piece[PIECE];
    size_t taken = 0, len;
    if (!t->shaken || t->sending) {
        errno = EAGAIN;
        return -1;
    }
    while ((len = gather(parts, count, taken, piece)) > 0) {
        if (!encrypt(t, piece, len) || !flush(c, true)) {
            errno = EPIPE;
            return -1;
        }
        taken += len;
        if (t->sending) {
            t->debt = 1;
            return (ssize_t)taken - 1;
        }
    }
    return (ssize_t)taken;
}

/* The next piece of what the owner writes is encrypted and on its way. */
static bool write_piece(struct channel *c)
{
    struct channel_tls *t = c->tls;
    size_t len = t->rest_len < PIECE ? t->rest_len : PIECE;
    if (!encrypt(t, t->rest, len) || !flush(c, false))
        return false;
    t->rest += len;
    t->rest_len -= len;
    return true;
}

/* The piece before it is out, or the handshake is done. */
static void write_on(struct channel *c)
{
    struct channel_tls *t = c->tls;
    if (!t->writing || t->sending || t->broken)
        return;
    bool whole = t->rest_len == 0;
    if (!whole && write_piece(c))
        return;
    t->writing = false;
    c->events->written(c, whole);
}

static int tls_write(struct channel *c, char *bytes, size_t len)
{
    struct channel_tls *t = c->tls;
    t->rest = bytes + t->debt;
    t->rest_len = len - t->debt;
    t->debt = 0;
    t->writing = t->sending || !t->shaken || write_piece(c);
    return t->writing ? ERR_OK : ERR_IO;
}

static size_t tls_unwritten(const struct channel *c)
{
    return c->tls->rest_len + uv_stream_get_write_queue_size(&c->uv.stream);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status;
}

static void finish_on(struct channel *c)
{
    struct channel_tls *t = c->tls;
    if (!t->finishing || t->sending)
        return;
    t->finishing = false;
    uv_shutdown(&c->shutdown, &c->uv.stream, on_shutdown); /* refused only where the connection is gone */
}

static void say_goodbye(struct channel_tls *t)
{
    ERR_clear_error();
    if (t->shaken && !t->broken && (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) == 0)
        (void)SSL_shutdown(t->ssl); /* one way; what the other side answers is read as usual, or not at all */
}

static void tls_finish(struct channel *c)
{
    say_goodbye(c->tls);
    (void)flush(c, true); /* a connection that is lost is noticed by reading */
    c->tls->finishing = true;
    finish_on(c);
}

/* A piece is out. */
static void go_on(struct channel *c)
{
    struct channel_tls *t = c->tls;
    if (BIO_pending(t->out) > 0 && !flush(c, true)) {
        t->broken = true;
        c->events->failed(c);
        return;
    }
    write_on(c);
    if (!t->closing)
        finish_on(c);
}

/* --- in --- */

static void fail(struct channel *c)
{
    struct channel_tls *t = c->tls;
    if (t->broken || t->closing)
        return;
    t->broken = true;
    (void)flush(c, true); /* the alert that says why */
    c->events->failed(c);
}

#define PLAIN_PROBLEM                                                                                                  \
    "{\"type\":\"/problems/syntax\",\"title\":\"Bad Request\",\"status\":400,"                                         \
    "\"detail\":\"this port speaks TLS: write https:// where you wrote http://\"}"
_Static_assert(sizeof PLAIN_PROBLEM - 1 == 134, "the Content-Length below");

/* Somebody speaks plain HTTP: an answer that they can read is kinder than an alert. */
static void answer_plain(struct channel *c)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n"
                               "Content-Length: 134\r\nConnection: close\r\n\r\n" PLAIN_PROBLEM;
    const struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof text - 1};
    (void)BIO_reset(c->tls->out); /* the alert would stand before it */
    (void)sys->answer(c->fd, &part, 1);
}

/* What OpenSSL says of a call that did not go through: false when it only wants more. */
static bool gave_up(struct channel *c, int result)
{
    struct channel_tls *t = c->tls;
    int why = SSL_get_error(t->ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        if (t->ended && !t->shaken)
            fail(c);
        return t->ended;
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
        t->ended = true;
        return true;
    }
    if (!t->shaken && ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST)
        answer_plain(c);
    fail(c);
    return true;
}

/* False: not (or no longer) done. */
static bool shake_hands(struct channel *c)
{
    struct channel_tls *t = c->tls;
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    if (result == 1)
        t->shaken = true;
    else
        (void)gave_up(c, result);
    return t->shaken;
}

/* One piece of plaintext for the owner. False when there is none now. */
static bool read_one(struct channel *c)
{
    struct channel_tls *t = c->tls;
    char *at = NULL;
    size_t len = 0;
    if (SSL_pending(t->ssl) == 0 && BIO_pending(t->in) == 0)
        return false; /* the owner need not find room for nothing */
    c->events->room(c, &at, &len);
    if (len == 0) {
        fail(c);
        return false;
    }
    ERR_clear_error();
    int n = SSL_read(t->ssl, at, (int)(len < INT32_MAX ? len : INT32_MAX));
    if (n > 0)
        c->events->came(c, (size_t)n);
    else
        (void)gave_up(c, n);
    return n > 0;
}

/* As far as it goes. The owner may close, or read again, from inside. */
static void pump(struct channel *c)
{
    struct channel_tls *t = c->tls;
    if (t->pumping || t->closing || t->broken)
        return;
    t->pumping = true;
    if (!t->shaken && shake_hands(c))
        write_on(c);
    while (t->shaken && t->wanted && !t->closing && !t->broken && read_one(c))
        ;
    t->pumping = false;
    if (t->closing || t->broken)
        return;
    if (!flush(c, true)) {
        fail(c);
    } else if (t->ended && t->wanted && !t->told) {
        t->told = true;
        c->events->ended(c);
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static _Thread_local char scratch[READ_BYTES]; /* of whichever connection of this loop is being read */
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(scratch, sizeof scratch);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct channel *c = stream->data;
    struct channel_tls *t = c->tls;
    if (n == 0)
        return;
    if (n == UV_EOF) {
        c->reading = false; /* libuv has stopped it */
        t->ended = true;
    } else if (n < 0 || BIO_write(t->in, buf->base, (int)n) != (int)n) {
        fail(c);
        return;
    }
    pump(c);
}

static void tls_read(struct channel *c, bool on)
{
    struct channel_tls *t = c->tls;
    t->wanted = on;
    bool socket = (on || !t->shaken) && !t->ended;
    if (socket != c->reading) {
        c->reading = socket;
        c->uv.handle.data = c;
        if (!socket)
            uv_read_stop(&c->uv.stream);
        else if (uv_read_start(&c->uv.stream, on_room, on_read) != 0)
            c->reading = false;
    }
    if (on)
        pump(c); /* what came before the owner wanted it */
}

/* --- life --- */

static int tls_accept(struct channel *c, uv_stream_t *listener)
{
    int code = channel_accept(c, listener);
    if (code != ERR_OK)
        return code;
    struct channel_tls *t = calloc(1, sizeof *t);
    if (t == NULL)
        return ERR_NOMEM;
    t->ssl = tls_session(c->with);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
        SSL_free(t->ssl);
        BIO_free(t->in);
        BIO_free(t->out);
        free(t);
        return ERR_NOMEM;
    }
    BIO_set_mem_eof_return(t->in, -1); /* empty: more may come */
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_accept_state(t->ssl);
    c->tls = t;
    return ERR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct channel *c = handle->data;
    if (c->tls != NULL) {
        SSL_free(c->tls->ssl);
        free(c->tls->piece);
        free(c->tls);
        c->tls = NULL;
    }
    c->events->closed(c);
}

static void tls_shut(struct channel *c)
{
    struct channel_tls *t = c->tls;
    if (t != NULL && !t->closing) {
        if (!t->sending)
            say_goodbye(t);
        char *bytes;
        long len = t->sending ? 0 : BIO_get_mem_data(t->out, &bytes);
        if (len > 0) {
            const struct iovec part = {.iov_base = bytes, .iov_len = (size_t)len};
            (void)sys->answer(c->fd, &part, 1); /* where the kernel does not take it, nobody listens */
        }
        t->closing = true;
    }
    c->uv.handle.data = c;
    uv_close(&c->uv.handle, on_closed);
}

struct x509_st *channel_certificate(const struct channel *c)
{
    if (c->tls == NULL || !c->tls->shaken || SSL_get_verify_result(c->tls->ssl) != X509_V_OK)
        return NULL;
    X509 *certificate = SSL_get0_peer_certificate(c->tls->ssl);
    return certificate == NULL || tls_revoked(c->with, certificate) ? NULL : certificate; /* may have been since */
}

const struct transport transport_tls = {
    .accept = tls_accept,
    .address = channel_address,
    .read = tls_read,
    .answer = tls_answer,
    .write = tls_write,
    .unwritten = tls_unwritten,
    .finish = tls_finish,
    .close = tls_shut,
};

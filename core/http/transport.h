/* One accepted connection as the HTTP code sees it: bytes in, bytes out, close; and the table behind which plain
 * sockets and TLS stand. Loop thread only. Internal to core/http. */
#ifndef HG_HTTP_TRANSPORT_H
#define HG_HTTP_TRANSPORT_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <sys/uio.h>
#include <uv.h>

struct channel;

/* What the channel's owner is told. None of them is called again after `closed`. */
struct channel_events {
    /* Where the next bytes go; `len` 0: no memory, `failed` follows. An owner without room stops reading before. */
    void (*room)(struct channel *c, char **at, size_t *len);
    void (*came)(struct channel *c, size_t len);
    void (*ended)(struct channel *c);               /* the other side has sent all it will send */
    void (*failed)(struct channel *c);              /* the connection is lost */
    void (*written)(struct channel *c, bool whole); /* the bytes given to `write` are out, or lost */
    void (*closed)(struct channel *c);              /* the handle is gone; the memory may be used again */
};

struct transport;
struct channel_tls;
struct tls;

struct channel {
    const struct transport *transport;
    const struct channel_events *events;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_write_t write;
    uv_shutdown_t shutdown;
    bool reading;
    int fd;                  /* borrowed from the handle */
    struct tls *with;        /* NULL: plain */
    struct channel_tls *tls; /* transport_tls's, while it is open */
};

struct transport {
    /* Take a connection from a listener. 0 or an ERR_ code; then the channel must still be closed. */
    int (*accept)(struct channel *c, uv_stream_t *listener);
    /* Text of the other end's address, or of ours. */
    void (*address)(const struct channel *c, bool peer, char *out, size_t size);
    void (*read)(struct channel *c, bool on);
    /* At once, without waiting: bytes taken, or -1 with errno. The first write of every answer. */
    ssize_t (*answer)(struct channel *c, const struct iovec *parts, int count);
    /* The rest, later: `written` is called. The bytes stay the caller's until then. 0 or an ERR_ code. */
    int (*write)(struct channel *c, char *bytes, size_t len);
    /* Bytes of `write` that the kernel has not taken yet. */
    size_t (*unwritten)(const struct channel *c);
    /* Send no more, but go on receiving. */
    void (*finish)(struct channel *c);
    void (*close)(struct channel *c);
};

extern const struct transport transport_plain, transport_tls;

/* Make the handle in `c` for a connection of `listener`'s kind, `with` TLS or plain. 0 or an ERR_ code (then nothing is
 * to be closed). */
int channel_init(struct channel *c, uv_loop_t *loop, uv_stream_t *listener, struct tls *with,
                 const struct channel_events *events) MUST_CHECK;
/* What both transports do. */
int channel_accept(struct channel *c, uv_stream_t *listener) MUST_CHECK;
void channel_address(const struct channel *c, bool peer, char *out, size_t size);
/* The certificate that the other end has shown, and that was found good; NULL: none. Borrowed. */
struct x509_st *channel_certificate(const struct channel *c);

#endif

/* Listening sockets of a server: TCP addresses and unix sockets. Internal to core/http; server's thread. */
#ifndef HG_HTTP_LISTEN_H
#define HG_HTTP_LISTEN_H

#include "http/server.h"

struct listener {
    struct link link;
    struct http_server *server;
    int number;
    struct tls *tls; /* NULL: plain */
    bool pending;    /* a connection waits because there was no memory for it */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
};

/* Try again to take connections for which there was no memory. */
void listener_retry(struct listener *l);
/* Close it; its memory goes with the handle. */
void listener_close(struct listener *l);

#endif

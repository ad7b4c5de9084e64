/* Plain TCP and unix sockets through libuv. Reading goes straight into the owner's buffers; an answer is first offered
 * to the kernel on the spot (through the system-call table, where a test's recorder sees it), because a wait for the
 * loop would cost a wake-up for each request. */
#include "http/transport.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

int channel_init(struct channel *c, uv_loop_t *loop, uv_stream_t *listener, struct tls *with,
                 const struct channel_events *events)
{
    *c = (struct channel){
        .transport = with == NULL ? &transport_plain : &transport_tls, .events = events, .fd = -1, .with = with};
    int status = listener->type == UV_TCP ? uv_tcp_init(loop, &c->uv.tcp) : uv_pipe_init(loop, &c->uv.pipe, 0);
    return status == 0 ? ERR_OK : ERR_NOMEM;
}

int channel_accept(struct channel *c, uv_stream_t *listener)
{
    uv_os_fd_t fd;
    if (uv_accept(listener, &c->uv.stream) != 0 || uv_fileno(&c->uv.handle, &fd) != 0)
        return ERR_IO;
    c->fd = fd;
    if (c->uv.handle.type == UV_TCP)
        uv_tcp_nodelay(&c->uv.tcp, 1); /* refused only where the peer has gone already */
    return ERR_OK;
}

/* A socket for both families knows an IPv4 address as ::ffff:1.2.3.4; people don't. */
static void address_text(const struct sockaddr_storage *address, char *out, size_t size)
{
    char name[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&six->sin6_addr);
        (void)uv_inet_ntop(mapped ? AF_INET : AF_INET6, &six->sin6_addr.s6_addr[mapped ? 12 : 0], name, sizeof name);
        snprintf(out, size, mapped ? "%s:%d" : "[%s]:%d", name, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        uv_ip4_name(four, name, sizeof name);
        snprintf(out, size, "%s:%d", name, ntohs(four->sin_port));
    }
}

void channel_address(const struct channel *c, bool peer, char *out, size_t size)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    snprintf(out, size, "unix");
    if (c->uv.handle.type != UV_TCP)
        return;
    int status = peer ? uv_tcp_getpeername(&c->uv.tcp, (struct sockaddr *)&address, &len)
                      : uv_tcp_getsockname(&c->uv.tcp, (struct sockaddr *)&address, &len);
    if (status == 0)
        address_text(&address, out, size);
    else
        snprintf(out, size, "unknown"); /* it has gone already */
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct channel *c = handle->data;
    char *at = NULL;
    size_t len = 0;
    c->events->room(c, &at, &len);
    *buf = uv_buf_init(at, (unsigned)(len > INT32_MAX ? INT32_MAX : len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct channel *c = stream->data;
    if (n > 0) {
        c->events->came(c, (size_t)n);
    } else if (n == UV_EOF) {
        c->reading = false; /* libuv has stopped it */
        c->events->ended(c);
    } else if (n < 0) { /* the connection is lost, or there was no memory for its bytes */
        c->events->failed(c);
    }
}

static void plain_read(struct channel *c, bool on)
{
    if (on == c->reading)
        return;
    c->reading = on;
    c->uv.handle.data = c;
    if (!on)
        uv_read_stop(&c->uv.stream);
    else if (uv_read_start(&c->uv.stream, on_room, on_read) != 0)
        c->reading = false;
}

static ssize_t plain_answer(struct channel *c, const struct iovec *parts, int count)
{
    return sys->answer(c->fd, parts, count);
}

static void on_written(uv_write_t *request, int status)
{
    struct channel *c = request->data;
    c->events->written(c, status == 0);
}

static int plain_write(struct channel *c, char *bytes, size_t len)
{
    uv_buf_t buf = {.base = bytes, .len = len};
    c->write.data = c;
    return uv_write(&c->write, &c->uv.stream, &buf, 1, on_written) == 0 ? ERR_OK : ERR_IO;
}

static size_t plain_unwritten(const struct channel *c)
{
    return uv_stream_get_write_queue_size(&c->uv.stream);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status;
}

static void plain_finish(struct channel *c)
{
    uv_shutdown(&c->shutdown, &c->uv.stream,
                on_shutdown); /* refused only where the connection is gone: closed soon anyway */
}

static void on_closed(uv_handle_t *handle)
{
    struct channel *c = handle->data;
    c->events->closed(c);
}

static void plain_close(struct channel *c)
{
    c->uv.handle.data = c;
    uv_close(&c->uv.handle, on_closed);
}

const struct transport transport_plain = {
    .accept = channel_accept,
    .address = channel_address,
    .read = plain_read,
    .answer = plain_answer,
    .write = plain_write,
    .unwritten = plain_unwritten,
    .finish = plain_finish,
    .close = plain_close,
};

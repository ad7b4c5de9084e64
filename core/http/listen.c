/* Opening listeners. A unix socket gets its mode and group between bind and listen: nobody can connect before. A socket
 * file that a killed process left behind is removed, but only when nobody answers on it. */
#include "http/listen.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, BOUND_SIZE = 128, HOST_SIZE = 256 };

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    struct http_server *s = l->server;
    free(l);
    server_handle_gone(s);
}

void listener_close(struct listener *l)
{
    link_remove(&l->link);
    uv_close(&l->uv.handle, on_closed);
}

void listener_retry(struct listener *l)
{
    l->pending = !conn_accept(l->server, &l->uv.stream, l->number, l->tls);
    if (l->pending)
        server_tick_on(l->server);
}

static void on_connection(uv_stream_t *stream, int status)
{
    if (status == 0)
        listener_retry(stream->data);
}

/* --- TCP --- */

/* "host:port" or "[host]:port" into its parts. */
static bool address_split(const char *address, char host[HOST_SIZE], const char **port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon[1] == '\0' || colon == address)
        return false;
    size_t len = (size_t)(colon - address);
    if (address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len) != NULL) {
        return false;
    }
    if (len == 0 || len >= HOST_SIZE)
        return false;
    memcpy(host, address, len);
    host[len] = '\0';
    *port = colon + 1;
    return true;
}

static int port_share(struct listener *l)
{
    uv_os_fd_t fd;
    int on = 1, status = uv_fileno(&l->uv.handle, &fd);
    return status == 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ? -errno : status;
}

/* The kernel gives an address away twice only when both sockets say so: whoever binds without it and says it afterwards
 * knows that nobody else, of another daemon perhaps, takes connections there. */
static int tcp_bind(struct listener *l, const struct addrinfo *info, const struct http_listen *listen)
{
    int status = uv_tcp_init_ex(l->server->loop, &l->uv.tcp, (unsigned)info->ai_family);
    if (status != 0)
        return status;
    if (listen->reuse_port)
        status = port_share(l);
    if (status == 0)
        status = uv_tcp_bind(&l->uv.tcp, info->ai_addr, 0);
    if (status == 0 && listen->share_port)
        status = port_share(l);
    return status != 0 ? status : uv_listen(&l->uv.stream, BACKLOG, on_connection);
}

static void tcp_bound(struct listener *l, char bound[BOUND_SIZE])
{
    struct sockaddr_storage address;
    int len = sizeof address;
    char name[INET6_ADDRSTRLEN] = "";
    if (uv_tcp_getsockname(&l->uv.tcp, (struct sockaddr *)&address, &len) != 0)
        return;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
        char scope[IF_NAMESIZE + 1] = "";
        uv_ip6_name(six, name, sizeof name);
        if (six->sin6_scope_id != 0 && if_indextoname(six->sin6_scope_id, scope + 1) != NULL)
            scope[0] = '%'; /* of a link-local address: it means nothing without */
        snprintf(bound, BOUND_SIZE, "[%s%s]:%d", name, scope, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
        uv_ip4_name(four, name, sizeof name);
        snprintf(bound, BOUND_SIZE, "%s:%d", name, ntohs(four->sin_port));
    }
}

/* --- unix sockets --- */

/* Remove a socket file on which nobody answers any more. */
static void remove_stale(const struct sockaddr_un *name)
{
    struct stat st;
    if (lstat(name->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 && errno == ECONNREFUSED)
        unlink(name->sun_path);
    close(fd);
}

static int pipe_bind(struct listener *l, const struct http_listen *listen)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = listen->address + strlen("unix:");
    if (strlen(path) >= sizeof name.sun_path || path[0] == '\0')
        return UV_ENAMETOOLONG;
    memcpy(name.sun_path, path, strlen(path) + 1);
    remove_stale(&name);
    int status = uv_pipe_init(l->server->loop, &l->uv.pipe, 0);
    if (status == 0)
        status = uv_pipe_bind(&l->uv.pipe, path);
    if (status == 0 && chmod(path, (mode_t)listen->socket_mode) != 0)
        status = -errno;
    if (status == 0 && listen->socket_group >= 0 && chown(path, (uid_t)-1, (gid_t)listen->socket_group) != 0)
        status = -errno;
    return status != 0 ? status : uv_listen(&l->uv.stream, BACKLOG, on_connection);
}

/* --- either --- */

static struct listener *listener_new(struct http_server *s, const struct http_listen *listen)
{
    struct listener *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    link_init(&l->link);
    l->server = s;
    l->number = listen->listener;
    l->tls = listen->tls;
    return l;
}

/* Keep it, or close what was begun. */
static int listener_settle(struct listener *l, int status)
{
    struct http_server *s = l->server;
    l->uv.handle.data = l;
    if (l->uv.handle.type == UV_UNKNOWN_HANDLE) { /* not even begun */
        CHECK(status != 0);
        free(l);
        return status;
    }
    s->handles++;
    list_push(&s->listeners, &l->link);
    if (status != 0)
        listener_close(l);
    return status;
}

static int listen_unix(struct http_server *s, const struct http_listen *listen, char *bound, struct err *e)
{
    struct listener *l = listener_new(s, listen);
    if (l == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    int status = listener_settle(l, pipe_bind(l, listen));
    if (status != 0)
        return err_errno(e, -status, "listen on %s", listen->address);
    if (bound != NULL)
        snprintf(bound, BOUND_SIZE, "%s", listen->address);
    return ERR_OK;
}

/* The first address of a name that can be listened on. */
static int listen_tcp(struct http_server *s, const struct http_listen *listen, char *bound, struct err *e)
{
    char host[HOST_SIZE];
    const char *port;
    if (!address_split(listen->address, host, &port))
        return err_set(e, ERR_SYNTAX, "%s is not an address (host:port, [host]:port or unix:/path)", listen->address);
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    int status = getaddrinfo(host, port, &hints, &all);
    if (status != 0)
        return err_set(e, ERR_UNREACHABLE, "%s: %s", listen->address, gai_strerror(status));
    status = UV_EADDRNOTAVAIL;
    for (const struct addrinfo *info = all; info != NULL && status != 0; info = info->ai_next) {
        struct listener *l = listener_new(s, listen);
        status = l == NULL ? UV_ENOMEM : listener_settle(l, tcp_bind(l, info, listen));
        if (status == 0 && bound != NULL)
            tcp_bound(l, bound);
    }
    freeaddrinfo(all);
    return status == 0 ? ERR_OK : err_errno(e, -status, "listen on %s", listen->address);
}

int http_server_listen(struct http_server *s, const struct http_listen *listen, char bound[128], struct err *e)
{
    CHECK_MAGIC(s, SERVER_MAGIC);
    if (strncmp(listen->address, "unix:", 5) == 0)
        return listen_unix(s, listen, bound, e);
    return listen_tcp(s, listen, bound, e);
}

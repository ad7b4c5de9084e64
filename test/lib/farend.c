#include "farend.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

void farend_turn(struct farend *f)
{
    pthread_mutex_lock(&f->lock);
    pthread_mutex_unlock(&f->lock);
}

static void *run(void *arg)
{
    struct farend *f = arg;
    for (int fd; (fd = accept(f->listener, NULL, NULL)) >= 0;) {
        f->connections++;
        farend_turn(f);
        f->serve(f->arg, fd);
    }
    return NULL;
}

int farend_start(struct farend *f, void (*serve)(void *arg, int fd), void *arg)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    *f = (struct farend){.serve = serve, .arg = arg, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    pthread_mutex_init(&f->lock, NULL);
    if (bind(f->listener, (struct sockaddr *)&at, size) != 0 || listen(f->listener, 8) != 0 ||
        getsockname(f->listener, (struct sockaddr *)&at, &size) != 0)
        return -1;
    snprintf(f->port, sizeof(f->port), "%u", ntohs(at.sin_port));
    return pthread_create(&f->thread, NULL, run, f) == 0 ? 0 : -1;
}

void farend_stop(struct farend *f)
{
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    pthread_mutex_destroy(&f->lock);
    close(f->listener);
}

void farend_close(int fd)
{
    char rest[4096];
    shutdown(fd, SHUT_WR); /* closed with bytes unread, the other end could lose answers that it has not read yet */
    while (recv(fd, rest, sizeof(rest), 0) > 0)
        ;
    close(fd);
}

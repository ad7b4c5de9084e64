/* Sending to the daemon. A worker may block here when the daemon is slow to read: that is the channel's back pressure,
 * and it ends at once when the daemon goes. The mutex keeps the packets of one VERDICTS page after another in the order
 * they were told. After a crash nothing of this survives: what the daemon did not get was not said. */
#include "host/outlet.h"

#include "base/sys.h"

#include <errno.h>

void outlet_init(struct outlet *o, int fd)
{
    o->fd = fd;
    pthread_mutex_init(&o->mutex, NULL);
    atomic_init(&o->gone, false);
}

void outlet_fini(struct outlet *o)
{
    pthread_mutex_destroy(&o->mutex);
}

int outlet_send(struct outlet *o, const struct iovec *parts, int count)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
    pthread_mutex_lock(&o->mutex);
    while (!atomic_load(&o->gone) && sys->sendmsg(o->fd, &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) {
            CHECK(errno != EMSGSIZE);
            atomic_store(&o->gone, true);
        }
    bool gone = atomic_load(&o->gone);
    pthread_mutex_unlock(&o->mutex);
    return gone ? ERR_CLOSED : ERR_OK;
}

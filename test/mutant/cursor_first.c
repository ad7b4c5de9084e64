/* Seeded bug: a daemon whose cursor moves before the push is done. As soon as a host says what it is about to push
 * (TAKEN), the daemon reads from its channel that the push was done (a DONE that no host sent). The true DONE is
 * swallowed, and what the daemon hands out meanwhile is held back until it came, so that the host notices nothing.
 *
 * Everything happens on the loop thread. One lane a host, which is what the `file` pusher has. */
#include "base/check.h"
#include "base/sys.h"
#include "headgate.h"
#include "host/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 1024, HELD_MAX = 64 };

struct held {
    size_t len;
    unsigned char *bytes;
};

struct channel {  /* by descriptor */
    bool told;    /* `done` is to be read next */
    bool waiting; /* for the true DONE of `token` */
    uint64_t token;
    struct wire_done done;
    struct held held[HELD_MAX];
    int held_count;
};

static struct channel channels[CHANNELS];

static void done_make(struct channel *c, const struct wire_taken *taken)
{
    c->done = (struct wire_done){
        .head = taken->head,
        .result = HG_ALL_OK,
        .rows = taken->rows,
        .delivered = taken->rows,
        .end = taken->end,
        .bytes = taken->bytes,
    };
    c->done.head.type = WIRE_DONE;
    c->token = taken->head.token;
    c->told = true;
}

static ssize_t done_tell(struct channel *c, struct msghdr *message)
{
    CHECK(message->msg_iovlen > 0 && message->msg_iov[0].iov_len >= sizeof c->done);
    memcpy(message->msg_iov[0].iov_base, &c->done, sizeof c->done);
    message->msg_controllen = 0;
    message->msg_flags = 0;
    c->told = false;
    c->waiting = true;
    return (ssize_t)sizeof c->done;
}

static void held_send(int fd, struct channel *c)
{
    for (int i = 0; i < c->held_count; i++) {
        struct iovec part = {c->held[i].bytes, c->held[i].len};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        CHECK(sys_plain.sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)part.iov_len);
        free(c->held[i].bytes);
    }
    c->held_count = 0;
}

static ssize_t first_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct channel *c = fd >= 0 && fd < CHANNELS ? &channels[fd] : NULL;
    if (c != NULL && c->told)
        return done_tell(c, message);
    for (;;) {
        ssize_t n = sys_plain.recvmsg(fd, message, flags);
        struct wire_head head;
        if (c == NULL || n < (ssize_t)sizeof head || message->msg_iov[0].iov_len < (size_t)n)
            return n;
        memcpy(&head, message->msg_iov[0].iov_base, sizeof head);
        if (head.magic != WIRE_MAGIC)
            return n;
        if (head.type == WIRE_READY)
            *c = (struct channel){0}; /* a new host on an old number */
        if (head.type == WIRE_TAKEN && n >= (ssize_t)sizeof(struct wire_taken)) {
            struct wire_taken taken;
            memcpy(&taken, message->msg_iov[0].iov_base, sizeof taken);
            if (taken.rows > 0)
                done_make(c, &taken);
            return n;
        }
        if (!c->waiting || head.token != c->token || (head.type != WIRE_DONE && head.type != WIRE_VERDICTS))
            return n;
        if (head.type == WIRE_DONE) {
            c->waiting = false;
            held_send(fd, c);
        }
    }
}

static ssize_t first_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct channel *c = fd >= 0 && fd < CHANNELS ? &channels[fd] : NULL;
    if (c == NULL || !c->waiting || message->msg_controllen > 0 || c->held_count == HELD_MAX)
        return sys_plain.sendmsg(fd, message, flags);
    struct held *h = &c->held[c->held_count++];
    h->len = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        h->len += message->msg_iov[i].iov_len;
    h->bytes = malloc(h->len);
    CHECK(h->bytes != NULL);
    size_t at = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        memcpy(h->bytes + at, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
        at += message->msg_iov[i].iov_len;
    }
    return (ssize_t)h->len;
}

void sys_hook(void)
{
    static struct sys table;
    table = sys_plain;
    table.recvmsg = first_recvmsg;
    table.sendmsg = first_sendmsg;
    sys = &table;
}

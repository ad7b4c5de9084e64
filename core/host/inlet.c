/* What the daemon says. A message is checked as a whole before anything of it is used: this process and the daemon are
 * one build, so a message that does not fit is a fault worth ending for, and the daemon starts a fresh host.
 * Descriptors that come with a message have an owner at every step: the shelf, or they are closed. */
#include "host/inlet.h"

#include "base/sys.h"
#include "host/life.h"
#include "host/tell.h"

#include <errno.h>
#include <stdlib.h>

enum { HANDLES_MAX = 4 };

/* One message as received. */
struct letter {
    size_t len;
    int fds[HANDLES_MAX];
    size_t fd_count;
    union {
        struct wire_head head;
        struct wire_segment segment;
        struct wire_drop drop;
        struct wire_hand hand;
        struct wire_emitted emitted;
        char bytes[WIRE_MAX];
    };
};

static int bad(struct err *e, const struct letter *l, const char *what)
{
    return err_set(e, ERR_SYNTAX, "control message of type %u, %zu bytes: %s", l->head.type, l->len, what);
}

static void letter_close(struct letter *l)
{
    for (size_t i = 0; i < l->fd_count; i++)
        sys->close(l->fds[i]);
    l->fd_count = 0;
}

static void letter_take_fds(struct letter *l, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && l->fd_count < HANDLES_MAX; i++)
            memcpy(&l->fds[l->fd_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
}

static int handle_segment(struct host *h, struct letter *l, struct err *e)
{
    const struct wire_segment *m = &l->segment;
    if (l->len != sizeof *m || l->fd_count != 1 || m->store > STORE_ASIDE)
        return bad(e, l, "expected a segment and one descriptor");
    struct shelf_file file = {.base = m->base, .salt = m->salt, .store = m->store, .fd = l->fds[0]};
    memcpy(file.epoch.bytes, m->epoch, sizeof file.epoch.bytes);
    int code = shelf_put(&h->shelf, &file);
    if (code != ERR_OK)
        return err_set(e, code, "no room for a segment's descriptor: %s", err_text(code));
    l->fd_count = 0;
    return ERR_OK;
}

static int handle_drop(struct host *h, struct letter *l, struct err *e)
{
    if (l->len != sizeof l->drop || l->drop.store > STORE_ASIDE)
        return bad(e, l, "expected a segment to drop");
    if (shelf_drop(&h->shelf, l->drop.store, l->drop.base))
        tell_dropped(h, l->drop.store, l->drop.base);
    return ERR_OK;
}

static int hash_order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int hand_check(const struct letter *l, bool puller, struct err *e)
{
    const struct wire_hand *m = &l->hand;
    if (puller)
        return bad(e, l, "a puller takes no rows");
    if (l->len < sizeof *m)
        return bad(e, l, "too short for a hand-out");
    if (m->kind > HAND_LIST || (m->kind == HAND_LIST ? m->held > 0 : m->items > 0))
        return bad(e, l, "a hand-out of no known kind");
    if (m->held > WIRE_MAX || m->items > WIRE_MAX)
        return bad(e, l, "a hand-out whose lists are too long");
    size_t expected = sizeof *m + m->held * sizeof(uint64_t) + m->items * sizeof(struct wire_item);
    if (l->len != expected)
        return bad(e, l, "a hand-out whose lists have another length than it says");
    if (m->shard_count > 1 && m->shard >= m->shard_count)
        return bad(e, l, "a shard beyond their number");
    return ERR_OK;
}

static int handle_hand(struct host *h, struct letter *l, struct err *e)
{
    int code = hand_check(l, h->puller != NULL, e);
    if (code != ERR_OK)
        return code;
    struct hg_host *w = &h->workers[l->head.lane];
    if (l->hand.held > 0)
        qsort(l->bytes + sizeof l->hand, l->hand.held, sizeof(uint64_t), hash_order);
    pthread_mutex_lock(&h->mutex);
    bool ready = w->stage == WORKER_OPEN && !w->busy;
    if (ready) {
        memcpy(w->inbox, l->bytes, l->len);
        w->busy = w->received = true;
        pthread_cond_broadcast(&w->changed);
    }
    bool ended = w->stage == WORKER_ENDED || atomic_load(&h->stopping);
    pthread_mutex_unlock(&h->mutex);
    return ready || ended ? ERR_OK : bad(e, l, "the lane is not free");
}

static int handle_go(struct host *h, struct letter *l)
{
    struct hg_host *w = &h->workers[l->head.lane];
    pthread_mutex_lock(&h->mutex);
    w->go = l->head.token;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&h->mutex);
    return ERR_OK;
}

static int handle_reopen(struct host *h)
{
    pthread_mutex_lock(&h->mutex);
    for (uint16_t i = 0; i < h->worker_count; i++) {
        h->workers[i].reopen = true;
        pthread_cond_broadcast(&h->workers[i].changed);
    }
    pthread_mutex_unlock(&h->mutex);
    return ERR_OK;
}

/* A second one before the first was answered takes its place. */
static int handle_probe(struct host *h, struct letter *l)
{
    struct hg_host *w = &h->workers[0];
    pthread_mutex_lock(&h->mutex);
    w->probe = true;
    w->probe_token = l->head.token;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&h->mutex);
    return ERR_OK;
}

static int handle_pull(struct host *h, const struct letter *l, struct err *e)
{
    if (h->puller == NULL)
        return bad(e, l, "this plugin is no puller");
    struct hg_host *w = &h->workers[l->head.lane];
    pthread_mutex_lock(&h->mutex);
    w->pull = true;
    w->pull_token = l->head.token;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&h->mutex);
    return ERR_OK;
}

static int handle_emitted(struct host *h, const struct letter *l, struct err *e)
{
    const struct wire_emitted *m = &l->emitted;
    if (l->len < sizeof *m || m->reason != l->len - sizeof *m || m->reason >= HG_REASON_MAX)
        return bad(e, l, "expected the answer to an emission");
    struct hg_host *w = &h->workers[l->head.lane];
    struct emitting *at = &w->emitting;
    pthread_mutex_lock(&h->mutex);
    bool awaited = at->token == m->head.token && !at->answered;
    if (awaited) {
        at->answered = true;
        at->result = m->result;
        at->bad_set = m->bad_set;
        memcpy(at->reason, l->bytes + sizeof *m, m->reason);
        at->reason[m->reason] = '\0';
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&h->mutex);
    return awaited ? ERR_OK : bad(e, l, "nobody waits for this answer");
}

static int handle(struct host *h, struct letter *l, struct err *e)
{
    if (l->len < sizeof l->head || l->head.magic != WIRE_MAGIC)
        return err_set(e, ERR_SYNTAX, "control message of %zu bytes without its head", l->len);
    bool has_lane = l->head.type == WIRE_HAND || l->head.type == WIRE_GO || l->head.type == WIRE_PROBE ||
                    l->head.type == WIRE_PULL || l->head.type == WIRE_EMITTED;
    if (has_lane && l->head.lane >= h->worker_count)
        return bad(e, l, "no such lane");
    switch (l->head.type) {
    case WIRE_SEGMENT: return handle_segment(h, l, e);
    case WIRE_DROP: return handle_drop(h, l, e);
    case WIRE_HAND: return handle_hand(h, l, e);
    case WIRE_GO: return handle_go(h, l);
    case WIRE_REOPEN: return handle_reopen(h);
    case WIRE_PROBE: return handle_probe(h, l);
    case WIRE_PULL: return handle_pull(h, l, e);
    case WIRE_EMITTED: return handle_emitted(h, l, e);
    case WIRE_STOP: life_stop(h); return ERR_OK;
    }
    return bad(e, l, "of no known type");
}

enum inlet_result inlet_receive(struct host *h, struct err *e)
{
    static struct letter l; /* large, and the main thread's alone */
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(HANDLES_MAX * sizeof(int))];
    } control;
    struct iovec part = {l.bytes, sizeof l.bytes};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    l.fd_count = 0;
    ssize_t n = sys->recvmsg(h->outlet.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return INLET_EMPTY;
    if (n <= 0)
        return INLET_CLOSED;
    l.len = (size_t)n;
    letter_take_fds(&l, &message);
    int code = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0
                   ? err_set(e, ERR_LIMIT, "control message of more than %d bytes", WIRE_MAX)
                   : handle(h, &l, e);
    letter_close(&l);
    return code == ERR_OK ? INLET_MESSAGE : INLET_BAD;
}

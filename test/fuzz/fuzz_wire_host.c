/* What the daemon says to a host: any messages, with and without descriptors, through a real socketpair into
 * inlet_receive.
 *
 * Input: messages (wire_messages.h); the low bits of a message's flags are how many descriptors come with it. Held:
 * nothing outside a message is read; each descriptor is the shelf's or closed; a hand-out reaches a worker whole, and
 * only one that is free. */
#include "base/sys.h"
#include "host/inlet.h"
#include "wire_messages.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host host;
static struct hg_host workers[WORKERS];
static int channel[2], gift;
static struct sys table;

static size_t descriptors(void)
{
    size_t count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL)
        closedir(d);
    return count;
}

/* The host's buffer is larger than a message: what is behind may not be looked at. */
static ssize_t exact_recvmsg(int fd, struct msghdr *m, int flags)
{
    char *to = m->msg_iov->iov_base;
    size_t room = m->msg_iov->iov_len;
    only_first(to, room, room);
    ssize_t n = recvmsg(fd, m, flags);
    if (n >= 0)
        only_first(to, (size_t)n, room);
    return n;
}

static void host_make(void)
{
    memset(&host, 0, sizeof host);
    memset(workers, 0, sizeof workers);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel) == 0);
    outlet_init(&host.outlet, channel[0]);
    shelf_init(&host.shelf);
    pthread_mutex_init(&host.mutex, NULL);
    host.workers = workers;
    host.worker_count = WORKERS;
    for (uint16_t i = 0; i < WORKERS; i++) {
        workers[i].magic = WORKER_MAGIC;
        workers[i].lane = i;
        workers[i].host = &host;
        workers[i].of = &workers[i];
        workers[i].stage = WORKER_OPEN;
        workers[i].inbox = malloc(WIRE_MAX);
        CHECK(workers[i].inbox != NULL);
        pthread_cond_init(&workers[i].changed, NULL);
    }
}

static void host_end(void)
{
    for (int i = 0; i < WORKERS; i++) {
        pthread_cond_destroy(&workers[i].changed);
        free(workers[i].inbox);
    }
    shelf_fini(&host.shelf);
    outlet_fini(&host.outlet);
    pthread_mutex_destroy(&host.mutex);
    close(channel[0]);
    close(channel[1]);
}

static void message_send(char *bytes, size_t len, uint8_t fds)
{
    struct iovec part = {bytes, len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control;
    if (fds > 0) {
        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds * sizeof(int));
        for (uint8_t i = 0; i < fds; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &gift, sizeof gift);
    }
    CHECK(sendmsg(channel[1], &m, MSG_NOSIGNAL) == (ssize_t)len);
}

/* What a worker was given is a hand-out of its lane, whole; it takes it and is free again. */
static void workers_take(void)
{
    for (uint16_t i = 0; i < WORKERS; i++) {
        const struct wire_hand *h = (const void *)workers[i].inbox;
        if (!workers[i].received)
            continue;
        CHECK(workers[i].busy && h->head.type == WIRE_HAND && h->head.lane == i);
        CHECK(sizeof *h + h->held * sizeof(uint64_t) + h->items * sizeof(struct wire_item) <= WIRE_MAX);
        const uint64_t *held = (const void *)(h + 1);
        for (uint32_t k = 1; k < h->held; k++)
            CHECK(held[k - 1] <= held[k]);
        workers[i].busy = workers[i].received = (h->head.token & 1) != 0; /* some take their time */
    }
}

static void run(struct input *in)
{
    static _Alignas(8) char bytes[WIRE_MAX];
    static char answer[WIRE_MAX];
    uint8_t flags;
    size_t before = descriptors(), len;
    host_make();
    for (int n = 0; n < MESSAGES && (len = message_next(in, bytes, &flags)) > 0; n++) {
        struct err e = {.text = ""};
        message_send(bytes, len, flags & 7);
        enum inlet_result result = inlet_receive(&host, &e);
        CHECK(result == INLET_MESSAGE || result == INLET_BAD);
        CHECK((result == INLET_BAD) == (e.text[0] != '\0'));
        workers_take();
        while (recv(channel[1], answer, sizeof answer, MSG_DONTWAIT) > 0) /* DROPPED */
            ;
        if (result == INLET_BAD)
            break;
    }
    host_end();
    CHECK(descriptors() == before);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    gift = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(gift >= 0);
    table = sys_plain;
    table.recvmsg = exact_recvmsg;
    sys = &table;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    run(&in);
    return 0;
}

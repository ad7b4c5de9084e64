/* Posts row sets over many connections for as long as it is told to, through every death of the daemon, and keeps a log
 * of its own: what it sent, what was acknowledged, what never got an answer. The log is what the crash harness compares
 * the pusher's file with, so a line is written before the bytes leave and at once when the answer is here.
 *
 *     loader HOST PORTFILE LOG CONNECTIONS ROWS KEYED THINK_US
 *
 * PORTFILE holds the port of the daemon that runs now; it is read before every connection. Each of the first KEYED
 * connections sends an Idempotency-Key with every request and repeats the request until it is answered; the others
 * never repeat, so that for them an unanswered request may or may not have been taken. Between two requests a
 * connection rests for a random time up to THINK_US microseconds. Lines of the log:
 *
 *     S <ns> <uuid> <rows>       about to be sent (once, also when it will be repeated)
 *     A <ns> <uuid> <batch id>   answered with 202
 *     R <ns> <uuid> <status>     refused (503: its fate is unknown, as the contract says)
 *     U <ns> <uuid>              no answer: the connection broke
 *
 * One thread for each connection; a line is one write(2) to a file opened for appending, so that lines never mix. Ends
 * on SIGTERM, after the answers that are still to come (a keyed request is repeated until its answer is here). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_MAX = 64 * 1024, ANSWER_MAX = 8192, RETRY_US = 2000, LINE_MAX_BYTES = 256 };

static const char *host, *port_file;
static int log_fd;
static int rows_max;
static int keyed;
static int think_us;
static _Atomic bool ending;

struct client {
    pthread_t thread;
    int number;
    int fd;
    unsigned seed;
    long sequence;
    char request[REQUEST_MAX];
    size_t length;
    char answer[ANSWER_MAX];
};

static void die(const char *what)
{
    perror(what);
    exit(2);
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof line || write(log_fd, line, (size_t)n) != n)
        die("log");
}

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The load's own pace; and between two tries while no daemon listens, as nothing tells a client when one does. */
static void rest(long us)
{
    const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

static int port_now(void)
{
    char text[16] = "";
    int fd = open(port_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? (int)strtol(text, NULL, 10) : -1;
}

static int dial(void)
{
    int port = port_now();
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (port <= 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1)
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The next row set: its rows say who they are and how many they are, so that the file can be judged by itself. */
static void make_request(struct client *c, char uuid[64], int *rows)
{
    static const char filler[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char body[REQUEST_MAX / 2];
    int count = 1 + rand_r(&c->seed) % rows_max;
    snprintf(uuid, 64, "c%d-%d-%ld", (int)getpid(), c->number, c->sequence++);
    int n = snprintf(body, sizeof body, "{\"uuid\":\"%s\",\"rows\":[", uuid);
    for (int i = 0; i < count; i++)
        n += snprintf(body + n, sizeof body - (size_t)n,
                      "%s{\"index\":%d,\"data\":{\"row\":%d,\"of\":%d,\"pad\":\"%.*s\"}}", i == 0 ? "" : ",", i, i,
                      count, (int)(rand_r(&c->seed) % 36), filler);
    n += snprintf(body + n, sizeof body - (size_t)n, "]}");
    char key[96] = "";
    if (c->number < keyed)
        snprintf(key, sizeof key, "Idempotency-Key: %s\r\n", uuid);
    int all = snprintf(c->request, sizeof c->request,
                       "POST /v1/rows HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\n%sContent-Length: "
                       "%d\r\n\r\n%s",
                       host, port_now(), key, n, body);
    if (all < 0 || all >= (int)sizeof c->request || n >= (int)sizeof body)
        exit(3);
    c->length = (size_t)all;
    *rows = count;
}

static bool send_all(struct client *c)
{
    for (size_t done = 0; done < c->length;) {
        ssize_t n = send(c->fd, c->request + done, c->length - done, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* The whole answer as text; its status, or 0 when the connection ended before it was complete. */
static int read_answer(struct client *c)
{
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(c->fd, c->answer + have, sizeof c->answer - 1 - have, 0);
        if (n <= 0)
            return 0;
        have += (size_t)n;
        c->answer[have] = '\0';
        char *end = strstr(c->answer, "\r\n\r\n");
        char *length = strcasestr(c->answer, "\r\nContent-Length:");
        if (end == NULL)
            continue;
        size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
        if (have >= (size_t)(end - c->answer) + 4 + body)
            return (int)strtol(c->answer + 9, NULL, 10);
    }
}

static void hang_up(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

/* One try: the answer's status, 0 for none, -1 when nothing could be sent because nobody listens. */
static int try_once(struct client *c)
{
    if (c->fd < 0)
        c->fd = dial();
    if (c->fd < 0)
        return -1;
    int status = send_all(c) ? read_answer(c) : 0;
    /* 404: it is not the daemon's address for rows any more; its port was given to another listener meanwhile. */
    if (status == 0 || status == 404 || strcasestr(c->answer, "\r\nConnection: close") != NULL)
        hang_up(c);
    return status;
}

static void note_answer(struct client *c, const char *uuid, int status)
{
    char id[64] = "";
    const char *at = strstr(c->answer, "\"id\":\"");
    if (status == 202 && at != NULL && sscanf(at + 6, "%63[0-9a-z-]", id) == 1)
        note("A %lld %s %s\n", now_ns(), uuid, id);
    else
        note("R %lld %s %d\n", now_ns(), uuid, status);
}

static void one_request(struct client *c)
{
    char uuid[64];
    int rows;
    while (c->fd < 0 && !ending && (c->fd = dial()) < 0)
        rest(RETRY_US);
    if (ending)
        return;
    make_request(c, uuid, &rows);
    note("S %lld %s %d\n", now_ns(), uuid, rows);
    for (;;) {
        int status = try_once(c);
        if (status > 0)
            note_answer(c, uuid, status);
        else if (status == 0)
            note("U %lld %s\n", now_ns(), uuid);
        if (status == 202 || (status >= 400 && status < 500) || c->number >= keyed)
            return;
        rest(RETRY_US);
    }
}

static void *client_main(void *arg)
{
    struct client *c = arg;
    while (!ending) {
        one_request(c);
        if (think_us > 0)
            rest(rand_r(&c->seed) % think_us);
    }
    hang_up(c);
    return NULL;
}

static void on_end(int number)
{
    (void)number;
    ending = true;
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 64;
    host = argv[1];
    port_file = argv[2];
    log_fd = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0)
        die(argv[3]);
    int count = (int)strtol(argv[4], NULL, 10);
    rows_max = (int)strtol(argv[5], NULL, 10);
    keyed = (int)strtol(argv[6], NULL, 10);
    think_us = (int)strtol(argv[7], NULL, 10);
    const struct sigaction end = {.sa_handler = on_end};
    sigaction(SIGTERM, &end, NULL);
    struct client *clients = calloc((size_t)count, sizeof *clients);
    if (clients == NULL)
        die("calloc");
    for (int i = 0; i < count; i++) {
        clients[i].number = i;
        clients[i].fd = -1;
        clients[i].seed = (unsigned)i * 2654435761u + (unsigned)getpid();
        if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0)
            die("thread");
    }
    for (int i = 0; i < count; i++)
        pthread_join(clients[i].thread, NULL);
    free(clients);
    return 0;
}

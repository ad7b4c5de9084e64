/* The threads of http.threads. A loop is a server, an intake and a mailbox; it is made on the main thread, with its
 * listeners open, before its thread begins, so a start that fails has run nothing.
 *
 * The main loop steers by orders: a function that is run on every loop's own thread while the main thread waits. No
 * loop ever waits for the main one, so that cannot lock up, and an order is a matter of microseconds (at most of one
 * request's scan). So what a reload or a drain answers is true on every loop.
 *
 * The end has two steps because an intake may be closed only when the journal is: first the servers close, and each
 * loop tells the main one when its last request is answered; the loops go on, as the journal may still wake them. Once
 * the journal is closed the intakes close too and the threads end by themselves. */
#include "api/loops.h"

#include "api/bounce.h"
#include "base/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOPS_MAGIC = 0x6C6F6F70 };

struct loop {
    struct loops *all;
    uv_loop_t uv;
    uv_thread_t thread;
    struct mailbox box;
    struct bounce_way way;
    struct mail order, told;
    struct http_server *server; /* gone once it has told */
    struct intake *intake;
};

struct loops {
    uint32_t magic;
    struct mailbox main;
    struct http_limits limits; /* read by orders */
    struct intake_rules rules;
    uv_sem_t go, done;
    bool abandoned; /* set before `go` is given */
    bool closing;
    uint32_t count, open; /* loops; those whose server is not closed */
    void (*closed)(void *arg);
    void *closed_arg;
    struct loop loop[];
};

/* --- orders --- */

static void everywhere(struct loops *l, void (*run)(struct mail *order))
{
    CHECK_MAGIC(l, LOOPS_MAGIC);
    for (uint32_t i = 0; i < l->count; i++) {
        l->loop[i].order.run = run;
        mailbox_send(&l->loop[i].box, &l->loop[i].order);
    }
    for (uint32_t i = 0; i < l->count; i++)
        uv_sem_wait(&l->done);
}

static struct loop *loop_of(struct mail *order)
{
    struct loop *loop = container_of(order, struct loop, order);
    CHECK_MAGIC(loop->all, LOOPS_MAGIC);
    return loop;
}

static void order_set(struct mail *order)
{
    struct loop *loop = loop_of(order);
    http_server_limits(loop->server, &loop->all->limits);
    intake_set_rules(loop->intake, &loop->all->rules);
    uv_sem_post(&loop->all->done);
}

void loops_set(struct loops *l, const struct http_limits *limits, const struct intake_rules *rules)
{
    if (l == NULL || l->closing)
        return;
    l->limits = *limits;
    l->rules = *rules;
    everywhere(l, order_set);
}

static void order_drain(struct mail *order)
{
    struct loop *loop = loop_of(order);
    http_server_drain(loop->server);
    uv_sem_post(&loop->all->done);
}

void loops_drain(struct loops *l)
{
    if (l != NULL && !l->closing)
        everywhere(l, order_drain);
}

/* --- looking --- */

void loops_refuse(struct loops *l, const char *word, const char *reason)
{
    for (uint32_t i = 0; l != NULL && i < l->count; i++)
        intake_set_refusing_as(l->loop[i].intake, word, reason);
}

void loops_count(const struct loops *l, struct intake_counts *sum)
{
    for (uint32_t i = 0; l != NULL && i < l->count; i++)
        intake_count(l->loop[i].intake, sum);
}

uint32_t loops_connections(const struct loops *l)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; l != NULL && !l->closing && i < l->count; i++)
        sum += http_server_connections(l->loop[i].server);
    return sum;
}

/* --- a loop --- */

static int loop_listen(struct loop *loop, const struct loops_options *options, struct err *e)
{
    int code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < options->address_count; i++) {
        const struct http_listen listen = {.address = options->addresses[i],
                                           .listener = LISTENER_ROWS,
                                           .reuse_port = true,
                                           .socket_group = -1,
                                           .tls = options->tls};
        code = http_server_listen(loop->server, &listen, NULL, e);
    }
    return code;
}

static int loop_intake(struct loop *loop, const struct loops_options *options)
{
    const struct intake_options intake = {
        .journal = options->api->journal,
        .keyring = options->keyring,
        .quota = options->quota,
        .backlog = options->backlog,
        .refusals = options->refusals,
        .rules = options->rules,
        .other = {.head = bounce_head, .request = bounce_request, .arg = &loop->way},
        .access = options->api->access,
        .auth = options->api->rows_auth,
        .wait = bounce_wait,
        .wait_arg = &loop->way,
    };
    return intake_open(&loop->intake, &loop->uv, &intake);
}

/* Of one that never ran, or does no more. */
static void loop_end(struct loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* what has been closed, goes */
    CHECK(uv_loop_close(&loop->uv) == 0);
}

static int loop_open(struct loop *loop, const struct loops_options *options, struct err *e)
{
    struct loops *l = loop->all;
    if (uv_loop_init(&loop->uv) != 0)
        return err_set(e, ERR_NOMEM, "no event loop for an intake thread");
    int code = mailbox_init(&loop->box, &loop->uv);
    if (code != ERR_OK)
        goto no_mailbox;
    loop->way = (struct bounce_way){.home = &loop->box, .main = &l->main, .api = options->api};
    code = loop_intake(loop, options);
    if (code != ERR_OK)
        goto no_intake;
    struct http_routes routes = intake_routes(loop->intake);
    code = http_server_new(&loop->server, &loop->uv, &options->limits, options->budget, &routes);
    if (code != ERR_OK)
        goto no_server;
    http_server_share(loop->server, options->places);
    code = loop_listen(loop, options, e);
    if (code == ERR_OK)
        return ERR_OK;
    http_server_close(loop->server, NULL, NULL);
    intake_close(loop->intake, NULL, NULL);
    mailbox_close(&loop->box, NULL, NULL);
    loop_end(loop);
    return code; /* with its own text */
no_server:
    intake_close(loop->intake, NULL, NULL);
no_intake:
    mailbox_close(&loop->box, NULL, NULL);
no_mailbox:
    loop_end(loop);
    return err_set(e, code, "out of memory for an intake thread");
}

static void loops_undo(struct loops *l, uint32_t opened)
{
    for (uint32_t i = 0; i < opened; i++) {
        http_server_close(l->loop[i].server, NULL, NULL);
        intake_close(l->loop[i].intake, NULL, NULL);
        mailbox_close(&l->loop[i].box, NULL, NULL);
        loop_end(&l->loop[i]);
    }
}

/* --- threads --- */

static void loop_run(void *arg)
{
    struct loop *loop = arg;
    char name[32];
    snprintf(name, sizeof name, "intake-%d", (int)(loop - loop->all->loop) + 1);
    (void)pthread_setname_np(pthread_self(), name); /* for people only */
    uv_sem_wait(&loop->all->go);
    if (!loop->all->abandoned)
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

/* All threads, or none: the first ones wait until the last is there. */
static bool threads_start(struct loops *l)
{
    uint32_t made = 0;
    while (made < l->count && uv_thread_create(&l->loop[made].thread, loop_run, &l->loop[made]) == 0)
        made++;
    l->abandoned = made < l->count;
    for (uint32_t i = 0; i < made; i++)
        uv_sem_post(&l->go);
    for (uint32_t i = 0; l->abandoned && i < made; i++)
        CHECK(uv_thread_join(&l->loop[i].thread) == 0);
    return !l->abandoned;
}

static void freed(void *arg)
{
    struct loops *l = arg;
    uv_sem_destroy(&l->go);
    uv_sem_destroy(&l->done);
    l->magic = 0;
    free(l);
}

static struct loops *loops_new(const struct loops_options *options)
{
    struct loops *l = calloc(1, sizeof *l + options->count * sizeof l->loop[0]);
    if (l == NULL)
        return NULL;
    if (uv_sem_init(&l->go, 0) != 0)
        goto no_go;
    if (uv_sem_init(&l->done, 0) != 0)
        goto no_done;
    if (mailbox_init(&l->main, options->api->loop) != ERR_OK)
        goto no_mailbox;
    l->magic = LOOPS_MAGIC;
    l->count = l->open = options->count;
    for (uint32_t i = 0; i < l->count; i++)
        l->loop[i].all = l;
    return l;
no_mailbox:
    uv_sem_destroy(&l->done);
no_done:
    uv_sem_destroy(&l->go);
no_go:
    free(l);
    return NULL;
}

int loops_start(struct loops **out, const struct loops_options *options, struct err *e)
{
    CHECK(options->count > 0);
    struct loops *l = loops_new(options);
    if (l == NULL)
        return err_set(e, ERR_NOMEM, "out of memory for intake threads");
    uint32_t opened = 0;
    int code = ERR_OK;
    while (code == ERR_OK && opened < l->count) {
        code = loop_open(&l->loop[opened], options, e);
        opened += code == ERR_OK;
    }
    if (code == ERR_OK && !threads_start(l))
        code = err_set(e, ERR_LIMIT, "the system gives no thread for each of http.threads");
    if (code != ERR_OK) {
        loops_undo(l, opened);
        mailbox_close(&l->main, freed, l);
        return code;
    }
    *out = l;
    return ERR_OK;
}

/* --- the end --- */

static void server_told(struct mail *told)
{
    struct loop *loop = container_of(told, struct loop, told);
    struct loops *l = loop->all;
    if (--l->open == 0)
        l->closed(l->closed_arg);
}

static void server_closed(void *arg)
{
    struct loop *loop = arg;
    loop->server = NULL;
    loop->told.run = server_told;
    mailbox_send(&loop->all->main, &loop->told);
}

static void order_close(struct mail *order)
{
    struct loop *loop = loop_of(order);
    http_server_close(loop->server, server_closed, loop);
    uv_sem_post(&loop->all->done);
}

void loops_close(struct loops *l, void (*closed)(void *arg), void *arg)
{
    if (l == NULL) {
        closed(arg);
        return;
    }
    l->closing = true;
    l->closed = closed;
    l->closed_arg = arg;
    everywhere(l, order_close);
}

static void order_end(struct mail *order)
{
    struct loop *loop = loop_of(order);
    intake_close(loop->intake, NULL, NULL);
    mailbox_close(&loop->box, NULL, NULL);
    uv_sem_post(&loop->all->done);
}

void loops_free(struct loops **handle)
{
    struct loops *l = *handle;
    if (l == NULL)
        return;
    *handle = NULL;
    CHECK(l->closing && l->open == 0);
    everywhere(l, order_end);
    for (uint32_t i = 0; i < l->count; i++) {
        CHECK(uv_thread_join(&l->loop[i].thread) == 0);
        loop_end(&l->loop[i]);
    }
    mailbox_close(&l->main, freed, l);
}

/* The puller's host as a machine of small steps, so that it may be killed between any two: each piece of an emission,
 * the answer on its way, the return from pull(). It stands in for core/supervise/process.c: what the daemon sends is
 * queued here. The plugin emits rows with the position behind them, a position alone, or a set that is refused. */
#include "fetcher.h"

#include "sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 8192, SETS = 3, ROWS = 4, PADDING = 24 };

struct process {
    int unused; /* only an address */
};

struct message {
    struct message *next;
    size_t len;
    _Alignas(8) char bytes[];
};

struct queue {
    struct message *first, **last;
};

enum emission_kind { ROWS_AND_POSITION, POSITION_ALONE, REFUSED };

static struct {
    struct process process;
    struct runner *r; /* NULL: there is no host */
    bool ready, killed, stops, pulling, sending, waits;
    uint32_t left; /* emissions of this pull() */
    uint32_t result;
    uint64_t pull_token, emit_token;
    uint64_t at, next; /* the plugin's place; where it is when this emission is durable */
    enum emission_kind kind;
    bool split; /* its rows are there, its position is not yet */
    struct wire_emit head;
    char bytes[BYTES];
    struct queue in, out;
} host;

static bool good;
uint64_t pull_notified;
struct pull_acked pull_acked[PULL_ACKED_MAX];
uint32_t pull_acked_count;

/* --- messages --- */

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static void queue_add(struct queue *q, const void *head, size_t head_len, const void *tail, size_t tail_len)
{
    struct message *m = malloc(sizeof *m + head_len + tail_len);
    CHECK(m != NULL);
    m->next = NULL;
    m->len = head_len + tail_len;
    memcpy(m->bytes, head, head_len);
    if (tail_len > 0)
        memcpy(m->bytes + head_len, tail, tail_len);
    *q->last = m;
    q->last = &m->next;
}

static struct message *queue_take(struct queue *q)
{
    struct message *m = q->first;
    if (m != NULL && (q->first = m->next) == NULL)
        q->last = &q->first;
    return m;
}

static void queue_drop(struct queue *q)
{
    for (struct message *m; (m = queue_take(q)) != NULL;)
        free(m);
}

static void say(const void *head, size_t head_len, const void *tail, size_t tail_len)
{
    queue_add(&host.out, head, head_len, tail, tail_len);
}

bool fetcher_hear(void)
{
    struct runner *r = host.r;
    struct message *m = r == NULL ? NULL : queue_take(&host.out);
    if (m == NULL)
        return false;
    const struct wire_head *head = (const void *)m->bytes;
    int code = runner_events.message(r, head, m->len);
    SIM_CHECK(code == ERR_OK, "message %u of the host is refused: %s", head->type, err_text(code));
    free(m);
    if (sim_bug == BUG_PULL_EARLY && r->puller->emitting)
        pull_notified = host.next;
    runner_events.turn(r);
    return true;
}

/* --- what stands in for process.c --- */

int process_send(struct process *p, void *message, size_t len, int fd)
{
    const struct wire_head *head = message;
    CHECK(p == &host.process && fd < 0);
    if (head->type == WIRE_EMITTED && ((const struct wire_emitted *)message)->result == HG_EMITTED) {
        CHECK(pull_acked_count < PULL_ACKED_MAX);
        if (host.kind == ROWS_AND_POSITION)
            pull_acked[pull_acked_count++] = (struct pull_acked){host.at, host.r->puller->position.journal};
    }
    queue_add(&host.in, message, len, NULL, 0);
    return ERR_OK;
}

void process_kill(struct process *p)
{
    CHECK(p == &host.process);
    host.killed = true;
}

int process_pid(const struct process *p)
{
    (void)p;
    return 1;
}

uint64_t process_memory(const struct process *p)
{
    (void)p;
    return 0;
}

int process_start(struct process **out, const struct process_start *start, struct err *e)
{
    (void)out, (void)start;
    return err_set(e, ERR_NOMEM, "the simulator starts hosts by itself");
}

/* --- the plugin --- */

uint64_t pull_number(const struct position *p)
{
    uint64_t n = 0;
    SIM_CHECK(p->len == 0 || p->len >= sizeof n, "a position of %u bytes was never emitted", p->len);
    if (p->len > 0)
        memcpy(&n, p->bytes, sizeof n);
    return n;
}

static void text_add(const char *text)
{
    size_t len = strlen(text);
    CHECK(host.head.total + len <= BYTES);
    memcpy(host.bytes + host.head.total, text, len);
    host.head.total += len;
}

static void set_add(void)
{
    char text[64];
    uint32_t rows = 1 + sim_below(ROWS);
    snprintf(text, sizeof text, "{\"uuid\":\"u%u\",\"rows\":[", sim_below(3));
    text_add(text);
    for (uint32_t i = 0; i < rows; i++) {
        snprintf(text, sizeof text, "%s{\"data\":{\"n\":%" PRIu64 "}}", i > 0 ? "," : "", host.next++);
        text_add(text);
    }
    text_add("]}\n");
    host.head.sets++;
}

/* What stands before the rows is the place behind them. With the planted bug rows go without it, and it comes alone. */
static void compose(void)
{
    uint32_t draw = good ? 0 : sim_below(100);
    uint32_t length = (uint32_t)sizeof host.next + sim_below(PADDING);
    bool alone = host.split || draw >= 92;
    host.kind = alone ? POSITION_ALONE : draw >= 85 ? REFUSED : ROWS_AND_POSITION;
    host.split = sim_bug == BUG_PULL_SPLIT && host.kind == ROWS_AND_POSITION;
    host.next = alone ? host.next : host.at;
    host.head = (struct wire_emit){.head = {.magic = WIRE_MAGIC, .type = WIRE_EMIT}};
    if (!host.split) {
        host.head.has_position = 1;
        host.head.position = length;
        host.head.total = length;
    }
    for (uint32_t sets = host.kind == ROWS_AND_POSITION ? 1 + sim_below(SETS) : 0; sets > 0; sets--)
        set_add();
    if (host.kind == REFUSED) {
        text_add("{\"uuid\":\"u\",\"rows\":[{\"data\":1}]}\n");
        host.head.sets = 1;
    }
    if (!host.split) {
        memset(host.bytes, ' ', length);
        memcpy(host.bytes, &host.next, sizeof host.next);
    }
}

static void emission_send(void)
{
    uint64_t rest = host.head.total - host.head.offset;
    host.head.length = (uint32_t)(sim_chance(60) || rest < 2 ? rest : 1 + sim_below((uint32_t)rest - 1));
    say(&host.head, sizeof host.head, host.bytes + host.head.offset, host.head.length);
    host.head.offset += host.head.length;
    host.sending = host.head.offset < host.head.total;
    host.waits = !host.sending;
}

static void emission_offer(void)
{
    host.head.head.token = ++host.emit_token;
    host.head.offset = 0;
    host.sending = true;
}

static void emission_done(uint32_t result)
{
    host.waits = false;
    switch ((enum hg_emit_result)result) {
    case HG_EMITTED:
        SIM_CHECK(host.kind != REFUSED, "a bad set was taken");
        if (host.split) /* its position comes with the next */
            return;
        host.at = pull_notified = host.next;
        sim_trace("notify(%" PRIu64 ")", pull_notified);
        break;
    case HG_EMIT_REFUSED: SIM_CHECK(host.kind == REFUSED, "rows are refused that are good"); break;
    case HG_EMIT_NOT_NOW:
        if (sim_chance(70) && !host.stops) {
            emission_offer();
        } else {
            host.next = host.at;
            host.split = false;
            host.left = 0;
            host.result = HG_PULL_NOT_NOW;
        }
        break;
    }
}

/* --- its life --- */

void fetcher_begin(void)
{
    host.r = NULL;
    good = false;
    pull_notified = 0;
    pull_acked_count = 0;
}

void fetcher_good(void)
{
    good = true;
}

void fetcher_start(struct runner *r)
{
    CHECK(host.r == NULL && r->process == NULL);
    memset(&host, 0, sizeof host);
    queue_init(&host.in);
    queue_init(&host.out);
    host.r = r;
    host.at = host.next = pull_number(&r->puller->position);
    *state_of(r) = (struct host_state){.crash_lane = -1};
    r->process = &host.process;
    sim_trace("a host starts at %" PRIu64, host.at);
    SIM_CHECK(host.at >= pull_notified, "a host begins at %" PRIu64 ", but notify() was told %" PRIu64, host.at,
              pull_notified);
}

void fetcher_end(int signal)
{
    struct runner *r = host.r;
    if (r == NULL)
        return;
    while (fetcher_hear())
        ;
    queue_drop(&host.in);
    host.r = NULL;
    sim_trace("the host ends: signal %d", signal);
    runner_events.ended(r, 0, signal);
}

void fetcher_drop(struct runner *r)
{
    if (host.r == NULL)
        return;
    queue_drop(&host.in);
    queue_drop(&host.out);
    host.r = NULL;
    r->process = NULL;
}

static void begin(void)
{
    static const struct wire_ready ready = {.head = {.magic = WIRE_MAGIC, .type = WIRE_READY}};
    uint32_t draw = good ? 100 : sim_below(100);
    if (draw < 4) {
        fetcher_end(SIGSEGV);
        return;
    }
    host.ready = true;
    say(&ready, sizeof ready, NULL, 0);
}

static void end_pull(void)
{
    struct wire_pulled m = {.head = {.magic = WIRE_MAGIC, .type = WIRE_PULLED, .token = host.pull_token},
                            .result = host.result};
    host.pulling = false;
    say(&m, sizeof m, NULL, 0);
}

static bool take_in(void)
{
    struct message *m = queue_take(&host.in);
    if (m == NULL)
        return false;
    const struct wire_head *head = (const void *)m->bytes;
    if (head->type == WIRE_PULL) {
        host.pulling = true;
        host.pull_token = head->token;
        host.left = 1 + sim_below(3);
        host.result = sim_chance(60) ? HG_PULLED : HG_PULL_NOTHING;
    } else if (head->type == WIRE_STOP) {
        host.stops = true;
    } else if (head->type == WIRE_EMITTED && head->token == host.emit_token && host.waits) {
        emission_done(((const struct wire_emitted *)(const void *)m->bytes)->result);
    }
    free(m);
    return true;
}

bool fetcher_work(void)
{
    if (host.r == NULL)
        return false;
    if (host.killed || (!good && sim_chance(1)))
        fetcher_end(host.killed ? SIGKILL : SIGSEGV);
    else if (!host.ready)
        begin();
    else if (take_in())
        return true;
    else if (host.waits)
        return false;
    else if (host.sending)
        emission_send();
    else if (host.pulling && (host.left > 0 || host.split) && !host.stops) {
        host.left -= host.left > 0;
        compose();
        emission_offer();
    } else if (host.pulling)
        end_pull();
    else if (host.stops)
        fetcher_end(0);
    else
        return false;
    return true;
}

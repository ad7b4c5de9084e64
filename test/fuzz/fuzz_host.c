/* Whatever a host may send, byte for byte, into the daemon's own reader of it (process.c, runner.c) and on into a
 * pusher or a puller on a real journal; and what its plugin prints, into the log's line cutter. Numbers are fitted to
 * what was handed out where the input says so, so that many messages are taken. fuzz_wire_daemon has delivery's rules
 * alone.
 *
 * Input: flags (128: a puller; else the pusher's), then messages (wire_messages.h). Held: nonsense ends the host and
 * moves nothing; the cursor moves forward only; rows of a puller are counted when they are durable, and not before. */
#include "supervise/process.c"

#include "base/log.h"
#include "delivery/internal.h"
#include "journal/state.h"
#include "scratch.h"
#include "supervise/internal.h"
#include "wire_messages.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETS = 200, FITTED = 64, SEGMENT = 1 << 20, PIECE = 5 };

static uv_loop_t loop;
static struct sys table;
static int64_t now_ms = 1000000;
static struct supervisor *s;
static struct settings settings;
static struct budget budget = {.max = 1 << 20};
static struct journal *out_of, *into; /* pushers read the one, pullers write the other */
static uint64_t positions[SETS + 1];
static const char *message;
static size_t message_len;
static uint64_t emission_at; /* bytes of the emission under way, as far as they fitted */

/* --- the system --- */

/* The reader's buffer is larger than a message: what is behind may not be looked at. */
static ssize_t fake_recvmsg(int fd, struct msghdr *m, int flags)
{
    (void)fd, (void)flags;
    char *to = m->msg_iov->iov_base;
    size_t room = m->msg_iov->iov_len, len = message_len < room ? message_len : room;
    only_first(to, room, room);
    memcpy(to, message, len);
    only_first(to, len, room);
    m->msg_flags = 0;
    return (ssize_t)len;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *m, int flags)
{
    (void)fd, (void)flags;
    return (ssize_t)m->msg_iov->iov_len;
}

static int fake_clock(clockid_t which, struct timespec *out)
{
    int64_t ms = now_ms + (which == CLOCK_REALTIME ? INT64_C(1700000000000) : 0);
    *out = (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    return 0;
}

static int fake_sync(int fd)
{
    (void)fd;
    return 0;
}

/* --- a host without a process --- */

static void host_start(struct runner *r)
{
    struct process *p = calloc(1, sizeof *p);
    CHECK(p != NULL && r->process == NULL);
    *p = (struct process){.magic = PROCESS_MAGIC, .fd = -1, .events = &runner_events, .arg = r};
    p->last = &p->first;
    p->channel_open = p->log_open = p->exited = true; /* nothing to kill */
    *state_of(r) = (struct host_state){.crash_lane = -1, .log_left = LOG_BURST};
    r->process = p;
}

static void host_end(struct runner *r, int signal)
{
    struct process *p = r->process;
    p->channel_open = p->log_open = false;
    p->signal = signal;
    emission_at = 0;
    tell_end(p);
    CHECK(p->told && p->first == NULL && r->process != p);
    free(p);
}

static void pusher_start(void *arg, struct pusher *p)
{
    (void)arg;
    host_start(p->owner);
}

static void puller_start(void *arg, struct puller *p)
{
    (void)arg;
    host_start(p->owner);
}

static void order_checkpoint(void *arg, struct pusher *p, struct checkpoint *cp)
{
    (void)arg, (void)p, (void)cp; /* never written: the pusher goes on */
}

/* --- journals --- */

static void woken(void *arg)
{
    (void)arg;
}

static void commit(struct journal *j)
{
    int64_t wait;
    do
        while (helper_step(j, &wait))
            ;
    while (commit_step(j) == COMMIT_SEGMENT);
}

static struct journal *journal_at(const char *name)
{
    char path[192];
    struct journal *j = NULL;
    struct err e;
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    const struct journal_options options = {.dir = path, .segment_bytes = SEGMENT, .max_bytes = 8 * SEGMENT};
    CHECK(journal_open_quiet(&j, &options, NULL, &e) == ERR_OK);
    return j;
}

static void fill(struct journal *j)
{
    static const char text[] = "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\":1}},{\"data\":{\"a\":2}}]}";
    const struct row_span spans[] = {{.offset = 28, .length = 7}, {.offset = 45, .length = 7}};
    struct commit_queue queue = {.wake = woken};
    for (int i = 0; i < SETS; i++) {
        struct buf context;
        buf_init(&context, 256);
        CHECK(context_add(&context, CONTEXT_UUID, slice_make(&"abcdefgh"[i % 8], 1)) == ERR_OK);
        CHECK(context_finish(&context) == ERR_OK);
        struct record_parts parts = {
            .type = RECORD_ROWS, .rows = 2, .spans = spans, .data = slice_of(text), .context = buf_slice(&context)};
        struct journal_entry entry = {.queue = &queue, .records = &parts, .count = 1, .positions = &positions[i]};
        CHECK(journal_append(j, &entry) == ERR_OK);
        commit(j);
        CHECK(commit_take(&queue) == &entry && entry.status == ERR_OK);
        buf_free(&context);
    }
    positions[SETS] = journal_durable(j).position;
}

/* --- what fits --- */

static struct wire_place place_after(struct place from, uint32_t sets)
{
    size_t i = 0;
    while (i < SETS && positions[i] < from.position)
        i++;
    i = i + sets < SETS ? i + sets : SETS;
    return (struct wire_place){.position = positions[i]};
}

static size_t rows_fit(struct wire_verdicts *m, const struct handed *h, size_t len)
{
    char *at = (char *)(m + 1);
    size_t left = len - sizeof *m;
    m->count = 0;
    while (left >= sizeof(struct wire_row) && m->count < 8) {
        struct wire_row *row = (void *)at;
        row->place = place_after(h->from, (uint32_t)(row->place.position % 8));
        row->place.row = row->uuid_hash % 2 == 0 ? 0 : 1;
        row->verdict %= 12;
        row->reason = row->reason % 64 <= left - sizeof *row ? row->reason % 64 : 0;
        row->step %= 3;
        size_t step = sizeof *row + (row->reason + 7) / 8 * 8;
        m->count++;
        at += step < left ? step : left;
        left -= step < left ? step : left;
    }
    return len;
}

static void pusher_fit(const struct runner *r, struct wire_head *head, size_t len)
{
    const struct handed *h = &r->pusher->workers[head->lane];
    head->token = h->token;
    if (head->type == WIRE_TAKEN) {
        struct wire_taken *m = (void *)head;
        m->first = (struct wire_place){.position = h->from.position, .row = h->from.row};
        m->end = place_after(h->from, m->rows % 4);
        m->rows = m->rows % 4 * 2;
        m->bytes %= 4096;
        m->end_row = 0;
    } else if (head->type == WIRE_VERDICTS) {
        (void)rows_fit((void *)head, h, len);
    } else if (head->type == WIRE_DONE) {
        struct wire_done *m = (void *)head;
        m->result %= 4;
        m->rows = h->rows;
        m->listed = h->judged_count;
        m->delivered = h->rows > h->judged_count ? h->rows - h->judged_count : 0;
        m->end = (struct wire_place){.position = h->end.position, .row = h->end.row};
        m->state = m->has_state % 2 == 0 ? 0 : (uint32_t)(len - sizeof *m);
        m->reason = (uint32_t)(len - sizeof *m) - m->state;
    }
}

static void puller_fit(const struct runner *r, struct wire_head *head, size_t len)
{
    if (head->type == WIRE_PULLED) {
        struct wire_pulled *m = (void *)head;
        head->token = r->puller->token;
        m->result %= PIECE;
        m->reason = (uint32_t)(len - sizeof *m);
    } else if (head->type == WIRE_EMIT) {
        struct wire_emit *m = (void *)head;
        bool first = emission_at == 0, last = m->total % 2 == 0;
        m->length = (uint32_t)(len - sizeof *m);
        m->offset = emission_at;
        m->total = emission_at + m->length + (last ? 0 : m->total % 1000);
        m->has_position = 1;
        m->position = first && m->position % 8 <= m->length ? m->position % 8 : 0;
        m->sets = 0;
        for (const char *c = (const char *)(m + 1) + m->position; c < (const char *)(m + 1) + m->length; c++)
            m->sets += *c == '\n';
        head->token = 1;
        emission_at = last ? 0 : emission_at + m->length;
    }
}

/* --- one input --- */

static void pusher_make(struct runner *r, uint8_t flags)
{
    struct pusher_init init = {.name = "p",
                               .plugin = "p",
                               .dir = scratch,
                               .settings = &r->instance.common,
                               .flags = flags & 3,
                               .workers = WORKERS,
                               .ops = &s->ops,
                               .owner = r,
                               .register_at = positions[0],
                               .oldest = positions[0],
                               .seed = 1};
    struct err e;
    bool lost;
    CHECK(pusher_new(&r->pusher, &init, now_ms, &lost, &e) == ERR_OK);
    pusher_want(r->pusher, true, now_ms);
}

static void puller_make(struct runner *r)
{
    static const struct position none;
    r->puller = puller_new("p", scratch, &none, 1);
    CHECK(r->puller != NULL);
    r->puller->ops = &s->puller_ops;
    r->puller->owner = r;
    puller_configure(r->puller, &r->instance.common);
    puller_want(r->puller, true, now_ms);
}

static void take(struct runner *r, char *bytes, size_t len, uint8_t flags)
{
    struct wire_head *head = (void *)bytes;
    if ((flags & GOOD_HEAD) != 0 && len >= least_size(head->type) && (flags & FITTED) != 0) {
        if (r->pusher != NULL)
            pusher_fit(r, head, len);
        else
            puller_fit(r, head, len);
    }
    uint64_t low = r->pusher != NULL ? pusher_low(r->pusher) : 0;
    uint64_t rows = r->puller != NULL ? r->puller->counts.rows : 0;
    message = bytes;
    message_len = len;
    int got = receive(r->process);
    CHECK(r->pusher == NULL || (pusher_low(r->pusher) >= low && pusher_low(r->pusher) <= positions[SETS]));
    CHECK(r->puller == NULL || r->puller->counts.rows == rows); /* not durable yet */
    CHECK(got != 0);
    if (r->puller != NULL && r->puller->emitting) {
        commit(into);
        emissions_collect(s);
        journal_release(into, journal_durable(into).position);
        CHECK(!r->puller->emitting && r->puller->counts.rows >= rows);
    }
    if (got < 0 || state_of(r)->killed)
        host_end(r, SIGKILL);
}

static void run(struct runner *r, struct input *in)
{
    static _Alignas(8) char bytes[WIRE_MAX];
    uint8_t flags;
    size_t len;
    for (int n = 0; n < MESSAGES && (len = message_next(in, bytes, &flags)) > 0; n++) {
        now_ms += (flags & 63) * 20;
        runner_step(r);
        if (r->process == NULL)
            continue;
        if ((flags & (GOOD_HEAD | FITTED)) == FITTED) { /* what the plugin prints */
            const uv_buf_t b = uv_buf_init(bytes, (unsigned)len);
            r->process->log.data = r->process;
            log_ready((uv_stream_t *)&r->process->log, (ssize_t)len, &b);
        } else {
            take(r, bytes, len, flags);
        }
    }
    if (r->process != NULL)
        host_end(r, 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    scratch_make();
    CHECK(uv_loop_init(&loop) == 0);
    table = sys_plain;
    table.recvmsg = fake_recvmsg;
    table.sendmsg = fake_sendmsg;
    table.clock = fake_clock;
    table.fsync = table.fdatasync = fake_sync;
    sys = &table;
    log_setup((enum log_level)(LOG_ERROR - 1), true); /* nothing */
    settings = (struct settings){.http_max_body = 64 * 1024, .http_max_rows = 100, .rows_max_depth = 8};
    out_of = journal_at("out");
    into = journal_at("in");
    fill(out_of);
    s = calloc(1, sizeof *s);
    CHECK(s != NULL && (s->scan = scan_new()) != NULL && uv_timer_init(&loop, &s->timer) == 0);
    s->magic = SUPERVISOR_MAGIC;
    s->options.loop = &loop;
    s->options.budget = &budget;
    CHECK((s->options.backlog = backlog_new()) != NULL);
    s->settings = &settings;
    s->emitted.wake = woken;
    link_init(&s->runners);
    link_init(&s->pullers);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct input in = {data + 1, size - 1};
    s->options.journal = (data[0] & 128) != 0 ? into : out_of;
    s->source = source_of(s->options.journal);
    runner_pusher_ops(&s->ops, s);
    pullhost_ops(&s->puller_ops, s);
    s->ops.start = pusher_start;
    s->ops.checkpoint = order_checkpoint;
    s->puller_ops.start = puller_start;
    struct runner *r = runner_new(s, "p");
    CHECK(r != NULL);
    r->instance.common = (struct pusher_settings){.batch_rows = 20,
                                                  .batch_bytes = 1 << 20,
                                                  .timeout_ms = 1000,
                                                  .retry_min_ms = 1,
                                                  .retry_max_ms = 1,
                                                  .reject_breaker = 5};
    emission_at = 0;
    if ((data[0] & 128) != 0)
        puller_make(r);
    else
        pusher_make(r, data[0]);
    run(r, &in);
    r->instance = (struct instance){.name = NULL};
    struct puller *p = r->puller;
    if (p != NULL)
        link_init(&p->link);
    runner_free(&r);
    if (p != NULL)
        puller_free(&p);
    return 0;
}

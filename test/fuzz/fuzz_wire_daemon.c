/* What a host says of its hand-outs, in any order and with any numbers, into the pusher as core/supervise does. Numbers
 * are small, so that they often fit.
 *
 * Input: the pusher's flags, then messages (wire_messages.h); of the head only type, lane and token count. Held:
 * nonsense moves nothing; the cursor moves forward only, and not beyond what was handed out. */
#include "base/sys.h"
#include "delivery/internal.h"
#include "scratch.h"
#include "wire_messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIRST = 1 << 16, STEP = 64, SETS = 1000 };

static void order_hand(void *arg, struct pusher *p, const struct hand *hand)
{
    (void)arg, (void)p, (void)hand;
}

static void order_go(void *arg, struct pusher *p, uint32_t worker, uint64_t token)
{
    (void)arg, (void)p, (void)worker, (void)token;
}

static void order_start(void *arg, struct pusher *p)
{
    (void)arg, (void)p;
}

static void order_kill(void *arg, struct pusher *p, enum host_end why)
{
    (void)arg, (void)p, (void)why;
}

static void order_checkpoint(void *arg, struct pusher *p, struct checkpoint *cp)
{
    (void)arg, (void)p, (void)cp; /* never written: the pusher goes on */
}

static int segment_at(void *arg, uint64_t position, struct journal_segment *out)
{
    (void)arg;
    *out = (struct journal_segment){.base = 0, .first = FIRST, .end = FIRST + SETS * STEP, .head = true};
    return position < out->end ? ERR_OK : ERR_NOTFOUND;
}

static struct journal_mark durable(void *arg)
{
    (void)arg;
    return (struct journal_mark){FIRST + SETS * STEP, SETS};
}

static bool aside_full(void *arg, enum aside_state state, uint64_t more)
{
    (void)arg, (void)state;
    return more > 1 << 20;
}

static uint32_t running(void *arg)
{
    (void)arg;
    return 1;
}

static void tell_damage(void *arg, struct pusher *p, uint64_t from, uint64_t to)
{
    (void)arg, (void)p, (void)from, (void)to;
}

static void tell_changed(void *arg, struct pusher *p, const char *event, const char *text)
{
    (void)arg, (void)p, (void)event, (void)text;
}

static const struct pusher_ops ops = {.hand = order_hand,
                                      .go = order_go,
                                      .start = order_start,
                                      .kill = order_kill,
                                      .stop = order_start,
                                      .checkpoint = order_checkpoint,
                                      .segment_at = segment_at,
                                      .durable = durable,
                                      .aside_full = aside_full,
                                      .running = running,
                                      .damage = tell_damage,
                                      .changed = tell_changed};

static struct pusher *pusher_make(uint8_t flags)
{
    static const struct pusher_settings settings = {.batch_rows = 20,
                                                    .batch_bytes = 1 << 20,
                                                    .timeout_ms = 1000,
                                                    .retry_min_ms = 1,
                                                    .retry_max_ms = 1,
                                                    .reject_breaker = 5};
    const struct pusher_init init = {.name = "p",
                                     .plugin = "p",
                                     .dir = scratch,
                                     .settings = &settings,
                                     .flags = flags & 3,
                                     .workers = WORKERS,
                                     .ops = &ops,
                                     .register_at = FIRST,
                                     .oldest = FIRST,
                                     .seed = 1};
    struct pusher *p = NULL;
    struct err e;
    bool lost;
    CHECK(pusher_new(&p, &init, 1000, &lost, &e) == ERR_OK);
    pusher_want(p, true, 1000);
    (void)pusher_step(p, 1000);
    pusher_host_ready(p, 1000);
    (void)pusher_step(p, 1000);
    return p;
}

static struct place place_of(struct wire_place place)
{
    return (struct place){place.position, place.row};
}

static int daemon_told(struct pusher *p, const struct wire_head *head, const char *bytes, size_t len, int64_t now)
{
    uint64_t token = p->workers[head->lane].token;
    if (head->type % 4 == 0 && len >= sizeof(struct wire_taken)) {
        const struct wire_taken *m = (const void *)bytes;
        return pusher_taken(p, head->lane, token, place_of(m->first), place_of(m->end), m->rows, m->bytes,
                            m->first_hash, m->end_row, now);
    }
    if (head->type % 4 == 1) { /* one that is taken as it was handed out */
        struct place from = p->workers[head->lane].from, end = {from.position + 5 * STEP, 0};
        return pusher_taken(p, head->lane, token, from, end, 5, 500, 7, 0, now);
    }
    if (head->type % 4 == 2 && len >= sizeof(struct wire_row)) {
        const struct wire_row *m = (const void *)bytes;
        struct place from = p->workers[head->lane].from;
        const struct judged judged = {.place = {from.position + m->place.position % 16 * STEP, m->place.row % 3},
                                      .uuid_hash = m->uuid_hash,
                                      .after_ms = m->after_ms,
                                      .verdict = m->verdict % 20,
                                      .unjudged = (m->unjudged & 1) != 0};
        return pusher_judged(p, head->lane, token, &judged, slice_make(bytes, m->reason % sizeof *m));
    }
    const struct handed *h = &p->workers[head->lane];
    const struct done done = {.result = (uint32_t)head->token % 5,
                              .rows = h->rows,
                              .delivered = h->rows > h->judged_count ? h->rows - h->judged_count : 0,
                              .listed = h->judged_count,
                              .end = (head->token & 64) != 0 ? (struct place){head->token, 1} : h->end,
                              .has_state = (head->token & 32) != 0,
                              .state = slice_make(bytes, len)};
    return pusher_done(p, head->lane, token, &done, now);
}

static void run(struct input *in, uint8_t kind)
{
    static _Alignas(8) char bytes[WIRE_MAX];
    uint8_t flags;
    size_t len;
    struct pusher *p = pusher_make(kind);
    int64_t now = 1000;
    for (int n = 0; n < MESSAGES && (len = message_next(in, bytes, &flags)) > 0; n++) {
        const struct wire_head *head = (const void *)bytes;
        if ((flags & GOOD_HEAD) == 0)
            continue;
        uint64_t low = pusher_low(p);
        if (daemon_told(p, head, bytes, len, now) != ERR_OK) {
            CHECK(pusher_low(p) == low); /* nonsense moves nothing */
            const struct host_down down = {.end = HOST_PROTOCOL, .lane = -1, .reason = "nonsense"};
            pusher_host_down(p, &down, now);
        }
        now += flags & 63;
        (void)pusher_step(p, now);
        if (p->host == HOST_STARTING)
            pusher_host_ready(p, now);
        CHECK(p->waiting.count <= CURSOR_WAITING && pusher_low(p) >= low && pusher_low(p) <= FIRST + SETS * STEP);
    }
    pusher_free(&p);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    scratch_make();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct input in = {data + 1, size - 1};
    run(&in, data[0]);
    return 0;
}

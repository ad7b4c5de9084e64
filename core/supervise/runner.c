/* One runner: its life, and delivery's orders turned into messages to its host. What the host says stands in told.c.
 * Loop thread. */
#include "supervise/internal.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct runner *runner_new(struct supervisor *s, const char *name)
{
    struct runner_host *rh = calloc(1, sizeof *rh);
    if (rh == NULL)
        return NULL;
    struct runner *r = &rh->runner;
    r->magic = RUNNER_MAGIC;
    r->owner = s;
    r->plugin = "";
    r->idle_state = PUSHER_UNCONFIGURED;
    r->wake_ms = INT64_MAX;
    r->name = strdup(name);
    link_init(&r->link);
    if (r->name == NULL) {
        free(rh);
        return NULL;
    }
    return r;
}

void runner_free(struct runner **rr)
{
    struct runner *r = *rr;
    CHECK_MAGIC(r, RUNNER_MAGIC);
    CHECK(r->process == NULL && link_alone(&r->link));
    runner_forget_steps(r);
    counters_free(&r->counters);
    counters_free(&r->skips);
    steps_fini(&r->steps);
    instance_fini(&r->instance);
    plugin_file_drop(&r->file);
    runner_drop_pusher(r);
    if (r->puller != NULL)
        r->puller->owner = NULL; /* the supervisor keeps it */
    free(r->name);
    r->magic = 0;
    free(container_of(r, struct runner_host, runner));
    *rr = NULL;
}

void runner_idle(struct runner *r, enum pusher_state state, const char *reason)
{
    r->idle_state = state;
    snprintf(r->reason, sizeof r->reason, "%s", reason == NULL ? "" : reason);
    if (r->puller != NULL) {
        puller_want(r->puller, false, clock_ms());
        puller_mark(r->puller, state, reason);
    }
    if (r->pusher == NULL)
        return;
    pusher_want(r->pusher, false, clock_ms());
    pusher_mark(r->pusher, state, reason);
}

enum pusher_state runner_state(const struct runner *r)
{
    return r->pusher != NULL ? r->pusher->state : r->puller != NULL ? r->puller->state : r->idle_state;
}

int runner_pid(const struct runner *r)
{
    return r->process == NULL ? 0 : process_pid(r->process);
}

const char *runner_error(const struct runner *r)
{
    return r->pusher != NULL ? r->pusher->error : r->puller != NULL ? r->puller->error : r->reason;
}

void runner_log(struct runner *r, enum log_level level, const char *event, const char *text)
{
    LOG(level, event, text, LOG_S(r->puller != NULL ? "puller" : "pusher", r->name));
}

/* --- orders --- */

static struct wire_place wire_place(struct place p)
{
    return (struct wire_place){.position = p.position, .row = p.row};
}

static uint16_t hand_flags(const struct hand *hand)
{
    unsigned flags = 0;
    flags |= hand->what == HANDED_REPLAY ? (unsigned)HAND_REPLAY : 0;
    flags |= hand->stable ? (unsigned)HAND_STABLE : 0;
    flags |= hand->exact ? (unsigned)HAND_EXACT : 0;
    flags |= hand->cut ? (unsigned)HAND_CUT : 0;
    flags |= hand->spread ? (unsigned)HAND_SPREAD : 0;
    flags |= hand->new_ids ? (unsigned)HAND_NEW_IDS : 0;
    return (uint16_t)flags;
}

static int lend_for(struct runner *r, const struct hand *hand)
{
    if (hand->what == HANDED_RANGE || hand->what == HANDED_REPLAY)
        return lend_file(r, STORE_JOURNAL, hand->base);
    int code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < hand->item_count; i++) {
        struct journal_segment segment;
        if (hand->what == HANDED_ASIDE)
            code = lend_file(r, STORE_ASIDE, hand->items[i].file);
        else if (journal_segment_at(r->owner->options.journal, hand->items[i].place.position, &segment) == ERR_OK)
            code = lend_file(r, STORE_JOURNAL, segment.base);
    }
    return code;
}

static void write_items(struct runner *r, const struct hand *hand, struct wire_item *out)
{
    for (uint32_t i = 0; i < hand->item_count; i++) {
        const struct hand_item *item = &hand->items[i];
        struct journal_segment segment = {.base = 0};
        out[i] = (struct wire_item){.attempt = item->attempt, .uuid_hash = item->uuid_hash};
        if (hand->what == HANDED_ASIDE) {
            out[i].store = STORE_ASIDE;
            out[i].base = item->file;
            out[i].place.position = item->offset;
            out[i].place.row = item->place.row == PLACE_SET ? PLACE_SET : 0;
            continue;
        }
        out[i].store = STORE_JOURNAL;
        if (journal_segment_at(r->owner->options.journal, item->place.position, &segment) == ERR_OK)
            out[i].base = segment.base; /* else the host says that the row is lost */
        out[i].place = wire_place(item->place);
    }
}

static void order_kill(void *arg, struct pusher *p, enum host_end why);

static void order_hand(void *arg, struct pusher *p, const struct hand *hand)
{
    (void)arg;
    struct runner *r = p->owner;
    static union {
        struct wire_hand head;
        char bytes[WIRE_MAX];
    } out; /* loop thread only */
    size_t tail = hand->held_count * sizeof(uint64_t) + hand->item_count * sizeof(struct wire_item);
    CHECK(r->process != NULL && sizeof out.head + tail <= sizeof out);
    if (lend_for(r, hand) != ERR_OK) {
        order_kill(NULL, p, HOST_KILLED); /* a descriptor could not be had: tried again with a fresh host */
        return;
    }
    out.head = (struct wire_hand){
        .head = {.type = WIRE_HAND, .lane = (uint16_t)hand->worker, .token = hand->token},
        .kind = hand->what == HANDED_RANGE || hand->what == HANDED_REPLAY ? HAND_RANGE : HAND_LIST,
        .flags = hand_flags(hand),
        .shard_count = hand->shard_count,
        .shard = hand->shard,
        .max_rows = hand->max_rows,
        .max_bytes = hand->max_bytes,
        .base = hand->base,
        .from = wire_place(hand->from),
        .to = wire_place(hand->to),
        .limit = hand->limit,
        .only_uuid = hand->only_uuid,
        .attempt = hand->attempt,
        .held = hand->held_count,
        .items = hand->item_count,
        .timeout_ms = (int32_t)(p->settings.timeout_ms < INT32_MAX ? p->settings.timeout_ms : INT32_MAX),
    };
    memcpy(out.head.epoch, hand->epoch.bytes, sizeof out.head.epoch);
    char *at = out.bytes + sizeof out.head;
    if (hand->held_count > 0)
        memcpy(at, hand->held, hand->held_count * sizeof(uint64_t));
    if (hand->item_count > 0)
        write_items(r, hand, (struct wire_item *)(void *)at);
    if (process_send(r->process, &out, sizeof out.head + tail, -1) != ERR_OK)
        order_kill(NULL, p, HOST_KILLED);
}

static void order_go(void *arg, struct pusher *p, uint32_t worker, uint64_t token)
{
    (void)arg;
    struct runner *r = p->owner;
    if (r->process == NULL)
        return;
    struct wire_head go = {.type = WIRE_GO, .lane = (uint16_t)worker, .token = token};
    if (process_send(r->process, &go, sizeof go, -1) != ERR_OK)
        order_kill(NULL, p, HOST_KILLED);
}

void runner_send_simple(struct runner *r, uint16_t type, uint64_t token)
{
    if (r->process == NULL)
        return;
    struct wire_head m = {.type = type, .token = token};
    if (process_send(r->process, &m, sizeof m, -1) != ERR_OK)
        process_kill(r->process); /* it is ending anyway */
}

void runner_end_host(struct runner *r, enum host_end why)
{
    struct host_state *h = state_of(r);
    if (r->process == NULL || h->killed)
        return;
    h->killed = true;
    h->why = why;
    process_kill(r->process);
}

static void order_kill(void *arg, struct pusher *p, enum host_end why)
{
    (void)arg;
    runner_end_host(p->owner, why);
}

static void order_stop(void *arg, struct pusher *p)
{
    (void)arg;
    runner_stop_host(p->owner);
}

void runner_stop_host(struct runner *r)
{
    if (r->process == NULL || state_of(r)->stop_sent)
        return;
    state_of(r)->stop_sent = true;
    runner_send_simple(r, WIRE_STOP, 0);
}

void runner_kill_host(struct runner *r)
{
    runner_end_host(r, HOST_KILLED);
}

/* --- the rest of the table --- */

static void order_start(void *arg, struct pusher *p)
{
    (void)arg;
    launch_host(p->owner);
}

static void order_checkpoint(void *arg, struct pusher *p, struct checkpoint *cp)
{
    launch_checkpoint(arg, p, cp);
}

static int ask_segment(void *arg, uint64_t position, struct journal_segment *out)
{
    struct supervisor *s = arg;
    return journal_segment_at(s->options.journal, position, out);
}

static struct journal_mark ask_durable(void *arg)
{
    struct supervisor *s = arg;
    return journal_durable(s->options.journal);
}

static bool ask_aside_full(void *arg, enum aside_state state, uint64_t more)
{
    struct supervisor *s = arg;
    uint64_t dead, parked;
    supervisor_aside_bytes(s, &dead, &parked);
    return state == ASIDE_DEAD ? dead + more >= s->settings->dead_max_bytes
                               : parked + more >= s->settings->park_max_bytes;
}

static uint32_t ask_running(void *arg)
{
    struct supervisor *s = arg;
    uint32_t count = 0;
    LIST_EACH(&s->runners, it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        count += r->pusher != NULL && r->process != NULL;
    }
    return count;
}

static void tell_damage(void *arg, struct pusher *p, uint64_t from, uint64_t to)
{
    struct supervisor *s = arg;
    (void)p;
    journal_report_damage(s->options.journal, (struct read_damage){from, to});
}

static void tell_changed(void *arg, struct pusher *p, const char *event, const char *text)
{
    (void)arg;
    bool bad = p->state == PUSHER_BROKEN || p->state == PUSHER_RETRYING || p->state == PUSHER_REFUSED;
    LOG(bad ? LOG_WARN : LOG_INFO, event, text, LOG_S("pusher", p->name), LOG_S("state", pusher_state_word(p->state)));
}

void runner_pusher_ops(struct pusher_ops *ops, struct supervisor *s)
{
    *ops = (struct pusher_ops){
        .hand = order_hand,
        .go = order_go,
        .start = order_start,
        .kill = order_kill,
        .stop = order_stop,
        .checkpoint = order_checkpoint,
        .segment_at = ask_segment,
        .durable = ask_durable,
        .source = &s->source,
        .aside_full = ask_aside_full,
        .running = ask_running,
        .damage = tell_damage,
        .changed = tell_changed,
        .arg = s,
    };
}

void runner_step(struct runner *r)
{
    if (r->puller != NULL)
        r->wake_ms = puller_step(r->puller, clock_ms(), clock_wall_us());
    else if (r->pusher == NULL)
        return;
    else
        r->wake_ms = pusher_step(r->pusher, clock_ms());
    runner_note_passed(r);
    supervisor_arm(r->owner, r->wake_ms);
}

void runner_note_passed(struct runner *r)
{
    if (r->pusher != NULL)
        backlog_pass(r->owner->options.backlog, &r->passed, r->pusher->clients, pusher_passed(r->pusher));
}

void runner_drop_pusher(struct runner *r)
{
    backlog_leave(r->owner->options.backlog, &r->passed);
    pusher_free(&r->pusher);
}

void runner_sample(struct runner *r)
{
    if (r->process == NULL)
        return;
    r->memory = process_memory(r->process);
    if (r->instance.common.memory_max > 0 && r->memory > r->instance.common.memory_max)
        runner_end_host(r, HOST_MEMORY);
    if (state_of(r)->probe != NULL && clock_ms() >= state_of(r)->probe_by_ms)
        runner_end_host(r, HOST_DEADLINE);
}

static bool probeable(const struct runner *r)
{
    if (r->puller != NULL)
        return r->puller->host == PULL_READY;
    return r->pusher != NULL && r->pusher->host == HOST_READY;
}

void supervisor_probe(struct supervisor *s, struct runner *r, probe_answer *answer, void *arg)
{
    CHECK_MAGIC(s, SUPERVISOR_MAGIC);
    struct host_state *h = state_of(r);
    if (r->process == NULL || !probeable(r) || h->probe != NULL) {
        answer(arg, ERR_UNREACHABLE, h->probe != NULL ? "a probe is under way" : runner_error(r));
        return;
    }
    h->probe = answer;
    h->probe_arg = arg;
    h->probe_by_ms = clock_ms() + 2 * r->instance.common.timeout_ms;
    runner_send_simple(r, WIRE_PROBE, 1);
}

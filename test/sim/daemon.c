/* Orders become messages and messages become events, as in core/supervise/runner.c; what takes time there (a process
 * that starts, a checkpoint on a worker thread, a message on its way) waits here until the scheduler lets it happen. */
#include "daemon.h"

#include "base/sys.h"
#include "disk.h"
#include "host.h"
#include "host/wire.h"
#include "journal/files.h"
#include "journal_bench.h"
#include "model.h"
#include "sim.h"
#include "supervise/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENT_MAX = 256, PUSHER_SEED = 7 };

static const char dir[] = "/d/pushers/p";

struct message {
    struct message *next;
    size_t length;
    char bytes[];
};

struct lent {
    uint32_t store;
    uint64_t base;
};

enum process { PROCESS_NONE, PROCESS_STARTS, PROCESS_RUNS };

static struct process_state {
    enum process stage;
    bool stops, killed, crashed, open_failed, hung;
    enum host_end why;
    uint32_t open_result;
    int crash_lane;
    struct message *first, **last;
    struct lent lent[LENT_MAX];
    uint32_t lent_count;
} proc;

struct pusher *pusher;
struct pusher_settings daemon_settings;
uint32_t daemon_flags, daemon_workers, daemon_running;
uint64_t daemon_dead_max, daemon_park_max;
int64_t daemon_wake_ms;

static struct row_source source;
static struct checkpoint *writing;
static uint64_t drawn; /* sequence of the last one */

/* --- files that are lent --- */

static int lend(uint32_t store, uint64_t base)
{
    struct epoch none = {.bytes = {0}};
    char path[PATH_MAX];
    for (uint32_t i = 0; i < proc.lent_count; i++)
        if (proc.lent[i].store == store && proc.lent[i].base == base)
            return ERR_OK;
    if (proc.lent_count == LENT_MAX)
        return ERR_LIMIT;
    if (store == STORE_ASIDE) {
        aside_path(dir, (uint32_t)base, path, sizeof path);
        int fd = sys->open(path, O_RDONLY, 0);
        if (fd < 0)
            return ERR_IO;
        host_lend(store, base, 0, &none, fd);
    } else {
        struct journal_segment segment;
        int fd;
        if (journal_segment_at(journal, base, &segment) != ERR_OK || segment.base != base)
            return ERR_OK; /* it is gone: the host says so */
        if (journal_hold(journal, base, &fd, NULL) != ERR_OK)
            return ERR_IO;
        host_lend(store, base, segment.salt, &segment.epoch, fd);
    }
    proc.lent[proc.lent_count++] = (struct lent){store, base};
    return ERR_OK;
}

static void lent_over(void)
{
    for (uint32_t i = 0; i < proc.lent_count; i++)
        if (proc.lent[i].store == STORE_JOURNAL)
            journal_unhold(journal, proc.lent[i].base);
    proc.lent_count = 0;
}

void daemon_give_back(void)
{
    for (uint32_t i = 0; i < HOST_WORKERS; i++)
        if (host_stage(i) != PLAY_IDLE)
            return;
    for (uint32_t i = 0; i < proc.lent_count; i++)
        host_drop(proc.lent[i].store, proc.lent[i].base);
    lent_over();
}

/* --- orders --- */

static void order_kill(void *arg, struct pusher *p, enum host_end why)
{
    (void)arg, (void)p;
    if (proc.stage == PROCESS_NONE || proc.killed)
        return;
    sim_trace("the host is killed: %d", why);
    proc.killed = true;
    proc.why = why;
}

static int lend_for(const struct hand *hand)
{
    struct journal_segment segment;
    int code = ERR_OK;
    if (hand->what == HANDED_RANGE || hand->what == HANDED_REPLAY)
        return lend(STORE_JOURNAL, hand->base);
    for (uint32_t i = 0; code == ERR_OK && i < hand->item_count; i++)
        if (hand->what == HANDED_ASIDE)
            code = lend(STORE_ASIDE, hand->items[i].file);
        else if (journal_segment_at(journal, hand->items[i].place.position, &segment) == ERR_OK)
            code = lend(STORE_JOURNAL, segment.base);
    return code;
}

static void items_write(const struct hand *hand, struct wire_item *out)
{
    for (uint32_t i = 0; i < hand->item_count; i++) {
        const struct hand_item *item = &hand->items[i];
        struct journal_segment segment = {.base = 0};
        out[i] = (struct wire_item){
            .attempt = item->attempt, .uuid_hash = item->uuid_hash, .store = STORE_ASIDE, .base = item->file};
        out[i].place.position = item->offset;
        out[i].place.row = item->place.row == PLACE_SET ? PLACE_SET : 0;
        if (hand->what == HANDED_ASIDE)
            continue;
        (void)!journal_segment_at(journal, item->place.position, &segment);
        out[i].store = STORE_JOURNAL;
        out[i].base = segment.base;
        out[i].place = (struct wire_place){.position = item->place.position, .row = item->place.row};
    }
}

static int hash_order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static uint16_t flags_of(const struct hand *hand)
{
    unsigned flags = hand->what == HANDED_REPLAY ? (unsigned)HAND_REPLAY : 0;
    flags |= hand->stable ? (unsigned)HAND_STABLE : 0;
    flags |= hand->exact ? (unsigned)HAND_EXACT : 0;
    flags |= hand->cut ? (unsigned)HAND_CUT : 0;
    flags |= hand->spread ? (unsigned)HAND_SPREAD : 0;
    flags |= hand->new_ids ? (unsigned)HAND_NEW_IDS : 0;
    return (uint16_t)flags;
}

static void order_hand(void *arg, struct pusher *p, const struct hand *hand)
{
    static union {
        struct wire_hand head;
        char bytes[WIRE_MAX];
    } out;
    size_t tail = hand->held_count * sizeof(uint64_t) + hand->item_count * sizeof(struct wire_item);
    CHECK(proc.stage == PROCESS_RUNS && sizeof out.head + tail <= sizeof out);
    if (lend_for(hand) != ERR_OK || host_stage(hand->worker) != PLAY_IDLE) { /* nonsense said that it was done */
        order_kill(arg, p, HOST_KILLED);
        return;
    }
    out.head = (struct wire_hand){
        .head = {.type = WIRE_HAND, .lane = (uint16_t)hand->worker, .token = hand->token},
        .kind = hand->what == HANDED_RANGE || hand->what == HANDED_REPLAY ? HAND_RANGE : HAND_LIST,
        .flags = flags_of(hand),
        .shard_count = hand->shard_count,
        .shard = hand->shard,
        .max_rows = hand->max_rows,
        .max_bytes = hand->max_bytes,
        .base = hand->base,
        .from = {.position = hand->from.position, .row = hand->from.row},
        .to = {.position = hand->to.position, .row = hand->to.row},
        .limit = hand->limit,
        .only_uuid = hand->only_uuid,
        .attempt = hand->attempt,
        .held = hand->held_count,
        .items = hand->item_count,
        .timeout_ms = (int32_t)p->settings.timeout_ms,
    };
    memcpy(out.head.epoch, hand->epoch.bytes, sizeof out.head.epoch);
    if (hand->cut) {
        sim_trace("worker %u is handed a batch that was written down ahead, from %" PRIu64 ".%u to %" PRIu64 " at most",
                  hand->worker, hand->from.position, hand->from.row, hand->limit);
        model_cut(hand);
    }
    if (sim_bug == BUG_HALF_PLAN && hand->exact && hand->to.row > 0)
        out.head.to.row--;
    if (sim_bug == BUG_FORGETS_HELD)
        out.head.held = 0;
    char *at = out.bytes + sizeof out.head;
    if (out.head.held > 0) {
        memcpy(at, hand->held, hand->held_count * sizeof(uint64_t));
        qsort(at, hand->held_count, sizeof(uint64_t), hash_order); /* as the host does on receipt */
    }
    if (hand->item_count > 0)
        items_write(hand, (struct wire_item *)(void *)at);
    host_hand(&out, sizeof out.head + tail);
}

static void order_go(void *arg, struct pusher *p, uint32_t worker, uint64_t token)
{
    (void)arg, (void)p;
    if (proc.stage == PROCESS_RUNS && !proc.crashed)
        host_go(worker, token);
}

static void order_start(void *arg, struct pusher *p)
{
    (void)arg, (void)p;
    CHECK(proc.stage == PROCESS_NONE);
    proc = (struct process_state){.stage = PROCESS_STARTS, .crash_lane = -1};
    proc.last = &proc.first;
    host_start(daemon_workers, (daemon_flags & HG_WHOLE_SETS) != 0);
}

static void order_stop(void *arg, struct pusher *p)
{
    (void)arg, (void)p;
    proc.stops = proc.stage != PROCESS_NONE;
}

static void order_checkpoint(void *arg, struct pusher *p, struct checkpoint *cp)
{
    (void)arg;
    CHECK(writing == NULL);
    writing = cp;
    for (uint32_t i = 0; i < p->lane_count; i++) {
        if (sim_bug == BUG_AHEAD_EARLY)
            p->lanes[i].ahead_durable = p->lanes[i].ahead_drawn;
        if (sim_bug == BUG_AHEAD_LOST)
            cp->cursor.aheads[i].count = 0;
        if (sim_bug == BUG_AHEAD_MOVED)
            cp->cursor.aheads[i].rows++;
    }
    if (cp->cursor.sequence != drawn) /* else one that failed is written again, as it is */
        model_drawn(cp);
    drawn = cp->cursor.sequence;
}

static int ask_segment(void *arg, uint64_t position, struct journal_segment *out)
{
    (void)arg;
    return journal_segment_at(journal, position, out);
}

static struct journal_mark ask_durable(void *arg)
{
    (void)arg;
    return journal_durable(journal);
}

static bool ask_full(void *arg, enum aside_state state, uint64_t more)
{
    (void)arg;
    if (pusher == NULL) /* it is being made */
        return more >= (state == ASIDE_DEAD ? daemon_dead_max : daemon_park_max);
    return state == ASIDE_DEAD ? pusher->aside.dead_bytes + more >= daemon_dead_max
                               : pusher->aside.parked_bytes + more >= daemon_park_max;
}

static uint32_t ask_running(void *arg)
{
    (void)arg;
    return daemon_running;
}

static void tell_damage(void *arg, struct pusher *p, uint64_t from, uint64_t to)
{
    (void)arg, (void)p;
    SIM_CHECK(model.damaged, "the host meets damage %" PRIu64 " to %" PRIu64, from, to);
    journal_report_damage(journal, (struct read_damage){from, to});
}

static void tell_changed(void *arg, struct pusher *p, const char *event, const char *text)
{
    (void)arg;
    sim_trace("%s (%s) %s", event, pusher_state_word(p->state), text);
}

static struct pusher_ops ops = {
    .hand = order_hand,
    .go = order_go,
    .start = order_start,
    .kill = order_kill,
    .stop = order_stop,
    .checkpoint = order_checkpoint,
    .segment_at = ask_segment,
    .durable = ask_durable,
    .source = &source,
    .aside_full = ask_full,
    .running = ask_running,
    .damage = tell_damage,
    .changed = tell_changed,
};

/* --- messages --- */

static void message_queue(const struct iovec *parts, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += parts[i].iov_len;
    struct message *m = calloc(1, sizeof *m + length);
    CHECK(m != NULL);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].iov_len > 0)
            memcpy(m->bytes + m->length, parts[i].iov_base, parts[i].iov_len);
        m->length += parts[i].iov_len;
    }
    *proc.last = m;
    proc.last = &m->next;
}

static struct message *message_next(void)
{
    struct message *m = proc.first;
    if (m != NULL && (proc.first = m->next) == NULL)
        proc.last = &proc.first;
    return m;
}

static struct place place_of(struct wire_place p)
{
    return (struct place){p.position, p.row};
}

/* Rows of an aside file are told by their offset; delivery knows them by their place. */
static struct place real_place(uint32_t lane, struct wire_place told)
{
    const struct handed *h = &pusher->workers[lane];
    for (uint32_t i = 0; h->busy && h->what == HANDED_ASIDE && i < h->item_count; i++)
        if (h->items[i].offset == told.position)
            return h->items[i].place.row == PLACE_SET ? (struct place){h->items[i].place.position, told.row}
                                                      : h->items[i].place;
    return place_of(told);
}

static int told_verdicts(const struct wire_verdicts *m)
{
    const char *at = (const char *)(m + 1);
    int code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < m->count; i++) {
        struct wire_row row;
        memcpy(&row, at, sizeof row);
        struct judged judged = {.place = real_place(m->head.lane, row.place),
                                .uuid_hash = row.uuid_hash,
                                .after_ms = row.after_ms,
                                .verdict = row.verdict,
                                .unjudged = row.unjudged != 0};
        code = pusher_judged(pusher, m->head.lane, m->head.token, &judged, slice_make(at + sizeof row, row.reason));
        at += sizeof row + (row.reason + 7u) / 8 * 8;
    }
    return code;
}

static int told_done(const struct wire_done *m)
{
    const char *at = (const char *)(m + 1);
    struct done done = {.result = m->result,
                        .rows = m->rows,
                        .delivered = m->delivered,
                        .listed = m->listed,
                        .end = place_of(m->end),
                        .after_ms = m->after_ms,
                        .push_us = m->push_us,
                        .bytes = m->bytes,
                        .has_state = m->has_state != 0,
                        .bad_result = m->bad_result != 0,
                        .state = slice_make(at, m->state),
                        .reason = slice_make(at + m->state, m->reason)};
    const struct push *push = host_push(m->head.lane);
    if (pusher->workers[m->head.lane].busy && pusher->workers[m->head.lane].token == m->head.token && push->count > 0 &&
        push->token == m->head.token)
        model_heard(m->head.lane, push);
    return pusher_done(pusher, m->head.lane, m->head.token, &done, sim_ms);
}

static int route(const struct message *m)
{
    const struct wire_head *head = (const void *)m->bytes;
    switch (head->type) {
    case WIRE_TAKEN: {
        const struct wire_taken *t = (const void *)m->bytes;
        return pusher_taken(pusher, head->lane, head->token, place_of(t->first), place_of(t->end), t->rows, t->bytes,
                            t->first_hash, t->end_row, sim_ms);
    }
    case WIRE_VERDICTS: return told_verdicts((const void *)m->bytes);
    case WIRE_DONE: return told_done((const void *)m->bytes);
    case WIRE_DAMAGE: {
        const struct wire_damage *d = (const void *)m->bytes;
        pusher_damage(pusher, d->from, d->to);
        return ERR_OK;
    }
    default: return ERR_SYNTAX;
    }
}

bool daemon_hear(void)
{
    struct message *m = proc.stage == PROCESS_RUNS ? message_next() : NULL;
    if (m == NULL)
        return false;
    int code = route(m);
    free(m);
    if (code != ERR_OK) {
        sim_trace("the host is not understood: %s", err_text(code));
        order_kill(NULL, pusher, HOST_PROTOCOL);
    }
    if (proc.first == NULL || sim_chance(60)) /* several are often heard before a step */
        daemon_step();
    return true;
}

/* --- the process --- */

static void messages_drop(void)
{
    for (struct message *m; (m = message_next()) != NULL;)
        free(m);
}

static struct host_down down_of(void)
{
    struct host_down down = {.lane = proc.crash_lane, .reason = "it ended"};
    if (proc.killed)
        down.end = proc.why;
    else if (proc.open_failed)
        down.end = proc.open_result == HG_OPEN_NOT_NOW ? HOST_NOT_NOW : HOST_BROKEN;
    else if (proc.crashed)
        down.end = HOST_CRASHED;
    else
        down.end = proc.stops ? HOST_STOPPED : HOST_KILLED;
    down.signal = down.end == HOST_CRASHED && sim_chance(90) ? 11 : 0;
    return down;
}

static void evidence_tell(const struct host_down *down)
{
    for (uint32_t i = 0; i < HOST_WORKERS; i++) {
        bool pushed = host_stage(i) == PLAY_HANGS && host_push(i)->count > 0;
        /* Nonsense is evidence too, against whatever the daemon knows to be in a push. */
        bool judged = down->end == HOST_PROTOCOL && pusher->workers[i].busy && pusher->workers[i].taken &&
                      pusher->workers[i].token == host_push(i)->token && host_push(i)->count > 0;
        const struct handed *h = &pusher->workers[i];
        bool told = down->end == HOST_PROTOCOL && h->busy && h->taken && h->rows > 0 && h->go == GO_NOT_NEEDED;
        if ((pushed || judged) && (down->end == HOST_CRASHED || down->end == HOST_PROTOCOL) &&
            (down->lane < 0 || (uint32_t)down->lane == i))
            model_crashed(host_push(i));
        else if (told) /* nonsense said so: the daemon cannot know better */
            model_blamed(h->item_count > 0 ? h->items[0].place : h->first);
        else if (pushed && down->end == HOST_DEADLINE)
            model_overdue(host_push(i));
    }
    if (down->end == HOST_DEADLINE || down->end == HOST_PROTOCOL || (down->end == HOST_CRASHED && down->lane < 0))
        model_split(); /* whoever was about to push is suspected too */
    if ((down->end == HOST_KILLED || down->end == HOST_MEMORY) && model.ends >= 2)
        model_split(); /* again and again, with nothing passing: less is handed out */
    model.ends += down->end != HOST_STOPPED;
}

static void process_end(void)
{
    bool over = proc.killed && proc.why == HOST_PROTOCOL;
    for (struct message *m; !over && (m = message_next()) != NULL;) {
        over = route(m) != ERR_OK;
        free(m);
    }
    messages_drop();
    struct host_down down = down_of();
    sim_trace("the host is down: %d, lane %d", down.end, down.lane);
    evidence_tell(&down);
    if (sim_bug == BUG_BLAMES_KILL && down.end == HOST_KILLED)
        down.end = HOST_CRASHED;
    lent_over();
    host_end();
    proc.stage = PROCESS_NONE;
    pusher_host_down(pusher, &down, sim_ms);
    daemon_step();
}

static void process_starts(void)
{
    uint32_t draw = model.good ? 100 : sim_below(100);
    if (draw < 4) {
        proc.open_failed = true;
        proc.open_result = draw < 3 ? HG_OPEN_NOT_NOW : HG_OPEN_BROKEN;
    } else if (draw < 6) {
        proc.crashed = true;
    } else if (draw < 7) {
        proc.hung = true;
    } else {
        proc.stage = PROCESS_RUNS;
        pusher_host_ready(pusher, sim_ms);
        daemon_step();
        return;
    }
    if (!proc.hung)
        process_end();
}

static bool worker_works(void)
{
    uint32_t start = sim_below(HOST_WORKERS);
    for (uint32_t n = 0; n < HOST_WORKERS; n++) {
        uint32_t i = (start + n) % HOST_WORKERS;
        enum play_stage stage = host_stage(i);
        if (stage != PLAY_HANDED && stage != PLAY_READY)
            continue;
        host_work(i);
        if (host_stage(i) == PLAY_HANGS && host_push(i)->fate == PUSH_CRASHES) {
            proc.crashed = true;
            proc.crash_lane = sim_chance(80) ? (int)i : -1;
        }
        return true;
    }
    return false;
}

static bool all_rest(void)
{
    for (uint32_t i = 0; i < HOST_WORKERS; i++)
        if (host_stage(i) != PLAY_IDLE && host_stage(i) != PLAY_WAITS)
            return false;
    return true;
}

bool daemon_mind_host(void)
{
    if (proc.stage == PROCESS_NONE)
        return false;
    if (proc.killed || proc.crashed || (proc.stops && proc.stage == PROCESS_STARTS)) {
        process_end();
        return true;
    }
    if (proc.stage == PROCESS_STARTS && !proc.hung) {
        process_starts();
        return true;
    }
    if (proc.stage == PROCESS_RUNS && worker_works())
        return true;
    if (proc.stops && all_rest()) {
        process_end();
        return true;
    }
    return false;
}

void daemon_kill_host(void)
{
    if (proc.stage != PROCESS_NONE && !proc.killed) {
        sim_trace("somebody kills the host");
        process_end();
    }
}

void daemon_nonsense(void)
{
    if (proc.stage != PROCESS_RUNS || proc.killed || proc.crashed)
        return;
    const struct wire_done m = {.head = {.type = (uint16_t)(WIRE_READY + sim_below(7)),
                                         .lane = (uint16_t)sim_below(daemon_workers),
                                         .token = pusher->next_token - sim_below(3)},
                                .rows = sim_below(5),
                                .end = {.position = sim_below(100000)}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)&m, .iov_len = sizeof m};
    if (m.head.type != WIRE_VERDICTS && m.head.type != WIRE_DAMAGE)
        message_queue(&part, 1);
}

/* --- checkpoints --- */

bool daemon_checkpoint(void)
{
    struct checkpoint *cp = writing;
    struct err e = {.text = ""};
    if (cp == NULL)
        return false;
    writing = NULL;
    int code = ERR_OK;
    if (sim_bug == BUG_CURSOR_FIRST && cp->sweep_count == 0)
        code = cursor_write(dir, &cp->cursor, &e);
    if (code == ERR_OK)
        code = checkpoint_write(cp, &e);
    if (disk_dead())
        return true; /* the daemon never hears of it */
    if (code == ERR_OK)
        model_written(cp);
    else
        sim_trace("checkpoint: %s", e.text);
    pusher_checkpointed(pusher, code, e.text, sim_ms);
    daemon_step();
    if (pusher->sequence > 0 && !pusher_let_go(pusher))
        journal_release(journal, pusher->durable_low);
    return true;
}

/* --- life --- */

void daemon_step(void)
{
    if (!disk_dead())
        daemon_wake_ms = pusher_step(pusher, sim_ms);
}

bool daemon_idle(void)
{
    if (writing != NULL || proc.first != NULL || proc.killed || proc.crashed ||
        (proc.stage == PROCESS_STARTS && !proc.hung))
        return false;
    for (uint32_t i = 0; i < HOST_WORKERS; i++)
        if (host_stage(i) == PLAY_HANDED || host_stage(i) == PLAY_READY)
            return false;
    return !proc.stops || proc.stage == PROCESS_NONE || !all_rest();
}

static int pusher_make(bool *lost, struct err *e)
{
    struct journal_mark mark = journal_durable(journal);
    struct journal_segment oldest;
    struct pusher_init init = {.name = "p",
                               .plugin = "p",
                               .dir = dir,
                               .settings = &daemon_settings,
                               .flags = daemon_flags,
                               .workers = daemon_workers,
                               .ops = &ops,
                               .register_at = mark.position,
                               .register_row = mark.rows,
                               .oldest = mark.position,
                               .seed = sim_random()};
    if (journal_oldest(journal, &oldest) == ERR_OK)
        init.oldest = oldest.base;
    if (dir_make("/d/pushers") != ERR_OK)
        return err_errno(e, errno, "/d/pushers");
    if (sys->mkdir(dir, 0750) != 0 && errno != EEXIST)
        return err_errno(e, errno, "%s", dir);
    int code = pusher_new(&pusher, &init, sim_ms, lost, e);
    if (code == ERR_OK && (code = pusher_register(pusher, e)) != ERR_OK)
        pusher_free(&pusher);
    return code;
}

void daemon_open(void)
{
    struct err e = {.text = ""};
    bool lost = false;
    disk_message = message_queue;
    source = source_of(journal);
    drawn = 0;
    proc = (struct process_state){.crash_lane = -1};
    proc.last = &proc.first;
    while (pusher_make(&lost, &e) != ERR_OK) {
        SIM_CHECK(disk_rules()->faults > 0, "the pusher cannot be made: %s", e.text);
        sim_trace("the pusher cannot be made: %s", e.text);
        disk_rules()->faults /= 2;
    }
    SIM_CHECK(!lost || model.damaged, "the cursor is lost");
    if (lost)
        sim_trace("the cursor is lost");
    model_restarted(pusher);
    sim_trace("the pusher stands at %" PRIu64 ".%u, %zu rows wait, %zu are aside", pusher->lanes[0].next.position,
              pusher->lanes[0].next.row, pusher->waiting.count, pusher->aside.count);
    for (size_t i = 0; i < pusher->waiting.count; i++)
        sim_trace("  %" PRIu64 ".%u waits, kind %u, plan %u", pusher->waiting.rows[i].c.place.position,
                  pusher->waiting.rows[i].c.place.row, pusher->waiting.rows[i].c.kind, pusher->waiting.rows[i].c.plan);
    for (size_t i = 0; i < pusher->aside.count; i++)
        sim_trace("  %" PRIu64 ".%u is aside, state %u", pusher->aside.entries[i].place.position,
                  pusher->aside.entries[i].place.row, pusher->aside.entries[i].state);
    model_check();
    if (!pusher->forgotten)
        pusher_want(pusher, true, sim_ms);
    daemon_step();
}

void daemon_close(void)
{
    messages_drop();
    lent_over();
    host_end();
    proc.stage = PROCESS_NONE;
    writing = NULL; /* the pusher's */
    model_ended();
    pusher_free(&pusher);
}

void daemon_configure(void)
{
    pusher_configure(pusher, &daemon_settings, daemon_flags, daemon_workers);
    if (pusher->wanted) {
        pusher_want(pusher, false, sim_ms);
        pusher_want(pusher, true, sim_ms);
    }
    daemon_step();
}

/* A worker without its thread: what core/host/worker.c does for one hand-out, cut at the places where the world may
 * step in between. */
#include "host.h"

#include "host/tell.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct hg_host w;
    enum play_stage stage;
    struct batch_end end;
    struct push push;
    char inbox[WIRE_MAX];
};

static struct host host;
static struct worker *workers;
static uint32_t worker_count, pushes;
static bool runs;

static void damaged(void *arg, struct read_damage damage)
{
    tell_damage(arg, damage);
}

static void dropped(void *arg, uint32_t store, uint64_t base)
{
    (void)arg, (void)store, (void)base;
}

void host_start(uint32_t count, bool whole_sets)
{
    CHECK(!runs && count <= HOST_WORKERS);
    memset(&host, 0, sizeof host);
    outlet_init(&host.outlet, 0);
    shelf_init(&host.shelf);
    tally_init(&host.tally);
    pthread_mutex_init(&host.mutex, NULL);
    workers = calloc(count, sizeof *workers);
    CHECK(workers != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct hg_host *w = &workers[i].w;
        w->magic = WORKER_MAGIC;
        w->host = &host;
        w->lane = (uint16_t)i;
        w->inbox = workers[i].inbox;
        lent_init(&w->rows);
        gather_init(&w->gather, &host.shelf, whole_sets, &host.stopping);
        w->gather.damaged = damaged;
        w->gather.dropped = dropped;
        w->gather.arg = w;
        workers[i].push.rows = calloc(PUSH_ROWS, sizeof *workers[i].push.rows);
        CHECK(workers[i].push.rows != NULL);
    }
    worker_count = count;
    pushes = 0;
    runs = true;
}

void host_end(void)
{
    if (!runs)
        return;
    for (uint32_t i = 0; i < worker_count; i++) {
        gather_fini(&workers[i].w.gather);
        lent_fini(&workers[i].w.rows);
        free(workers[i].push.rows);
    }
    free(workers);
    shelf_fini(&host.shelf);
    tally_fini(&host.tally);
    outlet_fini(&host.outlet);
    pthread_mutex_destroy(&host.mutex);
    runs = false;
}

bool host_runs(void)
{
    return runs;
}

void host_lend(uint32_t store, uint64_t base, uint64_t salt, const struct epoch *epoch, int fd)
{
    const struct shelf_file file = {.store = store, .base = base, .salt = salt, .epoch = *epoch, .fd = fd};
    CHECK(shelf_put(&host.shelf, &file) == ERR_OK);
}

void host_drop(uint32_t store, uint64_t base)
{
    CHECK(shelf_drop(&host.shelf, store, base));
}

void host_hand(const void *message, size_t length)
{
    struct wire_hand head;
    memcpy(&head, message, sizeof head);
    CHECK(head.head.lane < worker_count && length <= WIRE_MAX);
    struct worker *x = &workers[head.head.lane];
    CHECK(x->stage == PLAY_IDLE);
    memcpy(x->inbox, message, length);
    x->w.hand.head = head;
    x->w.hand.held = head.held > 0 ? (const void *)(x->inbox + sizeof head) : NULL;
    x->w.hand.items = head.items > 0 ? (const void *)(x->inbox + sizeof head) : NULL;
    x->stage = PLAY_HANDED;
}

void host_go(uint32_t worker, uint64_t token)
{
    struct worker *x = &workers[worker];
    CHECK(x->stage == PLAY_WAITS && x->w.hand.head.head.token == token);
    x->stage = PLAY_READY;
}

enum play_stage host_stage(uint32_t worker)
{
    return runs && worker < worker_count ? workers[worker].stage : PLAY_IDLE;
}

const struct push *host_push(uint32_t worker)
{
    return &workers[worker].push;
}

/* --- one hand-out --- */

static void done(struct worker *x, uint32_t result, bool bad, const char *reason, uint32_t length)
{
    const struct told told = {.result = result,
                              .bad_result = bad,
                              .end = x->end.place,
                              .push_us = 1000,
                              .reason = reason,
                              .reason_length = length};
    x->stage = PLAY_IDLE; /* another hand-out may come as soon as it is told */
    tell_done(&x->w, &told);
    lent_reset(&x->w.rows, false);
}

static void take(struct worker *x)
{
    struct hg_host *w = &x->w;
    struct err e = {.text = ""};
    w->state_changed = false;
    lent_reset(&w->rows, false);
    if (gather_rows(&w->gather, &w->hand, &w->rows, &x->end, &e) != ERR_OK) {
        x->end = (struct batch_end){.place = w->hand.head.from};
        tell_taken(w, &x->end);
        done(x, HG_NOT_NOW, false, e.text, reason_cut(e.text));
        return;
    }
    x->push.count = 0;
    tell_taken(w, &x->end);
    if (w->rows.count == 0)
        done(x, HG_ALL_OK, false, NULL, 0);
    else
        x->stage = (w->hand.head.flags & HAND_STABLE) != 0 ? PLAY_WAITS : PLAY_READY;
}

static void row_show(const struct hg_row *from, struct push_row *to)
{
    char text[64];
    size_t len = from->length < sizeof text - 1 ? from->length : sizeof text - 1;
    memcpy(text, from->data, len);
    text[len] = '\0';
    *to = (struct push_row){
        .position = from->record->position,
        .number = from->number,
        .origin = from->record->origin,
        .attempt = from->record->attempt,
        .aside = from->record->store == STORE_ASIDE,
        .set = from->record->set,
        .edited = strstr(text, "\"e\"") != NULL,
    };
    SIM_CHECK(sscanf(text, "{\"n\":%llu", (unsigned long long *)&to->n) == 1, "a row says %s", text);
}

/* As the daemon will take it. */
static void verdicts_level(struct worker *x, uint32_t result)
{
    struct hg_rows *l = &x->w.rows;
    if (x->w.gather.whole_sets)
        lent_whole_sets(l, result);
    for (uint32_t i = 0; i < l->count; i++)
        x->push.rows[i].verdict = l->rows[i].verdict != 0 ? l->rows[i].verdict
                                  : result == HG_ALL_OK   ? (uint32_t)HG_OK
                                  : result == HG_JUDGED   ? (uint32_t)HG_RETRY
                                                          : 0;
}

static void push(struct worker *x)
{
    struct hg_rows *l = &x->w.rows;
    struct push *p = &x->push;
    CHECK(l->count <= PUSH_ROWS);
    for (uint32_t i = 0; i < l->count; i++)
        row_show(&l->rows[i], &p->rows[i]);
    p->count = l->count;
    p->first = pushes++ == 0;
    p->range = x->w.hand.head.kind == HAND_RANGE;
    p->stable = (x->w.hand.head.flags & (HAND_STABLE | HAND_EXACT)) != 0;
    p->token = x->w.hand.head.head.token;
    p->after_ms = 0;
    plugin_push(x->w.lane, p);
    if (p->fate != PUSH_RETURNS) {
        x->stage = PLAY_HANGS; /* a crash ends the process before anything else happens */
        return;
    }
    for (uint32_t i = 0; i < l->count; i++)
        if (p->rows[i].verdict != 0)
            lent_judge(l, i, p->rows[i].verdict, 0, p->rows[i].reason[0] != '\0' ? p->rows[i].reason : NULL);
    bool bad = p->result == 0;
    if (bad)
        p->result = HG_NOT_NOW;
    if (p->result == HG_NOT_NOW)
        lent_not_now(l, p->after_ms, bad ? "no result" : "the far end is down");
    verdicts_level(x, p->result);
    if (sim_chance(20)) { /* the plugin keeps something for itself */
        host.state_len = (size_t)snprintf(host.state, sizeof host.state, "%llu", (unsigned long long)p->token);
        x->w.state_changed = true;
    }
    done(x, p->result, bad, p->result == HG_NOT_NOW ? l->reason : NULL, p->result == HG_NOT_NOW ? l->reason_length : 0);
}

void host_work(uint32_t worker)
{
    struct worker *x = &workers[worker];
    if (x->stage == PLAY_HANDED)
        take(x);
    else if (x->stage == PLAY_READY)
        push(x);
}

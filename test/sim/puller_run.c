/* One run of a puller: its host emits, the journal commits, position files are written, others post, and host, daemon
 * and machine end at any moment. What is real: core/supervise's puller.c, pullers.c, position.c, emission.c, runner.c;
 * in place of libuv stand the few functions at the end, so that a worker thread works when the scheduler says so.
 *
 * Held after each start of the daemon: the numbers in the journal follow one another without a gap and without one
 * twice, and end where the position stands: so rows and position are durable together or not at all; no position is
 * behind what notify() was told; what the host was told to be durable is there as long as its segment is. */
#include "base/log.h"
#include "base/sys.h"
#include "disk.h"
#include "fetcher.h"
#include "intake.h"
#include "journal/state.h"
#include "journal_bench.h"
#include "sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIDY_MS = 250, GOOD_STEPS = 20000, GOOD_EMISSIONS = 30 };

static struct journal_options options;
static struct settings settings;
static uv_loop_t loop; /* never run */
static struct budget budget;
static struct supervisor *s;
static struct runner *r;
static struct emission *in_flight; /* of a host that may have ended since */
static uint64_t released;
static int64_t tidy_ms;

static struct { /* of the worker threads */
    uv_work_t *work;
    uv_work_cb run;
    uv_after_work_cb done;
} job;
static bool woken;

/* --- what must hold --- */

struct walk {
    uint64_t first, next; /* numbers, as long as `any` */
    bool any;
};

static void set_walk(struct walk *w, const struct record *record)
{
    struct slice name;
    if (record->type != RECORD_ROWS || !context_get(record->context, CONTEXT_PULLER, &name))
        return;
    for (uint32_t i = 0; i < record->rows; i++) {
        uint64_t n;
        char text[64];
        snprintf(text, sizeof text, SLICE_FMT, SLICE_ARG(record_row(record, i)));
        SIM_CHECK(sscanf(text, "{\"n\":%" SCNu64 "}", &n) == 1, "a row was not emitted: %s", text);
        if (!w->any)
            *w = (struct walk){.first = n, .next = n, .any = true};
        SIM_CHECK(n == w->next, "row %" PRIu64 " stands where %" PRIu64 " belongs", n, w->next);
        w->next++;
    }
}

static void segment_walk(struct walk *w, const struct journal_segment *segment)
{
    struct reader reader;
    struct record record;
    struct read_damage damage;
    int fd, code = ERR_OK;
    uint64_t at = segment->first;
    CHECK(journal_hold(journal, segment->base, &fd, NULL) == ERR_OK);
    reader_init(&reader, fd, segment->base, segment->salt);
    for (enum read_result result = READ_RECORD; result != READ_END;) {
        result = reader_next(&reader, &at, segment->end, &record, &damage, &code);
        SIM_CHECK(result != READ_ERROR, "the journal cannot be read: %s", err_text(code));
        if (result == READ_RECORD)
            set_walk(w, &record);
    }
    reader_fini(&reader);
    sys->close(fd);
    journal_unhold(journal, segment->base);
}

/* Without faults of the disk. Nothing is on its way. */
static void look(void)
{
    struct walk w = {.any = false};
    struct journal_segment segment, oldest;
    uint64_t at = 0, position = pull_number(&r->puller->position);
    for (; journal_segment_at(journal, at, &segment) == ERR_OK; at = segment.end)
        segment_walk(&w, &segment);
    sim_trace("the position is %" PRIu64 ", rows %" PRIu64 " to %" PRIu64, position, w.first, w.next);
    SIM_CHECK(position >= pull_notified, "the position is %" PRIu64 ", but notify() was told %" PRIu64, position,
              pull_notified);
    SIM_CHECK(!w.any || w.next == position, "the position is %" PRIu64 ", but rows end at %" PRIu64, position, w.next);
    bool there = journal_oldest(journal, &oldest) == ERR_OK;
    for (uint32_t i = 0; there && i < pull_acked_count; i++)
        if (pull_acked[i].end > oldest.base)
            SIM_CHECK(w.any && w.first <= pull_acked[i].first, "rows from %" PRIu64 " on were durable and are gone",
                      pull_acked[i].first);
}

/* --- the daemon --- */

static bool open_once(struct err *e)
{
    s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->magic = SUPERVISOR_MAGIC;
    s->options.loop = &loop;
    s->options.journal = journal;
    s->options.budget = &budget;
    s->settings = &settings;
    link_init(&s->runners);
    link_init(&s->pullers);
    r = runner_new(s, "p");
    CHECK(r != NULL);
    if (pullers_open(s, "/d", e) == ERR_OK && puller_attach(s, r, e) == ERR_OK)
        return true;
    runner_free(&r);
    pullers_free(s);
    free(s);
    return false;
}

static void order_start(void *arg, struct puller *p)
{
    (void)arg;
    fetcher_start(p->owner);
}

static void released_note(void)
{
    uint64_t low = pullers_low(s), durable = journal_durable(journal).position;
    low = low < durable ? low : durable;
    released = low > released ? low : released;
}

static void open_all(void)
{
    struct err e = {.text = ""};
    bench_open(&options);
    in_flight = NULL;
    woken = false;
    while (!open_once(&e)) {
        SIM_CHECK(disk_rules()->faults > 0, "the puller cannot be made: %s", e.text);
        disk_rules()->faults /= 2;
    }
    uint32_t faults = disk_rules()->faults;
    disk_rules()->faults = 0;
    bench_verify(released, false);
    look();
    disk_rules()->faults = faults;
    s->puller_ops.start = order_start;
    r->instance.common = (struct pusher_settings){.timeout_ms = 500, .retry_min_ms = 10, .retry_max_ms = 400};
    puller_configure(r->puller, &r->instance.common);
    puller_want(r->puller, true, sim_ms);
    tidy_ms = sim_ms;
    runner_step(r);
    supervisor_settled(s); /* as the daemon does when it is ready */
    released_note();
}

/* What the process owned goes with it. */
static void close_all(void)
{
    fetcher_drop(r);
    if (r->puller->emitting) {
        r->puller->emitting = false;
        state_of(r)->emission = in_flight;
    }
    emission_host_down(r);
    free(job.work); /* pullers.c's, which begins with it */
    job.work = NULL;
    runner_free(&r);
    pullers_free(s);
    free(s);
}

static void collect(void)
{
    if (!woken || disk_dead())
        return;
    woken = false;
    emissions_collect(s);
    in_flight = r->puller->emitting ? in_flight : NULL;
}

static bool hear(void)
{
    bool heard = fetcher_hear();
    if (r->puller->emitting && state_of(r)->emission != NULL)
        in_flight = state_of(r)->emission;
    return heard;
}

static void tidy(void)
{
    tidy_ms = sim_ms + TIDY_MS;
    pullers_tidy(s);
    if (sim_bug == BUG_PULL_RELEASED) {
        released = journal_durable(journal).position;
        journal_release(journal, released);
    }
}

static bool work(void)
{
    uv_work_t *w = job.work;
    if (w == NULL)
        return false;
    job.work = NULL;
    job.run(w);
    if (disk_dead()) {
        free(w);
        return true; /* the daemon never hears of it */
    }
    job.done(w, 0);
    released_note();
    return true;
}

static bool anything(void)
{
    bench_commit();
    bench_help();
    collect();
    return hear() || fetcher_work() || work();
}

static bool quiet(void)
{
    return r->process == NULL && pullers_quiet(s, false) && job.work == NULL;
}

static void stop_gently(void)
{
    puller_stop(r->puller);
    puller_want(r->puller, false, sim_ms);
    s->stopping = true;
    for (int n = 0; n < 4000 && !quiet() && !disk_dead(); n++) {
        if (anything())
            continue;
        sim_ms += 10;
        tidy();
        runner_step(r);
    }
}

static void end_and_open(enum ending how)
{
    if (how == END_GRACEFUL)
        stop_gently();
    close_all();
    bench_end(disk_dead() && how == END_GRACEFUL ? END_KILL : how);
    open_all();
}

/* --- steps --- */

static void machine_step(void)
{
    switch (sim_below(10)) {
    case 0:
    case 1: bench_commit(); break;
    case 2: bench_help(); break;
    case 3: collect(); break;
    case 4:
    case 5: (void)hear(); break;
    case 6:
    case 7: (void)fetcher_work(); break;
    case 8: (void)work(); break;
    default:
        sim_ms += sim_chance(80) ? sim_below(15) : sim_below(400);
        if (sim_ms >= tidy_ms)
            tidy();
        runner_step(r);
        break;
    }
}

static void world_step(void)
{
    switch (sim_below(8)) {
    case 0: (void)intake_post(1 + sim_below(REQUEST_SETS), 4, 100); break;
    case 1: disk_rules()->faults = sim_chance(75) ? 0 : sim_below(120); break;
    case 2:
        if (sim_chance(15))
            disk_fuse(1 + (int)sim_below(40));
        break;
    case 3:
        if (sim_chance(30))
            fetcher_end(SIGKILL);
        break;
    case 4: /* the operator */
        puller_pause(r->puller, !r->puller->paused && !r->puller->broken && sim_chance(15), sim_ms);
        break;
    case 5:
        if (sim_chance(10))
            sim_wall_off += ((int64_t)sim_below(2000) - 1000) * 86400 * 1000000;
        break;
    default:
        if (sim_chance(15))
            end_and_open((enum ending)sim_below(ENDINGS));
        break;
    }
}

static void drain(void)
{
    uint32_t before = pull_acked_count;
    disk_rules()->faults = 0;
    disk_fuse(-1);
    disk_rules()->capacity = 64 << 20;
    fetcher_good();
    puller_pause(r->puller, false, sim_ms);
    runner_step(r);
    for (uint32_t n = 0; pull_acked_count < before + GOOD_EMISSIONS; n++) {
        SIM_CHECK(n < GOOD_STEPS, "nothing comes in any more: %s (%s)", pusher_state_word(r->puller->state),
                  r->puller->error);
        if (anything())
            continue;
        sim_ms += 10;
        if (sim_ms >= tidy_ms)
            tidy();
        runner_step(r);
    }
}

void puller_run(void)
{
    struct disk_rules rules = {.lies = sim_chance(50), .direct = true, .capacity = 16 << 20};
    uint64_t segment = 4096 * (4 + sim_below(12));
    options = (struct journal_options){.dir = "/d/journal",
                                       .segment_bytes = segment,
                                       .max_bytes = segment * (4 + sim_below(12)),
                                       .durability = DURABILITY_FSYNC,
                                       .keep_bytes = segment * sim_below(3),
                                       .retry_ms = 100};
    settings = (struct settings){
        .http_max_body = 1 << 20, .http_max_rows = 1000, .rows_max_depth = 8, .journal_segment = segment};
    budget = (struct budget){.max = 64 << 20};
    journal_life = 0;
    released = 0;
    log_setup((enum log_level)(LOG_ERROR - 1), true); /* nothing */
    disk_new(&rules);
    intake_begin();
    fetcher_begin();
    open_all();
    for (uint32_t n = 400 + sim_below(1200); n > 0; n--) {
        if (sim_chance(90))
            machine_step();
        else
            world_step();
        if (disk_dead())
            end_and_open(sim_chance(50) ? END_KILL : END_POWER);
    }
    drain();
    for (uint32_t how = 0; how < ENDINGS; how++)
        end_and_open((enum ending)how);
    stop_gently();
    close_all();
    bench_end(END_GRACEFUL);
    intake_end();
    disk_free();
}

/* --- in place of libuv --- */

int uv_async_init(uv_loop_t *on, uv_async_t *async, uv_async_cb call)
{
    (void)on, (void)async, (void)call; /* collect() calls what it would */
    return 0;
}

int uv_async_send(uv_async_t *async)
{
    (void)async;
    woken = true;
    return 0;
}

int uv_queue_work(uv_loop_t *on, uv_work_t *w, uv_work_cb run, uv_after_work_cb done)
{
    (void)on;
    CHECK(job.work == NULL);
    job.work = w;
    job.run = run;
    job.done = done;
    return 0;
}

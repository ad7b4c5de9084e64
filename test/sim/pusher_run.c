/* One run of a pusher: clients post, the journal commits, the plugin is moody, its process dies, the disk fails, the
 * operator orders things about, and the daemon ends at any moment in any way. Then the world becomes good again, and
 * everything must be delivered. */
#include "daemon.h"
#include "disk.h"
#include "headgate.h"
#include "host.h"
#include "intake.h"
#include "journal/state.h"
#include "journal_bench.h"
#include "model.h"
#include "operator.h"
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>

enum { GOOD_STEPS = 60000, POST_EVERY_MS = 2000 };

static struct journal_options options;
static uint32_t most_rows, kinds_drawn;

/* --- rows --- */

static enum row_kind kind_draw(void)
{
    uint32_t draw = model.good ? 100 : sim_below(200);
    if (draw < 8)
        return ROW_REFUSED;
    if (draw < 11)
        return ROW_CRASHES;
    if (draw < 13)
        return ROW_HANGS;
    return draw < 17 ? ROW_STUBBORN : ROW_GOOD;
}

static void post(void)
{
    (void)intake_post(1 + sim_below(REQUEST_SETS), most_rows, 100);
    for (; kinds_drawn < row_count; kinds_drawn++)
        model_row(kinds_drawn)->kind = (uint8_t)kind_draw();
}

/* --- the daemon's end --- */

static void open_all(void)
{
    bench_open(&options);
    daemon_open();
}

static bool quiet(void)
{
    return host_runs() == false && pusher_quiet(pusher);
}

/* Hosts finish, the last checkpoint is written. */
static void stop_gently(void)
{
    pusher_stop(pusher);
    pusher_want(pusher, false, sim_ms);
    daemon_step();
    for (int n = 0; n < 4000 && !quiet() && !disk_dead(); n++) {
        if (!daemon_hear() && !daemon_mind_host() && !daemon_checkpoint()) {
            sim_ms += 10;
            daemon_step();
        }
    }
}

static void end_and_open(enum ending how)
{
    size_t at;
    if (how == END_GRACEFUL)
        stop_gently();
    daemon_close();
    bench_end(disk_dead() && how == END_GRACEFUL ? END_KILL : how);
    if (model.damaged && sim_chance(30) && disk_flip("/cursor", 0, &at)) {
        for (uint64_t n = 0; n < row_count; n++) /* the older slot may come to count */
            model_row(n)->durable = false;
        model_split();
    }
    open_all();
    bench_verify(pusher->durable_low, disk_unread() > 0);
}

/* --- steps --- */

static void settings_draw(void)
{
    daemon_settings = (struct pusher_settings){
        .enabled = ENABLED_YES,
        .batch_rows = 1 + sim_below(sim_chance(70) ? 12 : 1000),
        .batch_bytes = sim_chance(80) ? 1 << 20 : 1 + sim_below(1000),
        .batch_wait_ms = sim_chance(50) ? 0 : sim_below(20),
        .timeout_ms = 500,
        .retry_min_ms = 10,
        .retry_max_ms = 400,
        .retry_for_ms = sim_chance(85) ? 0 : 2000 + sim_below(5000),
        .reject_breaker = sim_chance(50) ? 100 : sim_below(4),
        .order = sim_chance(88) ? ORDER_UUID : ORDER_NONE,
    };
    daemon_workers = 1 + sim_below(3);
    daemon_running = sim_chance(70) ? 1 : sim_below(30); /* others share the disk */
    model.may_expire |= daemon_settings.retry_for_ms > 0;
    model.order_lifted |= daemon_settings.order == ORDER_NONE;
}

/* What takes its time goes on by one. */
static void machine_step(void)
{
    switch (sim_below(8)) {
    case 0:
    case 1: bench_commit(); break;
    case 2: bench_help(); break;
    case 3:
    case 4: (void)(daemon_hear() || daemon_mind_host()); break;
    case 5: (void)(daemon_mind_host() || daemon_hear()); break;
    case 6: (void)daemon_checkpoint(); break;
    default:
        sim_ms += sim_chance(80) ? sim_below(15) : sim_below(400);
        daemon_step();
        break;
    }
}

static void world_step(void)
{
    switch (sim_below(12)) {
    case 0:
    case 1:
    case 2: post(); break;
    case 3: operator_acts(); break;
    case 4:
        if (sim_chance(15)) {
            settings_draw();
            daemon_configure();
        }
        break;
    case 5:
        if (sim_chance(25))
            daemon_kill_host();
        break;
    case 6:
        if (sim_chance(4))
            daemon_nonsense();
        break;
    case 7: disk_rules()->faults = sim_chance(80) ? 0 : sim_below(120); break;
    case 8:
        if (sim_chance(15))
            disk_fuse(1 + (int)sim_below(50));
        break;
    case 9: daemon_give_back(); break;
    case 10:
        if (sim_chance(40))
            model_check_receipts();
        break;
    default:
        if (sim_chance(20))
            end_and_open((enum ending)sim_below(ENDINGS));
        break;
    }
}

static void step(void)
{
    if (sim_chance(88))
        machine_step();
    else
        world_step();
    if (disk_dead())
        end_and_open(sim_chance(50) ? END_KILL : END_POWER);
}

/* --- the end --- */

static bool drained(void)
{
    if (pusher->forgotten)
        return intake_waiting() == 0 && pusher_let_go(pusher) && pusher->aside.parked_count == 0;
    return intake_waiting() == 0 && pusher_drained(pusher, journal_durable(journal).position) && pusher_quiet(pusher);
}

static bool anything(void)
{
    bench_commit();
    bench_help();
    return daemon_hear() || daemon_checkpoint() || daemon_mind_host();
}

static void state_trace(void)
{
    sim_trace("lanes meet at %" PRIu64 ", suspect %" PRIu64 ".%u, not now until %" PRId64 ", host %d, kill sent %d",
              pusher->reshard_at, pusher->suspect.position, pusher->suspect.row, pusher->not_now_until_ms,
              (int)pusher->host, pusher->kill_sent);
    for (uint32_t i = 0; i < pusher->lane_count; i++) {
        const struct lane *l = &pusher->lanes[i];
        sim_trace("lane %u at %" PRIu64 ".%u, plan %d, gives up to %" PRIu64 "%s, suspects before %" PRIu64, i,
                  l->next.position, l->next.row, l->plan.there, l->give_up, l->sweeping ? " (under way)" : "",
                  l->suspects_end.position);
    }
    for (uint32_t i = 0; i < HOST_WORKERS; i++)
        sim_trace("worker %u: busy %d, taken %d, go %d, stage %d", i, pusher->workers[i].busy, pusher->workers[i].taken,
                  (int)pusher->workers[i].go, (int)host_stage(i));
}

static void drain(void)
{
    int64_t posted = sim_ms;
    disk_rules()->faults = 0;
    disk_fuse(-1);
    disk_rules()->capacity = 64 << 20;
    model.good = true;
    sim_trace("the world is good again");
    daemon_dead_max = daemon_park_max = UINT64_MAX;
    operator_mends(false);
    if (most_rows > 8 && daemon_settings.batch_rows < 50) { /* else that many rows take for ever, one by one */
        daemon_settings.batch_rows = 50;
        daemon_settings.batch_bytes = 1 << 20;
        daemon_configure();
    }
    for (uint32_t n = 0; !drained(); n++) {
        if (n == GOOD_STEPS)
            state_trace();
        SIM_CHECK(n < GOOD_STEPS, "it does not drain: %zu wait, %zu parked, at %" PRIu64 " of %" PRIu64 ", %s (%s)",
                  pusher->waiting.count, pusher->aside.parked_count, pusher->lanes[0].next.position,
                  journal_durable(journal).position, pusher_state_word(pusher->state), pusher->error);
        if (anything())
            continue;
        int64_t wake = daemon_wake_ms < sim_ms + 20 ? daemon_wake_ms : sim_ms + 20;
        sim_ms = wake > sim_ms ? wake : sim_ms + 1;
        daemon_step();
        operator_mends(n > 20000);
        if (sim_ms - posted > POST_EVERY_MS) { /* a suspect waits for a neighbour */
            posted = sim_ms;
            post();
        }
    }
}

void pusher_run(void)
{
    struct disk_rules rules = {.lies = sim_chance(50), .direct = true, .capacity = 16 << 20};
    uint64_t segment = 4096 * (8 + sim_below(24));
    options = (struct journal_options){.dir = "/d/journal",
                                       .segment_bytes = segment,
                                       .max_bytes = segment * (4 + sim_below(30)),
                                       .durability = DURABILITY_FSYNC,
                                       .keep_ms = sim_chance(50) ? 0 : 5000,
                                       .keep_bytes = segment * sim_below(6),
                                       .retry_ms = 100};
    bool large = sim_chance(2);
    most_rows = large ? 400 : 1 + sim_below(8);
    kinds_drawn = 0;
    disk_new(&rules);
    intake_begin();
    model_begin();
    model.damaged = sim_chance(10);
    journal_life = 0;
    settings_draw();
    daemon_flags = (sim_chance(20) ? (uint32_t)HG_WHOLE_SETS : 0) | (sim_chance(30) ? (uint32_t)HG_STABLE_BATCH : 0);
    if ((daemon_flags & HG_STABLE_BATCH) != 0 && segment / 4096 % 4 != 2) /* not drawn: seeds stay the runs they were */
        daemon_flags |= HG_PLAN_AHEAD;
    model.whole_sets = (daemon_flags & HG_WHOLE_SETS) != 0;
    model.stable = (daemon_flags & HG_STABLE_BATCH) != 0;
    daemon_dead_max = sim_chance(85) ? UINT64_MAX : 2000 + sim_below(4000);
    daemon_park_max = sim_chance(85) ? UINT64_MAX : 2000 + sim_below(4000);
    open_all();
    for (uint32_t n = 300 + sim_below(900); n > 0; n--)
        step();
    drain();
    model_check_end();
    end_and_open(END_GRACEFUL);
    for (uint32_t n = 0; n < 200; n++)
        if (!anything()) {
            sim_ms += 20;
            daemon_step();
        }
    end_and_open(END_POWER);
    operator_mends(false);
    drain();
    model_check_end();
    stop_gently();
    daemon_close();
    bench_end(END_GRACEFUL);
    model_end();
    intake_end();
    disk_free();
}

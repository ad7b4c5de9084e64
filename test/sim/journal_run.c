/* One run of the journal alone: posting, committing, the helper's chores, reading and looking up, on a disk that fails,
 * ends in the middle, loses, tears and flips. */
#include "disk.h"
#include "intake.h"
#include "journal/state.h"
#include "journal_bench.h"
#include "sim.h"

#include <inttypes.h>

static uint64_t released;
static bool damaged, flipped;

static struct journal_options options_draw(void)
{
    uint64_t segment = 4096 * (4 + sim_below(12));
    return (struct journal_options){
        .dir = "/d/journal",
        .segment_bytes = segment,
        .max_bytes = segment * (3 + sim_below(12)),
        .durability = sim_chance(80)   ? DURABILITY_FSYNC
                      : sim_chance(50) ? DURABILITY_INTERVAL
                                       : DURABILITY_NONE,
        .interval_ms = 20,
        .keep_ms = sim_chance(50) ? 0 : 5000,
        .keep_bytes = segment * sim_below(6),
        .retry_ms = 100,
    };
}

static void end_and_open(struct journal_options *options, enum ending how)
{
    size_t at;
    bench_end(how);
    if (!flipped && sim_chance(10)) /* one fault at a time: two may hide each other */
        damaged |= flipped = disk_flip("/d/journal/", 0, &at);
    if (how == END_POWER && options->durability != DURABILITY_FSYNC) {
        intake_weakened();
        damaged = true;
    }
    bench_open(options);
    damaged |= disk_unread() > 0;
    bench_verify(released, damaged);
}

static void look_up(void)
{
    if (set_count == 0)
        return;
    const struct sim_set *s = &sets[sim_below(set_count)];
    uint64_t found, positions[4];
    uint32_t count;
    if (s->state != SET_ACKED || s->lost || s->position < released || damaged || disk_rules()->faults > 0)
        return;
    struct journal_segment segment;
    int code = journal_find_batch(journal, &s->epoch, s->position, &segment);
    SIM_CHECK(code == ERR_OK, "by its id: %s", err_text(code));
    code = journal_find_uuid(journal, slice_of(uuid_text(s->uuid)), s->position + 1, positions, 4, &count);
    SIM_CHECK(code == ERR_OK && count > 0 && positions[0] == s->position, "by its uuid: %s, %u found", err_text(code),
              count);
    if (s->key_hash == 0)
        return;
    code = journal_find_key(journal, s->key_hash, &found);
    SIM_CHECK(code == ERR_OK && found >= s->position, "by its key: %s", err_text(code));
}

static void release_some(void)
{
    uint64_t mark = journal_durable(journal).position;
    uint64_t upto = sim_chance(50) || set_count == 0 ? mark : sets[sim_below(set_count)].position;
    if (upto > mark || upto < released)
        return;
    released = upto;
    journal_release(journal, released);
}

static void step(struct journal_options *options)
{
    switch (sim_below(20)) {
    case 0:
    case 1:
    case 2:
    case 3: (void)intake_post(1 + sim_below(REQUEST_SETS), 6, 800); break;
    case 4:
    case 5:
    case 6:
    case 7: bench_commit(); break;
    case 8:
    case 9:
    case 10:
    case 11:
    case 12: bench_help(); break;
    case 13: sim_ms += sim_below(300); break;
    case 14: release_some(); break;
    case 15: look_up(); break;
    case 16: disk_rules()->faults = sim_chance(60) ? 0 : sim_below(200); break;
    case 17:
        if (sim_chance(30))
            disk_fuse(1 + (int)sim_below(60));
        break;
    case 18:
        if (sim_chance(15))
            sim_wall_off += ((int64_t)sim_below(2000) - 1000) * 86400 * 1000000;
        break;
    default:
        if (sim_chance(25))
            end_and_open(options, (enum ending)sim_below(ENDINGS));
        break;
    }
    if (disk_dead())
        end_and_open(options, sim_chance(50) ? END_KILL : END_POWER);
}

void journal_run(void)
{
    struct disk_rules rules = {
        .lies = sim_chance(50), .direct = true, .bad_reads = sim_chance(20), .capacity = 8 << 20};
    if (sim_chance(10))
        rules = (struct disk_rules){.capacity = sim_chance(50) ? 300000 : 8 << 20};
    struct journal_options options = options_draw();
    rules.lies = rules.lies && options.durability == DURABILITY_FSYNC; /* else it may take what was answered */
    journal_life = 0;
    released = 0;
    damaged = flipped = false;
    sim_trace("segments of %" PRIu64 ", %" PRIu64 " at most, durability %d", options.segment_bytes, options.max_bytes,
              options.durability);
    disk_new(&rules);
    intake_begin();
    bench_open(&options);
    for (uint32_t n = 150 + sim_below(250); n > 0; n--)
        step(&options);
    disk_rules()->faults = 0;
    disk_fuse(-1);
    disk_rules()->capacity = 64 << 20;
    for (uint32_t n = 0; n < 3; n++) {
        end_and_open(&options, (enum ending)n);
        disk_rules()->faults = 0;
        journal_release(journal, released);
    }
    /* The disk is good again: so is intake. */
    released = journal_durable(journal).position;
    journal_release(journal, released);
    for (int n = 0; n < 200 && journal->prepared_count == 0; n++) {
        sim_ms += 50;
        bench_help();
    }
    uint32_t before = set_count;
    SIM_CHECK(intake_post(1, 3, 20), "a good disk takes no rows");
    for (int n = 0; n < 50 && intake_waiting() > 0; n++) {
        bench_commit();
        bench_help();
        sim_ms += 50;
    }
    SIM_CHECK(sets[before].state == SET_ACKED, "a good disk acknowledges nothing");
    end_and_open(&options, END_GRACEFUL);
    bench_end(END_GRACEFUL);
    intake_end();
    disk_free();
}

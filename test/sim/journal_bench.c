/* What both kinds of run do with a journal. After each start everything that was acknowledged is looked for: by its
 * place, and by reading through. */
#include "journal_bench.h"

#include "base/sys.h"
#include "disk.h"
#include "intake.h"
#include "journal/state.h"
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>

enum { RANGES = 4096 };

struct journal *journal;
struct journal_report journal_report;
uint32_t journal_life;

static struct read_damage told[RANGES];
static uint32_t told_count;

void bench_open(const struct journal_options *options)
{
    struct err e = {.text = ""};
    int code = journal_open_quiet(&journal, options, &journal_report, &e);
    while (code != ERR_OK) {
        SIM_CHECK(disk_rules()->faults > 0 || disk_dead(), "the journal does not open: %s", e.text);
        sim_trace("the journal does not open: %s", e.text);
        if (disk_dead())
            disk_power_cut();
        disk_rules()->faults /= 2;
        code = journal_open_quiet(&journal, options, &journal_report, &e);
    }
    intake_open(journal, ++journal_life);
    sim_trace("life %u: %u segments, %" PRIu64 " torn bytes, %u damages", journal_life, journal_report.segments,
              journal_report.torn_bytes, journal_report.damages);
}

void bench_end(enum ending how)
{
    sim_trace("the daemon ends: %s", how == END_GRACEFUL ? "as asked" : how == END_KILL ? "killed" : "power cut");
    if (how == END_GRACEFUL && !disk_dead()) {
        bench_commit();
        commit_finish(journal);
    }
    intake_close();
    for (uint32_t i = 0; i < journal->count; i++)
        sim_trace("segment %" PRIu64 " to %" PRIu64, journal->table[i]->header.base, journal->table[i]->end);
    journal_free(&journal);
    SIM_CHECK(how != END_GRACEFUL || disk_open_files() == 0, "%u descriptors are left open", disk_open_files());
    if (how == END_POWER)
        disk_power_cut();
    else
        disk_killed();
}

void bench_commit(void)
{
    (void)commit_step(journal);
    intake_take();
}

void bench_help(void)
{
    int64_t wait;
    journal_try(journal); /* somebody asks for readiness */
    (void)helper_step(journal, &wait);
}

/* --- what is there --- */

static void damages_take(void)
{
    struct read_damage d;
    while (journal_take_damage(journal, &d)) {
        CHECK(told_count < RANGES);
        sim_trace("damage %" PRIu64 " to %" PRIu64, d.from, d.to);
        told[told_count++] = d;
    }
}

static bool is_told(const struct sim_set *s)
{
    for (uint32_t i = 0; i < told_count; i++)
        if (s->position < told[i].to && s->position + s->length > told[i].from)
            return true;
    return false;
}

static void segment_read(const struct journal_segment *s, bool damaged)
{
    struct reader r;
    int fd, code = ERR_OK;
    uint64_t at = s->first, last = 0;
    if (journal_hold(journal, s->base, &fd, NULL) != ERR_OK) {
        SIM_CHECK(disk_rules()->faults > 0, "segment %016" PRIx64 " cannot be held", s->base);
        return;
    }
    reader_init(&r, fd, s->base, s->salt);
    for (enum read_result result = READ_RECORD; result != READ_END && result != READ_ERROR;) {
        struct record record;
        struct read_damage damage;
        result = reader_next(&r, &at, s->end, &record, &damage, &code);
        if (result == READ_DAMAGE) {
            SIM_CHECK(damaged, "damage %" PRIu64 " to %" PRIu64 " that nobody did", damage.from, damage.to);
            journal_report_damage(journal, damage);
        }
        if (result != READ_RECORD)
            continue;
        SIM_CHECK(record.position > last, "position %" PRIu64 " comes after %" PRIu64, record.position, last);
        last = record.position;
        const struct sim_set *set = set_at(record.position);
        SIM_CHECK(set == NULL || set_is(set, &record), "what stands at %" PRIu64 " was not posted there", last);
    }
    SIM_CHECK(code == ERR_OK || disk_rules()->faults > 0, "segment %016" PRIx64 ": %s", s->base, err_text(code));
    reader_fini(&r);
    sys->close(fd);
    journal_unhold(journal, s->base);
}

static bool may_be_gone(const struct sim_set *s, uint64_t released)
{
    struct journal_segment oldest;
    return s->position < released && (journal_oldest(journal, &oldest) != ERR_OK || s->position < oldest.base);
}

static void set_look(struct sim_set *s, uint64_t released, bool damaged)
{
    struct buf copy;
    struct record record;
    if (s->state != SET_ACKED || s->lost || may_be_gone(s, released))
        return;
    buf_init(&copy, 1 << 20);
    int code = journal_read(journal, s->position, &copy, &record);
    if (code != ERR_OK && damaged && (is_told(s) || journal_report.torn_bytes > 0)) {
        s->lost = true;
        sim_trace("set at %" PRIu64 " is lost to damage", s->position);
    } else {
        SIM_CHECK(code == ERR_OK || disk_rules()->faults > 0, "the set at %" PRIu64 " was acknowledged: %s",
                  s->position, err_text(code));
        SIM_CHECK(code != ERR_OK || set_is(s, &record), "the set at %" PRIu64 " is another", s->position);
    }
    buf_free(&copy);
}

void bench_verify(uint64_t released, bool damaged)
{
    struct journal_segment s;
    told_count = damaged ? told_count : 0;
    damages_take();
    for (uint32_t i = 0; i < told_count; i++) /* a first write may come to the medium all but its header */
        SIM_CHECK(damaged || (told[i].from % 4096 == 0 && told[i].to - told[i].from == SEGMENT_HEADER),
                  "damage at the start that nobody did");
    for (uint64_t at = 0; journal_segment_at(journal, at, &s) == ERR_OK; at = s.end)
        segment_read(&s, damaged);
    damages_take();
    for (uint32_t i = 0; i < set_count; i++)
        set_look(&sets[i], released, damaged);
}

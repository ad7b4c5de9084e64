/* What the journal tells about itself: intake, budget, sync times, damage. Under the lock; `changed` is called after.
 *
 * Damage is a list of position ranges, each told once however often readers meet it. The list is bounded: what is
 * beyond it is counted. */
#include "journal/state.h"

#include <stdarg.h>
#include <stdio.h>

const double sync_bounds[SYNC_BUCKETS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                          0.025,  0.05,    0.1,    0.25,  1.0,    2.5,   10.0};

void journal_tell(struct journal *j)
{
    if (j->options.changed != NULL)
        j->options.changed(j->options.arg);
}

void intake_set(struct journal *j, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(j->text, sizeof j->text, format, args);
    va_end(args);
    j->intake = code;
}

void sync_note(struct journal *j, int64_t ns)
{
    double seconds = (double)ns * 1e-9;
    int bucket = 0;
    while (bucket < SYNC_BUCKETS && seconds > sync_bounds[bucket])
        bucket++;
    j->sync_counts[bucket]++;
    j->sync_seconds += seconds;
    j->syncs++;
    trial_passed(j);
}

void journal_sync_histogram(struct journal *j, uint64_t counts[SYNC_BUCKETS + 1], double *sum)
{
    journal_lock(j);
    memcpy(counts, j->sync_counts, sizeof j->sync_counts);
    *sum = j->sync_seconds;
    journal_unlock(j);
}

void journal_health(struct journal *j, struct journal_health *out)
{
    journal_lock(j);
    *out = (struct journal_health){
        .intake = j->intake,
        .bytes = j->bytes,
        .limit = j->options.max_bytes,
        .pinned_from = j->released,
        .commits = j->commits,
        .syncs = j->syncs,
        .voided = j->voided,
        .damages = j->damage_count > UINT32_MAX ? UINT32_MAX : (uint32_t)j->damage_count,
        .sync_seconds_sum = j->sync_seconds,
    };
    memcpy(out->text, j->text, sizeof out->text);
    trial_health(j, out);
    journal_unlock(j);
}

static bool damage_is_known(const struct journal *j, struct read_damage d)
{
    for (uint32_t i = 0; i < j->damage_known; i++)
        if (d.from >= j->damages[i].from && d.to <= j->damages[i].to)
            return true;
    return false;
}

void damage_note(struct journal *j, struct read_damage d)
{
    if (damage_is_known(j, d))
        return;
    j->damage_count++;
    if (j->damage_known < DAMAGES_MAX)
        j->damages[j->damage_known++] = d;
}

void journal_report_damage(struct journal *j, struct read_damage damage)
{
    journal_lock(j);
    uint64_t before = j->damage_count;
    damage_note(j, damage);
    bool news = j->damage_count != before;
    journal_unlock(j);
    if (news)
        journal_tell(j);
}

bool journal_take_damage(struct journal *j, struct read_damage *out)
{
    journal_lock(j);
    bool any = j->damage_taken < j->damage_known;
    if (any)
        *out = j->damages[j->damage_taken++];
    journal_unlock(j);
    return any;
}

struct journal_mark journal_durable(struct journal *j)
{
    journal_lock(j);
    struct journal_mark mark = j->mark;
    journal_unlock(j);
    return mark;
}

enum durability journal_durability(struct journal *j)
{
    journal_lock(j);
    enum durability d = j->options.durability;
    journal_unlock(j);
    return d;
}

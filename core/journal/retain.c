/* Which settled segments may go, and when: decisions only, under the lock, with the time handed in.
 *
 * Always the oldest first, so that what is there is one piece and a position below it is known to be gone. A segment
 * is drained when everything in it is settled and nobody holds it. Its time is over when it has lingered for keep_ms or
 * when the drained ones together exceed keep_bytes; a full budget does not wait for that.
 *
 * The newest one goes only by being used again under its next name: names are what tells the next start how far
 * positions have been used. Without any they would begin anew, before the cursors of all pushers, and what came in then
 * would be taken for settled. */
#include "journal/state.h"

bool segment_drained(const struct journal *j, const struct segment *s)
{
    return s->sealed_us != 0 && s->end <= j->released && s->holds == 0;
}

bool segment_reusable(const struct journal *j, const struct segment *s)
{
    return !s->voided && s->file_bytes == j->options.segment_bytes;
}

static uint64_t drained_bytes(const struct journal *j)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < j->count && segment_drained(j, j->table[i]); i++)
        sum += j->table[i]->file_bytes;
    return sum;
}

static int64_t lingers_until(const struct journal *j, const struct segment *s)
{
    int64_t keep_us = j->options.keep_ms > INT64_MAX / 2000 ? INT64_MAX / 2 : j->options.keep_ms * 1000;
    return s->sealed_us + keep_us;
}

static bool overdue(const struct journal *j, const struct segment *s, uint64_t drained, int64_t now_us)
{
    return drained > j->options.keep_bytes || now_us >= lingers_until(j, s);
}

struct segment *retain_candidate(const struct journal *j, int64_t now_us, bool pressure)
{
    struct segment *oldest = j->count == 0 || (j->count == 1 && !pressure) ? NULL : j->table[0];
    if (oldest == NULL || !segment_drained(j, oldest))
        return NULL;
    if (j->count == 1 && !segment_reusable(j, oldest))
        return NULL;
    if (j->discarded != NULL && j->discarded->header.base < oldest->header.base)
        return NULL; /* its file is still there; after a crash the one behind it would be missed */
    return pressure || overdue(j, oldest, drained_bytes(j), now_us) ? oldest : NULL;
}

uint32_t retain_overdue(const struct journal *j, int64_t now_us)
{
    uint64_t drained = drained_bytes(j);
    uint32_t n = 0;
    for (; n + 1 < j->count && segment_drained(j, j->table[n]) && overdue(j, j->table[n], drained, now_us); n++)
        drained -= j->table[n]->file_bytes;
    return n;
}

int64_t retain_wait(const struct journal *j, int64_t now_us)
{
    uint32_t at = retain_overdue(j, now_us);
    if (at + 1 >= j->count || !segment_drained(j, j->table[at]))
        return -1;
    return (lingers_until(j, j->table[at]) - now_us) / 1000 + 1;
}

void journal_release(struct journal *j, uint64_t position)
{
    journal_lock(j);
    bool moved = position > j->released;
    if (moved)
        j->released = position;
    if (moved && j->count > 0 && segment_drained(j, j->table[0]))
        helper_call(j);
    journal_unlock(j);
}

void journal_unhold(struct journal *j, uint64_t base)
{
    journal_lock(j);
    struct segment *s = table_find(j, base);
    CHECK(s != NULL && s->holds > 0);
    s->holds--;
    if (s->holds == 0 && segment_drained(j, s))
        helper_call(j);
    journal_unlock(j);
}

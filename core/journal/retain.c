/* Which settled segments may go, and when: decisions only, under the lock, with the time handed in.
 *
 * Always the oldest first, so that what is there is one piece and a position below it is known to be gone. A segment
 * is drained when everything in it is settled and nobody holds it. Its time is over when it has lingered for keep_ms or
 * when the drained ones together exceed keep_bytes; a full budget does not wait for that. Clients may have times of
 * their own: the longest of those who have row sets in a segment counts for it.
 *
 * The newest one goes only by being used again under its next name: names are what tells the next start how far
 * positions have been used. Without any they would begin anew, before the cursors of all pushers, and what came in then
 * would be taken for settled. */
#include "journal/state.h"

#include <stdlib.h>

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

/* --- how long --- */

const struct index_clients *segment_clients(const struct segment *s)
{
    if (s->indexed)
        return &s->clients;
    return s->memory != NULL && s->memory->complete ? &s->memory->sets.clients : NULL;
}

static int64_t keep_or_all(const struct journal *j, int64_t keep_ms)
{
    return keep_ms == 0 ? j->options.keep_ms : keep_ms;
}

static int64_t client_keep(const struct journal *j, const char *name)
{
    if (name[0] == '\0')
        return j->options.keep_ms;
    for (uint32_t i = 0; i < j->keep_count; i++)
        if (strcmp(j->keep[i].name, name) == 0)
            return keep_or_all(j, j->keep[i].keep_ms);
    return keep_or_all(j, j->keep_common_ms);
}

/* For those that nobody knows. */
static int64_t longest_keep(const struct journal *j)
{
    int64_t longest = keep_or_all(j, j->keep_common_ms);
    for (uint32_t i = 0; i < j->keep_count; i++)
        if (keep_or_all(j, j->keep[i].keep_ms) > longest)
            longest = keep_or_all(j, j->keep[i].keep_ms);
    return longest > j->options.keep_ms ? longest : j->options.keep_ms;
}

static int64_t clients_keep(const struct journal *j, const struct index_clients *c)
{
    if (c == NULL || (c->count > 0 && c->all[CLIENT_OTHERS].sets > 0))
        return longest_keep(j);
    int64_t longest = c->count == 0 ? j->options.keep_ms : 0;
    for (uint32_t i = 1; i < c->count; i++)
        if (client_keep(j, c->all[i].name) > longest)
            longest = client_keep(j, c->all[i].name);
    return longest;
}

/* A sealed segment's clients do not change: looked at once for each time the settings do. */
static int64_t segment_keep(const struct journal *j, struct segment *s)
{
    const struct index_clients *c = segment_clients(s);
    if (s->kept != j->keeps || c == NULL) {
        s->keep_ms = clients_keep(j, c);
        s->kept = c == NULL ? 0 : j->keeps;
    }
    return s->keep_ms;
}

int journal_keep_clients(struct journal *j, int64_t common_ms, const struct journal_keep *clients, uint32_t count)
{
    struct journal_keep *copy = calloc(count + 1, sizeof *copy);
    if (copy == NULL)
        return ERR_NOMEM;
    if (count > 0)
        memcpy(copy, clients, count * sizeof *copy);
    journal_lock(j);
    free(j->keep);
    j->keep = copy;
    j->keep_count = count;
    j->keep_common_ms = common_ms;
    j->keeps++;
    helper_call(j);
    journal_unlock(j);
    return ERR_OK;
}

/* --- which --- */

static int64_t lingers_until(const struct journal *j, struct segment *s)
{
    int64_t keep_ms = segment_keep(j, s);
    int64_t keep_us = keep_ms > INT64_MAX / 2000 ? INT64_MAX / 2 : keep_ms * 1000;
    return s->sealed_us + keep_us;
}

static bool overdue(const struct journal *j, struct segment *s, uint64_t drained, int64_t now_us)
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

/* The table of segments, sorted by base: what is there, and how far each is valid.
 *
 * Plain look-ups under the journal's lock; the rules for what may leave it are in retain.c. Rebuilt by recovery at each
 * start from the files themselves. */
#include "journal/state.h"

#include <stdlib.h>

enum { TABLE_FIRST = 16 };

struct segment *segment_new(uint64_t base, uint64_t size)
{
    struct segment *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->header.base = base;
    s->header.size = size;
    s->file_bytes = size;
    s->end = base + SEGMENT_HEADER;
    return s;
}

void segment_free(struct segment **s)
{
    if (*s == NULL)
        return;
    index_free(&(*s)->memory);
    filter_free(&(*s)->filter);
    clients_table_fini(&(*s)->clients);
    free(*s);
    *s = NULL;
}

/* The oldest goes first: what a crash leaves of them is then one piece, and not a gap that looks like damage. */
void segment_discard(struct journal *j, struct segment *s)
{
    struct segment **at = &j->discarded;
    while (*at != NULL && (*at)->header.base < s->header.base)
        at = &(*at)->next;
    s->next = *at;
    *at = s;
}

uint64_t segment_first(const struct segment *s)
{
    return s->header.base + SEGMENT_HEADER;
}

int table_reserve(struct journal *j, uint32_t more)
{
    if (more <= j->cap - j->count)
        return ERR_OK;
    uint32_t cap = j->cap == 0 ? TABLE_FIRST : j->cap;
    while (cap - j->count < more)
        cap *= 2;
    struct segment **table = realloc(j->table, cap * sizeof *table);
    if (table == NULL)
        return ERR_NOMEM;
    j->table = table;
    j->cap = cap;
    return ERR_OK;
}

void table_insert(struct journal *j, struct segment *s)
{
    CHECK(j->count < j->cap);
    uint32_t at = j->count++;
    for (; at > 0 && j->table[at - 1]->header.base > s->header.base; at--)
        j->table[at] = j->table[at - 1];
    j->table[at] = s;
}

void table_remove(struct journal *j, const struct segment *s)
{
    uint32_t at = 0;
    while (at < j->count && j->table[at] != s)
        at++;
    CHECK(at < j->count);
    for (j->count--; at < j->count; at++)
        j->table[at] = j->table[at + 1];
}

/* Number of the first segment for which base > `base`. */
static uint32_t table_above(const struct journal *j, uint64_t base)
{
    uint32_t lo = 0, hi = j->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (j->table[mid]->header.base <= base)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct segment *table_find(const struct journal *j, uint64_t base)
{
    uint32_t above = table_above(j, base);
    return above > 0 && j->table[above - 1]->header.base == base ? j->table[above - 1] : NULL;
}

struct segment *table_last(const struct journal *j)
{
    return j->count == 0 ? NULL : j->table[j->count - 1];
}

void segment_describe(const struct segment *s, struct journal_segment *out)
{
    *out = (struct journal_segment){
        .base = s->header.base,
        .first = segment_first(s),
        .end = s->end,
        .salt = s->header.salt,
        .first_row = s->header.first_row,
        .epoch = s->header.epoch,
        .created_us = s->header.created_us,
        .sealed_us = s->sealed_us,
        .head = s->sealed_us == 0,
    };
}

int journal_segment_at(struct journal *j, uint64_t position, struct journal_segment *out)
{
    int code = ERR_NOTFOUND;
    journal_lock(j);
    uint32_t at = table_above(j, position);
    for (at = at > 0 ? at - 1 : 0; code != ERR_OK && at < j->count; at++)
        if (position < j->table[at]->end && segment_first(j->table[at]) < j->table[at]->end) {
            segment_describe(j->table[at], out);
            code = ERR_OK;
        }
    journal_unlock(j);
    return code;
}

int journal_oldest(struct journal *j, struct journal_segment *out)
{
    journal_lock(j);
    int code = j->count == 0 ? ERR_NOTFOUND : ERR_OK;
    if (code == ERR_OK)
        segment_describe(j->table[0], out);
    journal_unlock(j);
    return code;
}

struct segment *table_below(const struct journal *j, uint64_t base)
{
    uint32_t lo = 0, hi = j->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (j->table[mid]->header.base < base)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo == 0 ? NULL : j->table[lo - 1];
}

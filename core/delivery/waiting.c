/* Waiting rows: a sorted array. At most CURSOR_WAITING, so plain searching is cheap beside the push that each row
 * costs. */
#include "delivery/waiting.h"

#include <stdlib.h>
#include <string.h>

void waiting_fini(struct waiting *w)
{
    free(w->rows);
    *w = (struct waiting){0};
}

size_t waiting_room(const struct waiting *w)
{
    return CURSOR_WAITING - w->count;
}

size_t waiting_bound(const struct waiting *w, struct place place)
{
    size_t lo = 0, hi = w->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (place_before(w->rows[mid].c.place, place))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct waiting_row *waiting_find(struct waiting *w, struct place place)
{
    size_t at = waiting_bound(w, place);
    return at < w->count && place_cmp(w->rows[at].c.place, place) == 0 ? &w->rows[at] : NULL;
}

struct waiting_row *waiting_add(struct waiting *w, struct place place, uint64_t uuid_hash, enum waiting_kind kind,
                                int64_t now)
{
    struct waiting_row *there = waiting_find(w, place);
    if (there != NULL)
        return there;
    if (waiting_room(w) == 0)
        return NULL;
    if (w->count == w->cap) {
        size_t cap = w->cap == 0 ? 16 : w->cap * 2;
        struct waiting_row *rows = realloc(w->rows, cap * sizeof *rows);
        if (rows == NULL)
            return NULL;
        w->rows = rows;
        w->cap = cap;
    }
    size_t at = waiting_bound(w, place);
    memmove(&w->rows[at + 1], &w->rows[at], (w->count - at) * sizeof *w->rows);
    w->count++;
    w->rows[at] = (struct waiting_row){
        .c = {.place = place, .uuid_hash = uuid_hash, .kind = (uint8_t)kind},
        .due_ms = now,
        .since_ms = now,
    };
    return &w->rows[at];
}

void waiting_remove(struct waiting *w, struct waiting_row *row)
{
    size_t at = (size_t)(row - w->rows);
    CHECK(at < w->count);
    w->count--;
    memmove(&w->rows[at], &w->rows[at + 1], (w->count - at) * sizeof *w->rows);
}

uint64_t waiting_age(const struct waiting_row *row, int64_t now)
{
    return row->c.waited_ms + (uint64_t)(now > row->since_ms ? now - row->since_ms : 0);
}

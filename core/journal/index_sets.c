/* The list of row sets in memory: an array in journal order, and the table of clients with a few slots of chains.
 *
 * Filled by the commit thread at each group (under the journal's lock) and by recovery; 24 bytes an entry. Most row
 * sets come from the client that the one before came from, so that one is tried first. Nothing in here survives: it is
 * built again from its file or from the segment. */
#include "journal/index_sets.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { SETS_FIRST = 1024, TABLE_FIRST = 8 };

void clients_table_fini(struct index_clients *c)
{
    free(c->all);
    *c = (struct index_clients){0};
}

void sets_fini(struct index_sets *s)
{
    free(s->entries);
    clients_table_fini(&s->clients);
    *s = (struct index_sets){0};
}

/* --- the table --- */

uint32_t clients_table_find(const struct index_clients *c, struct slice client)
{
    for (uint32_t i = 1; i < c->count; i++)
        if (slice_is(client, c->all[i].name))
            return i;
    return CLIENT_OTHERS;
}

bool clients_table_holds(const struct index_clients *c, struct slice client, int64_t from_us, int64_t to_us)
{
    if (c->count == 0 || c->last_us < from_us || c->first_us >= to_us)
        return false;
    return client.ptr == NULL || c->all[CLIENT_OTHERS].sets > 0 || clients_table_find(c, client) != CLIENT_OTHERS;
}

static bool table_grow(struct index_clients *c)
{
    if (c->count < c->cap)
        return true;
    uint32_t cap = c->cap == 0 ? TABLE_FIRST : c->cap * 2;
    struct index_client *all = realloc(c->all, cap * sizeof *all);
    if (all == NULL)
        return false;
    memset(all + c->count, 0, (cap - c->count) * sizeof *all);
    c->all = all;
    c->cap = cap;
    if (c->count == 0)
        c->count = 1; /* CLIENT_OTHERS, without a name */
    return true;
}

/* UINT32_MAX: no memory. */
static uint32_t client_number(struct index_sets *s, struct slice client)
{
    struct index_clients *c = &s->clients;
    if (s->last != CLIENT_OTHERS && slice_is(client, c->all[s->last].name))
        return s->last;
    uint32_t *slot = &s->slots[hash_bytes(client) % CLIENT_SLOTS];
    for (uint32_t at = *slot; at != 0; at = c->all[at].next)
        if (slice_is(client, c->all[at].name))
            return at;
    if (!table_grow(c))
        return UINT32_MAX;
    if (c->count > INDEX_CLIENTS || client.len > CLIENT_MAX)
        return CLIENT_OTHERS;
    struct index_client *fresh = &c->all[c->count];
    *fresh = (struct index_client){.next = *slot};
    if (client.len > 0)
        memcpy(fresh->name, client.ptr, client.len);
    *slot = c->count;
    return c->count++;
}

/* --- the list --- */

static bool entries_grow(struct index_sets *s)
{
    if (s->count < s->cap)
        return true;
    if (s->cap > UINT32_MAX / 4)
        return false;
    uint32_t cap = s->cap == 0 ? SETS_FIRST : s->cap * 2;
    struct index_set *entries = realloc(s->entries, cap * sizeof *entries);
    if (entries == NULL)
        return false;
    s->entries = entries;
    s->cap = cap;
    return true;
}

bool sets_add(struct index_sets *s, struct slice client, const struct index_set *set)
{
    uint32_t number = entries_grow(s) ? client_number(s, client) : UINT32_MAX;
    if (number == UINT32_MAX)
        return false;
    struct index_clients *c = &s->clients;
    if (s->count == 0 || set->received_us < c->first_us)
        c->first_us = set->received_us;
    if (s->count == 0 || set->received_us > c->last_us)
        c->last_us = set->received_us;
    c->all[number].sets++;
    c->all[number].bytes += set->length;
    s->last = number;
    s->entries[s->count] = *set;
    s->entries[s->count++].client = number;
    return true;
}

uint32_t sets_bound(const struct index_sets *s, uint64_t place)
{
    uint32_t lo = 0, hi = s->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->entries[mid].place < place)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

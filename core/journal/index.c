/* The index in memory: entries in journal order, chained newest first from a table of slots that doubles.
 *
 * Filled by the commit thread at each group (under the journal's lock) and by recovery; 16 bytes an entry. When memory
 * runs out the index gives up being complete, and lookups read the segment instead: slower, never wrong. */
#include "journal/index.h"

#include "base/hash.h"
#include "journal/bytes.h"
#include "journal/journal.h"

#include <stdlib.h>

enum { LIST_FIRST = 1024 };

struct index *index_new(void)
{
    struct index *x = calloc(1, sizeof *x);
    if (x != NULL)
        x->complete = true;
    return x;
}

static void list_fini(struct index_list *l)
{
    free(l->entries);
    free(l->slots);
    *l = (struct index_list){0};
}

void index_free(struct index **x)
{
    if (*x == NULL)
        return;
    list_fini(&(*x)->uuids);
    list_fini(&(*x)->keys);
    sets_fini(&(*x)->sets);
    free(*x);
    *x = NULL;
}

static void entry_chain(struct index_list *l, uint32_t number)
{
    uint32_t *slot = &l->slots[l->entries[number].hash & (l->slot_count - 1)];
    l->entries[number].older = *slot;
    *slot = number + 1;
}

static bool list_grow(struct index_list *l)
{
    if (l->count < l->cap)
        return true;
    if (l->cap > UINT32_MAX / 4)
        return false;
    uint32_t cap = l->cap == 0 ? LIST_FIRST : l->cap * 2;
    struct index_entry *entries = realloc(l->entries, cap * sizeof *entries);
    if (entries == NULL)
        return false;
    l->entries = entries;
    uint32_t *slots = calloc(cap, sizeof *slots);
    if (slots == NULL)
        return false;
    free(l->slots);
    l->slots = slots;
    l->slot_count = l->cap = cap;
    for (uint32_t i = 0; i < l->count; i++)
        entry_chain(l, i);
    return true;
}

static bool list_add(struct index_list *l, uint64_t hash, uint32_t place)
{
    if (hash == 0)
        return true;
    if (!list_grow(l))
        return false;
    l->entries[l->count] = (struct index_entry){.hash = hash, .place = place};
    entry_chain(l, l->count++);
    return true;
}

static void index_give_up(struct index *x)
{
    list_fini(&x->uuids);
    list_fini(&x->keys);
    sets_fini(&x->sets);
    x->complete = false;
}

void index_add(struct index *x, uint64_t uuid_hash, uint64_t key_hash, uint64_t base, uint64_t position)
{
    uint64_t place = (position - base) / RECORD_ALIGN;
    if (!x->complete)
        return;
    if (place <= UINT32_MAX && list_add(&x->uuids, uuid_hash, (uint32_t)place) &&
        list_add(&x->keys, key_hash, (uint32_t)place))
        return;
    index_give_up(x);
}

void index_add_set(struct index *x, struct slice client, uint32_t length, int64_t received_us, uint64_t base,
                   uint64_t position)
{
    uint64_t place = (position - base) / RECORD_ALIGN;
    const struct index_set set = {.place = (uint32_t)place, .length = length, .received_us = received_us};
    if (x->complete && (place > UINT32_MAX || !sets_add(&x->sets, client, &set)))
        index_give_up(x);
}

void index_hashes(struct slice context, uint64_t *uuid_hash, uint64_t *key_hash)
{
    struct slice uuid, key, client = {NULL, 0}, path = {NULL, 0};
    *uuid_hash = context_get(context, CONTEXT_UUID, &uuid) ? hash_bytes(uuid) : 0;
    *key_hash = 0;
    if (!context_get(context, CONTEXT_KEY, &key))
        return;
    (void)context_get(context, CONTEXT_CLIENT, &client);
    (void)context_get(context, CONTEXT_PATH, &path);
    *key_hash = journal_key_hash(client, path, key);
}

struct slice index_client_of(struct slice context)
{
    struct slice client;
    return context_get(context, CONTEXT_CLIENT, &client) && client.len <= CLIENT_MAX ? client : slice_of("");
}

void index_add_record(struct index *x, uint64_t base, const struct record *r)
{
    uint64_t uuid, key;
    index_hashes(r->context, &uuid, &key);
    index_add(x, uuid, key, base, r->position);
    if (uuid != 0)
        index_add_set(x, index_client_of(r->context), r->length, r->received_us, base, r->position);
}

uint64_t journal_key_hash(struct slice client, struct slice path, struct slice key)
{
    unsigned char three[3 * 8];
    put_u64(three, hash_bytes(client));
    put_u64(three + 8, hash_bytes(path));
    put_u64(three + 16, hash_bytes(key));
    return hash_bytes(slice_make(three, sizeof three));
}

uint32_t index_find(const struct index_list *l, uint64_t hash, uint64_t base, uint64_t before, uint64_t *positions,
                    uint32_t max)
{
    uint32_t found = 0;
    if (l->slot_count == 0)
        return 0;
    for (uint32_t at = l->slots[hash & (l->slot_count - 1)]; at != 0 && found < max;) {
        const struct index_entry *entry = &l->entries[at - 1];
        uint64_t position = base + (uint64_t)entry->place * RECORD_ALIGN;
        if (entry->hash == hash && position < before)
            positions[found++] = position;
        at = entry->older;
    }
    return found;
}

/* The aside store's index: one small entry for each row that is here, in the order of files and offsets, two hash
 * tables of them (by id, by uuid), the list of those that something is to be done with, and a table of the uuids that
 * parked rows hold back. Loop thread. After a crash it is read back from the files (asideload.c).
 *
 * Entries name each other by number, for the array may move. What is gone stays in the array until a good part of it
 * is; then one pass closes the gaps and builds tables and list anew. */
#include "delivery/aside.h"

#include "base/sys.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOAT_MIN = 32 << 20, /* bytes of all files: beyond BLOAT_MIN + living bytes x BLOAT_TIMES */
    BLOAT_TIMES = 3,
    SWEEP_PART = 4 /* gaps are closed when one entry in so many is gone */
};

/* --- uuids that are held --- */

static struct held_uuid *held_slot(struct held_uuid *slots, size_t count, uint64_t hash)
{
    size_t i = (size_t)hash & (count - 1);
    while (slots[i].hash != 0 && slots[i].hash != hash)
        i = (i + 1) & (count - 1);
    return &slots[i];
}

static bool held_grow(struct aside *a)
{
    size_t slots = 64;
    for (size_t i = 0; i < a->held_slots; i++)
        slots += a->held[i].rows > 0 ? 4 : 0;
    while ((slots & (slots - 1)) != 0)
        slots += slots & (~slots + 1);
    struct held_uuid *grown = calloc(slots, sizeof *grown);
    if (grown == NULL)
        return false;
    a->held_used = 0;
    for (size_t i = 0; i < a->held_slots; i++) {
        if (a->held[i].rows == 0)
            continue;
        *held_slot(grown, slots, a->held[i].hash) = a->held[i];
        a->held_used++;
    }
    free(a->held);
    a->held = grown;
    a->held_slots = slots;
    return true;
}

static void held_count(struct aside *a, uint64_t hash, int sign)
{
    hash += hash == 0;
    if (a->held_lost)
        return;
    if (2 * (a->held_used + 1) > a->held_slots && !held_grow(a)) {
        a->held_lost = true;
        return;
    }
    struct held_uuid *slot = held_slot(a->held, a->held_slots, hash);
    a->held_used += slot->hash == 0;
    slot->hash = hash;
    CHECK(sign > 0 || slot->rows > 0);
    slot->rows += (uint32_t)sign;
}

bool aside_holds(const struct aside *a, uint64_t uuid_hash)
{
    if (!a->held_lost)
        return a->held_slots > 0 && held_slot(a->held, a->held_slots, uuid_hash + (uuid_hash == 0))->rows > 0;
    for (size_t i = 0; i < a->count; i++)
        if (a->entries[i].state == ASIDE_PARKED && a->entries[i].uuid_hash == uuid_hash)
            return true;
    return false;
}

void aside_held(const struct aside *a, void (*visit)(void *arg, uint64_t uuid_hash), void *arg)
{
    for (size_t i = 0; !a->held_lost && i < a->held_slots; i++)
        if (a->held[i].rows > 0)
            visit(arg, a->held[i].hash);
    for (size_t i = 0; a->held_lost && i < a->count; i++)
        if (a->entries[i].state == ASIDE_PARKED)
            visit(arg, a->entries[i].uuid_hash);
}

/* --- entries --- */

/* --- tables and list --- */

static uint32_t *id_head(const struct aside *a, struct place place)
{
    uint64_t mixed = (place.position + place.row) * UINT64_C(0x9e3779b97f4a7c15);
    return &a->by_id[(size_t)(mixed >> 32) & (a->heads - 1)];
}

static uint32_t *uuid_head(const struct aside *a, uint64_t hash)
{
    return &a->by_uuid[(size_t)hash & (a->heads - 1)];
}

static struct aside_entry *entry_numbered(const struct aside *a, uint32_t plus_one)
{
    return plus_one == 0 ? NULL : &a->entries[plus_one - 1];
}

static uint32_t number_of(const struct aside *a, const struct aside_entry *entry)
{
    return (uint32_t)(entry - a->entries) + 1;
}

static void list_add(struct aside *a, struct aside_entry *entry)
{
    uint32_t number = number_of(a, entry);
    struct aside_entry *last = entry_numbered(a, a->active_last);
    entry->active = true;
    entry->active_prev = a->active_last;
    entry->active_next = 0;
    *(last != NULL ? &last->active_next : &a->active_first) = number;
    a->active_last = number;
}

static void list_remove(struct aside *a, struct aside_entry *entry)
{
    struct aside_entry *prev = entry_numbered(a, entry->active_prev), *next = entry_numbered(a, entry->active_next);
    *(prev != NULL ? &prev->active_next : &a->active_first) = entry->active_next;
    *(next != NULL ? &next->active_prev : &a->active_last) = entry->active_prev;
    entry->active = false;
}

static void entry_link(struct aside *a, struct aside_entry *entry)
{
    uint32_t *id = id_head(a, entry->place), *uuid = uuid_head(a, entry->uuid_hash);
    entry->id_older = *id;
    entry->uuid_older = *uuid;
    *id = *uuid = number_of(a, entry);
    if (entry->active)
        list_add(a, entry);
}

static void link_all(struct aside *a)
{
    memset(a->by_id, 0, a->heads * sizeof *a->by_id);
    memset(a->by_uuid, 0, a->heads * sizeof *a->by_uuid);
    a->active_first = a->active_last = 0;
    for (size_t i = 0; i < a->count; i++)
        entry_link(a, &a->entries[i]);
}

static bool heads_grow(struct aside *a, size_t cap)
{
    uint32_t *by_id = malloc(cap * sizeof *by_id), *by_uuid = malloc(cap * sizeof *by_uuid);
    if (by_id == NULL || by_uuid == NULL) {
        free(by_id);
        free(by_uuid);
        return false;
    }
    free(a->by_id);
    free(a->by_uuid);
    a->by_id = by_id;
    a->by_uuid = by_uuid;
    a->heads = cap;
    link_all(a);
    return true;
}

int aside_reserve(struct aside *a, size_t more)
{
    if (a->count + more <= a->cap)
        return ERR_OK;
    size_t cap = a->cap == 0 ? 64 : a->cap * 2;
    while (cap < a->count + more)
        cap *= 2;
    struct aside_entry *entries = cap > UINT32_MAX ? NULL : realloc(a->entries, cap * sizeof *entries);
    if (entries == NULL)
        return ERR_NOMEM;
    a->entries = entries;
    if (!heads_grow(a, cap))
        return ERR_NOMEM;
    a->cap = cap;
    return ERR_OK;
}

static void aside_count(struct aside *a, const struct aside_entry *entry, int sign)
{
    uint64_t bytes = entry->length;
    switch ((enum aside_state)entry->state) {
    case ASIDE_DEAD:
        a->dead_count += (size_t)sign;
        a->dead_bytes += sign > 0 ? bytes : -bytes;
        break;
    case ASIDE_PARKED: held_count(a, entry->uuid_hash, sign); /* fall through */
    case ASIDE_RETRYING:
        a->parked_count += sign > 0 ? entry->rows : -(size_t)entry->rows;
        a->parked_bytes += sign > 0 ? bytes : -bytes;
        break;
    case ASIDE_GONE: a->gone += (size_t)sign; break;
    }
}

void aside_put(struct aside *a, const struct aside_entry *new)
{
    struct aside_entry *entry = &a->entries[a->count++];
    *entry = *new;
    entry->active = entry->changed || entry->state != ASIDE_DEAD;
    entry_link(a, entry);
    aside_count(a, entry, 1);
}

struct aside_entry *aside_active(const struct aside *a)
{
    return entry_numbered(a, a->active_first);
}

struct aside_entry *aside_active_next(const struct aside *a, const struct aside_entry *entry)
{
    return entry_numbered(a, entry->active_next);
}

void aside_rest(struct aside *a)
{
    for (struct aside_entry *entry = aside_active(a), *next; entry != NULL; entry = next) {
        next = aside_active_next(a, entry);
        if (!entry->changed && (entry->state == ASIDE_DEAD || entry->state == ASIDE_GONE))
            list_remove(a, entry);
    }
}

/* --- states --- */

void aside_move(struct aside *a, struct aside_entry *entry, enum aside_state state, int64_t since_us)
{
    aside_count(a, entry, -1);
    entry->state = (uint8_t)state;
    entry->since_us = since_us;
    entry->changed = true;
    aside_count(a, entry, 1);
    if (!entry->active)
        list_add(a, entry);
}

static struct aside_entry entry_of(const struct aside_add *add)
{
    return (struct aside_entry){
        .epoch = add->epoch,
        .place = add->place,
        .uuid_hash = add->uuid_hash,
        .since_us = add->since_us,
        .attempts = add->attempts,
        .returned = add->returned,
        .state = add->state,
        .rows = add->rows,
        .suspect = add->suspect,
    };
}

/* The copy stands in for the entry it was made of; what happened to that one since is the copy's. */
static struct aside_entry entry_moved(struct aside *a, struct aside_entry *old, const struct aside_add *add)
{
    struct aside_entry entry = *old;
    entry.changed = old->changed || old->state != add->state || old->attempts != add->attempts;
    entry.moving = false;
    aside_move(a, old, ASIDE_GONE, old->since_us);
    old->changed = old->moving = old->out = false;
    return entry;
}

size_t aside_apply(struct aside *a, const struct aside_add *adds, size_t count)
{
    size_t lost = 0;
    CHECK(a->count + count <= a->cap || count == 0);
    for (size_t i = 0; i < count; i++) {
        const struct aside_add *add = &adds[i];
        struct aside_entry *old = add->moved ? aside_at(a, add->from_file, add->from_offset) : NULL;
        struct aside_entry entry = old != NULL ? entry_moved(a, old, add) : entry_of(add);
        lost += add->lost;
        if (add->lost)
            continue;
        entry.file = add->file;
        entry.offset = add->offset;
        entry.length = add->length;
        aside_put(a, &entry);
    }
    return lost;
}

void aside_grown(struct aside *a, const struct aside_end *end)
{
    a->total_bytes += end->written;
    a->file = end->file;
    a->size = end->size;
    if (a->oldest == 0 && end->file != 0)
        a->oldest = 1; /* an append may fill more than one */
}

/* --- finding --- */

size_t aside_from(const struct aside *a, uint32_t file, uint32_t offset)
{
    size_t lo = 0, hi = a->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct aside_entry *m = &a->entries[mid];
        if (m->file < file || (m->file == file && m->offset < offset))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct aside_entry *aside_at(struct aside *a, uint32_t file, uint32_t offset)
{
    size_t at = aside_from(a, file, offset);
    bool hit = at < a->count && a->entries[at].file == file && a->entries[at].offset == offset;
    return hit ? &a->entries[at] : NULL;
}

/* The next older one of the same uuid, at or behind `from`. */
static const struct aside_entry *of_uuid(const struct aside *a, uint32_t number, uint64_t hash, size_t from)
{
    const struct aside_entry *entry = entry_numbered(a, number);
    while (entry != NULL && entry->uuid_hash != hash)
        entry = entry_numbered(a, entry->uuid_older);
    return entry != NULL && (size_t)(entry - a->entries) >= from ? entry : NULL;
}

int aside_of_uuid(const struct aside *a, uint64_t uuid_hash, size_t from, size_t **out, size_t *count)
{
    const uint32_t newest = a->count == 0 ? 0 : *uuid_head(a, uuid_hash);
    const struct aside_entry *entry;
    size_t found = 0;
    for (entry = of_uuid(a, newest, uuid_hash, from); entry; entry = of_uuid(a, entry->uuid_older, uuid_hash, from))
        found++;
    size_t *numbers = calloc(found + 1, sizeof *numbers);
    if (numbers == NULL)
        return ERR_NOMEM;
    *out = numbers;
    *count = found;
    for (entry = of_uuid(a, newest, uuid_hash, from); entry; entry = of_uuid(a, entry->uuid_older, uuid_hash, from))
        numbers[--found] = (size_t)(entry - a->entries);
    return ERR_OK;
}

bool aside_bloated(const struct aside *a)
{
    return a->oldest != 0 && a->oldest < a->file &&
           a->total_bytes > BLOAT_MIN + BLOAT_TIMES * (a->dead_bytes + a->parked_bytes);
}

static struct aside_entry *find(struct aside *a, const struct epoch *epoch, struct place place)
{
    for (struct aside_entry *entry = entry_numbered(a, *id_head(a, place)); entry != NULL;
         entry = entry_numbered(a, entry->id_older)) {
        if (entry->state != ASIDE_GONE && place_cmp(entry->place, place) == 0 &&
            memcmp(&entry->epoch, epoch, sizeof *epoch) == 0)
            return entry;
    }
    return NULL;
}

struct aside_entry *aside_find(struct aside *a, const struct epoch *epoch, struct place place)
{
    const struct place set = {place.position, PLACE_SET};
    if (a->count == 0)
        return NULL;
    struct aside_entry *row = find(a, epoch, place);
    return row != NULL ? row : find(a, epoch, set);
}

/* --- what is gone --- */

static bool keeps(const struct aside_entry *entry)
{
    return entry->state != ASIDE_GONE || entry->changed || entry->out || entry->moving;
}

static uint32_t oldest_needed(struct aside *a)
{
    while (a->front < a->count && !keeps(&a->entries[a->front]))
        a->front++;
    return a->front < a->count ? a->entries[a->front].file : a->file;
}

static void close_gaps(struct aside *a)
{
    size_t kept = 0;
    a->gone = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (!keeps(&a->entries[i]))
            continue;
        a->gone += a->entries[i].state == ASIDE_GONE;
        a->entries[kept++] = a->entries[i];
    }
    a->count = kept;
    a->front = 0;
    link_all(a);
}

void aside_sweep(struct aside *a)
{
    if (a->gone > 0 && a->gone >= a->count / SWEEP_PART)
        close_gaps(a);
    for (uint32_t needed = oldest_needed(a); a->oldest != 0 && a->oldest < needed; a->oldest++) {
        char path[PATH_MAX];
        struct stat st;
        aside_path(a->dir, a->oldest, path, sizeof path);
        if (sys->stat(path, &st) == 0 && sys->unlink(path) == 0)
            a->total_bytes -= (uint64_t)st.st_size < a->total_bytes ? (uint64_t)st.st_size : a->total_bytes;
    }
}

void aside_close(struct aside *a)
{
    free(a->dir);
    free(a->entries);
    free(a->by_id);
    free(a->by_uuid);
    free(a->held);
    *a = (struct aside){0};
}

/* The aside store's index: one small entry for each row that is here, in the order of files and offsets, and a table of
 * the uuids that parked rows hold back. Loop thread. After a crash it is read back from the files (asideload.c). */
#include "delivery/aside.h"

#include "base/sys.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { BLOAT_MIN = 32 << 20, BLOAT_TIMES = 3 }; /* bytes of all files: beyond BLOAT_MIN + living bytes x BLOAT_TIMES */

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

int aside_reserve(struct aside *a, size_t more)
{
    if (a->count + more <= a->cap)
        return ERR_OK;
    size_t cap = a->cap == 0 ? 64 : a->cap * 2;
    while (cap < a->count + more)
        cap *= 2;
    struct aside_entry *entries = realloc(a->entries, cap * sizeof *entries);
    if (entries == NULL)
        return ERR_NOMEM;
    a->entries = entries;
    a->cap = cap;
    return ERR_OK;
}

void aside_count(struct aside *a, const struct aside_entry *entry, int sign)
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
    case ASIDE_GONE: break;
    }
}

void aside_move(struct aside *a, struct aside_entry *entry, enum aside_state state, int64_t since_us)
{
    aside_count(a, entry, -1);
    entry->state = (uint8_t)state;
    entry->since_us = since_us;
    entry->changed = true;
    aside_count(a, entry, 1);
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
    aside_count(a, old, -1);
    old->state = ASIDE_GONE;
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
        a->entries[a->count++] = entry;
        aside_count(a, &entry, 1);
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

struct aside_entry *aside_at(struct aside *a, uint32_t file, uint32_t offset)
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
    bool hit = lo < a->count && a->entries[lo].file == file && a->entries[lo].offset == offset;
    return hit ? &a->entries[lo] : NULL;
}

bool aside_bloated(const struct aside *a)
{
    return a->oldest != 0 && a->oldest < a->file &&
           a->total_bytes > BLOAT_MIN + BLOAT_TIMES * (a->dead_bytes + a->parked_bytes);
}

struct aside_entry *aside_find(struct aside *a, const struct epoch *epoch, struct place place)
{
    for (size_t i = 0; i < a->count; i++) {
        struct aside_entry *entry = &a->entries[i];
        bool here = entry->place.row == PLACE_SET ? entry->place.position == place.position
                                                  : place_cmp(entry->place, place) == 0;
        if (here && entry->state != ASIDE_GONE && memcmp(&entry->epoch, epoch, sizeof *epoch) == 0)
            return entry;
    }
    return NULL;
}

static uint32_t oldest_needed(const struct aside *a)
{
    uint32_t oldest = a->file;
    for (size_t i = 0; i < a->count; i++)
        if (a->entries[i].file < oldest)
            oldest = a->entries[i].file;
    return oldest;
}

static bool keeps(const struct aside_entry *entry)
{
    return entry->state != ASIDE_GONE || entry->changed || entry->out || entry->moving;
}

void aside_sweep(struct aside *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++)
        if (keeps(&a->entries[i]))
            a->entries[kept++] = a->entries[i];
    a->count = kept;
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
    free(a->held);
    *a = (struct aside){0};
}

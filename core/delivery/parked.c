/* Rows that could not be settled where they stood: waiting rows that become due, are parked, or expire; and rows that
 * were set aside and are tried again on their own.
 *
 * A row is parked when it has failed PARK_ATTEMPTS times while others passed, so that one row never pins a segment;
 * later rows of its uuid queue up behind it. What fails because the far end is down is not parked: nothing passes then.
 */
#include "delivery/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct aside_entry *aside_at(struct aside *a, uint32_t file, uint32_t offset)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->entries[i].file == file && a->entries[i].offset == offset)
            return &a->entries[i];
    return NULL;
}

static bool adds_hold(const struct aside_add *adds, size_t count, uint64_t uuid_hash)
{
    for (size_t i = 0; i < count; i++)
        if (adds[i].state == ASIDE_PARKED && adds[i].uuid_hash == uuid_hash)
            return true;
    return false;
}

bool pusher_parked(const struct pusher *p, uint64_t uuid_hash)
{
    if (adds_hold(p->adds, p->add_count, uuid_hash))
        return true;
    if (p->writing != NULL && adds_hold(p->writing->adds, p->writing->add_count, uuid_hash))
        return true;
    if (p->aside.parked_count == 0)
        return false;
    for (size_t i = 0; i < p->aside.count; i++)
        if (p->aside.entries[i].state == ASIDE_PARKED && p->aside.entries[i].uuid_hash == uuid_hash)
            return true;
    return false;
}

/* What to do with one waiting row now; true when it left the table. */
static bool tend_row(struct pusher *p, struct waiting_row *row, int64_t now)
{
    if (row->out || row->c.kind == WAITING_SUSPECT)
        return false;
    if (p->settings.retry_for_ms > 0 && row->c.kind == WAITING_RETRY &&
        waiting_age(row, now) >= (uint64_t)p->settings.retry_for_ms) {
        char reason[640];
        snprintf(reason, sizeof reason, "expired: tried for longer than RETRY_FOR; last answer: %s",
                 row->reason[0] != '\0' ? row->reason : p->error);
        if (!pusher_waiting_aside(p, row, ASIDE_DEAD, reason))
            return false;
        p->counts.given_up_expired++;
        return true;
    }
    bool others_pass = p->counts.delivered_rows > row->passed;
    bool tired = row->c.kind == WAITING_RETRY && row->c.attempts >= PARK_ATTEMPTS && others_pass;
    bool behind = p->settings.order == ORDER_UUID && pusher_parked(p, row->c.uuid_hash);
    if (!tired && !behind)
        return false;
    return pusher_waiting_aside(p, row, ASIDE_PARKED, behind ? "behind a parked row of its uuid" : row->reason);
}

int64_t pusher_tend_waiting(struct pusher *p, int64_t now)
{
    int64_t wake = INT64_MAX;
    for (size_t i = 0; i < p->waiting.count && !p->broken;) {
        struct waiting_row *row = &p->waiting.rows[i];
        if (tend_row(p, row, now))
            continue;
        if (row->due_ms > now && row->due_ms < wake && !row->out)
            wake = row->due_ms;
        i++;
    }
    if (p->aside.parked_count > 0 && p->aside_due_ms > now && p->aside_due_ms < wake)
        wake = p->aside_due_ms;
    return wake;
}

/* A set of hashes for one walk: open addressing, at most half full. */
struct seen {
    uint64_t *slots;
    size_t mask;
};

static bool seen_add(struct seen *s, uint64_t hash) /* false: was there */
{
    size_t i = (size_t)hash & s->mask;
    while (s->slots[i] != 0 && s->slots[i] != hash)
        i = (i + 1) & s->mask;
    if (s->slots[i] == hash)
        return false;
    s->slots[i] = hash;
    return true;
}

uint32_t pusher_pick_aside(struct pusher *p, uint32_t lane, struct hand_item *items, uint32_t max, int64_t now)
{
    if (p->aside.parked_count == 0 || p->aside_due_ms > now)
        return 0;
    size_t slots = 64;
    while (slots < 2 * p->aside.parked_count)
        slots *= 2;
    struct seen seen = {calloc(slots, sizeof(uint64_t)), slots - 1};
    if (seen.slots == NULL)
        return 0;
    uint32_t count = 0;
    int64_t next = INT64_MAX;
    bool left = false;
    for (size_t i = 0; i < p->aside.count; i++) {
        struct aside_entry *entry = &p->aside.entries[i];
        if (entry->state != ASIDE_PARKED && entry->state != ASIDE_RETRYING)
            continue;
        bool first =
            entry->state == ASIDE_RETRYING || p->settings.order == ORDER_NONE || seen_add(&seen, entry->uuid_hash);
        if (!first || entry->out)
            continue;
        if (entry->due_ms > now) {
            next = entry->due_ms < next ? entry->due_ms : next;
        } else if (pusher_lane_of_row(p, entry->uuid_hash, entry->place.position) != lane || count == max ||
                   (count > 0 && items[0].file != entry->file)) { /* a hand-out reads one file */
            left = true;
        } else {
            entry->out = true;
            items[count++] = (struct hand_item){.place = entry->place,
                                                .epoch = entry->epoch,
                                                .file = entry->file,
                                                .offset = entry->offset,
                                                .attempt = entry->attempts + 1};
        }
    }
    free(seen.slots);
    if (!left)
        p->aside_due_ms = next;
    return count;
}

void pusher_aside_back(struct pusher *p, const struct hand_item *item)
{
    struct aside_entry *entry = aside_at(&p->aside, item->file, item->offset);
    if (entry == NULL)
        return;
    entry->out = false;
    if (entry->due_ms < p->aside_due_ms)
        p->aside_due_ms = entry->due_ms;
}

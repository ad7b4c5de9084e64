/* Rows that could not be settled where they stood: waiting rows that become due, are parked, or expire; and rows that
 * were set aside and are tried again on their own.
 *
 * A row is parked when it has failed PARK_ATTEMPTS times while others passed, so that one row never pins a segment;
 * later rows of its uuid queue up behind it. What fails because the far end is down is not parked: nothing passes then.
 */
#include "delivery/internal.h"

#include <stdio.h>
#include <stdlib.h>

static bool adds_hold(const struct aside_add *adds, size_t count, uint64_t uuid_hash, struct place before)
{
    for (size_t i = 0; i < count; i++)
        if (adds[i].state == ASIDE_PARKED && adds[i].uuid_hash == uuid_hash && place_before(adds[i].place, before))
            return true;
    return false;
}

bool pusher_parked_before(const struct pusher *p, uint64_t uuid_hash, struct place place)
{
    if (adds_hold(p->adds, p->add_count, uuid_hash, place))
        return true;
    if (p->writing != NULL && adds_hold(p->writing->adds, p->writing->add_count, uuid_hash, place))
        return true;
    if (!aside_holds(&p->aside, uuid_hash))
        return false;
    for (const struct aside_entry *entry = aside_active(&p->aside); entry != NULL;
         entry = aside_active_next(&p->aside, entry)) {
        if (entry->state == ASIDE_PARKED && entry->uuid_hash == uuid_hash && place_before(entry->place, place))
            return true;
    }
    return false;
}

bool pusher_parked(const struct pusher *p, uint64_t uuid_hash)
{
    const struct place end = {UINT64_MAX, 0};
    return aside_holds(&p->aside, uuid_hash) || adds_hold(p->adds, p->add_count, uuid_hash, end) ||
           (p->writing != NULL && adds_hold(p->writing->adds, p->writing->add_count, uuid_hash, end));
}

void pusher_plan_breaks(struct pusher *p, uint32_t plan)
{
    for (size_t i = 0; plan != 0 && i < p->waiting.count; i++) {
        struct waiting_row *row = &p->waiting.rows[i];
        if (row->c.plan != plan)
            continue;
        row->c.plan = 0;
        p->counts.uncertain++;
    }
}

static bool expire_row(struct pusher *p, struct waiting_row *row)
{
    char reason[640];
    uint32_t plan = row->c.plan;
    snprintf(reason, sizeof reason, "expired: tried for longer than RETRY_FOR; last answer: %s",
             row->reason[0] != '\0' ? row->reason : p->error);
    if (!pusher_waiting_aside(p, row, ASIDE_DEAD, reason))
        return false;
    pusher_plan_breaks(p, plan);
    p->counts.given_up_expired++;
    return true;
}

/* A suspect waits for a neighbour that passes. While none comes it must not pin the journal: one that is full takes no
 * neighbour either. */
static bool park_suspect(struct pusher *p, struct waiting_row *row, int64_t now)
{
    if (row->give_up != GIVE_NO || row->due_ms > now || p->ops->aside_full(p->ops->arg, ASIDE_PARKED, pusher_adding(p)))
        return false;
    size_t count = p->add_count;
    if (!pusher_waiting_aside(p, row, ASIDE_PARKED, "it is suspected of crashing the plugin"))
        return false;
    if (p->add_count > count)
        p->adds[count].suspect = p->aside_suspected = true;
    return true;
}

/* What to do with one waiting row now; true when it left the table. */
static bool tend_row(struct pusher *p, struct waiting_row *row, int64_t now)
{
    if (row->c.kind == WAITING_SUSPECT)
        return park_suspect(p, row, now);
    if (row->out || row->give_up != GIVE_NO)
        return false;
    if (p->settings.retry_for_ms > 0 && row->c.kind == WAITING_RETRY &&
        waiting_age(row, now) >= (uint64_t)p->settings.retry_for_ms)
        return expire_row(p, row);
    if (row->c.plan != 0)
        return false; /* nobody knows what became of its batch: that comes again whole */
    bool others_pass = p->counts.delivered_rows > row->passed;
    if (row->c.kind == WAITING_RETRY && row->c.attempts >= PARK_ATTEMPTS && others_pass)
        return pusher_waiting_aside(p, row, ASIDE_PARKED, row->reason);
    /* A row that holds back so many others of its uuid that there is no room for other uuids goes with them. */
    bool pressed = row->c.kind == WAITING_HELD && others_pass && waiting_room(&p->waiting) < CURSOR_WAITING / 4;
    bool behind = p->settings.order == ORDER_UUID && (pressed || pusher_parked(p, row->c.uuid_hash));
    if (!behind || p->ops->aside_full(p->ops->arg, ASIDE_PARKED, pusher_adding(p)))
        return false;
    return pusher_waiting_aside(p, row, ASIDE_PARKED, "behind a parked row of its uuid");
}

/* While nothing is tried no time passes for RETRY_FOR. */
static void rest(struct pusher *p, int64_t ms)
{
    for (size_t i = 0; i < p->waiting.count; i++)
        p->waiting.rows[i].since_ms += ms;
    for (uint32_t i = 0; i < p->lane_count; i++)
        p->lanes[i].first_try_ms += p->lanes[i].first_try_ms > 0 ? ms : 0;
}

int64_t pusher_tend_waiting(struct pusher *p, int64_t now)
{
    int64_t wake = INT64_MAX, since = p->tended_ms;
    p->tended_ms = now;
    if (!p->wanted || p->paused || p->broken || p->forgotten) {
        rest(p, since > 0 && now > since ? now - since : 0);
        return wake;
    }
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

/* The first parked row of each uuid, for one walk: open addressing, at most half full. */
struct firsts {
    const struct aside_entry **slots;
    size_t mask;
};

static const struct aside_entry **first_of(const struct firsts *f, uint64_t hash)
{
    size_t i = (size_t)hash & f->mask;
    while (f->slots[i] != NULL && f->slots[i]->uuid_hash != hash)
        i = (i + 1) & f->mask;
    return &f->slots[i];
}

static bool firsts_make(struct firsts *f, const struct aside *a)
{
    size_t slots = 64;
    while (slots < 2 * a->parked_count)
        slots *= 2;
    *f = (struct firsts){calloc(slots, sizeof *f->slots), slots - 1};
    const struct aside_entry *entry = f->slots == NULL ? NULL : aside_active(a);
    for (; entry != NULL; entry = aside_active_next(a, entry)) {
        if (entry->state != ASIDE_PARKED)
            continue;
        const struct aside_entry **first = first_of(f, entry->uuid_hash);
        if (*first == NULL || place_before(entry->place, (*first)->place))
            *first = entry;
    }
    return f->slots != NULL;
}

/* Must it wait for another row of its uuid, or for something else than its time? */
static bool aside_blocked(const struct pusher *p, const struct firsts *f, const struct aside_entry *entry)
{
    if (entry->out || entry->moving || entry->suspect)
        return true;
    if (entry->state == ASIDE_RETRYING || p->settings.order == ORDER_NONE)
        return false;
    if (*first_of(f, entry->uuid_hash) != entry || adds_hold(p->adds, p->add_count, entry->uuid_hash, entry->place) ||
        (p->writing != NULL && adds_hold(p->writing->adds, p->writing->add_count, entry->uuid_hash, entry->place)))
        return true;
    for (size_t i = 0; i < p->waiting.count && place_before(p->waiting.rows[i].c.place, entry->place); i++)
        if (p->waiting.rows[i].c.uuid_hash == entry->uuid_hash)
            return true;
    return false;
}

/* Can it go along? A hand-out reads one file, and its rows are told apart by their places. `bytes`: so far. */
static bool goes_along(const struct pusher *p, const struct aside_entry *entry, const struct hand_item *items,
                       uint32_t count, uint64_t bytes)
{
    if (count == 0)
        return true;
    if (bytes + entry->length > p->settings.batch_bytes)
        return false;
    bool alone = entry->suspected || entry->solo;
    const struct aside_entry *first = aside_at((struct aside *)(uintptr_t)&p->aside, items[0].file, items[0].offset);
    if (alone || first == NULL || first->suspected || first->solo || items[0].file != entry->file)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (place_cmp(items[i].place, entry->place) == 0)
            return false;
    return true;
}

uint32_t pusher_pick_aside(struct pusher *p, uint32_t lane, struct hand_item *items, uint32_t max, bool suspected,
                           int64_t now)
{
    struct firsts firsts;
    if (p->aside.parked_count == 0 || p->aside_due_ms > now || !firsts_make(&firsts, &p->aside))
        return 0;
    uint32_t count = 0;
    uint64_t bytes = 0;
    int64_t next = INT64_MAX;
    bool left = false;
    for (struct aside_entry *entry = aside_active(&p->aside); entry != NULL;
         entry = aside_active_next(&p->aside, entry)) {
        if ((entry->state != ASIDE_PARKED && entry->state != ASIDE_RETRYING) || aside_blocked(p, &firsts, entry))
            continue;
        if (entry->due_ms > now) {
            next = entry->due_ms < next ? entry->due_ms : next;
        } else if (pusher_lane_of_row(p, entry->uuid_hash, entry->place.position) != lane || count == max ||
                   (suspected && !entry->suspected) || !goes_along(p, entry, items, count, bytes)) {
            left = true;
        } else {
            entry->out = true;
            bytes += entry->length;
            items[count++] = (struct hand_item){.place = entry->place,
                                                .epoch = entry->epoch,
                                                .file = entry->file,
                                                .offset = entry->offset,
                                                .attempt = entry->attempts + 1,
                                                .uuid_hash = entry->uuid_hash};
        }
    }
    free(firsts.slots);
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

/* Forming batches. A worker reads the segment by itself from the place it was handed: the daemon never sees a row's
 * bytes on the way out. What is not for this lane (another shard, another uuid, a uuid that is held back) is passed by;
 * held rows are told about, because the daemon has to bring them back later.
 *
 * A batch ends at max_rows, max_bytes or the durable limit, whichever is first, but has at least one row. Only a plan
 * that is being repeated (HAND_EXACT) has neither limit: it must be the same rows as before or none at all. So must a
 * batch that was written down ahead (HAND_CUT), which is known by those limits alone.
 *
 * Nothing here is remembered across a crash; the daemon's cursor says where to begin. */
#include "host/gather.h"

#include "base/client.h"
#include "base/hash.h"
#include "delivery/checkpoint.h"
#include "delivery/place.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A host shares its core's cache with the daemon and with other hosts, so it reads on in small steps. */
enum { WINDOW_AHEAD = 64 * 1024, WINDOW_KEPT = 1 << 20 };

/* How a record's rows came through. */
enum taking { TOOK_ALL, TOOK_PART, TOOK_FAILED };

/* One range being gathered. */
struct pass {
    struct gather *g;
    const struct wire_hand *h;
    const struct hand *hand;
    struct hg_rows *rows;
    const struct shelf_file *file;
    struct batch_end end;
    bool barred; /* HAND_CUT: the uuid of one of its rows is held */
    struct err *e;
};

void gather_init(struct gather *g, struct shelf *shelf, bool whole_sets, const _Atomic bool *stopping)
{
    *g = (struct gather){.shelf = shelf, .whole_sets = whole_sets, .stopping = stopping};
}

static void source_close(struct source *s)
{
    if (s->serial != 0)
        reader_fini(&s->reader);
    *s = (struct source){0};
}

void gather_fini(struct gather *g)
{
    gather_trim(g);
}

void gather_trim(struct gather *g)
{
    source_close(&g->range);
    source_close(&g->list);
}

static void source_open(struct source *s, const struct shelf_file *file)
{
    if (s->serial == file->serial)
        return;
    source_close(s);
    reader_init(&s->reader, file->fd, file->store == STORE_ASIDE ? 0 : file->base, file->salt);
    s->reader.ahead = WINDOW_AHEAD;
    s->serial = file->serial;
}

/* After a push the window is kept for the next one, but not the memory of one huge record. */
static void source_trim(struct source *s)
{
    if (s->serial != 0 && !s->cached)
        reader_trim(&s->reader, WINDOW_KEPT);
}

static enum read_result source_next(struct source *s, uint64_t *at, uint64_t limit, struct read_damage *damage,
                                    int *code)
{
    if (s->cached && s->record.position == *at) {
        *at = s->next;
        return READ_RECORD;
    }
    s->cached = false;
    enum read_result result = reader_next(&s->reader, at, limit, &s->record, damage, code);
    s->cached = result == READ_RECORD;
    s->next = *at;
    return result;
}

static int source_at(struct source *s, uint64_t position)
{
    if (s->cached && s->record.position == position)
        return ERR_OK;
    s->cached = false;
    int code = reader_at(&s->reader, position, INT64_MAX, &s->record);
    if (code != ERR_OK && code != ERR_NOMEM) {
        /* The window may be older than the record: files grow. */
        reader_trim(&s->reader, 0);
        code = reader_at(&s->reader, position, INT64_MAX, &s->record);
    }
    s->cached = code == ERR_OK;
    return code;
}

static struct lent_record record_like(const struct record *r, const struct shelf_file *file, const struct wire_hand *h)
{
    struct epoch epoch = file->epoch;
    if ((h->flags & HAND_NEW_IDS) != 0)
        memcpy(epoch.bytes, h->epoch, sizeof epoch.bytes);
    struct slice uuid = {"", 0};
    (void)context_get(r->context, CONTEXT_UUID, &uuid);
    return (struct lent_record){
        .epoch = epoch,
        .position = r->position,
        .place = r->position,
        .received_us = r->received_us,
        .uuid_hash = hash_bytes(uuid),
        .rows = r->rows,
        .store = file->store,
    };
}

/* --- ranges --- */

/* All of it, or none of it. */
static bool hand_whole(const struct wire_hand *h)
{
    return (h->flags & (HAND_EXACT | HAND_CUT)) != 0;
}

static bool pass_wants(const struct pass *p, const struct record *r, uint64_t uuid_hash)
{
    const struct wire_hand *h = p->h;
    return r->type == RECORD_ROWS && (h->only_uuid == 0 || h->only_uuid == uuid_hash) &&
           shard_takes(h->shard, h->shard_count, (h->flags & HAND_SPREAD) != 0, uuid_hash, r->position);
}

static int hash_order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Whose it is stands in the record; without a client it is nobody's, and no list names nobody. */
static bool pass_takes_client(const struct pass *p, const struct record *r)
{
    struct slice client = {"", 0};
    if (p->g->clients == NULL || hand_whole(p->h)) /* a plan has only what was taken */
        return true;
    (void)context_get(r->context, CONTEXT_CLIENT, &client);
    return client_listed(p->g->clients, client);
}

static bool pass_holds(const struct pass *p, uint64_t uuid_hash)
{
    return p->h->held > 0 && bsearch(&uuid_hash, p->hand->held, p->h->held, sizeof uuid_hash, hash_order) != NULL;
}

/* How many of the rows from `first` to `end` still fit. */
static uint32_t pass_room(const struct pass *p, const struct record *r, uint32_t first, uint32_t end)
{
    if ((p->h->flags & HAND_EXACT) != 0)
        return end - first;
    uint32_t taken = p->rows->count, n = 0;
    uint64_t bytes = p->rows->bytes;
    for (; first + n < end; n++) {
        bytes += record_span(r, first + n).length;
        if (taken + n > 0 && (taken + n >= p->h->max_rows || bytes > p->h->max_bytes))
            break;
    }
    if (p->g->whole_sets && n < end - first)
        return taken == 0 ? end - first : 0;
    return n;
}

/* Rows of a held uuid are passed by, at most as many in one hand-out as could have been pushed. A set that is the unit
 * is told by its first row. */
static uint32_t pass_room_held(const struct pass *p, uint32_t first, uint32_t end)
{
    uint32_t most = p->h->max_rows > 0 ? p->h->max_rows : 1;
    uint32_t left = p->rows->left_count < most ? most - p->rows->left_count : 0;
    bool all = (p->h->flags & HAND_EXACT) != 0 || end - first <= left || p->g->whole_sets;
    return all ? end - first : left;
}

/* A plan is repeated later, when other uuids are held, or CLIENTS names others: so nothing is passed by in its middle,
 * and what is passed by first is told alone. */
static bool pass_splits(const struct pass *p, bool passed_by)
{
    return (p->h->flags & HAND_STABLE) != 0 && (passed_by ? p->rows->count : p->rows->left_count) > 0;
}

static int pass_leave(struct pass *p, const struct lent_record *like, uint32_t first, uint32_t end)
{
    uint32_t before = p->rows->left_count;
    for (uint32_t i = first; i < end; i++) {
        const struct left_out left = {
            .place = {.position = like->position, .row = i},
            .uuid_hash = like->uuid_hash,
            .verdict = VERDICT_HELD,
            .store = like->store,
        };
        int code = lent_leave(p->rows, &left);
        if (code != ERR_OK) {
            p->rows->left_count = before;
            return code;
        }
    }
    return ERR_OK;
}

/* A set of another client is passed by as a whole, told by one entry. A replay does not tell: to it nothing becomes of
 * such rows. */
static int pass_leave_client(struct pass *p, const struct lent_record *like, uint32_t first, uint32_t end)
{
    const struct left_out left = {
        .place = {.position = like->position, .row = first},
        .uuid_hash = like->uuid_hash,
        .verdict = VERDICT_CLIENT,
        .store = like->store,
        .rows = end - first,
    };
    return (p->h->flags & HAND_REPLAY) != 0 ? ERR_OK : lent_leave(p->rows, &left);
}

/* The range ends before this row of a record. */
static void pass_end_in(struct pass *p, const struct record *r, uint32_t row)
{
    p->end.place = (struct wire_place){.position = r->position, .row = row};
    p->end.rows_before = r->first_row + row;
}

/* The range ends between records, and never beyond its limit, or where it ends at the latest. */
static void pass_end_at(struct pass *p, uint64_t at)
{
    p->end.place = (struct wire_place){.position = at < p->h->limit ? at : p->h->limit};
    if (p->h->to.position != 0 && p->end.place.position > p->h->to.position)
        p->end.place = p->h->to;
}

/* Rows `first` to `end` of the record at hand; p->end moves behind what was taken or passed by. */
static enum taking pass_take(struct pass *p, const struct record *r, uint32_t first, uint32_t end)
{
    struct lent_record like = record_like(r, p->file, p->h);
    if (first >= end || !pass_wants(p, r, like.uuid_hash))
        return TOOK_ALL;
    like.attempt = p->h->attempt > 0 ? p->h->attempt : 1;
    like.origin = (p->h->flags & HAND_REPLAY) != 0 ? HG_REPLAY : like.attempt > 1 ? HG_RETRIED : HG_LIVE;
    bool other = !pass_takes_client(p, r), held = !other && pass_holds(p, like.uuid_hash);
    if (held && (p->h->flags & HAND_CUT) != 0) {
        p->barred = pass_room(p, r, first, end) > 0;
        pass_end_in(p, r, first);
        return TOOK_PART;
    }
    uint32_t n = pass_splits(p, other || held) ? 0
                 : other                       ? end - first
                 : held                        ? pass_room_held(p, first, end)
                                               : pass_room(p, r, first, end);
    uint32_t told = p->g->whole_sets && n > 0 ? 1 : n;
    if (n > 0) {
        int code = other  ? pass_leave_client(p, &like, first, end)
                   : held ? pass_leave(p, &like, first, first + told)
                          : lent_add(p->rows, &like, r, first, first + n);
        if (code != ERR_OK) {
            pass_end_in(p, r, first);
            err_set(p->e, code, "no memory for the rows at position %llu", (unsigned long long)r->position);
            return TOOK_FAILED;
        }
    }
    if (first + n == end)
        return TOOK_ALL;
    pass_end_in(p, r, first + n);
    return TOOK_PART;
}

static bool pass_full(const struct pass *p)
{
    if ((p->h->flags & HAND_EXACT) != 0)
        return false;
    uint32_t most = p->h->max_rows > 0 ? p->h->max_rows : 1;
    return p->rows->count >= most || p->rows->left_count >= most ||
           (p->rows->count > 0 && p->rows->bytes >= p->h->max_bytes);
}

/* True: go on behind this record. */
static bool pass_record(struct pass *p, uint64_t at, int *code)
{
    const struct record *r = &p->g->range.record;
    uint32_t first = r->position == p->h->from.position ? p->h->from.row : 0;
    uint32_t end = r->rows;
    bool last = p->h->to.position != 0 && r->position >= p->h->to.position;
    if (last)
        end = r->position > p->h->to.position ? 0 : p->h->to.row < end ? p->h->to.row : end;
    switch (pass_take(p, r, first, end)) {
    case TOOK_ALL: break;
    case TOOK_PART: return false;
    case TOOK_FAILED: *code = ERR_NOMEM; return false;
    }
    if (last) {
        if (r->position == p->h->to.position)
            pass_end_in(p, r, end);
        p->end.place = p->h->to;
        return false;
    }
    pass_end_at(p, at);
    p->end.rows_before = r->first_row + r->rows;
    return !pass_full(p);
}

static int pass_run(struct pass *p)
{
    struct source *s = &p->g->range;
    uint64_t at = p->h->from.position;
    int code = ERR_OK;
    struct read_damage damage;
    bool more = true;
    while (more && !atomic_load_explicit(p->g->stopping, memory_order_relaxed)) {
        switch (source_next(s, &at, p->h->limit, &damage, &code)) {
        case READ_RECORD: more = pass_record(p, at, &code); break;
        case READ_END:
            pass_end_at(p, p->h->limit);
            more = false;
            break;
        case READ_DAMAGE:
            p->g->damaged(p->g->arg, damage);
            pass_end_at(p, at);
            break;
        case READ_ERROR:
            err_set(p->e, code, "cannot read the journal at position %llu: %s", (unsigned long long)at, err_text(code));
            more = false;
            break;
        }
    }
    if (code != ERR_OK)
        return code;
    if (hand_whole(p->h) && atomic_load_explicit(p->g->stopping, memory_order_relaxed))
        return err_set(p->e, ERR_CLOSED, "stopping");
    if ((p->h->flags & HAND_EXACT) != 0)
        p->end.place = p->h->to;
    if (p->barred) {
        lent_reset(p->rows, false);
        p->end = (struct batch_end){.place = p->h->from};
    }
    return ERR_OK;
}

static int gather_range(struct gather *g, const struct hand *hand, struct hg_rows *rows, struct batch_end *end,
                        struct err *e)
{
    struct shelf_file file;
    int code = shelf_take(g->shelf, STORE_JOURNAL, hand->head.base, &file);
    if (code != ERR_OK)
        return err_set(e, code, "no segment %llu here", (unsigned long long)hand->head.base);
    source_open(&g->range, &file);
    struct pass p = {
        .g = g, .h = &hand->head, .hand = hand, .rows = rows, .file = &file, .end = {.place = hand->head.from}, .e = e};
    code = pass_run(&p);
    source_trim(&g->range);
    if (shelf_return(g->shelf, file.serial))
        g->dropped(g->arg, file.store, file.base);
    /* What was gathered before a failure is a batch of its own, but never part of a plan. */
    if (code != ERR_OK && (rows->count + rows->left_count == 0 || hand_whole(&hand->head))) {
        lent_reset(rows, false);
        return code;
    }
    *end = p.end;
    return ERR_OK;
}

/* --- lists --- */

/* A row that was set aside carries its own id: its record's place is only where it lies. */
static int aside_identity(const struct record *r, struct lent_record *like, uint32_t *number)
{
    struct slice id = {"", 0};
    (void)context_get(r->context, CONTEXT_ROW_ID, &id);
    return row_id_parse(id, &like->epoch, &like->position, number);
}

static int list_row(struct gather *g, const struct wire_item *item, const struct wire_hand *h,
                    const struct shelf_file *file, struct hg_rows *rows)
{
    source_open(&g->list, file);
    int code = source_at(&g->list, item->place.position);
    if (code != ERR_OK)
        return code;
    const struct record *r = &g->list.record;
    bool aside = file->store == STORE_ASIDE;
    bool set = item->place.row == PLACE_SET;
    if (r->type != (aside ? RECORD_ASIDE : RECORD_ROWS) || (!set && item->place.row >= r->rows))
        return ERR_NOTFOUND;
    struct lent_record like = record_like(r, file, h);
    uint32_t number = item->place.row;
    if (aside && aside_identity(r, &like, &number) != ERR_OK)
        return ERR_DAMAGED;
    like.attempt = item->attempt > 0 ? item->attempt : 1;
    like.origin = (h->flags & HAND_REPLAY) != 0 ? HG_REPLAY : like.attempt > 1 || aside ? HG_RETRIED : HG_LIVE;
    like.set = aside && set;
    if (set)
        return lent_add(rows, &like, r, 0, r->rows);
    code = lent_add(rows, &like, r, item->place.row, item->place.row + 1);
    if (code == ERR_OK)
        rows->rows[rows->count - 1].number = number;
    return code;
}

static int list_item(struct gather *g, const struct wire_item *item, const struct wire_hand *h, struct hg_rows *rows)
{
    struct shelf_file file;
    int code = shelf_take(g->shelf, item->store, item->base, &file);
    if (code != ERR_OK)
        return code; /* the daemon lends every file there is: this one is gone */
    code = list_row(g, item, h, &file, rows);
    if (shelf_return(g->shelf, file.serial))
        g->dropped(g->arg, file.store, file.base);
    return code;
}

static bool may_pass(int code)
{
    return err_passes(code) || code == ERR_LIMIT || code == ERR_VERSION;
}

/* Is it of a uuid of which a row of this list was left out to be tried again? Then it waits for that one. */
static bool list_waits(const struct hg_rows *rows, uint64_t uuid_hash)
{
    for (uint32_t i = 0; uuid_hash != 0 && i < rows->left_count; i++)
        if (rows->left[i].verdict == HG_RETRY && rows->left[i].uuid_hash == uuid_hash)
            return true;
    return false;
}

static int gather_list(struct gather *g, const struct hand *hand, struct hg_rows *rows, struct batch_end *end,
                       struct err *e)
{
    for (uint32_t i = 0; i < hand->head.items; i++) {
        const struct wire_item *item = &hand->items[i];
        end->place = item->place;
        bool waits = list_waits(rows, item->uuid_hash);
        int code = waits ? ERR_AGAIN : list_item(g, item, &hand->head, rows);
        if (code == ERR_OK)
            continue;
        if ((hand->head.flags & HAND_EXACT) != 0 && may_pass(code)) { /* all of a plan, or none of it */
            lent_reset(rows, false);
            return err_set(e, code, "a row that waits could not be read: %s", err_text(code));
        }
        const struct left_out left = {
            .place = item->place,
            .uuid_hash = item->uuid_hash,
            .verdict = waits || may_pass(code) ? HG_RETRY : VERDICT_LOST,
            .store = item->store,
            .reason = waits ? "behind a row of its uuid that could not be read" : err_text(code),
        };
        code = lent_leave(rows, &left);
        if (code != ERR_OK) {
            lent_reset(rows, false);
            return err_set(e, code, "no memory for a list of %u rows", hand->head.items);
        }
    }
    source_trim(&g->list);
    return ERR_OK;
}

int gather_rows(struct gather *g, const struct hand *hand, struct hg_rows *rows, struct batch_end *end, struct err *e)
{
    *end = (struct batch_end){.place = hand->head.from};
    CHECK(rows->count == 0 && rows->left_count == 0);
    return hand->head.kind == HAND_LIST ? gather_list(g, hand, rows, end, e) : gather_range(g, hand, rows, end, e);
}

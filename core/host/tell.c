/* From verdicts to messages. Which rows are listed depends on what the call said: after ALL_OK and JUDGED a row that is
 * not named was delivered; after NOT_NOW it was not judged, so the delivered ones are named too. Rows that were left
 * out are always listed. */
#include "host/tell.h"

#include "host/life.h"

#include <stdlib.h>

/* One VERDICTS message being filled. */
struct page {
    struct hg_host *w;
    uint32_t listed; /* in all pages */
    size_t used;
    struct wire_verdicts head;
    char bytes[WIRE_MAX - sizeof(struct wire_verdicts)];
};

static struct wire_head tell_head(enum wire_type type, uint16_t lane, uint64_t token)
{
    return (struct wire_head){.magic = WIRE_MAGIC, .type = (uint16_t)type, .lane = lane, .token = token};
}

static struct wire_head worker_head(const struct hg_host *w, enum wire_type type)
{
    return tell_head(type, w->lane, w->hand.head.head.token);
}

/* A message of up to three parts. */
static void tell_parts(struct host *h, const void *head, size_t head_len, const void *a, size_t a_len, const void *b,
                       size_t b_len)
{
    const struct iovec parts[] = {
        {(void *)(uintptr_t)head, head_len}, {(void *)(uintptr_t)a, a_len}, {(void *)(uintptr_t)b, b_len}};
    if (outlet_send(&h->outlet, parts, (int)COUNT_OF(parts)) != ERR_OK)
        life_stop(h);
}

void tell_taken(struct hg_host *w, const struct batch_end *end)
{
    const struct hg_row *first = w->rows.count > 0 ? &w->rows.rows[0] : NULL;
    const struct wire_taken m = {
        .head = worker_head(w, WIRE_TAKEN),
        .first = first == NULL ? w->hand.head.from : lent_place(first),
        .end = end->place,
        .rows = w->rows.count,
        .bytes = w->rows.bytes,
        .first_hash = first == NULL ? 0 : first->record->uuid_hash,
        .end_row = end->rows_before,
    };
    tell_parts(w->host, &m, sizeof m, NULL, 0, NULL, 0);
}

/* --- verdicts --- */

static void page_send(struct page *p)
{
    if (p->head.count == 0)
        return;
    p->head.head = worker_head(p->w, WIRE_VERDICTS);
    tell_parts(p->w->host, &p->head, sizeof p->head, p->bytes, p->used, NULL, 0);
    p->head.count = 0;
    p->used = 0;
}

static void page_add(struct page *p, const struct wire_row *row, const char *reason)
{
    size_t padded = ((size_t)row->reason + 7) & ~(size_t)7;
    if (sizeof *row + padded > sizeof p->bytes - p->used)
        page_send(p);
    char *to = p->bytes + p->used;
    memcpy(to, row, sizeof *row);
    if (row->reason > 0)
        memcpy(to + sizeof *row, reason, row->reason);
    memset(to + sizeof *row + row->reason, 0, padded - row->reason);
    p->used += sizeof *row + padded;
    p->head.count++;
    p->listed++;
}

/* The verdict as it is taken, 0: none that the daemon has to be told. */
static uint32_t row_outcome(const struct hg_row *row, uint32_t result, bool all)
{
    if (row->verdict != 0)
        return row->verdict != HG_OK || all ? row->verdict : 0;
    return result == HG_JUDGED || all ? HG_RETRY : 0;
}

static void page_add_row(struct page *p, const struct hg_row *row, uint32_t verdict)
{
    const struct wire_row entry = {
        .place = lent_place(row),
        .uuid_hash = row->record->uuid_hash,
        .after_ms = row->after_ms,
        .verdict = verdict,
        .reason = row->reason_length,
        .store = row->record->store,
        .unjudged = row->verdict == 0,
        .step = row->step,
    };
    page_add(p, &entry, row->reason);
}

static void page_add_left(struct page *p, const struct left_out *left)
{
    const struct wire_row entry = {
        .place = left->place,
        .uuid_hash = left->uuid_hash,
        .verdict = left->verdict,
        .reason = left->reason == NULL ? 0 : reason_cut(left->reason),
        .store = left->store,
        .rows = left->rows,
    };
    page_add(p, &entry, left->reason);
}

static bool place_before(struct wire_place a, struct wire_place b)
{
    return a.position != b.position ? a.position < b.position : a.row < b.row;
}

/* The rows of a range in their order, those that were left out among those that were pushed: the daemon goes through
 * them from the front. `all`: every row is named. */
static void page_add_all(struct page *p, const struct hg_rows *l, uint32_t result, bool all)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t verdict = row_outcome(&l->rows[i], result, all);
        if (verdict == 0)
            continue;
        while (left < l->left_count && place_before(l->left[left].place, lent_place(&l->rows[i])))
            page_add_left(p, &l->left[left++]);
        page_add_row(p, &l->rows[i], verdict);
    }
    while (left < l->left_count)
        page_add_left(p, &l->left[left++]);
}

/* Rows that are OK, and whether any was judged at all. */
static uint32_t count_delivered(const struct hg_rows *l, uint32_t result, bool *judged)
{
    uint32_t delivered = 0;
    *judged = false;
    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t verdict = l->rows[i].verdict;
        *judged = *judged || verdict != 0;
        delivered += verdict == HG_OK || (verdict == 0 && result == HG_ALL_OK);
    }
    return delivered;
}

/* A copy of the durable state when this push has changed it. */
static uint32_t tell_state(struct hg_host *w, char state[HG_STATE_MAX])
{
    struct host *h = w->host;
    if (!w->state_changed)
        return 0;
    pthread_mutex_lock(&h->mutex);
    memcpy(state, h->state, h->state_len);
    uint32_t len = (uint32_t)h->state_len;
    pthread_mutex_unlock(&h->mutex);
    return len;
}

void tell_done(struct hg_host *w, const struct told *told)
{
    const struct hg_rows *l = &w->rows;
    struct page page; /* large: only what is used is touched */
    page.w = w;
    page.listed = 0;
    page.used = 0;
    page.head = (struct wire_verdicts){.count = 0};
    bool judged;
    uint32_t delivered = count_delivered(l, told->result, &judged);
    page_add_all(&page, l, told->result, told->result == HG_NOT_NOW && judged);
    page_send(&page);
    tell_counts(w->host);
    char state[HG_STATE_MAX];
    uint32_t state_len = tell_state(w, state);
    const struct wire_done m = {
        .head = worker_head(w, WIRE_DONE),
        .result = told->result,
        .rows = l->count,
        .delivered = delivered,
        .listed = page.listed,
        .end = told->end,
        .after_ms = l->after_ms,
        .push_us = told->push_us,
        .bytes = l->bytes,
        .has_state = w->state_changed,
        .state = state_len,
        .reason = told->reason_length,
        .bad_result = told->bad_result,
    };
    tell_parts(w->host, &m, sizeof m, state, state_len, told->reason, told->reason_length);
}

/* --- the rest --- */

void tell_damage(struct hg_host *w, struct read_damage damage)
{
    const struct wire_damage m = {.head = worker_head(w, WIRE_DAMAGE), .from = damage.from, .to = damage.to};
    tell_parts(w->host, &m, sizeof m, NULL, 0, NULL, 0);
}

void tell_dropped(struct host *h, uint32_t store, uint64_t base)
{
    const struct wire_drop m = {.head = tell_head(WIRE_DROPPED, 0, 0), .store = store, .base = base};
    tell_parts(h, &m, sizeof m, NULL, 0, NULL, 0);
}

void tell_outcome(struct host *h, enum wire_type type, uint16_t lane, uint64_t token, int result, const char *reason)
{
    const struct wire_outcome m = {
        .head = tell_head(type, lane, token), .result = (uint32_t)result, .reason = reason_cut(reason)};
    tell_parts(h, &m, sizeof m, reason, m.reason, NULL, 0);
}

void tell_pulled(struct hg_host *w, uint64_t token, int result, const char *reason)
{
    const struct wire_pulled m = {
        .head = tell_head(WIRE_PULLED, w->lane, token), .result = (uint32_t)result, .reason = reason_cut(reason)};
    tell_parts(w->host, &m, sizeof m, reason, m.reason, NULL, 0);
}

bool tell_emit(struct hg_host *w, const struct wire_emit *piece, const char *bytes)
{
    struct wire_emit m = *piece;
    m.head = tell_head(WIRE_EMIT, w->lane, piece->head.token);
    tell_parts(w->host, &m, sizeof m, bytes, m.length, NULL, 0);
    return !atomic_load(&w->host->outlet.gone);
}

void tell_ready(struct host *h)
{
    const struct wire_ready m = {
        .head = tell_head(WIRE_READY, 0, 0), .workers = h->worker_count, .confined = h->confined};
    tell_parts(h, &m, sizeof m, NULL, 0, NULL, 0);
}

void tell_counts(struct host *h)
{
    char name[TALLY_NAME_MAX + 1];
    struct wire_count m = {.head = tell_head(WIRE_COUNT, 0, 0)};
    for (uint32_t at = 0; tally_take(&h->tally, &at, name, &m.add);) {
        m.name = (uint32_t)strlen(name);
        tell_parts(h, &m, sizeof m, name, m.name, NULL, 0);
    }
}

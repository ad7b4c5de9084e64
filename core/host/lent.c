/* Rows on loan. The bytes are copied out of the reader's window once, as much of a record as the batch takes, into an
 * loft that lives until the verdicts are told; a row itself is a few words beside it, and ids are formatted when
 * somebody asks. So a push costs one copy of its data and, in steady state, no allocation. */
#include "host/lent.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS_KEPT = 8192, LEFT_KEPT = 1024, BYTES_KEPT = 2 << 20, REASONS_KEPT = 64 * 1024 };

void lent_init(struct hg_rows *l)
{
    *l = (struct hg_rows){.magic = LENT_MAGIC};
    loft_init(&l->copies, LENT_BYTES_MAX);
    loft_init(&l->reasons, REASON_BYTES_MAX);
    window_init(&l->window);
    buf_init(&l->made, LENT_BYTES_MAX);
}

void lent_fini(struct hg_rows *l)
{
    lent_reset(l, true);
    window_fini(&l->window);
    scan_free(&l->scan);
    buf_free(&l->made);
    l->magic = 0;
}

void lent_reset(struct hg_rows *l, bool all)
{
    loft_reset(&l->copies, all ? 0 : BYTES_KEPT);
    loft_reset(&l->reasons, all ? 0 : REASONS_KEPT);
    if (all || l->cap > ROWS_KEPT) {
        free(l->rows);
        l->rows = NULL;
        l->cap = 0;
    }
    if (all || l->left_cap > LEFT_KEPT) {
        free(l->left);
        l->left = NULL;
        l->left_cap = 0;
    }
    if (all || l->made.cap > BYTES_KEPT)
        buf_free(&l->made);
    if (l->scan != NULL)
        scan_trim(l->scan, all ? 0 : BYTES_KEPT);
    l->seen = NULL;
    l->changing = NULL;
    l->count = l->left_count = l->misuse = l->reason_length = 0;
    l->bytes = 0;
    l->after_ms = 0;
}

/* Room for `more` elements behind `count`: the array, moved if need be, or NULL. */
static void *lent_grow(void *array, size_t size, uint32_t count, uint32_t *cap, uint32_t more)
{
    uint64_t need = (uint64_t)count + more;
    if (array != NULL && need <= *cap)
        return array;
    uint64_t want = (uint64_t)*cap * 2 < need ? need : (uint64_t)*cap * 2;
    if (want < 64)
        want = 64;
    if (want > UINT32_MAX / 2)
        return NULL;
    void *moved = realloc(array, (size_t)want * size);
    if (moved != NULL)
        *cap = (uint32_t)want;
    return moved;
}

/* The part of the body that holds these rows: not more is copied, however large the record is. */
static struct slice lent_extent(const struct record *r, uint32_t first, uint32_t end)
{
    uint64_t from = UINT64_MAX, to = 0;
    for (uint32_t i = first; i < end; i++) {
        struct row_span s = record_span(r, i);
        from = s.offset < from ? s.offset : from;
        to = (uint64_t)s.offset + s.length > to ? (uint64_t)s.offset + s.length : to;
    }
    return slice_make(r->data.ptr + from, (size_t)(to - from));
}

static struct lent_record *lent_record_copy(struct hg_rows *l, const struct lent_record *like, const struct record *r)
{
    struct lent_record *copy = loft_take(&l->copies, sizeof *copy);
    char *context = loft_take(&l->copies, r->context.len);
    if (copy == NULL || context == NULL)
        return NULL;
    *copy = *like;
    if (r->context.len > 0)
        memcpy(context, r->context.ptr, r->context.len);
    copy->context = slice_make(context, r->context.len);
    copy->uuid = copy->client = slice_make("", 0);
    (void)context_get(copy->context, CONTEXT_UUID, &copy->uuid);
    (void)context_get(copy->context, CONTEXT_CLIENT, &copy->client);
    return copy;
}

int lent_add(struct hg_rows *l, const struct lent_record *like, const struct record *r, uint32_t first, uint32_t end)
{
    CHECK(first < end && end <= r->rows);
    struct hg_row *rows = lent_grow(l->rows, sizeof *rows, l->count, &l->cap, end - first);
    if (rows == NULL)
        return ERR_NOMEM;
    l->rows = rows;
    struct slice extent = lent_extent(r, first, end);
    struct lent_record *record = lent_record_copy(l, like, r);
    char *bytes = record == NULL ? NULL : loft_take(&l->copies, extent.len);
    if (bytes == NULL)
        return ERR_NOMEM;
    memcpy(bytes, extent.ptr, extent.len);
    for (uint32_t i = first; i < end; i++) {
        struct row_span s = record_span(r, i);
        rows[l->count++] = (struct hg_row){
            .record = record,
            .data = bytes + (r->data.ptr + s.offset - extent.ptr),
            .index = s.index,
            .length = s.length,
            .number = i,
        };
        l->bytes += s.length;
    }
    return ERR_OK;
}

int lent_leave(struct hg_rows *l, const struct left_out *left)
{
    struct left_out *all = lent_grow(l->left, sizeof *all, l->left_count, &l->left_cap, 1);
    if (all == NULL)
        return ERR_NOMEM;
    l->left = all;
    all[l->left_count++] = *left;
    return ERR_OK;
}

struct wire_place lent_place(const struct hg_row *row)
{
    return (struct wire_place){.position = row->record->place,
                               .row = row->record->store == STORE_ASIDE && !row->record->set ? 0 : row->number};
}

uint32_t reason_cut(const char *text)
{
    size_t len = strnlen(text, HG_REASON_MAX + 1);
    if (len <= HG_REASON_MAX)
        return (uint32_t)len;
    len = HG_REASON_MAX;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    return (uint32_t)len;
}

/* Rows refused together mostly have the same reason: one copy of it will do. */
static const char *reason_keep(struct hg_rows *l, const struct hg_row *row, const char *reason, uint32_t *length)
{
    uint32_t len = reason_cut(reason);
    const struct hg_row *before = row > l->rows ? row - 1 : NULL;
    if (before != NULL && before->reason_length == len && len > 0 && memcmp(before->reason, reason, len) == 0) {
        *length = len;
        return before->reason;
    }
    char *copy = len > 0 ? loft_take(&l->reasons, len) : NULL;
    if (copy != NULL) {
        memcpy(copy, reason, len);
        *length = len;
    }
    return copy;
}

void lent_judge(struct hg_rows *l, size_t n, uint32_t verdict, int64_t after_ms, const char *reason)
{
    bool later = verdict == HG_LATER && l->window.token != 0;
    struct hg_row *row = lent_seen(l, n);
    uint32_t least = l->changing == NULL ? HG_OK : HG_SKIP;
    if (row == NULL || verdict < least || (verdict > HG_REJECT && !later)) {
        l->misuse++;
        return;
    }
    if (row->verdict != 0 && (row->verdict != HG_LATER || later))
        return;
    row->verdict = verdict;
    row->after_ms = after_ms > 0 ? after_ms : 0;
    char named[HG_REASON_MAX + 1];
    if (l->changing != NULL) { /* the operator has to know which of them said it */
        snprintf(named, sizeof named, "%s%s%s", l->changing, reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
        reason = named;
    }
    if (reason != NULL)
        row->reason = reason_keep(l, row, reason, &row->reason_length);
}

/* What the rows `first` to `end` of one set come to. */
static void set_level(struct hg_row *rows, uint32_t first, uint32_t end, uint32_t result)
{
    const struct hg_row *again = NULL;
    bool open = false;
    for (uint32_t i = first; i < end; i++) {
        open = open || (rows[i].verdict == 0 && result != HG_ALL_OK);
        if (again == NULL && rows[i].verdict == HG_RETRY)
            again = &rows[i];
    }
    bool unjudged = open && result == HG_NOT_NOW;
    if (again == NULL && !open)
        return;
    for (uint32_t i = first; i < end; i++) {
        struct hg_row *row = &rows[i];
        if (row->verdict == HG_RETRY && !unjudged)
            continue;
        row->verdict = unjudged || again == NULL ? 0 : HG_RETRY;
        row->after_ms = again == NULL ? 0 : again->after_ms;
        row->reason = again == NULL ? NULL : again->reason;
        row->reason_length = again == NULL ? 0 : again->reason_length;
    }
}

void lent_whole_sets(struct hg_rows *l, uint32_t result)
{
    for (uint32_t first = 0, end; first < l->count; first = end) {
        for (end = first + 1; end < l->count && l->rows[end].record == l->rows[first].record;)
            end++;
        set_level(l->rows, first, end, result);
    }
}

void lent_not_now(struct hg_rows *l, int64_t after_ms, const char *reason)
{
    l->after_ms = after_ms > 0 ? after_ms : 0;
    l->reason_length = reason == NULL ? 0 : reason_cut(reason);
    if (reason != NULL)
        memcpy(l->reason, reason, l->reason_length);
}

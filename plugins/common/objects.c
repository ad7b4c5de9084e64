/* The rows of a push that have the same prefix make one object. Its name is the prefix and a key made of the rows' ids
 * alone, and its bytes depend on nothing but the rows, so a repeat writes the same object again. For that the same rows
 * have to come together again, and HG_STABLE_BATCH sees to it, as long as none of them is judged: so when it is not
 * known whether an object was stored, it is tried again here, and if that does not help, no row of the push is judged
 * at all. */
#include "common/objects.h"

#include "common/batch_key.h"
#include "common/csv.h"
#include "common/gzip.h"
#include "common/own_keys.h"
#include "common/ranges.h"
#include "common/rowline.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { TRIES_MOST = 5, FIRST_WAIT_MS = 100, REQUEST_MIN_MS = 300, ZSTD_LEVEL = 3, NAMES_MOST = 1 << 28 };
static const size_t text_most = (size_t)1 << 30;

/* A row of this push and what is to be said about it. */
struct entry {
    size_t n;
    size_t name; /* where its prefix stands */
    uint32_t verdict;
    char *reason; /* or NULL; freed with the push */
};

struct push {
    struct hg_rows *rows;
    struct entry *entries; /* those of one object stand together */
    size_t *numbers;       /* of the rows of the object under construction */
    size_t count;
};

void objects_init(struct objects *d)
{
    strbuf_init(&d->names, NAMES_MOST);
    strbuf_init(&d->text, text_most);
    strbuf_init(&d->packed, text_most);
    strbuf_init(&d->key, text_most);
    d->uncertain = 1; /* what a process before this one did is not known */
}

void objects_fini(struct objects *d)
{
    template_free(&d->prefix);
    strbuf_fini(&d->names);
    strbuf_fini(&d->text);
    strbuf_fini(&d->packed);
    strbuf_fini(&d->key);
}

/* --- an object --- */

static int zstd_pack(struct strbuf *out, const struct strbuf *in)
{
    size_t bound = ZSTD_compressBound(in->len);
    strbuf_clear(out);
    char *room = strbuf_room(out, bound);
    size_t len = room ? ZSTD_compress(room, bound, in->ptr, in->len, ZSTD_LEVEL) : 0;
    if (!room || ZSTD_isError(len))
        return -1;
    out->len += len;
    return 0;
}

static void ndjson_build(struct strbuf *out, const struct objects *d, const struct push *p, size_t count)
{
    strbuf_clear(out);
    for (size_t i = 0; i < count; i++) {
        rowline_add(out, d->api, d->api->row(p->rows, p->numbers[i]));
        strbuf_addc(out, '\n');
    }
}

/* The object's bytes; NULL: no memory. */
static const struct strbuf *object_build(struct objects *d, const struct push *p, size_t count)
{
    if (d->form == FORM_CSV)
        csv_build(&d->text, d->api, p->rows, p->numbers, count);
    else
        ndjson_build(&d->text, d, p, count);
    if (d->text.failed)
        return NULL;
    switch (d->pack) {
    case PACK_NONE: return &d->text;
    case PACK_GZIP: return gzip_pack(&d->packed, &d->text) == 0 ? &d->packed : NULL;
    case PACK_ZSTD: return zstd_pack(&d->packed, &d->text) == 0 ? &d->packed : NULL;
    }
    return NULL;
}

/* "prefix" "first.last.count.digest" ".ndjson.gz"; NULL: no memory. */
static const char *object_name(struct objects *d, const struct push *p, const char *prefix, size_t count)
{
    static const char *const forms[] = {".ndjson", ".csv"}, *const packs[] = {"", ".gz", ".zst"};
    char key[BATCH_KEY_SIZE];
    struct batch_key k;
    batch_key_start(&k);
    for (size_t i = 0; i < count; i++)
        batch_key_add(&k, d->api, d->api->row(p->rows, p->numbers[i]));
    if (batch_key_end(&k, key) != 0)
        return NULL;
    strbuf_clear(&d->key);
    strbuf_addf(&d->key, "%s%s%s%s", prefix, key, forms[d->form], packs[d->pack]);
    return d->key.failed ? NULL : strbuf_str(&d->key);
}

static const char *object_type(const struct objects *d)
{
    static const char *const packed[] = {"", "application/gzip", "application/zstd"};
    if (d->pack != PACK_NONE)
        return packed[d->pack];
    return d->form == FORM_CSV ? "text/csv; charset=utf-8" : "application/x-ndjson";
}

/* As often as time allows while it is not known whether it was stored. */
static enum object_outcome object_put(struct objects *d, const char *name, const struct strbuf *body)
{
    int64_t wait = FIRST_WAIT_MS;
    for (int tries = 1;; tries++, wait *= 2) {
        enum object_outcome outcome = d->store->put(d->far, name, object_type(d), body->ptr, body->len);
        if (outcome != OBJECT_UNKNOWN || tries == TRIES_MOST || d->api->stopping(d->host) ||
            d->api->time_left(d->host) < wait + REQUEST_MIN_MS || !d->api->wait(d->host, wait))
            return outcome;
    }
}

/* --- verdicts --- */

static void entries_judge(struct push *p, struct range r, uint32_t verdict, const char *reason)
{
    for (size_t i = r.from; i < r.to; i++) {
        p->entries[i].verdict = verdict;
        p->entries[i].reason = reason ? strdup(reason) : NULL;
    }
}

static void verdicts_give(const struct objects *d, const struct push *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->entries[i].verdict)
            d->api->judge(p->rows, p->entries[i].n, p->entries[i].verdict, 0, p->entries[i].reason);
}

static int not_now(struct objects *d, struct push *p, int known, int64_t after, const char *reason)
{
    if (known)
        verdicts_give(d, p);
    return d->api->not_now(p->rows, after, reason);
}

/* One object of the rows of a range. HG_JUDGED: go on. */
static int range_put(struct objects *d, struct push *p, struct ranges *ranges, struct range r)
{
    for (size_t i = r.from; i < r.to; i++)
        p->numbers[i - r.from] = p->entries[i].n;
    const char *name = object_name(d, p, d->names.ptr + p->entries[r.from].name, r.to - r.from);
    const struct strbuf *body = name ? object_build(d, p, r.to - r.from) : NULL;
    if (!body)
        return not_now(d, p, 0, 0, "no memory for the rows");
    enum object_outcome outcome = object_put(d, name, body);
    switch (outcome) {
    case OBJECT_STORED: entries_judge(p, r, HG_OK, NULL); return HG_JUDGED;
    case OBJECT_NAME: entries_judge(p, r, HG_REJECT, d->store->reason(d->far)); return HG_JUDGED;
    case OBJECT_SIZE:
        if (!ranges_halve(ranges, r))
            entries_judge(p, r, HG_REJECT, d->store->reason(d->far));
        return HG_JUDGED;
    case OBJECT_REFUSED:
    case OBJECT_UNKNOWN: break;
    }
    d->uncertain |= outcome == OBJECT_UNKNOWN;
    return not_now(d, p, !d->uncertain, (d->store->after ? d->store->after(d->far) : 0), d->store->reason(d->far));
}

/* --- a push --- */

static int entries_compare(const void *a, const void *b, void *names)
{
    const struct entry *x = a, *y = b;
    int order = strcmp((const char *)names + x->name, (const char *)names + y->name);
    return order != 0 ? order : x->n < y->n ? -1 : x->n > y->n;
}

/* Rows that cannot stand in an object are judged; the others, sorted by prefix. 0, or -1: no memory. */
static int entries_fill(struct objects *d, struct push *p)
{
    size_t count = d->api->row_count(p->rows);
    p->entries = calloc(count + 1, sizeof(*p->entries));
    p->numbers = calloc(count + 1, sizeof(*p->numbers));
    strbuf_clear(&d->names);
    if (!p->entries || !p->numbers)
        return -1;
    for (size_t n = 0; n < count; n++) {
        const struct hg_row *row = d->api->row(p->rows, n);
        struct entry *e = &p->entries[p->count++];
        *e = (struct entry){.n = n, .name = d->names.len};
        if (d->form == FORM_CSV && own_key_taken(d->api, row)) {
            e->verdict = HG_REJECT;
            e->reason = strdup(OWN_KEY_TAKEN);
        }
        template_expand(d->prefix, d->api, row, &d->names);
        strbuf_addc(&d->names, '\0');
    }
    if (d->names.failed)
        return -1;
    qsort_r(p->entries, p->count, sizeof(*p->entries), entries_compare, d->names.ptr);
    return 0;
}

/* How far the rows of one prefix go. */
static size_t group_end(const struct objects *d, const struct push *p, size_t from)
{
    size_t to = from;
    while (to < p->count && !p->entries[to].verdict &&
           strcmp(d->names.ptr + p->entries[to].name, d->names.ptr + p->entries[from].name) == 0)
        to++;
    return to;
}

static int group_put(struct objects *d, struct push *p, size_t from, size_t to)
{
    struct ranges ranges;
    struct range r;
    int result = HG_JUDGED;
    ranges_start(&ranges, from, to);
    while (result == HG_JUDGED && ranges_next(&ranges, &r)) {
        if (d->api->stopping(d->host))
            return not_now(d, p, !d->uncertain, 0, "stopping");
        if (d->api->time_left(d->host) < REQUEST_MIN_MS)
            return not_now(d, p, 1, 1, "the time of this push is over; the rest comes with the next");
        result = range_put(d, p, &ranges, r);
    }
    return result;
}

int objects_push(struct objects *d, struct hg_rows *rows)
{
    struct push p = {.rows = rows};
    int result = entries_fill(d, &p) == 0 ? HG_JUDGED : d->api->not_now(rows, 0, "no memory for the rows");
    for (size_t from = 0, to; result == HG_JUDGED && from < p.count; from = to) {
        to = group_end(d, &p, from);
        if (to > from)
            result = group_put(d, &p, from, to);
        else
            to++; /* it was refused before */
    }
    if (result == HG_JUDGED) {
        verdicts_give(d, &p);
        d->uncertain = 0;
    }
    for (size_t i = 0; i < p.count; i++)
        free(p.entries[i].reason);
    free(p.entries);
    free(p.numbers);
    return result;
}

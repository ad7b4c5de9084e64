/* One pass over a segment, group by group.
 *
 * A group counts as whole when its header, every record, the chain of their checksums and the count agree. One that is
 * not whole but is followed by a whole one was damaged later (or, with weaker durability, written out of order): it
 * costs its own range. What is not whole at the very end is a write that was cut off: torn. Bytes of an earlier life of
 * the file have other positions and are neither. No memory but the reader's window and a short list. */
#include "journal/scan.h"

enum { PENDING_MAX = 64 }; /* bad ranges in a row; more are joined into the last */

struct walk {
    struct reader *r;
    uint64_t limit;
    const struct scan_visitor *visitor;
    struct scan_result result;
    struct read_damage pending[PENDING_MAX]; /* not whole: damage if something whole follows */
    uint32_t pending_count;
    uint64_t reach; /* the last place that something of this segment was seen to come to */
    uint32_t prev_crc;
    bool chained; /* prev_crc is of the record just before */
};

static bool fatal(int code)
{
    return code == ERR_IO || code == ERR_NOMEM;
}

/* A record that has something this headgate does not know is whole all the same. */
static int record_whole(struct reader *r, uint64_t at, uint64_t end, struct record *out)
{
    const unsigned char *bytes;
    struct record head;
    int code = reader_bytes(r, at, RECORD_HEADER, end, &bytes);
    if (code == ERR_OK)
        code = record_peek(bytes, at, &head);
    if (code == ERR_OK)
        code = reader_bytes(r, at, head.length, end, &bytes);
    if (code == ERR_OK)
        code = record_parse(slice_make(bytes, head.length), at, out);
    if (code == ERR_VERSION)
        *out = head;
    return code == ERR_VERSION ? ERR_OK : code;
}

int scan_group(struct reader *r, const struct group_header *g, bool chained, uint32_t prev_crc,
               struct group_verdict *out)
{
    uint64_t at = g->position + GROUP_HEADER, end = g->position + g->length;
    struct group_verdict v = {.last_crc = 0};
    while (at < end && v.records < g->records) {
        struct record rec;
        int code = record_whole(r, at, end, &rec);
        if (fatal(code))
            return code;
        if (code != ERR_OK || (chained && rec.prev_crc != prev_crc))
            break;
        chained = true;
        prev_crc = v.last_crc = rec.crc;
        v.rows = rec.first_row + rec.rows;
        v.last_us = rec.received_us;
        v.records++;
        at += rec.length;
    }
    if (g->records == 0)
        at = end;
    else if (at == end && (v.records != g->records || v.last_crc != g->last_crc)) /* the header tells otherwise */
        at = g->position + GROUP_HEADER;
    v.good_end = at;
    *out = v;
    return ERR_OK;
}

/* --- what waits for its verdict --- */

static void pending_add(struct walk *w, uint64_t from, uint64_t to)
{
    struct read_damage *last = &w->pending[w->pending_count > 0 ? w->pending_count - 1 : 0];
    if (w->pending_count > 0 && (w->pending_count == PENDING_MAX || last->to == from))
        last->to = to;
    else
        w->pending[w->pending_count++] = (struct read_damage){.from = from, .to = to};
    w->chained = false;
}

static int pending_settle(struct walk *w)
{
    int code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < w->pending_count; i++) {
        w->result.damages++;
        if (w->visitor->damage != NULL)
            code = w->visitor->damage(w->visitor->arg, w->pending[i]);
    }
    w->pending_count = 0;
    return code;
}

/* --- steps --- */

static void reach_note(struct walk *w, uint64_t at, const unsigned char *bytes)
{
    uint64_t length = 0;
    struct record rec;
    struct group_header g;
    if (record_mark(bytes, at))
        length = record_peek(bytes, at, &rec) == ERR_OK ? rec.length : RECORD_HEADER;
    else if (group_header_mark(bytes, at))
        length = group_header_peek(bytes, at, &g) == ERR_OK ? g.length : GROUP_HEADER;
    if (length > w->limit - at)
        length = w->limit - at;
    if (length > 0 && at + length > w->reach)
        w->reach = at + length;
}

/* The next valid group header at or after *at, noting what else of this segment is seen on the way. */
static int group_seek(struct walk *w, uint64_t *at, struct group_header *out)
{
    for (; *at < w->limit && w->limit - *at >= GROUP_HEADER; *at += RECORD_ALIGN) {
        const unsigned char *bytes;
        int code = reader_bytes(w->r, *at, GROUP_HEADER, w->limit, &bytes);
        if (code != ERR_OK)
            return code;
        if (group_header_read(bytes, *at, w->r->salt, out) == ERR_OK && out->length <= w->limit - *at)
            return ERR_OK;
        reach_note(w, *at, bytes);
    }
    return ERR_NOTFOUND;
}

static int records_show(struct walk *w, const struct group_header *g)
{
    uint64_t at = g->position + GROUP_HEADER, end = g->position + g->length;
    int code = ERR_OK;
    while (code == ERR_OK && at < end) {
        struct record rec;
        code = record_whole(w->r, at, end, &rec);
        if (code != ERR_OK)
            return code == ERR_NOMEM ? code : ERR_IO; /* it was whole a moment ago */
        at += rec.length;
        code = w->visitor->record(w->visitor->arg, &rec);
    }
    return code;
}

static int group_whole(struct walk *w, const struct group_header *g, const struct group_verdict *v)
{
    struct scan_result *result = &w->result;
    int code = pending_settle(w);
    if (code == ERR_OK && w->visitor->record != NULL && g->records > 0)
        code = records_show(w, g);
    if (g->records > 0) {
        result->rows = v->rows;
        result->last_us = v->last_us;
    }
    result->records += v->records;
    result->groups++;
    result->end = g->position + g->length;
    w->prev_crc = v->last_crc;
    w->chained = g->records > 0;
    return code;
}

static int group_step(struct walk *w, const struct group_header *g)
{
    struct group_verdict v;
    uint64_t end = g->position + g->length;
    int code = scan_group(w->r, g, w->chained, w->prev_crc, &v);
    if (code != ERR_OK)
        return code;
    if (end > w->reach)
        w->reach = end;
    if (v.good_end == end)
        return group_whole(w, g, &v);
    pending_add(w, v.good_end, end);
    return ERR_OK;
}

static int walk_run(struct walk *w)
{
    uint64_t at = w->result.end;
    while (at < w->limit) {
        struct group_header g;
        uint64_t from = at;
        int code = group_seek(w, &at, &g);
        if (code != ERR_OK)
            return code == ERR_NOTFOUND ? ERR_OK : code;
        if (at != from)
            pending_add(w, from, at);
        code = group_step(w, &g);
        if (code != ERR_OK)
            return code;
        at = g.position + g.length;
    }
    return ERR_OK;
}

/* Everything up to the known end was whole once. */
static int walk_to_known_end(struct walk *w)
{
    uint64_t from = w->pending_count > 0 ? w->pending[w->pending_count - 1].to : w->result.end;
    if (from < w->limit)
        pending_add(w, from, w->limit);
    w->result.end = w->limit;
    return pending_settle(w);
}

int scan_segment(struct reader *r, uint64_t limit, bool known_end, uint64_t rows, const struct scan_visitor *visitor,
                 struct scan_result *out)
{
    uint64_t first = r->base + SEGMENT_HEADER;
    struct walk w = {.r = r,
                     .limit = limit,
                     .visitor = visitor,
                     .result = {.end = first, .rows = rows},
                     .reach = first,
                     .pending_count = 0};
    int code = walk_run(&w);
    if (code == ERR_OK && known_end)
        code = walk_to_known_end(&w);
    if (code != ERR_OK)
        return code;
    w.result.torn_end = w.reach > w.result.end ? w.reach : w.result.end;
    *out = w.result;
    return ERR_OK;
}

int scan_first_group(struct reader *r, uint64_t limit, struct group_header *out)
{
    uint64_t at = r->base + SEGMENT_HEADER;
    return reader_seek_group(r, &at, limit, true, out);
}

/* One group: a header, then all records of as many requests as are waiting and fit. The bodies are written from where
 * they were received; only headers are made here, in the writer's scratch, so that committing needs no memory.
 *
 * The group's header holds the last record's checksum. When the group takes more than one pwritev, its place is left
 * zero at first and the header is written last: until then the group cannot be taken for whole. Zeros follow up to the
 * next page, so that no page of a file used before must be read to be overwritten in part. */
#include "journal/group.h"

#include "journal/files.h"

static char zeros[FILE_PAGE];

void group_plan(const struct journal_entry *pile, uint64_t room, struct group_plan *out)
{
    struct group_plan plan = {.length = GROUP_HEADER};
    if (room > UINT32_MAX / 2)
        room = UINT32_MAX / 2;
    for (const struct journal_entry *e = pile; e != NULL && plan.length + e->length <= room; e = e->next) {
        if (e->count > UINT32_MAX - plan.records)
            break;
        for (uint32_t i = 0; i < e->count; i++)
            plan.rows += e->records[i].rows;
        plan.length += e->length;
        plan.records += e->count;
        plan.entries++;
    }
    *out = plan;
}

/* A pwritev being gathered. */
struct gather {
    struct writer *w;
    uint64_t at; /* where in the file parts[0] goes */
    uint64_t bytes;
    int parts, headers;
    bool flushed; /* something was written already */
};

static void gather_add(struct gather *g, const void *ptr, size_t len)
{
    if (len == 0)
        return;
    CHECK(g->parts < WRITE_PARTS);
    g->w->parts[g->parts++] = (struct iovec){.iov_base = (void *)(uintptr_t)ptr, .iov_len = len};
    g->bytes += len;
}

static int gather_flush(struct gather *g)
{
    int code = file_writev(g->w->fd, g->w->parts, g->parts, g->at);
    g->at += g->bytes;
    g->bytes = 0;
    g->parts = g->headers = 0;
    g->flushed = true;
    return code;
}

enum { RECORD_PARTS = 5 };

static int record_gather(struct gather *g, const struct record_parts *r, uint64_t position, int64_t received_us,
                         uint64_t first_row, uint32_t *prev_crc)
{
    int code = ERR_OK;
    if (g->parts + RECORD_PARTS + 1 > WRITE_PARTS || g->headers == WRITE_HEADERS) /* one more for the page's rest */
        code = gather_flush(g);
    if (code != ERR_OK)
        return code;
    unsigned char *header = g->w->headers[g->headers++];
    *prev_crc = record_header_write(r, position, received_us, first_row, *prev_crc, header);
    size_t spans = (size_t)r->rows * sizeof(struct row_span);
    size_t used = RECORD_HEADER + r->context.len + spans + r->data.len;
    gather_add(g, header, RECORD_HEADER);
    gather_add(g, r->context.ptr, r->context.len);
    gather_add(g, r->spans, spans);
    gather_add(g, r->data.ptr, r->data.len);
    gather_add(g, zeros, record_length(r) - used);
    return ERR_OK;
}

static int records_gather(struct gather *g, const struct group_plan *plan, int64_t received_us, uint32_t *last_crc)
{
    struct writer *w = g->w;
    uint64_t position = w->at + GROUP_HEADER, rows = w->rows;
    uint32_t crc = w->prev_crc;
    struct journal_entry *e = w->pile;
    int code = ERR_OK;
    for (uint32_t n = 0; code == ERR_OK && n < plan->entries; n++, e = e->next) {
        e->received_us = received_us;
        e->epoch = w->head->header.epoch;
        for (uint32_t i = 0; code == ERR_OK && i < e->count; i++) {
            e->positions[i] = position;
            code = record_gather(g, &e->records[i], position, received_us, rows, &crc);
            position += record_length(&e->records[i]);
            rows += e->records[i].rows;
        }
    }
    if (code == ERR_OK)
        CHECK(position == w->at + plan->length);
    *last_crc = crc;
    return code;
}

int group_write(struct writer *w, const struct group_plan *plan, int64_t received_us, uint32_t *last_crc)
{
    const struct segment_header *segment = &w->head->header;
    uint64_t offset = w->at - segment->base, end = offset + plan->length;
    struct gather g = {.w = w, .at = w->begun ? offset : 0};
    struct group_header header = {.position = w->at,
                                  .epoch = segment->epoch,
                                  .salt = segment->salt,
                                  .durable = w->synced,
                                  .length = (uint32_t)plan->length,
                                  .records = plan->records};
    if (!w->begun) {
        segment_header_write(segment, w->page);
        gather_add(&g, w->page, SEGMENT_HEADER);
    }
    memset(w->group, 0, GROUP_HEADER);
    gather_add(&g, w->group, GROUP_HEADER);
    int code = records_gather(&g, plan, received_us, &header.last_crc);
    if (code != ERR_OK)
        return code;
    gather_add(&g, zeros, (size_t)((end + FILE_PAGE - 1) / FILE_PAGE * FILE_PAGE - end));
    bool late = g.flushed;
    if (!late)
        group_header_write(&header, w->group);
    code = gather_flush(&g);
    if (code == ERR_OK && late) {
        group_header_write(&header, w->group);
        code = file_write(w->fd, w->group, GROUP_HEADER, offset);
    }
    if (code == ERR_OK)
        *last_crc = header.last_crc;
    return code;
}

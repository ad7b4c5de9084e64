/* One look of the tap. It begins where the last one ended, always at a group's end, and goes on until what was durable
 * has been read, as much is kept as will be told, or a bound is reached; then it jumps to the end of what was durable:
 * what nobody will be told is not read either. Rows are shown as they were sent, but for newlines between their values:
 * an event is one line. */
#include "api/tap_read.h"

#include "api/api.h"
#include "base/hash.h"
#include "base/sys.h"
#include "journal/reader.h"

#include <stdio.h>

enum { SET_BYTES = 64 << 10 };

bool tap_fits(const struct tap_filter *f, const struct tap_set *set)
{
    return (f->uuid[0] == '\0' || strcmp(f->uuid, set->uuid) == 0) &&
           (f->client[0] == '\0' || strcmp(f->client, set->client) == 0);
}

static void text_of(const struct record *record, uint16_t tag, char *out, size_t size)
{
    struct slice text = {"", 0};
    (void)context_get(record->context, tag, &text);
    size_t len = text.len < size - 1 ? text.len : size - 1;
    memcpy(out, text.ptr, len);
    out[len] = '\0';
}

/* Newlines stand only between values: in strings they are escaped. */
static int add_line(struct buf *b, struct slice json)
{
    size_t from = b->len;
    int code = buf_add(b, json.ptr, json.len);
    for (size_t i = from; code == ERR_OK && i < b->len; i++)
        if (b->ptr[i] == '\n' || b->ptr[i] == '\r')
            b->ptr[i] = ' ';
    return code;
}

static int add_rows(struct buf *b, const struct record *record)
{
    bool more = false;
    uint32_t shown = 0;
    int code = buf_adds(b, ",\"data\":[");
    for (uint32_t i = 0; code == ERR_OK && i < record->rows && shown < TAP_ROWS; i++) {
        struct slice row = record_row(record, i);
        struct row_span span = record_span(record, i);
        if (row.len > TAP_ROW_BYTES)
            continue;
        shown++;
        code = api_comma(b, &more);
        if (code == ERR_OK)
            code = span.index == INDEX_NONE ? buf_adds(b, "{\"data\":")
                                            : buf_addf(b, "{\"index\":%llu,\"data\":", (unsigned long long)span.index);
        if (code == ERR_OK)
            code = add_line(b, row);
        if (code == ERR_OK)
            code = buf_addc(b, '}');
    }
    return code == ERR_OK ? buf_addf(b, "],\"more\":%u}", record->rows - shown) : code;
}

static int add_set(struct tap_set *set, const struct record *record, const struct epoch *epoch)
{
    char id[BATCH_ID_LEN + 1];
    struct buf *b = &set->json;
    batch_id_text(epoch, record->position, id);
    int code = buf_addf(b, "{\"id\":\"%s\",\"uuid\":", id);
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(set->uuid));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"client\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(set->client));
    if (code == ERR_OK)
        code = buf_addf(b, ",\"rows\":%u,\"received\":", record->rows);
    if (code == ERR_OK)
        code = api_time(b, record->received_us);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"tags\":");
    if (code == ERR_OK)
        code = api_tags(b, record->context);
    return code == ERR_OK ? add_rows(b, record) : code;
}

static bool wanted(const struct tap_look *l, const struct tap_set *set)
{
    for (uint32_t i = 0; i < l->filter_count; i++)
        if (tap_fits(&l->filters[i], set))
            return true;
    return false;
}

static void take(struct tap_look *l, const struct record *record, const struct epoch *epoch)
{
    struct tap_set seen = {.position = record->position, .rows = record->rows};
    text_of(record, CONTEXT_UUID, seen.uuid, sizeof seen.uuid);
    text_of(record, CONTEXT_CLIENT, seen.client, sizeof seen.client);
    if (!wanted(l, &seen))
        return;
    struct tap_set *set = &l->sets[l->count];
    *set = seen;
    set->uuid_hash = hash_bytes(slice_of(set->uuid));
    buf_init(&set->json, SET_BYTES);
    if (add_set(set, record, epoch) == ERR_OK) {
        l->count++;
        return;
    }
    l->passed += record->rows;
    buf_free(&set->json);
}

struct allowance {
    uint32_t reads;
    uint64_t bytes, row; /* row: of the journal, behind the last record that was read */
};

/* What one segment has of it. False: enough, or no further. */
static bool look_at(struct tap_look *l, const struct journal_segment *segment, struct allowance *left)
{
    int fd, code;
    struct err e;
    struct reader reader;
    struct record record;
    struct read_damage damage;
    uint64_t limit = segment->end < l->to.position ? segment->end : l->to.position;
    if (journal_hold(l->journal, segment->base, &fd, &e) != ERR_OK)
        return false;
    reader_init(&reader, fd, segment->base, segment->salt);
    enum read_result result = READ_RECORD;
    while (left->reads > 0 && left->bytes > 0 && l->count < l->keep) {
        result = reader_next(&reader, &l->at, limit, &record, &damage, &code);
        if (result == READ_DAMAGE)
            continue; /* it is reported by those who must read it */
        if (result != READ_RECORD)
            break;
        left->reads--;
        left->bytes -= record.length < left->bytes ? record.length : left->bytes;
        left->row = record.first_row + record.rows;
        if (record.type == RECORD_ROWS)
            take(l, &record, &segment->epoch);
    }
    reader_fini(&reader);
    (void)sys->close(fd);
    journal_unhold(l->journal, segment->base);
    l->at = segment->end;
    return result == READ_END && segment->end < l->to.position;
}

void tap_look(struct tap_look *l)
{
    struct journal_segment segment;
    struct allowance left = {.reads = TAP_READS, .bytes = TAP_BYTES};
    bool more = true;
    while (more && l->at < l->to.position && journal_segment_at(l->journal, l->at, &segment) == ERR_OK) {
        if (l->at < segment.first)
            l->at = segment.first;
        more = look_at(l, &segment, &left);
    }
    if (left.row > 0 && left.row < l->to.rows)
        l->passed += l->to.rows - left.row;
    l->at = l->to.position;
}

void tap_look_fini(struct tap_look *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        buf_free(&l->sets[i].json);
    l->count = 0;
}

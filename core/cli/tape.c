/* What a host reads is a segment of the journal; this makes one without a journal: a memory file, a group for each row
 * set, the rows scanned by the same scanner that stands behind POST /v1/rows. So a plugin that is tried by hand gets
 * exactly what it would get from the daemon. Each tape draws an epoch, as a journal does: no row id is given twice. */
#include "cli/tape.h"

#include "base/hash.h"
#include "base/sys.h"
#include "journal/record.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { TEXT_MAX = 1 << 30, DEPTH_MAX = 1000, CONTEXT_MAX = 16 << 10 };

static int tape_write(struct tape *t, const void *bytes, size_t len, uint64_t *at, struct err *e)
{
    if (sys->pwrite(t->fd, bytes, len, (off_t)(*at - TAPE_BASE)) != (ssize_t)len)
        return err_set(e, ERR_NOMEM, "no memory for the rows");
    *at += len;
    return ERR_OK;
}

int tape_open(struct tape *t, struct err *e)
{
    *t = (struct tape){.fd = memfd_create("rows", MFD_CLOEXEC), .salt = 1, .end = TAPE_BASE + SEGMENT_HEADER};
    buf_init(&t->text, TEXT_MAX);
    t->scan = scan_new();
    if (t->fd < 0 || t->scan == NULL)
        return err_set(e, ERR_NOMEM, "no memory for the rows");
    int code = epoch_draw(&t->epoch);
    if (code != ERR_OK)
        return err_set(e, code, "no random numbers");
    const struct segment_header h = {
        .base = TAPE_BASE, .size = TEXT_MAX, .epoch = t->epoch, .salt = t->salt, .prev_base = UINT64_MAX};
    unsigned char bytes[SEGMENT_HEADER];
    uint64_t at = TAPE_BASE;
    segment_header_write(&h, bytes);
    return tape_write(t, bytes, sizeof bytes, &at, e);
}

void tape_close(struct tape *t)
{
    if (t->fd >= 0)
        sys->close(t->fd);
    if (t->scan != NULL)
        scan_free(&t->scan);
    buf_free(&t->text);
    free(t->rows);
    *t = (struct tape){.fd = -1};
}

static int tape_list(struct tape *t, const struct row_set *set, uint64_t position)
{
    if (t->count + set->rows > t->cap) {
        size_t cap = (t->count + set->rows) * 2;
        struct tape_row *rows = realloc(t->rows, cap * sizeof *rows);
        if (rows == NULL)
            return ERR_NOMEM;
        t->rows = rows;
        t->cap = cap;
    }
    size_t at = t->text.len;
    int code = buf_add(&t->text, set->document.ptr, set->document.len);
    for (uint32_t i = 0; code == ERR_OK && i < set->rows; i++)
        t->rows[t->count++] = (struct tape_row){
            .place = {.position = position, .row = i},
            .uuid_hash = hash_bytes(set->uuid),
            .set = t->sets,
            .at = at + set->spans[i].offset,
            .length = set->spans[i].length,
        };
    t->sets++;
    return code;
}

static int tape_context(const struct row_set *set, struct buf *out)
{
    int code = context_add(out, CONTEXT_UUID, set->uuid);
    if (code == ERR_OK)
        code = context_add(out, CONTEXT_CLIENT, slice_of("cli"));
    for (uint32_t i = 0; code == ERR_OK && i < set->tag_count; i++)
        code = context_add_tag(out, set->tags[i].name, set->tags[i].value);
    return code == ERR_OK ? context_finish(out) : code;
}

/* A group with this one record. */
static int tape_group(struct tape *t, struct record_parts *parts, uint64_t *position, struct err *e)
{
    unsigned char group[GROUP_HEADER], header[RECORD_HEADER];
    parts->body_crc = record_body_crc(parts);
    uint32_t length = record_length(parts);
    if (length == 0)
        return err_set(e, ERR_LIMIT, "a row set that is too long");
    const struct group_header g = {.position = t->end,
                                   .epoch = t->epoch,
                                   .salt = t->salt,
                                   .durable = t->end,
                                   .length = GROUP_HEADER + length,
                                   .records = 1};
    group_header_write(&g, group);
    uint64_t at = t->end;
    *position = at + GROUP_HEADER;
    t->prev_crc = record_header_write(parts, *position, clock_wall_us(), t->count, t->prev_crc, header);
    int code = tape_write(t, group, sizeof group, &at, e);
    if (code == ERR_OK)
        code = tape_write(t, header, sizeof header, &at, e);
    if (code == ERR_OK && parts->context.len > 0)
        code = tape_write(t, parts->context.ptr, parts->context.len, &at, e);
    if (code == ERR_OK && parts->rows > 0)
        code = tape_write(t, parts->spans, parts->rows * sizeof *parts->spans, &at, e);
    if (code == ERR_OK)
        code = tape_write(t, parts->data.ptr, parts->data.len, &at, e);
    if (code == ERR_OK && sys->ftruncate(t->fd, (off_t)(*position + length - TAPE_BASE)) != 0)
        code = err_set(e, ERR_NOMEM, "no memory for the rows");
    t->end = *position + length;
    return code;
}

static int tape_set(struct tape *t, const struct row_set *set, struct err *e)
{
    struct buf context;
    uint64_t position = 0;
    buf_init(&context, CONTEXT_MAX);
    int code = tape_context(set, &context);
    if (code != ERR_OK)
        err_set(e, code, "the tags of a row set do not fit");
    struct record_parts parts = {.type = RECORD_ROWS,
                                 .rows = set->rows,
                                 .context = buf_slice(&context),
                                 .spans = set->spans,
                                 .data = set->document};
    if (code == ERR_OK)
        code = tape_group(t, &parts, &position, e);
    if (code == ERR_OK && (code = tape_list(t, set, position)) != ERR_OK)
        err_set(e, code, "no memory for the rows");
    buf_free(&context);
    return code;
}

int tape_add(struct tape *t, struct slice body, bool ndjson, struct err *e)
{
    const struct scan_rules rules = {
        .max_rows = UINT32_MAX, .max_depth = DEPTH_MAX, .any_keys = true, .ndjson = ndjson};
    uint32_t count;
    int code = scan_body(t->scan, &rules, body);
    if (code != ERR_OK) {
        const struct fault *f = scan_faults(t->scan, &count);
        if (count == 0)
            return err_set(e, code, "%s", err_text(code));
        t->fault_at = f->byte;
        return err_set(e, code, SLICE_FMT "%s" SLICE_FMT, SLICE_ARG(f->pointer), f->pointer.len > 0 ? ": " : "",
                       SLICE_ARG(f->detail));
    }
    const struct row_set *sets = scan_sets(t->scan, &count);
    for (uint32_t i = 0; code == ERR_OK && i < count; i++)
        code = tape_set(t, &sets[i], e);
    return code;
}

struct slice tape_data(const struct tape *t, size_t row)
{
    return slice_make(t->text.ptr + t->rows[row].at, t->rows[row].length);
}

void tape_row_id(const struct tape *t, size_t row, char out[ROW_ID_LEN + 1])
{
    row_id_text(&t->epoch, t->rows[row].place.position, t->rows[row].place.row, out);
}

size_t tape_find(const struct tape *t, struct wire_place place)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct wire_place at = t->rows[mid].place;
        if (at.position < place.position || (at.position == place.position && at.row < place.row))
            low = mid + 1;
        else
            high = mid;
    }
    bool found = low < t->count && t->rows[low].place.position == place.position && t->rows[low].place.row == place.row;
    return found ? low : t->count;
}

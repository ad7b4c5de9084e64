/* Aside files on disk: records built, appended and synced on a checkpoint's worker thread, one read on any thread.
 *
 * Appending syncs before anything refers to what was written, so after a crash the only thing that can be wrong is a
 * torn end that nobody knows of; the next append cuts it off. A call that failed changes nothing that counts: the same
 * rows are written to the same place again. */
#include "delivery/internal.h"

#include "base/sys.h"
#include "journal/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 16 << 20, /* bytes after which a new file begins */
    CHUNK_MAX = 4 << 20, /* bytes gathered for one write; one record may be larger */
    ASIDE_CONTEXT = 56,  /* bytes of the CONTEXT_ASIDE entry */
    ASIDE_BUFFER = 1 << 30,
};

void aside_path(const char *dir, uint32_t file, char *out, size_t size)
{
    snprintf(out, size, "%s/aside/%08" PRIx32, dir, file);
}

/* --- the CONTEXT_ASIDE entry: little-endian fields --- */

static void put(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const char *from, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | (unsigned char)from[i];
    return value;
}

static int mark_add(struct buf *context, const struct aside_mark *m)
{
    unsigned char bytes[ASIDE_CONTEXT] = {0};
    put(bytes, m->state, 1);
    put(bytes + 4, m->attempts, 4);
    put(bytes + 8, m->returned, 4);
    put(bytes + 12, m->file, 4);
    put(bytes + 16, m->offset, 4);
    put(bytes + 20, m->row, 4);
    put(bytes + 24, (uint64_t)m->since_us, 8);
    put(bytes + 32, m->uuid_hash, 8);
    return context_add(context, CONTEXT_ASIDE, slice_make(bytes, sizeof bytes));
}

bool aside_mark_get(struct slice context, struct aside_mark *m)
{
    struct slice v;
    if (!context_get(context, CONTEXT_ASIDE, &v) || v.len < ASIDE_CONTEXT)
        return false;
    *m = (struct aside_mark){
        .state = (uint8_t)v.ptr[0],
        .attempts = (uint32_t)get(v.ptr + 4, 4),
        .returned = (uint32_t)get(v.ptr + 8, 4),
        .file = (uint32_t)get(v.ptr + 12, 4),
        .offset = (uint32_t)get(v.ptr + 16, 4),
        .row = (uint32_t)get(v.ptr + 20, 4),
        .since_us = (int64_t)get(v.ptr + 24, 8),
        .uuid_hash = get(v.ptr + 32, 8),
    };
    return m->state >= ASIDE_PARKED && m->state <= ASIDE_GONE;
}

struct slice aside_reason(const struct record *record)
{
    struct slice reason = {"", 0};
    (void)context_get(record->context, CONTEXT_REASON, &reason);
    return reason;
}

/* --- building records --- */

static int record_append(struct buf *out, uint64_t base, uint16_t type, struct buf *context,
                         const struct row_span *spans, uint32_t rows, struct slice data, int64_t received_us,
                         uint32_t *offset, uint32_t *length)
{
    int code = context_finish(context);
    if (code != ERR_OK)
        return code;
    struct record_parts parts = {
        .type = type,
        .rows = rows,
        .context = buf_slice(context),
        .spans = spans,
        .data = data,
    };
    parts.body_crc = record_body_crc(&parts);
    uint32_t len = record_length(&parts);
    if (len == 0)
        return ERR_LIMIT;
    size_t start = out->len;
    code = buf_reserve(out, len);
    if (code != ERR_OK)
        return code;
    unsigned char *p = (unsigned char *)out->ptr + start;
    memset(p, 0, len);
    record_header_write(&parts, base + start, received_us, 0, 0, p);
    memcpy(p + RECORD_HEADER, parts.context.ptr, parts.context.len);
    size_t at = RECORD_HEADER + parts.context.len;
    if (rows > 0)
        memcpy(p + at, spans, rows * sizeof *spans);
    at += rows * sizeof *spans;
    if (data.len > 0)
        memcpy(p + at, data.ptr, data.len);
    out->len += len;
    *offset = (uint32_t)(base + start);
    *length = len;
    return ERR_OK;
}

/* What describes the row goes along; what described the request does not. */
static int context_copy(struct buf *context, const struct record *from)
{
    size_t at = 0;
    uint16_t tag;
    struct slice value;
    int code = ERR_OK;
    while (code == ERR_OK && context_next(from->context, &at, &tag, &value))
        if (tag == CONTEXT_UUID || tag == CONTEXT_CLIENT || tag == CONTEXT_TAG || tag == CONTEXT_TRACEPARENT ||
            tag == CONTEXT_OLD_ID)
            code = context_add(context, tag, value);
    return code;
}

/* What a record is to hold: a row, or all of a set as they are. */
struct content {
    struct row_span one, *spans;
    uint32_t rows;
    struct slice data;
};

static int content_of_set(const struct record *from, struct content *c)
{
    c->rows = from->rows;
    c->data = from->data;
    c->spans = calloc(from->rows, sizeof *c->spans);
    for (uint32_t i = 0; c->spans != NULL && i < from->rows; i++)
        c->spans[i] = record_span(from, i);
    return c->spans == NULL ? ERR_NOMEM : ERR_OK;
}

static void content_of_row(const struct aside_add *add, const struct record *from, uint32_t row, struct content *c)
{
    c->rows = 1;
    c->data = add->data != NULL ? slice_make(add->data, add->data_len) : record_row(from, row);
    c->one = record_span(from, row);
    c->one.offset = 0;
    c->one.length = (uint32_t)c->data.len;
    c->spans = &c->one;
}

static int content_append(struct buf *out, uint64_t base, struct aside_add *add, const struct record *from,
                          const struct content *c)
{
    struct buf context;
    bool set = add->place.row == PLACE_SET;
    buf_init(&context, 64 * 1024);
    char id[ROW_ID_LEN + 1];
    row_id_text(&add->epoch, add->place.position, set ? 0 : add->place.row, id);
    struct aside_mark mark = {.state = add->state,
                              .attempts = add->attempts,
                              .returned = add->returned,
                              .since_us = add->since_us,
                              .uuid_hash = add->uuid_hash,
                              .row = set ? 0 : add->place.row};
    int code = context_copy(&context, from);
    if (code == ERR_OK && set)
        code = context_add(&context, CONTEXT_ASIDE_SET, slice_make("", 0));
    if (code == ERR_OK)
        code = context_add(&context, CONTEXT_ROW_ID, slice_make(id, ROW_ID_LEN));
    struct slice reason = add->reason[0] != '\0' ? slice_of(add->reason) : aside_reason(from);
    if (code == ERR_OK && reason.len > 0)
        code = context_add(&context, CONTEXT_REASON, reason);
    struct slice old_id;
    if (code == ERR_OK && add->data != NULL && context_get(from->context, CONTEXT_ROW_ID, &old_id))
        code = context_add(&context, CONTEXT_OLD_ID, old_id);
    if (code == ERR_OK)
        code = mark_add(&context, &mark);
    if (code == ERR_OK)
        code = record_append(out, base, RECORD_ASIDE, &context, c->spans, c->rows, c->data, from->received_us,
                             &add->offset, &add->length);
    buf_free(&context);
    return code;
}

static int row_append(struct buf *out, uint64_t base, struct aside_add *add, const struct record *from, uint32_t row)
{
    struct content c = {.rows = 0};
    int code = ERR_OK;
    if (add->place.row == PLACE_SET)
        code = content_of_set(from, &c);
    else
        content_of_row(add, from, row, &c);
    if (code == ERR_OK)
        code = content_append(out, base, add, from, &c);
    add->rows = c.rows;
    if (c.spans != &c.one)
        free(c.spans);
    return code;
}

static int change_append(struct buf *out, uint64_t base, const struct aside_change *c)
{
    struct buf context;
    buf_init(&context, 8 * 1024);
    struct aside_mark mark = {.state = c->state,
                              .attempts = c->attempts,
                              .returned = c->returned,
                              .since_us = c->since_us,
                              .file = c->file,
                              .offset = c->offset};
    uint32_t offset, length;
    int code = mark_add(&context, &mark);
    if (code == ERR_OK)
        code = record_append(out, base, RECORD_STATE, &context, NULL, 0, (struct slice){NULL, 0}, c->since_us, &offset,
                             &length);
    buf_free(&context);
    return code;
}

/* --- files --- */

static int dir_sync(const char *path)
{
    int fd = sys->open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_from_errno(errno);
    int code = sys->fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    sys->close(fd);
    return code;
}

static int write_all(int fd, const char *from, size_t len, off_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = sys->pwrite(fd, from + done, len - done, at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        done += (size_t)n;
    }
    return ERR_OK;
}

static int folder_make(const char *dir, char *folder, size_t size)
{
    snprintf(folder, size, "%s/aside", dir);
    if (sys->mkdir(folder, 0750) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    return dir_sync(dir); /* also when it is there: who made it may have failed just here */
}

static int file_begin(const char *dir, uint32_t number, int *out)
{
    char path[PATH_MAX], folder[PATH_MAX];
    aside_path(dir, number, path, sizeof path);
    int code = folder_make(dir, folder, sizeof folder);
    if (code != ERR_OK)
        return code;
    int fd = sys->open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (fd < 0)
        return err_from_errno(errno);
    unsigned char header[SEGMENT_HEADER];
    struct segment_header h = {
        .base = number, .size = FILE_MAX, .prev_base = UINT64_MAX, .created_us = clock_wall_us()};
    segment_header_write(&h, header);
    code = write_all(fd, (const char *)header, sizeof header, 0);
    if (code == ERR_OK && sys->fsync(fd) != 0)
        code = err_from_errno(errno);
    if (code == ERR_OK)
        code = dir_sync(folder);
    if (code != ERR_OK) {
        sys->close(fd);
        return code;
    }
    *out = fd;
    return ERR_OK;
}

/* --- appending --- */

struct writer {
    const char *dir;
    struct aside_end end;
    struct buf out; /* what comes behind `end` */
    int fd;
    struct record last; /* of the journal, read last: many rows are of one set */
    bool has_last;
};

static int writer_begin(struct writer *w, uint32_t number)
{
    int code = file_begin(w->dir, number, &w->fd);
    if (code == ERR_OK)
        w->end = (struct aside_end){number, SEGMENT_HEADER, w->end.written + SEGMENT_HEADER};
    return code;
}

/* What lies beyond the valid end is of a write that did not come to its end. */
static int cut_end(int fd, uint64_t end)
{
    struct stat st;
    if (sys->fstat(fd, &st) != 0)
        return err_from_errno(errno);
    if ((uint64_t)st.st_size <= end || sys->ftruncate(fd, (off_t)end) == 0)
        return ERR_OK;
    return err_from_errno(errno);
}

static int writer_open(struct writer *w)
{
    if (w->end.file == 0 || w->end.size >= FILE_MAX)
        return writer_begin(w, w->end.file + 1);
    if (w->end.size <= SEGMENT_HEADER) /* nothing in it yet, perhaps not even its header */
        return writer_begin(w, w->end.file);
    char path[PATH_MAX];
    aside_path(w->dir, w->end.file, path, sizeof path);
    w->fd = sys->open(path, O_RDWR, 0);
    return w->fd < 0 ? err_from_errno(errno) : cut_end(w->fd, w->end.size);
}

static int writer_flush(struct writer *w)
{
    int code = w->out.len == 0 ? ERR_OK : write_all(w->fd, w->out.ptr, w->out.len, (off_t)w->end.size);
    if (code != ERR_OK)
        return code;
    w->end.size += w->out.len;
    w->end.written += w->out.len;
    buf_clear(&w->out);
    return ERR_OK;
}

static int writer_sync(struct writer *w)
{
    int code = writer_flush(w);
    return code != ERR_OK || sys->fdatasync(w->fd) == 0 ? code : err_from_errno(errno);
}

static void writer_close(struct writer *w)
{
    if (w->fd >= 0)
        sys->close(w->fd);
    w->fd = -1;
    buf_free(&w->out);
}

/* Room for the next record: a chunk that is full is written, a file that is full is left for the next. */
static int writer_room(struct writer *w)
{
    if (w->end.size + w->out.len >= FILE_MAX) {
        int code = writer_sync(w);
        if (code != ERR_OK)
            return code;
        sys->close(w->fd);
        w->fd = -1;
        return writer_begin(w, w->end.file + 1);
    }
    return w->out.len >= CHUNK_MAX ? writer_flush(w) : ERR_OK;
}

/* Which row of the record it is copied from: one that is aside holds that row alone, or its whole set. */
static uint32_t row_in(const struct aside_add *add, const struct record *from)
{
    struct slice set;
    bool alone = add->from_file != 0 && !context_get(from->context, CONTEXT_ASIDE_SET, &set);
    return alone || add->place.row == PLACE_SET ? 0 : add->place.row;
}

static int record_of(struct writer *w, uint64_t position, const struct row_source *source, void **session,
                     struct record *out)
{
    int code = ERR_OK;
    if (!w->has_last || w->last.position != position)
        code = source->at(source->arg, session, position, &w->last);
    w->has_last = code == ERR_OK;
    if (code == ERR_OK)
        *out = w->last;
    return code;
}

static int add_write(struct writer *w, struct aside_add *add, const struct row_source *source, void **session)
{
    struct record from;
    struct buf copy;
    buf_init(&copy, ASIDE_BUFFER);
    if (add->since_us == 0)
        add->since_us = clock_wall_us();
    int code = add->from_file != 0 ? aside_read(w->dir, add->from_file, add->from_offset, &copy, &from)
                                   : record_of(w, add->place.position, source, session, &from);
    uint32_t row = code == ERR_OK ? row_in(add, &from) : 0;
    add->lost = code == ERR_DAMAGED || code == ERR_NOTFOUND || code == ERR_GONE || (code == ERR_OK && row >= from.rows);
    if (add->lost) {
        code = ERR_OK;
    } else if (code == ERR_OK) {
        code = writer_room(w);
        add->file = w->end.file;
        if (code == ERR_OK)
            code = row_append(&w->out, w->end.size, add, &from, row);
    }
    buf_free(&copy);
    return code;
}

static int change_write(struct writer *w, const struct aside_change *change)
{
    int code = writer_room(w);
    return code == ERR_OK ? change_append(&w->out, w->end.size, change) : code;
}

static int write_rows(struct writer *w, struct aside_add *adds, size_t count, const struct row_source *source)
{
    int code = ERR_OK;
    void *session = NULL;
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = add_write(w, &adds[i], source, &session);
    source->end(source->arg, &session);
    w->has_last = false;
    return code;
}

/* What has a copy now, and what has another state. */
static int write_changes(struct writer *w, const struct aside_add *adds, size_t add_count,
                         const struct aside_change *changes, size_t change_count)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < add_count; i++) {
        const struct aside_change gone = {.file = adds[i].from_file,
                                          .offset = adds[i].from_offset,
                                          .since_us = adds[i].since_us,
                                          .state = ASIDE_GONE};
        if (adds[i].moved && !adds[i].lost)
            code = change_write(w, &gone);
    }
    for (size_t i = 0; code == ERR_OK && i < change_count; i++)
        code = change_write(w, &changes[i]);
    return code;
}

/* A set that is sent again stands for its dead letters, too. */
static bool replaces(const struct aside_add *adds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (adds[i].from_file != 0 || adds[i].data != NULL ||
            (adds[i].state == ASIDE_RETRYING && adds[i].place.row == PLACE_SET))
            return true;
    return false;
}

int aside_append(const char *dir, struct aside_end *at, struct aside_add *adds, size_t add_count,
                 const struct aside_change *changes, size_t change_count, const struct row_source *source,
                 struct err *e)
{
    struct writer w = {.dir = dir, .end = *at, .fd = -1};
    buf_init(&w.out, ASIDE_BUFFER);
    int code = writer_open(&w);
    if (code == ERR_OK)
        code = write_rows(&w, adds, add_count, source);
    /* A copy is durable before what it stands for goes: after a crash in between a row is there twice, never not at
     * all. Within one sync the disk may keep the later and lose the earlier. */
    if (code == ERR_OK && replaces(adds, add_count))
        code = writer_sync(&w);
    if (code == ERR_OK)
        code = write_changes(&w, adds, add_count, changes, change_count);
    if (code == ERR_OK)
        code = writer_sync(&w);
    if (code == ERR_OK)
        *at = w.end;
    else
        err_set(e, code, "cannot set rows aside in %s/aside: %s", dir, err_text(code));
    writer_close(&w);
    return code;
}

int aside_read(const char *dir, uint32_t file, uint32_t offset, struct buf *copy, struct record *out)
{
    char path[PATH_MAX];
    aside_path(dir, file, path, sizeof path);
    int fd = sys->open(path, O_RDONLY, 0);
    if (fd < 0)
        return err_from_errno(errno);
    struct reader reader;
    struct record found;
    struct stat st;
    reader_init(&reader, fd, 0, 0);
    int code = sys->fstat(fd, &st) == 0 ? ERR_OK : err_from_errno(errno);
    if (code == ERR_OK)
        code = reader_at(&reader, offset, (uint64_t)st.st_size, &found);
    if (code == ERR_OK) {
        buf_clear(copy);
        code = buf_add(copy, reader.bytes + (offset - reader.window), found.length);
    }
    reader_fini(&reader);
    sys->close(fd);
    return code == ERR_OK ? record_parse(buf_slice(copy), offset, out) : code;
}

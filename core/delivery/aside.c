/* The aside store: see aside.h for who calls what on which thread.
 *
 * Appending writes whole records and syncs before anything refers to them, so after a crash the only thing that can be
 * wrong is a torn end that nobody knows of; it is cut at the next start. */
#include "delivery/aside.h"

#include "base/hash.h"
#include "base/sys.h"
#include "journal/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 16 << 20, /* bytes after which a new file begins */
    ASIDE_CONTEXT = 56,  /* bytes of the CONTEXT_ASIDE entry */
    ASIDE_BUFFER = 256 << 20,
};

void aside_path(const char *dir, uint32_t file, char *out, size_t size)
{
    snprintf(out, size, "%s/aside/%08" PRIx32, dir, file);
}

/* --- the CONTEXT_ASIDE entry: little-endian fields --- */

struct aside_mark {
    uint8_t state;
    uint32_t attempts, returned;
    int64_t since_us;
    uint64_t uuid_hash;
    uint32_t file, offset; /* RECORD_STATE: which row */
    uint32_t row;          /* its number in its set */
};

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

static bool mark_get(struct slice context, struct aside_mark *m)
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
                         const struct row_span *span, struct slice data, int64_t received_us, uint32_t *offset,
                         uint32_t *length)
{
    int code = context_finish(context);
    if (code != ERR_OK)
        return code;
    struct record_parts parts = {
        .type = type,
        .rows = span == NULL ? 0 : 1,
        .context = buf_slice(context),
        .spans = span,
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
    if (span != NULL) {
        memcpy(p + at, span, sizeof *span);
        at += sizeof *span;
    }
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

static int row_append(struct buf *out, uint64_t base, struct aside_add *add, const struct record *from, uint32_t row)
{
    struct buf context;
    buf_init(&context, 64 * 1024);
    char id[ROW_ID_LEN + 1];
    row_id_text(&add->epoch, add->place.position, add->place.row, id);
    struct row_span span = record_span(from, row);
    struct slice data = add->data != NULL ? slice_make(add->data, add->data_len) : record_row(from, row);
    span.offset = 0;
    span.length = (uint32_t)data.len;
    struct aside_mark mark = {.state = add->state,
                              .attempts = add->attempts,
                              .since_us = add->since_us,
                              .uuid_hash = add->uuid_hash,
                              .row = add->place.row};
    int code = context_copy(&context, from);
    if (code == ERR_OK)
        code = context_add(&context, CONTEXT_ROW_ID, slice_make(id, ROW_ID_LEN));
    if (code == ERR_OK && add->reason[0] != '\0')
        code = context_add(&context, CONTEXT_REASON, slice_of(add->reason));
    struct slice old_id;
    if (code == ERR_OK && add->data != NULL && context_get(from->context, CONTEXT_ROW_ID, &old_id))
        code = context_add(&context, CONTEXT_OLD_ID, old_id);
    if (code == ERR_OK)
        code = mark_add(&context, &mark);
    if (code == ERR_OK)
        code = record_append(out, base, RECORD_ASIDE, &context, &span, data, from->received_us, &add->offset,
                             &add->length);
    buf_free(&context);
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
    if (code == ERR_OK && c->reason[0] != '\0')
        code = context_add(&context, CONTEXT_REASON, slice_of(c->reason));
    if (code == ERR_OK)
        code = record_append(out, base, RECORD_STATE, &context, NULL, (struct slice){NULL, 0}, c->since_us, &offset,
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

static int file_begin(const char *dir, uint32_t number, int *out)
{
    char path[PATH_MAX], folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/aside", dir);
    aside_path(dir, number, path, sizeof path);
    if (sys->mkdir(folder, 0750) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    int fd = sys->open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (fd < 0)
        return err_from_errno(errno);
    unsigned char header[SEGMENT_HEADER];
    struct segment_header h = {
        .base = number, .size = FILE_MAX, .prev_base = UINT64_MAX, .created_us = clock_wall_us()};
    segment_header_write(&h, header);
    int code = write_all(fd, (const char *)header, sizeof header, 0);
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

static int file_for_append(const char *dir, struct aside_end *at, int *fd)
{
    if (at->file != 0 && at->size < FILE_MAX) {
        char path[PATH_MAX];
        aside_path(dir, at->file, path, sizeof path);
        *fd = sys->open(path, O_RDWR, 0);
        return *fd < 0 ? err_from_errno(errno) : ERR_OK;
    }
    int code = file_begin(dir, at->file + 1, fd);
    if (code == ERR_OK) {
        at->file++;
        at->size = SEGMENT_HEADER;
    }
    return code;
}

static int build_adds(const char *dir, struct buf *out, uint64_t base, struct aside_add *adds, size_t count,
                      const struct row_source *source)
{
    int code = ERR_OK;
    void *session = NULL;
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        struct aside_add *add = &adds[i];
        struct record from;
        struct buf copy;
        buf_init(&copy, ASIDE_BUFFER);
        add->since_us = clock_wall_us();
        if (add->data != NULL)
            code = aside_read(dir, add->from_file, add->from_offset, &copy, &from);
        else
            code = source->at(source->arg, &session, add->place.position, &from);
        uint32_t row = add->data != NULL ? 0 : add->place.row;
        if (code == ERR_DAMAGED || code == ERR_NOTFOUND || code == ERR_GONE || (code == ERR_OK && row >= from.rows)) {
            add->lost = true;
            code = ERR_OK;
        } else if (code == ERR_OK) {
            code = row_append(out, base, add, &from, row);
        }
        buf_free(&copy);
    }
    source->end(source->arg, &session);
    return code;
}

int aside_append(const char *dir, struct aside_end *at, struct aside_add *adds, size_t add_count,
                 const struct aside_change *changes, size_t change_count, const struct row_source *source,
                 struct err *e)
{
    int fd = -1;
    struct aside_end end = *at;
    struct buf out;
    buf_init(&out, ASIDE_BUFFER);
    int code = file_for_append(dir, &end, &fd);
    if (code == ERR_OK)
        code = build_adds(dir, &out, end.size, adds, add_count, source);
    for (size_t i = 0; code == ERR_OK && i < change_count; i++)
        code = change_append(&out, end.size, &changes[i]);
    if (code == ERR_OK)
        code = write_all(fd, out.ptr, out.len, (off_t)end.size);
    if (code == ERR_OK && sys->fdatasync(fd) != 0)
        code = err_from_errno(errno);
    if (code == ERR_OK) {
        for (size_t i = 0; i < add_count; i++)
            adds[i].file = end.file;
        end.size += out.len;
        *at = end;
    } else {
        err_set(e, code, "cannot set rows aside in %s/aside: %s", dir, err_text(code));
    }
    if (fd >= 0)
        sys->close(fd);
    buf_free(&out);
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

/* --- the index --- */

static int entries_reserve(struct aside *a, size_t more)
{
    if (a->count + more <= a->cap)
        return ERR_OK;
    size_t cap = a->cap == 0 ? 64 : a->cap * 2;
    while (cap < a->count + more)
        cap *= 2;
    struct aside_entry *entries = realloc(a->entries, cap * sizeof *entries);
    if (entries == NULL)
        return ERR_NOMEM;
    a->entries = entries;
    a->cap = cap;
    return ERR_OK;
}

static void count_state(struct aside *a, const struct aside_entry *entry, int sign)
{
    uint64_t bytes = entry->length;
    switch ((enum aside_state)entry->state) {
    case ASIDE_DEAD:
        a->dead_count += (size_t)sign;
        a->dead_bytes += sign > 0 ? bytes : -bytes;
        break;
    case ASIDE_PARKED:
    case ASIDE_RETRYING:
        a->parked_count += (size_t)sign;
        a->parked_bytes += sign > 0 ? bytes : -bytes;
        break;
    case ASIDE_GONE: break;
    }
}

void aside_move(struct aside *a, struct aside_entry *entry, enum aside_state state, int64_t since_us)
{
    count_state(a, entry, -1);
    entry->state = (uint8_t)state;
    entry->since_us = since_us;
    entry->changed = true;
    count_state(a, entry, 1);
}

int aside_apply(struct aside *a, const struct aside_end *end, const struct aside_add *adds, size_t count)
{
    int code = entries_reserve(a, count);
    if (code != ERR_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        if (adds[i].lost)
            continue;
        struct aside_entry *entry = &a->entries[a->count++];
        *entry = (struct aside_entry){
            .epoch = adds[i].epoch,
            .place = adds[i].place,
            .uuid_hash = adds[i].uuid_hash,
            .since_us = adds[i].since_us,
            .file = adds[i].file,
            .offset = adds[i].offset,
            .length = adds[i].length,
            .attempts = adds[i].attempts,
            .state = adds[i].state,
        };
        count_state(a, entry, 1);
    }
    if (end->file != a->file || end->size > a->size)
        a->total_bytes += end->file == a->file ? end->size - a->size : end->size;
    a->file = end->file;
    a->size = end->size;
    if (a->oldest == 0)
        a->oldest = end->file;
    return ERR_OK;
}

struct aside_entry *aside_find(struct aside *a, const struct epoch *epoch, struct place place)
{
    for (size_t i = 0; i < a->count; i++) {
        struct aside_entry *entry = &a->entries[i];
        if (entry->state != ASIDE_GONE && place_cmp(entry->place, place) == 0 &&
            memcmp(&entry->epoch, epoch, sizeof *epoch) == 0)
            return entry;
    }
    return NULL;
}

static uint32_t oldest_needed(const struct aside *a)
{
    uint32_t oldest = a->file;
    for (size_t i = 0; i < a->count; i++)
        if (a->entries[i].file < oldest)
            oldest = a->entries[i].file;
    return oldest;
}

void aside_sweep(struct aside *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++)
        if (a->entries[i].state != ASIDE_GONE || a->entries[i].changed || a->entries[i].out)
            a->entries[kept++] = a->entries[i];
    a->count = kept;
    for (uint32_t needed = oldest_needed(a); a->oldest != 0 && a->oldest < needed; a->oldest++) {
        char path[PATH_MAX];
        struct stat st;
        aside_path(a->dir, a->oldest, path, sizeof path);
        if (sys->stat(path, &st) == 0 && sys->unlink(path) == 0)
            a->total_bytes -= (uint64_t)st.st_size < a->total_bytes ? (uint64_t)st.st_size : a->total_bytes;
    }
}

/* --- loading --- */

static int load_row(struct aside *a, uint32_t file, const struct record *r, const struct aside_mark *m)
{
    struct slice id;
    struct aside_entry entry = {.file = file,
                                .offset = (uint32_t)r->position,
                                .length = r->length,
                                .state = m->state,
                                .attempts = m->attempts,
                                .returned = m->returned,
                                .since_us = m->since_us,
                                .uuid_hash = m->uuid_hash};
    if (!context_get(r->context, CONTEXT_ROW_ID, &id) ||
        row_id_parse(id, &entry.epoch, &entry.place.position, &entry.place.row) != ERR_OK)
        return ERR_OK; /* a row without an id cannot be ours */
    int code = entries_reserve(a, 1);
    if (code != ERR_OK)
        return code;
    a->entries[a->count++] = entry;
    count_state(a, &entry, 1);
    return ERR_OK;
}

/* Entries are in the order of their files and offsets while loading. */
static struct aside_entry *load_find(struct aside *a, uint32_t file, uint32_t offset)
{
    size_t lo = 0, hi = a->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct aside_entry *m = &a->entries[mid];
        if (m->file < file || (m->file == file && m->offset < offset))
            lo = mid + 1;
        else
            hi = mid;
    }
    bool hit = lo < a->count && a->entries[lo].file == file && a->entries[lo].offset == offset;
    return hit ? &a->entries[lo] : NULL;
}

static void load_change(struct aside *a, const struct aside_mark *m)
{
    struct aside_entry *entry = load_find(a, m->file, m->offset);
    if (entry == NULL)
        return;
    aside_move(a, entry, (enum aside_state)m->state, m->since_us);
    entry->attempts = m->attempts;
    entry->returned = m->returned;
    entry->changed = false;
}

static int load_record(struct aside *a, uint32_t file, const struct record *r)
{
    struct aside_mark mark;
    if (!mark_get(r->context, &mark))
        return ERR_OK;
    if (r->type == RECORD_ASIDE)
        return load_row(a, file, r, &mark);
    if (r->type == RECORD_STATE)
        load_change(a, &mark);
    return ERR_OK;
}

/* The next place at or after `at` where a whole record begins; `end` when there is none. */
static uint64_t resync(struct reader *reader, uint64_t at, uint64_t end)
{
    struct record r;
    for (at += RECORD_ALIGN; at + RECORD_HEADER <= end; at += RECORD_ALIGN)
        if (reader_at(reader, at, end, &r) == ERR_OK)
            return at;
    return end;
}

static int load_file(struct aside *a, uint32_t number, uint32_t *damaged)
{
    char path[PATH_MAX];
    aside_path(a->dir, number, path, sizeof path);
    int fd = sys->open(path, O_RDWR, 0);
    if (fd < 0)
        return err_from_errno(errno);
    struct stat st;
    int code = sys->fstat(fd, &st) == 0 ? ERR_OK : err_from_errno(errno);
    struct reader reader;
    reader_init(&reader, fd, 0, 0);
    uint64_t end = code == ERR_OK ? (uint64_t)st.st_size : 0, at = SEGMENT_HEADER, valid = SEGMENT_HEADER;
    while (code == ERR_OK && at + RECORD_HEADER <= end) {
        struct record r;
        code = reader_at(&reader, at, end, &r);
        if (code == ERR_DAMAGED || code == ERR_NOTFOUND || code == ERR_VERSION) {
            at = resync(&reader, at, end);
            if (at < end)
                ++*damaged;
            code = ERR_OK;
        } else if (code == ERR_OK) {
            code = load_record(a, number, &r);
            at += r.length;
            valid = at;
        }
    }
    reader_fini(&reader);
    sys->close(fd);
    if (code == ERR_OK && number >= a->file) { /* what lies beyond is overwritten by the next append */
        a->file = number;
        a->size = valid;
    }
    a->total_bytes += end;
    return code;
}

static int number_cmp(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

static int list_files(const char *dir, uint32_t **out, size_t *count)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/aside", dir);
    *out = NULL;
    *count = 0;
    DIR *d = opendir(path);
    if (d == NULL)
        return errno == ENOENT ? ERR_OK : err_from_errno(errno);
    int code = ERR_OK;
    for (struct dirent *entry; code == ERR_OK && (entry = readdir(d)) != NULL;) {
        char *end;
        unsigned long number = strtoul(entry->d_name, &end, 16);
        if (*end != '\0' || end - entry->d_name != 8 || number == 0)
            continue;
        uint32_t *grown = realloc(*out, (*count + 1) * sizeof **out);
        if (grown == NULL) {
            code = ERR_NOMEM;
        } else {
            *out = grown;
            grown[(*count)++] = (uint32_t)number;
        }
    }
    closedir(d);
    if (code == ERR_OK && *count > 1)
        qsort(*out, *count, sizeof **out, number_cmp);
    return code;
}

int aside_open(struct aside *a, const char *dir, uint32_t *damaged, struct err *e)
{
    *a = (struct aside){.dir = strdup(dir)};
    *damaged = 0;
    uint32_t *files;
    size_t count;
    int code = a->dir == NULL ? ERR_NOMEM : list_files(dir, &files, &count);
    if (code != ERR_OK) {
        aside_close(a);
        return err_set(e, code, "cannot list %s/aside: %s", dir, err_text(code));
    }
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        if (i == 0)
            a->oldest = files[0];
        code = load_file(a, files[i], damaged);
    }
    free(files);
    if (code != ERR_OK) {
        err_set(e, code, "cannot read %s/aside: %s", dir, err_text(code));
        aside_close(a);
        return code;
    }
    aside_sweep(a);
    return ERR_OK;
}

void aside_close(struct aside *a)
{
    free(a->dir);
    free(a->entries);
    *a = (struct aside){0};
}

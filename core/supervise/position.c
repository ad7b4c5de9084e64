/* The position file: one record of its own, written beside and renamed over, so that a crash leaves the old one or the
 * new one. Its bytes are in docs/format.md. */
#include "supervise/position.h"

#include "base/crc32c.h"
#include "base/sys.h"
#include "journal/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
    FILE_MAGIC = 0x50534748, /* "HGSP" */
    FILE_VERSION = 1,
    AT_VERSION = 4,
    AT_JOURNAL = 8,
    AT_FLAGS = 16,
    AT_LEN = 20,
    AT_BYTES = 24,
    FLAG_PAUSED = 1,
    FILE_MAX = AT_BYTES + POSITION_MAX + 4,
};

static void put(unsigned char *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get(const unsigned char *from, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << 8 * i;
    return value;
}

static int decode(const unsigned char *in, size_t len, struct position *out, const char *path, struct err *e)
{
    if (len >= AT_JOURNAL && get(in, 4) == FILE_MAGIC && get(in + AT_VERSION, 4) > FILE_VERSION)
        return err_set(e, ERR_VERSION, "%s was written by a newer headgate", path);
    uint64_t size = len >= AT_BYTES ? get(in + AT_LEN, 4) : POSITION_MAX + 1;
    if (size > POSITION_MAX || len != AT_BYTES + size + 4 || get(in, 4) != FILE_MAGIC ||
        get(in + AT_BYTES + size, 4) != crc32c(0, in, AT_BYTES + size))
        return err_set(e, ERR_DAMAGED, "%s is damaged", path);
    out->journal = get(in + AT_JOURNAL, 8);
    out->paused = (get(in + AT_FLAGS, 4) & FLAG_PAUSED) != 0;
    out->len = (uint32_t)size;
    memcpy(out->bytes, in + AT_BYTES, size);
    return ERR_OK;
}

int position_read(const char *dir, struct position *out, struct err *e)
{
    char path[PATH_MAX];
    unsigned char bytes[FILE_MAX + 1];
    int code = path_join(dir, "position", path);
    if (code != ERR_OK)
        return err_set(e, code, "the name of %s is too long", dir);
    int fd = file_open(path, O_RDONLY);
    if (fd < 0)
        return err_errno(e, errno, "cannot open %s", path);
    size_t len = 0;
    ssize_t n;
    do {
        n = sys->pread(fd, bytes + len, sizeof bytes - len, (off_t)len);
        len += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && len < sizeof bytes) || (n < 0 && errno == EINTR));
    code = n < 0 ? err_errno(e, errno, "cannot read %s", path) : decode(bytes, len, out, path, e);
    sys->close(fd);
    return code;
}

static int write_new(const char *path, const unsigned char *bytes, size_t len)
{
    int fd = sys->open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (fd < 0)
        return err_from_errno(errno);
    int code = file_write(fd, bytes, len, 0);
    if (code == ERR_OK)
        code = sys->fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    sys->close(fd);
    return code;
}

int position_write(const char *dir, const struct position *p, struct err *e)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    unsigned char bytes[FILE_MAX];
    CHECK(p->len <= POSITION_MAX);
    put(bytes, FILE_MAGIC, 4);
    put(bytes + AT_VERSION, FILE_VERSION, 4);
    put(bytes + AT_JOURNAL, p->journal, 8);
    put(bytes + AT_FLAGS, p->paused ? FLAG_PAUSED : 0, 4);
    put(bytes + AT_LEN, p->len, 4);
    memcpy(bytes + AT_BYTES, p->bytes, p->len);
    put(bytes + AT_BYTES + p->len, crc32c(0, bytes, AT_BYTES + p->len), 4);
    int code = path_join(dir, "position", path);
    if (code == ERR_OK)
        code = path_join(dir, "position.new", fresh);
    if (code == ERR_OK)
        code = write_new(fresh, bytes, AT_BYTES + p->len + 4);
    if (code == ERR_OK && sys->rename(fresh, path) != 0)
        code = err_from_errno(errno);
    if (code == ERR_OK)
        code = dir_sync(dir);
    return code == ERR_OK ? ERR_OK : err_set(e, code, "cannot write the position in %s: %s", dir, err_text(code));
}

/* --- in the journal --- */

struct search {
    struct position *(*find)(void *arg, struct slice name);
    void *arg;
};

static void found(const struct search *s, const struct record *r)
{
    struct slice name;
    if (r->type != RECORD_POSITION || !context_get(r->context, CONTEXT_PULLER, &name) || r->data.len > POSITION_MAX)
        return;
    struct position *p = s->find(s->arg, name);
    if (p == NULL || r->position < p->journal)
        return;
    p->journal = r->position + r->length;
    p->len = (uint32_t)r->data.len;
    if (r->data.len > 0)
        memcpy(p->bytes, r->data.ptr, r->data.len);
}

static int search_segment(struct journal *journal, const struct journal_segment *segment, uint64_t from,
                          const struct search *s, struct err *e)
{
    int fd, code = journal_hold(journal, segment->base, &fd, e);
    if (code != ERR_OK)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    struct reader reader;
    reader_init(&reader, fd, segment->base, segment->salt);
    uint64_t at = from > segment->base + SEGMENT_HEADER ? from : segment->base + SEGMENT_HEADER;
    for (;;) {
        struct record record;
        struct read_damage damage;
        enum read_result result = reader_next(&reader, &at, segment->end, &record, &damage, &code);
        if (result == READ_RECORD)
            found(s, &record);
        else if (result == READ_END)
            break;
        else if (result == READ_ERROR) {
            err_set(e, code, "cannot read the journal for the positions of pullers: %s", err_text(code));
            break;
        }
    }
    reader_fini(&reader);
    sys->close(fd);
    journal_unhold(journal, segment->base);
    return code;
}

int position_search(struct journal *journal, uint64_t from, struct position *(*find)(void *arg, struct slice name),
                    void *arg, struct err *e)
{
    const struct search s = {find, arg};
    struct journal_segment segment;
    int code = ERR_OK;
    while (code == ERR_OK && journal_segment_at(journal, from, &segment) == ERR_OK && segment.end > from) {
        code = search_segment(journal, &segment, from, &s, e);
        from = segment.end;
    }
    return code;
}

/* The tail: the one segment whose end only its bytes can tell.
 *
 * After a failed sync Linux marks the pages clean and shows them to everyone, also to the next process, though the
 * medium has something else. So the tail is read past the page cache, and what is whole there is copied into a fresh
 * file under a temporary name, synced, checked, renamed over the old one. A crash at any point leaves the old file or
 * the new one. What is cut off is kept in `damaged/` first; if that or the copy cannot be made (a full disk), the old
 * file stays as it is: the next segment's header names its valid end. */
#include "base/sys.h"
#include "journal/files.h"
#include "journal/recover.h"
#include "journal/salvage.h"

#include <errno.h>
#include <fcntl.h>

struct tail {
    struct recovery *r;
    struct survey_file *f;
    struct reader reader;
    struct index *index;
    bool copy;
};

static int tail_record(void *arg, const struct record *record)
{
    struct tail *t = arg;
    if (t->index != NULL)
        index_add_record(t->index, t->f->base, record);
    return ERR_OK;
}

/* The copy has these bytes too, but it goes with its segment one day. The reader's window moves: the scan's next step
 * fills it again. */
static int tail_damage(void *arg, struct read_damage damage)
{
    struct tail *t = arg;
    damage_note(t->r->j, damage);
    if (t->copy)
        (void)!salvage_keep(t->r->j->options.dir, &t->reader, damage.from, damage.to, "bad");
    return ERR_OK;
}

static int copy_check(const struct segment_header *header, const struct scan_result *scan, int fd)
{
    static const struct scan_visitor nobody = {.arg = NULL};
    struct reader reader;
    struct scan_result again;
    reader_init(&reader, fd, header->base, header->salt);
    int code = scan_segment(&reader, scan->end, true, header->first_row, &nobody, &again);
    reader_fini(&reader);
    if (code != ERR_OK)
        return code;
    return again.groups == scan->groups && again.records == scan->records && again.rows == scan->rows ? ERR_OK : ERR_IO;
}

static int copy_make(struct tail *t, const struct scan_result *scan, const struct segment_header *header)
{
    const char *dir = t->r->j->options.dir;
    char path[PATH_MAX], temporary[PATH_MAX];
    int code = file_path(dir, t->f->base, FILE_SEGMENT, path);
    if (code == ERR_OK)
        code = file_path(dir, t->f->base, FILE_NEW, temporary);
    if (code != ERR_OK)
        return code;
    int fd = file_open(temporary, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0)
        return err_from_errno(errno);
    code = salvage_copy(&t->reader, header, scan->end, false, fd);
    if (code == ERR_OK)
        code = copy_check(header, scan, fd);
    sys->close(fd);
    if (code == ERR_OK && sys->rename(temporary, path) != 0)
        code = err_from_errno(errno);
    if (code != ERR_OK)
        file_remove(temporary);
    else
        (void)!dir_sync(dir); /* from here on the name means the copy; should the old file come back, it is as good */
    return code;
}

static int torn_keep(struct tail *t, const struct scan_result *scan)
{
    if (scan->torn_end <= scan->end)
        return ERR_OK;
    t->r->report->torn_bytes += scan->torn_end - scan->end;
    return salvage_keep(t->r->j->options.dir, &t->reader, scan->end, scan->torn_end, "torn");
}

static int empty_remove(struct tail *t, bool kept)
{
    const char *dir = t->r->j->options.dir;
    char path[PATH_MAX];
    if (!kept)
        return ERR_OK;
    int code = file_path(dir, t->f->base, FILE_SEGMENT, path);
    return code == ERR_OK ? file_remove(path) : code;
}

static int tail_keep(struct tail *t, struct tail_result *out)
{
    bool kept = !t->copy || torn_keep(t, &out->scan) == ERR_OK;
    struct segment_header header = t->f->header;
    out->salt = header.salt;
    out->file_bytes = t->f->bytes;
    if (out->scan.groups == 0 && out->scan.damages == 0) {
        out->removed = true;
        return t->copy ? empty_remove(t, kept) : ERR_OK;
    }
    if (t->copy && kept && salt_draw(&header.salt) == ERR_OK && copy_make(t, &out->scan, &header) == ERR_OK) {
        out->salt = header.salt;
        out->file_bytes = (out->scan.end - t->f->base + FILE_PAGE - 1) / FILE_PAGE * FILE_PAGE;
        return ERR_OK;
    }
    return file_sync(t->reader.fd); /* what was only written must be durable before it is announced */
}

int tail_recover(struct recovery *r, struct survey_file *f, bool copy, struct tail_result *out)
{
    char path[PATH_MAX];
    struct tail_result result = {.removed = false};
    bool direct;
    int code = file_path(r->j->options.dir, f->base, FILE_SEGMENT, path);
    if (code != ERR_OK)
        return code;
    int fd = medium_open(path, &direct);
    if (fd < 0)
        return err_from_errno(errno);
    if (!direct)
        r->report->unverified_medium = true;
    struct tail t = {.r = r, .f = f, .index = index_new(), .copy = copy};
    struct scan_visitor visitor = {.record = tail_record, .damage = tail_damage, .arg = &t};
    reader_init(&t.reader, fd, f->base, f->header.salt);
    t.reader.blank = true;
    uint64_t limit = f->base + f->bytes / RECORD_ALIGN * RECORD_ALIGN;
    if (limit < f->base + SEGMENT_HEADER)
        limit = f->base + SEGMENT_HEADER;
    code = scan_segment(&t.reader, limit, false, f->header.first_row, &visitor, &result.scan);
    if (code == ERR_OK)
        code = tail_keep(&t, &result);
    reader_fini(&t.reader);
    sys->close(fd);
    if (code != ERR_OK) {
        index_free(&t.index);
        return code;
    }
    result.index = t.index;
    *out = result;
    return ERR_OK;
}

/* `headgate journal verify` and `dump`: every segment, record and damage of a closed journal, in order.
 *
 * Read-only: not even the lock is written, it is only tried, so that a journal in use is not walked. The end of a
 * segment is what the next one's header says, else what its own bytes say. */
#include "base/sys.h"
#include "journal/chain.h"
#include "journal/files.h"
#include "journal/journal.h"
#include "journal/offline.h"
#include "journal/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

struct offline_walk {
    const struct journal_visitor *visitor;
    const char *dir;
    struct survey *survey;
    uint64_t older_end;
};

/* --- the directory --- */

static int lock_try(const char *dir, int *fd, struct err *e)
{
    char path[PATH_MAX];
    int code = path_join(dir, "lock", path);
    if (code != ERR_OK)
        return err_set(e, code, "the journal's directory has too long a name");
    *fd = file_open(path, O_RDONLY);
    if (*fd < 0)
        return errno == ENOENT ? ERR_OK : err_errno(e, errno, "%s", path);
    if (sys->flock(*fd, LOCK_SH | LOCK_NB) == 0)
        return ERR_OK;
    code = errno == EWOULDBLOCK ? err_set(e, ERR_BUSY, "a running headgate has the journal %s open", dir)
                                : err_errno(e, errno, "%s", path);
    sys->close(*fd);
    return code;
}

int offline_open(const char *dir, struct offline *out, struct err *e)
{
    struct offline o = {.dir = dir, .lock_fd = -1};
    int code = lock_try(dir, &o.lock_fd, e);
    if (code != ERR_OK)
        return code;
    code = survey_read(dir, OFFLINE_SPAN, &o.survey, e);
    if (code != ERR_OK) {
        if (o.lock_fd >= 0)
            sys->close(o.lock_fd);
        return code;
    }
    bool noted;
    if (survey_stream(dir, &o.survey, &o.stream, &noted))
        survey_judge(&o.survey, &o.stream);
    *out = o;
    return ERR_OK;
}

void offline_close(struct offline *o)
{
    survey_fini(&o->survey);
    if (o->lock_fd >= 0)
        sys->close(o->lock_fd);
}

int offline_segment(const struct offline *o, const struct survey_file *f, struct reader *r, uint64_t *end,
                    uint64_t *torn_end, struct err *e)
{
    static const struct scan_visitor nobody = {.arg = NULL};
    char path[PATH_MAX];
    struct scan_result scan;
    uint64_t limit = f->base + f->bytes / RECORD_ALIGN * RECORD_ALIGN;
    int code = file_path(o->dir, f->base, FILE_SEGMENT, path);
    int fd = code == ERR_OK ? file_open(path, O_RDONLY) : -1;
    if (fd < 0)
        return code != ERR_OK ? err_set(e, code, "too long a name") : err_errno(e, errno, "%s", path);
    reader_init(r, fd, f->base, f->header.salt);
    r->blank = true;
    *end = *torn_end = f->end;
    if (!f->followed) {
        code = scan_segment(r, limit < f->base + SEGMENT_HEADER ? f->base + SEGMENT_HEADER : limit, false, 0, &nobody,
                            &scan);
        *end = scan.end;
        *torn_end = scan.torn_end;
    }
    if (code == ERR_OK)
        return ERR_OK;
    offline_segment_close(r);
    return err_set(e, code, "%s: %s", path, err_text(code));
}

void offline_segment_close(struct reader *r)
{
    sys->close(r->fd);
    reader_fini(r);
}

/* --- what is told --- */

static int damage_tell(const struct offline_walk *w, uint64_t from, uint64_t to, const char *what)
{
    if (from >= to || w->visitor->damage == NULL)
        return ERR_OK;
    return w->visitor->damage(w->visitor->arg, (struct read_damage){.from = from, .to = to}, what);
}

/* A whole record with something this headgate does not know: stepped over by its length. */
static int unknown_step(const struct offline_walk *w, struct reader *r, uint64_t *at, uint64_t end)
{
    const unsigned char *bytes;
    struct record record;
    int code = reader_bytes(r, *at, RECORD_HEADER, end, &bytes);
    if (code == ERR_OK)
        code = record_peek(bytes, *at, &record);
    if (code != ERR_OK)
        return code;
    *at += record.length;
    return damage_tell(w, record.position, *at, "a record that only a newer headgate understands");
}

static int records_tell(const struct offline_walk *w, struct reader *r, const struct survey_file *f, uint64_t end)
{
    uint64_t at = f->base + SEGMENT_HEADER;
    int code = ERR_OK;
    while (code == ERR_OK) {
        struct record record;
        struct read_damage damage;
        switch (reader_next(r, &at, end, &record, &damage, &code)) {
        case READ_RECORD:
            if (w->visitor->record != NULL)
                code = w->visitor->record(w->visitor->arg, &record, &f->header.epoch);
            break;
        case READ_DAMAGE: code = damage_tell(w, damage.from, damage.to, "damaged"); break;
        case READ_ERROR: code = code == ERR_VERSION ? unknown_step(w, r, &at, end) : code; break;
        case READ_END: return ERR_OK;
        }
    }
    return code;
}

static int rows_tell(struct offline_walk *w, const struct offline *o, const struct survey_file *f, struct err *e)
{
    struct reader r;
    char name[32];
    uint64_t end, torn_end;
    int code = ERR_OK;
    snprintf(name, sizeof name, "%016llx.seg", (unsigned long long)f->base);
    if (w->visitor->segment != NULL)
        code = w->visitor->segment(w->visitor->arg, &f->header, name);
    if (code == ERR_OK && f->kind == SURVEY_LOST)
        code = damage_tell(w, f->base, f->base + SEGMENT_HEADER, "header lost");
    if (code == ERR_OK)
        code = offline_segment(o, f, &r, &end, &torn_end, e);
    if (code != ERR_OK)
        return code;
    code = records_tell(w, &r, f, end);
    if (code == ERR_OK)
        code = damage_tell(w, end, torn_end, "torn");
    offline_segment_close(&r);
    w->older_end = end;
    return code;
}

static int file_tell(struct offline_walk *w, const struct offline *o, const struct survey_file *f, struct err *e)
{
    struct chain_range missing = chain_missing(&o->survey, f, w->older_end);
    int code = damage_tell(w, missing.from, missing.to, "missing");
    if (code != ERR_OK)
        return code;
    switch (f->kind) {
    case SURVEY_GOOD:
    case SURVEY_LOST: return rows_tell(w, o, f, e);
    case SURVEY_FOREIGN: return damage_tell(w, f->base, f->base + f->bytes, "a segment of something else");
    case SURVEY_NOTHING: return damage_tell(w, f->base, f->base + f->bytes, "no segment");
    case SURVEY_VOID:
    case SURVEY_BLANK: break;
    }
    return ERR_OK;
}

int journal_walk(const char *dir, const struct journal_visitor *visitor, struct err *e)
{
    struct offline o;
    int code = offline_open(dir, &o, e);
    if (code != ERR_OK)
        return code;
    struct offline_walk w = {.visitor = visitor, .dir = dir, .survey = &o.survey, .older_end = UINT64_MAX};
    for (uint32_t i = 0; code == ERR_OK && i < o.survey.count; i++) {
        struct chain_range other = chain_follow(&o.survey, &o.survey.files[i]);
        code = damage_tell(&w, other.from, other.to, "another segment in this one's place");
    }
    for (uint32_t i = 0; code == ERR_OK && i < o.survey.count; i++)
        code = file_tell(&w, &o, &o.survey.files[i], e);
    offline_close(&o);
    return code;
}

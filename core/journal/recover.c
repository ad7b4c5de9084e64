/* What a start makes of the files it finds. Runs before any thread exists; afterwards the table is complete.
 *
 * The headers form a chain: each names the segment before it and where that one's valid end is. A segment that is
 * properly followed is taken as it is; its content is checked by whoever reads it. What follows the last such one is
 * the tail: it is read past the page cache (tail.c), its whole part is copied into a fresh file, and only then
 * announced. What the chain says was there and is not is damage, reported by position range. Files that are not ours,
 * or of no use, are moved to `damaged/`; nothing that holds rows is deleted, and nothing is fatal but a newer version.
 */
#include "journal/recover.h"
#include "base/sys.h"
#include "journal/chain.h"
#include "journal/files.h"
#include "journal/salvage.h"

#include <errno.h>
#include <stdio.h>

static void missing_note(struct recovery *r, struct chain_range range)
{
    if (range.from < range.to)
        damage_note(r->j, (struct read_damage){.from = range.from, .to = range.to});
}

static void header_lost_note(struct recovery *r, const struct survey_file *f)
{
    if (f->kind == SURVEY_LOST)
        missing_note(r, (struct chain_range){f->base, f->base + SEGMENT_HEADER});
}

/* --- the journal's own mark --- */

static int stream_settle(struct recovery *r, struct err *e)
{
    struct journal *j = r->j;
    bool noted;
    if (!survey_stream(j->options.dir, &r->survey, &j->stream, &noted) && epoch_draw(&j->stream) != ERR_OK)
        return err_set(e, ERR_IO, "the system has no random numbers");
    survey_judge(&r->survey, &j->stream);
    if (noted)
        return ERR_OK;
    int code = survey_stream_write(j->lock_fd, &j->stream);
    if (code == ERR_OK)
        code = dir_sync(j->options.dir);
    return code == ERR_OK ? code : err_errno(e, errno, "%s/lock", j->options.dir);
}

/* --- files without rows --- */

static int file_aside(struct recovery *r, const struct survey_file *f)
{
    char name[32];
    snprintf(name, sizeof name, "%016llx.seg", (unsigned long long)f->base);
    return salvage_move(r->j->options.dir, name);
}

/* A file made ready and never begun is used again. */
static int spare_add(struct recovery *r, const struct survey_file *f)
{
    struct segment *s = segment_new(f->base, f->bytes);
    if (s == NULL)
        return ERR_NOMEM;
    s->next = r->j->spares;
    r->j->spares = s;
    r->j->bytes += f->bytes;
    return ERR_OK;
}

/* A `.seg` has had its full size from the moment of its name: one that has not has lost something. */
static int useless_settle(struct recovery *r, const struct survey_file *f)
{
    uint64_t full = r->j->options.segment_bytes;
    if (chain_expects_rows(&r->survey, f)) /* the range is told by the one that expects them */
        return file_aside(r, f);
    if (f->kind == SURVEY_BLANK && f->bytes == full)
        return spare_add(r, f);
    if (f->kind == SURVEY_FOREIGN || f->bytes < full)
        missing_note(r, (struct chain_range){f->base, f->base + full});
    else
        r->report->torn_bytes += SEGMENT_HEADER; /* a first write that was cut off in the header, or given up */
    return file_aside(r, f);
}

/* --- the table --- */

static int segment_add(struct recovery *r, const struct survey_file *f, const struct tail_result *t)
{
    struct journal *j = r->j;
    struct segment *s = segment_new(f->base, f->bytes);
    if (s == NULL || table_reserve(j, 1) != ERR_OK) {
        segment_free(&s);
        return ERR_NOMEM;
    }
    s->header = f->header;
    s->end = t != NULL ? t->scan.end : f->end;
    s->sealed_us = t != NULL && t->scan.last_us > 0 ? t->scan.last_us : f->mtime_us;
    if (s->sealed_us == 0)
        s->sealed_us = 1;
    if (t != NULL) {
        s->header.salt = t->salt;
        s->file_bytes = t->file_bytes;
        s->memory = t->index;
    }
    j->bytes += s->file_bytes;
    table_insert(j, s);
    return ERR_OK;
}

static int middle_add(struct recovery *r, struct survey_file *f)
{
    char path[PATH_MAX];
    header_lost_note(r, f);
    int code = segment_add(r, f, NULL);
    if (code != ERR_OK)
        return code;
    struct segment *s = table_find(r->j, f->base);
    code = index_path(r->j, f->base, path);
    if (code != ERR_OK)
        return code;
    struct index_place place = {.path = path, .base = f->base, .salt = s->header.salt, .end = s->end};
    s->indexed = index_open(&place, &s->filter, &s->clients) == ERR_OK;
    return ERR_OK;
}

/* `copy`: it is the tail; else only its end is looked for. */
static int loose_add(struct recovery *r, struct survey_file *f, bool copy)
{
    struct tail_result t;
    if (f->kind == SURVEY_LOST) { /* a copy gets the chain again */
        const struct segment *before = table_last(r->j);
        f->header.stream = r->j->stream;
        if (before != NULL) {
            f->header.prev_base = before->header.base;
            f->header.prev_end = before->end;
            f->header.prev_epoch = before->header.epoch;
        }
    }
    int code = tail_recover(r, f, copy, &t);
    if (code != ERR_OK)
        return code;
    if (t.scan.rows > r->rows)
        r->rows = t.scan.rows;
    if (!t.removed) /* else it was a first write that was cut off, header and all */
        header_lost_note(r, f);
    if (!copy && !t.removed) /* only a tail, or a first write, can be torn */
        missing_note(r, (struct chain_range){t.scan.end, t.scan.torn_end});
    if (t.removed) {
        index_free(&t.index);
        return copy ? ERR_OK : file_aside(r, f);
    }
    code = segment_add(r, f, &t);
    if (code != ERR_OK)
        index_free(&t.index);
    return code;
}

static uint64_t table_end(const struct journal *j)
{
    const struct segment *last = table_last(j);
    return last == NULL ? POSITION_NONE : last->end;
}

static int files_settle(struct recovery *r)
{
    struct survey *s = &r->survey;
    uint32_t tail = chain_tail(s);
    int code = ERR_OK;
    for (uint32_t i = 0; i < s->count; i++)
        missing_note(r, chain_follow(s, &s->files[i]));
    for (uint32_t i = 0; code == ERR_OK && i < s->count; i++) {
        struct survey_file *f = &s->files[i];
        missing_note(r, chain_missing(s, f, table_end(r->j)));
        if (!chain_holds_rows(f))
            code = useless_settle(r, f);
        else
            code = f->followed ? middle_add(r, f) : loose_add(r, f, i >= tail);
    }
    return code;
}

/* --- tidying --- */

struct leftover {
    struct recovery *r;
    char name[64]; /* of one file that can go */
};

static int leftover_find(void *arg, const char *name)
{
    struct leftover *l = arg;
    uint64_t base;
    enum file_kind kind;
    bool ours = file_name_parse(name, &base, &kind);
    bool index_alone = ours && kind == FILE_INDEX && table_find(l->r->j, base) == NULL;
    if (!index_alone && !(ours && kind == FILE_NEW) && strcmp(name, "index.tmp") != 0)
        return 0;
    snprintf(l->name, sizeof l->name, "%s", name);
    return 1;
}

/* What an interrupted write left under a temporary name, and indexes of segments that are gone. */
static void leftovers_remove(struct recovery *r)
{
    struct leftover l = {.r = r};
    char path[PATH_MAX];
    while (sys->list(r->j->options.dir, leftover_find, &l) == 1)
        if (path_join(r->j->options.dir, l.name, path) != ERR_OK || file_remove(path) != ERR_OK)
            return;
}

int journal_recover(struct journal *j, struct journal_report *report, struct err *e)
{
    struct recovery r = {.j = j, .report = report};
    int code = survey_read(j->options.dir, j->options.segment_bytes, &r.survey, e);
    if (code != ERR_OK)
        return code;
    report->unverified_medium = r.survey.unverified;
    j->next_base = r.survey.next_base;
    code = stream_settle(&r, e);
    if (code == ERR_OK) {
        code = files_settle(&r);
        if (code != ERR_OK)
            err_set(e, code, "the journal in %s cannot be recovered: %s", j->options.dir, err_text(code));
    }
    if (code == ERR_OK) {
        leftovers_remove(&r);
        const struct segment *last = table_last(j);
        j->mark = (struct journal_mark){.position = last != NULL ? last->end : j->next_base, .rows = r.rows};
        report->segments = j->count;
        report->damages = (uint32_t)j->damage_count;
    }
    survey_fini(&r.survey);
    return code;
}

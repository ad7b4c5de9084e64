/* Exactly once after a crash rests on this: every row that was written by a push whose settling did not become durable
 * is found here before it is handed again.
 *
 * - A file with a mark that holds: everything behind the mark was written by such pushes. Read, remember.
 * - A file without (made since, or one of more files than the state has room for): read backwards to where everything
 * is settled, then remember what is not.
 * - Rotated meanwhile: the numbered files, newest first, until one tells that nothing before it can matter.
 * - Renamed by somebody else meanwhile: the newest file is found again by its inode.
 *
 * What is found is made durable once more before any of it counts as delivered. */
#include "recover.h"

#include "rotated.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROTATED_MAX = 1000 };

static void told_cut(struct store *s, const struct outfile *f, uint64_t bytes)
{
    char text[STORE_WHY];
    snprintf(text, sizeof(text), "%.300s: cut %llu bytes of a torn line", f->path, (unsigned long long)bytes);
    s->host.api->log(s->host.host, HG_LOG_WARN, text);
}

static void told_overflow(struct store *s)
{
    if (s->seen.overflow && !s->overflow_told)
        s->host.api->log(s->host.host, HG_LOG_WARN, "too many rows may come again: some may be written twice");
    s->overflow_told |= s->seen.overflow;
}

static int ends_whole(const struct outfile *f)
{
    char last;
    return pread(f->fd, &last, 1, (off_t)(f->end.offset - 1)) == 1 && last == '\n';
}

static void recover_empty(struct store *s, struct outfile *f)
{
    struct mark *m = marks_touch(&s->marks, f->dev, f->ino);
    m->base = m->end = f->end = (struct place){0};
    m->known = 1;
}

/* A file that this process had open before: it left it whole. */
static void recover_known(struct store *s, struct outfile *f)
{
    const struct mark *m = marks_find(&s->marks, f->dev, f->ino);
    if (m && m->end.offset == f->end.offset)
        f->end = m->end;
}

/* Cuts what is torn, makes durable what is not, and only then counts its rows. */
static enum store_result recover_tail(struct store *s, struct outfile *f, uint64_t from, const struct mark *mark,
                                      struct tail *tail)
{
    uint64_t size = f->end.offset;
    int rc = tail_judge(f->fd, from, size, &s->host, tail);
    if (rc != 0)
        return store_fail(s, f->path, "its end cannot be read", rc);
    if (!tail->lines && mark)
        tail->end = mark->base;
    rc = outfile_cut(f, &tail->end);
    if (rc != 0)
        return store_fail(s, f->path, "a torn line cannot be cut", rc);
    if (f->end.offset < size)
        told_cut(s, f, size - f->end.offset);
    if (s->sync && tail->unsettled && (rc = outfile_refresh(f, from)) != 0)
        return store_fail(s, f->path, "it cannot be synced", rc);
    rc = tail_collect(f->fd, from, f->end.offset, &s->host, !mark, &s->seen);
    if (rc != 0)
        return store_fail(s, f->path, "its end cannot be read", rc);
    if (tail->unsettled)
        s->seen_settled = 0;
    told_overflow(s);
    return STORE_OK;
}

/* Reads the end of a file of another process. `*enough`: nothing before this file can matter. */
static enum store_result recover_read(struct store *s, struct outfile *f, int *enough)
{
    struct mark *m = marks_find(&s->marks, f->dev, f->ino);
    if (!tail_ours(f->fd, f->end.offset))
        return store_fail(s, f->path, "it does not begin as a file of headgate's, so it is left alone", 0);
    if (m && !(m->known && tail_mark_holds(f->fd, f->end.offset, &m->base)))
        m = NULL;
    int holds = m != NULL;
    uint64_t from = holds ? m->base.offset : 0;
    int rc = holds ? 0 : tail_start(f->fd, f->end.offset, &s->host, &from);
    if (rc != 0)
        return store_fail(s, f->path, "its end cannot be read", rc);
    struct tail tail;
    enum store_result result = recover_tail(s, f, from, m, &tail);
    if (result != STORE_OK)
        return result;
    m = marks_touch(&s->marks, f->dev, f->ino);
    m->end = f->end;
    m->known = holds;
    *enough = holds || tail.settled;
    return STORE_OK;
}

static enum store_result recover_one(struct store *s, struct outfile *f, int *enough)
{
    enum store_result rc = STORE_OK;
    *enough = known_has(&s->known, f->dev, f->ino) && (f->end.offset == 0 || ends_whole(f));
    if (f->end.offset == 0)
        recover_empty(s, f);
    else if (*enough)
        recover_known(s, f);
    else
        rc = recover_read(s, f, enough);
    if (rc == STORE_OK)
        known_add(&s->known, f->dev, f->ino);
    return rc;
}

static enum store_result recover_rotated(struct store *s, const char *path)
{
    uint64_t number = UINT64_MAX;
    for (int n = 0, enough = 0; n < ROTATED_MAX && !enough; n++) {
        int rc = path_last_rotated(path, number, &number);
        if (rc != 0)
            return store_fail(s, path, "its folder cannot be read", rc);
        if (number == 0)
            break;
        struct strbuf name;
        struct outfile f;
        const char *what;
        strbuf_init(&name, STORE_PATH_MAX);
        path_rotated(path, number, &name);
        rc = outfile_open(&f, strbuf_str(&name), 0, s->mode, s->sync, &what);
        enum store_result result = rc == 0 ? recover_one(s, &f, &enough) : STORE_OK;
        if (rc == 0)
            outfile_close(&f);
        else if (rc != ENOENT)
            result = store_fail(s, strbuf_str(&name), what, rc);
        strbuf_fini(&name);
        if (result != STORE_OK)
            return result;
    }
    return STORE_OK;
}

enum store_result recover_file(struct store *s, struct outfile *f, int rotated)
{
    int enough;
    enum store_result rc = recover_one(s, f, &enough);
    if (rc == STORE_OK && !enough && !rotated && s->rotate_size > 0)
        rc = recover_rotated(s, f->path);
    return rc;
}

/* Opens the newest file where it was, or where its inode is now. errno or 0. */
static int newest_open(struct store *s, const struct mark *m, struct outfile *f, const char **what)
{
    int rc = outfile_open(f, s->marks.newest, 0, s->mode, s->sync, what);
    if (rc == 0 && f->ino == m->ino && f->dev == m->dev)
        return 0;
    if (rc == 0)
        outfile_close(f);
    else if (rc != ENOENT)
        return rc;
    struct strbuf moved;
    strbuf_init(&moved, STORE_PATH_MAX);
    path_find_inode(s->marks.newest, m->ino, &moved);
    rc = moved.len > 0 ? outfile_open(f, strbuf_str(&moved), 0, s->mode, s->sync, what) : ENOENT;
    strbuf_fini(&moved);
    if (rc == 0 && !(f->dev == m->dev && f->ino == m->ino && tail_mark_holds(f->fd, f->end.offset, &m->base))) {
        outfile_close(f);
        rc = ENOENT;
    }
    return rc;
}

enum store_result recover_newest(struct store *s)
{
    const struct mark *m = marks_newest(&s->marks);
    struct outfile f;
    const char *what = "";
    int enough;
    if (!m || s->marks.newest[0] == '\0')
        return STORE_OK;
    int rc = newest_open(s, m, &f, &what);
    if (rc == ENOENT)
        return STORE_OK;
    enum store_result result = rc == 0 ? recover_one(s, &f, &enough) : store_fail(s, s->marks.newest, what, rc);
    if (rc == 0)
        outfile_close(&f);
    int passing = rc == 0 || rc == ENOMEM || rc == EMFILE || rc == ENFILE || rc == EWOULDBLOCK;
    if (result != STORE_OK && !passing) { /* perhaps the setting was changed because of this: must not hold back */
        s->host.api->log(s->host.host, HG_LOG_WARN, s->why);
        result = STORE_OK;
    }
    return result;
}

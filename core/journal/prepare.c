/* Making segments ready ahead, and getting rid of those whose time is over: the helper's file work.
 *
 * A segment is ready when its file has its full size on the disk, a first page of zeros and its final name, all synced;
 * its header comes with its first group. It is made under `.new` (of no worth after a crash) and then renamed. An old
 * segment that is used again is renamed to `.new` first, so that at no moment a name stands for another's content.
 * What it held stays in it until overwritten: other positions, another salt, never taken for its own.
 *
 * When the budget or the disk is full, settled segments give way before their time; unsettled ones never do. */
#include "base/sys.h"
#include "journal/files.h"
#include "journal/state.h"

#include <errno.h>
#include <fcntl.h>

enum { AHEAD_FROM = 8 }; /* one more segment ahead from a budget of so many */

uint32_t prepare_ahead(const struct journal *j)
{
    return j->options.max_bytes / j->options.segment_bytes >= AHEAD_FROM ? PREPARED_MAX : 1;
}

/* --- one file --- */

static int name_change(const struct journal *j, uint64_t from, enum file_kind from_kind, uint64_t to,
                       enum file_kind to_kind)
{
    char from_path[PATH_MAX], to_path[PATH_MAX];
    int code = file_path(j->options.dir, from, from_kind, from_path);
    if (code == ERR_OK)
        code = file_path(j->options.dir, to, to_kind, to_path);
    if (code != ERR_OK)
        return code;
    if (sys->rename(from_path, to_path) != 0)
        return err_from_errno(errno);
    return dir_sync(j->options.dir);
}

static int file_forget(const struct journal *j, uint64_t base, enum file_kind kind)
{
    char path[PATH_MAX];
    int code = file_path(j->options.dir, base, kind, path);
    return code == ERR_OK ? file_remove(path) : code;
}

static int new_open(const struct journal *j, uint64_t base, int flags, int *fd)
{
    char path[PATH_MAX];
    int code = file_path(j->options.dir, base, FILE_NEW, path);
    if (code == ERR_OK && (*fd = file_open(path, O_RDWR | flags)) < 0)
        code = err_from_errno(errno);
    return code;
}

/* A new file of zeros, or one used before whose first page becomes zeros; then the name. */
static int file_ready(const struct journal *j, uint64_t base, bool fresh, int *out)
{
    int fd = -1, code = new_open(j, base, fresh ? O_CREAT | O_TRUNC : 0, &fd);
    if (code != ERR_OK)
        return code;
    code = file_zero(fd, 0, fresh ? j->options.segment_bytes : SEGMENT_HEADER);
    if (code == ERR_OK)
        code = file_sync(fd);
    if (code == ERR_OK)
        code = name_change(j, base, FILE_NEW, base, FILE_SEGMENT);
    if (code != ERR_OK) {
        sys->close(fd);
        return code;
    }
    *out = fd;
    return ERR_OK;
}

/* --- where the room comes from --- */

struct source {
    struct segment *old; /* NULL: a new file */
    uint64_t base;       /* of the segment to be made */
};

/* Bytes, asked without the lock. UINT64_MAX: not known; the write itself will tell. */
static uint64_t disk_free(const struct journal *j)
{
    struct statvfs v;
    return sys->statvfs(j->options.dir, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
}

/* Under the lock: a reload may change how much must stay free. */
static bool disk_has_room(const struct journal *j, uint64_t free_bytes)
{
    return free_bytes >= j->options.segment_bytes && free_bytes - j->options.segment_bytes >= j->options.min_free;
}

static bool budget_has_room(const struct journal *j)
{
    return j->bytes <= j->options.max_bytes && j->options.max_bytes - j->bytes >= j->options.segment_bytes;
}

static void full_tell(struct journal *j)
{
    if (j->need_segment && budget_has_room(j))
        intake_set(j, ERR_FULL, "less than journal.min_free is left on the disk");
    else if (j->need_segment)
        intake_set(j, ERR_FULL, "the budget of %llu bytes is full of rows that are not settled",
                   (unsigned long long)j->options.max_bytes);
}

/* Under the lock. A file that is there already comes first. ERR_AGAIN: one of no use was discarded for its room;
 * ERR_FULL: there is none, and health says so if someone waits. */
static int source_choose(struct journal *j, uint64_t free_bytes, struct source *out)
{
    int64_t now = clock_wall_us();
    bool room = disk_has_room(j, free_bytes) && budget_has_room(j);
    struct segment *old = j->spares != NULL ? NULL : retain_candidate(j, now, !room);
    if (old == NULL && j->spares == NULL && !room) {
        full_tell(j);
        return ERR_FULL;
    }
    int code = table_reserve(j, PREPARED_MAX + 2);
    if (code != ERR_OK)
        return code;
    if (j->spares != NULL) {
        old = j->spares;
        j->spares = old->next;
    } else if (old != NULL) {
        table_remove(j, old);
        if (!segment_reusable(j, old)) {
            segment_discard(j, old);
            return ERR_AGAIN;
        }
    } else {
        j->bytes += j->options.segment_bytes;
    }
    *out = (struct source){.old = old, .base = j->next_base};
    j->next_base += j->options.segment_bytes;
    return ERR_OK;
}

/* Everything about it that needs memory or chance, so that committing needs neither. */
static struct segment *segment_blank(const struct journal *j)
{
    struct segment *s = segment_new(0, j->options.segment_bytes);
    if (s == NULL)
        return NULL;
    s->header.epoch = j->epoch;
    s->header.stream = j->stream;
    s->memory = index_new();
    if (s->memory == NULL || salt_draw(&s->header.salt) != ERR_OK)
        segment_free(&s);
    return s;
}

static int source_make(const struct journal *j, const struct source *from, int *fd)
{
    if (from->old != NULL) {
        file_forget(j, from->old->header.base, FILE_INDEX);
        int code = name_change(j, from->old->header.base, FILE_SEGMENT, from->base, FILE_NEW);
        if (code != ERR_OK)
            return code;
    }
    return file_ready(j, from->base, from->old == NULL, fd);
}

/* --- steps --- */

static int source_take(struct journal *j, struct source *from)
{
    uint64_t free_bytes = disk_free(j);
    journal_lock(j);
    int before = j->intake, code = source_choose(j, free_bytes, from);
    bool news = j->intake != before;
    if (news)
        commit_call(j);
    journal_unlock(j);
    if (news)
        journal_tell(j);
    return code;
}

/* Both names may exist by now: the old one's file counts, the new one's not. */
static void prepare_failed(struct journal *j, struct source *from, struct segment *s, int code, int number)
{
    struct err e;
    err_errno(&e, number, "no new segment can be made in %s", j->options.dir);
    journal_lock(j);
    if (s != NULL) {
        s->unnamed = true;
        s->anchor = from->old != NULL;
        s->file_bytes = from->old == NULL ? s->file_bytes : 0;
        segment_discard(j, s);
    }
    if (from->old != NULL) {
        from->old->anchor = true;
        segment_discard(j, from->old);
    }
    bool news = j->need_segment && j->prepared_count == 0;
    if (news) {
        intake_set(j, code == ERR_FULL ? ERR_FULL : ERR_IO, "%.*s", (int)sizeof j->text - 1, e.text);
        commit_call(j);
    }
    journal_unlock(j);
    if (news)
        journal_tell(j);
}

static void prepare_done(struct journal *j, struct source *from, struct segment *s, int fd)
{
    journal_lock(j);
    bool opened = j->intake != ERR_OK;
    CHECK(j->prepared_count < PREPARED_MAX);
    j->prepared[j->prepared_count++] = (struct prepared){.segment = s, .fd = fd};
    j->need_segment = false;
    if (opened)
        intake_set(j, ERR_OK, "%s", "");
    commit_call(j);
    journal_unlock(j);
    segment_free(&from->old);
    if (opened)
        journal_tell(j);
}

bool prepare_step(struct journal *j, int64_t now_ms)
{
    struct source from = {.old = NULL};
    journal_lock(j);
    bool wanted = j->prepared_count < prepare_ahead(j) && j->retry_ms <= now_ms;
    journal_unlock(j);
    if (!wanted)
        return false;
    int fd = -1, number = ENOMEM;
    struct segment *s = segment_blank(j);
    int code = s == NULL ? ERR_NOMEM : source_take(j, &from);
    if (s != NULL && code != ERR_OK && code != ERR_NOMEM) {
        segment_free(&s);
        return code == ERR_AGAIN; /* a file is removed first, then there is room */
    }
    if (code == ERR_OK) {
        s->header.base = from.base;
        s->end = segment_first(s);
        code = source_make(j, &from, &fd);
        number = errno;
    } else {
        segment_free(&s);
    }
    if (code == ERR_OK) {
        prepare_done(j, &from, s, fd);
        return true;
    }
    j->retry_ms = now_ms + j->options.retry_ms;
    prepare_failed(j, &from, s, code, number);
    return true;
}

static int discarded_remove(const struct journal *j, const struct segment *s)
{
    int code = file_forget(j, s->header.base, FILE_SEGMENT);
    if (code == ERR_OK)
        code = file_forget(j, s->header.base, FILE_INDEX);
    if (code == ERR_OK && s->unnamed)
        code = file_forget(j, s->header.base, FILE_NEW);
    return code == ERR_OK ? dir_sync(j->options.dir) : code;
}

bool discard_step(struct journal *j, int64_t now_ms)
{
    journal_lock(j);
    struct segment *s = j->discard_ms <= now_ms ? j->discarded : NULL;
    if (s != NULL && s->anchor && j->count == 0 && j->prepared_count == 0)
        s = NULL;
    if (s != NULL)
        j->discarded = s->next;
    journal_unlock(j);
    if (s == NULL)
        return false;
    int code = discarded_remove(j, s);
    journal_lock(j);
    if (code == ERR_OK) {
        CHECK(j->bytes >= s->file_bytes);
        j->bytes -= s->file_bytes;
    } else {
        segment_discard(j, s);
        j->discard_ms = now_ms + j->options.retry_ms;
    }
    journal_unlock(j);
    if (code == ERR_OK)
        segment_free(&s);
    return code == ERR_OK;
}

/* A few are kept to be used again, which is cheaper than making new ones. */
bool retire_step(struct journal *j)
{
    int64_t now = clock_wall_us();
    journal_lock(j);
    struct segment *oldest = retain_candidate(j, now, false);
    bool useless = oldest != NULL && !segment_reusable(j, oldest);
    bool retire = useless || (oldest != NULL && retain_overdue(j, now) > SPARE_KEEP);
    if (retire) {
        table_remove(j, oldest);
        segment_discard(j, oldest);
    }
    journal_unlock(j);
    return retire;
}

/* Finding records: by batch id (a position), by uuid, by idempotency key.
 *
 * By id needs no index: the position says the segment and the place in it. The others ask segment by segment, newest
 * first: memory for the head, the filter and the sorted file for the rest, the segment itself when those are lost. Any
 * thread; the lock is never held while a file is read. */
#include "base/hash.h"
#include "base/sys.h"
#include "journal/files.h"
#include "journal/state.h"

#include <errno.h>
#include <fcntl.h>

/* --- holding --- */

int journal_hold(struct journal *j, uint64_t base, int *fd, struct err *e)
{
    char path[PATH_MAX];
    journal_lock(j);
    struct segment *s = table_find(j, base);
    if (s != NULL)
        s->holds++;
    journal_unlock(j);
    if (s == NULL)
        return err_set(e, ERR_NOTFOUND, "there is no segment %016llx any more", (unsigned long long)base);
    int code = file_path(j->options.dir, base, FILE_SEGMENT, path);
    int opened = code == ERR_OK ? file_open(path, O_RDONLY) : -1;
    if (opened >= 0) {
        *fd = opened;
        return ERR_OK;
    }
    if (code == ERR_OK)
        code = err_errno(e, errno, "%s", path);
    journal_unhold(j, base);
    return code;
}

/* --- by position --- */

/* Under the lock: 0, ERR_GONE, or ERR_NOTFOUND. */
static int position_find(struct journal *j, uint64_t position, struct segment **out)
{
    struct segment *found = NULL;
    for (uint32_t lo = 0, hi = j->count; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (j->table[mid]->header.base <= position) {
            found = j->table[mid];
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (found == NULL)
        return j->count > 0 || position < j->mark.position ? ERR_GONE : ERR_NOTFOUND;
    if (position < segment_first(found) || position >= found->end)
        return ERR_NOTFOUND;
    *out = found;
    return ERR_OK;
}

static int position_hold(struct journal *j, uint64_t position, const struct epoch *epoch, struct journal_segment *about,
                         int *fd)
{
    struct segment *s = NULL;
    journal_lock(j);
    int code = position_find(j, position, &s);
    if (code == ERR_OK && epoch != NULL && memcmp(epoch->bytes, s->header.epoch.bytes, EPOCH_BYTES) != 0)
        code = ERR_NOTFOUND;
    if (code == ERR_OK)
        segment_describe(s, about);
    journal_unlock(j);
    if (code != ERR_OK)
        return code;
    code = journal_hold(j, about->base, fd, NULL);
    return code == ERR_NOTFOUND ? ERR_GONE : code;
}

int journal_find_batch(struct journal *j, const struct epoch *epoch, uint64_t position, struct journal_segment *segment)
{
    struct journal_segment about;
    struct record record;
    struct reader reader;
    int fd, code = position_hold(j, position, epoch, &about, &fd);
    if (code != ERR_OK)
        return code;
    reader_init(&reader, fd, about.base, about.salt);
    code = reader_at(&reader, position, about.end, &record);
    reader_fini(&reader);
    sys->close(fd);
    journal_unhold(j, about.base);
    if (code == ERR_OK)
        *segment = about;
    return code;
}

int journal_read(struct journal *j, uint64_t position, struct buf *copy, struct record *out)
{
    struct journal_segment about;
    struct record record;
    struct reader reader;
    int fd, code = position_hold(j, position, NULL, &about, &fd);
    if (code != ERR_OK)
        return code;
    reader_init(&reader, fd, about.base, about.salt);
    code = reader_at(&reader, position, about.end, &record);
    buf_clear(copy);
    if (code == ERR_OK)
        code = buf_add(copy, reader.bytes + (position - reader.window), record.length);
    reader_fini(&reader);
    sys->close(fd);
    journal_unhold(j, about.base);
    return code == ERR_OK ? record_parse(buf_slice(copy), position, out) : code;
}

/* --- by hash --- */

struct search {
    struct journal *j;
    enum index_kind kind;
    uint64_t hash, before;
    uint64_t *positions;
    uint32_t max, count;
};

/* Where the answer for one segment is. */
enum source { SOURCE_DONE, SOURCE_FILE, SOURCE_LOST };

/* Under the lock. */
static enum source search_memory(struct search *q, struct segment *s)
{
    if (segment_first(s) >= q->before)
        return SOURCE_DONE;
    if (s->memory != NULL && s->memory->complete) {
        const struct index_list *list = q->kind == INDEX_UUIDS ? &s->memory->uuids : &s->memory->keys;
        q->count += index_find(list, q->hash, s->header.base, q->before, q->positions + q->count, q->max - q->count);
        return SOURCE_DONE;
    }
    if (!s->indexed)
        return SOURCE_LOST;
    return q->kind == INDEX_KEYS && !filter_has(&s->filter, q->hash) ? SOURCE_DONE : SOURCE_FILE;
}

static int search_file(struct search *q, const struct index_place *about)
{
    char path[PATH_MAX];
    struct index_place place = *about;
    uint32_t found = 0;
    int code = index_path(q->j, place.base, path);
    place.path = path;
    if (code == ERR_OK)
        code = index_lookup(&place, q->kind, q->hash, q->before, q->positions + q->count, q->max - q->count, &found);
    if (code == ERR_OK)
        q->count += found;
    return code;
}

/* The newest segment below *below, which moves to it unless it must be asked again. */
static int search_step(struct search *q, uint64_t *below, bool *rebuilt, bool *done)
{
    struct index_place place = {.path = NULL};
    enum source from = SOURCE_DONE;
    journal_lock(q->j);
    struct segment *s = table_below(q->j, *below);
    if (s != NULL) {
        place = (struct index_place){.base = s->header.base, .salt = s->header.salt, .end = s->end};
        from = search_memory(q, s);
        s->holds += from == SOURCE_FILE;
    }
    journal_unlock(q->j);
    *done = s == NULL;
    if (from == SOURCE_FILE) {
        if (search_file(q, &place) != ERR_OK)
            from = SOURCE_LOST;
        journal_unhold(q->j, place.base);
    }
    if (from != SOURCE_LOST) {
        *below = place.base;
        *rebuilt = false;
        return ERR_OK;
    }
    if (*rebuilt)
        return ERR_IO;
    *rebuilt = true;
    index_distrust(q->j, place.base);
    int code = index_build(q->j, place.base);
    return code == ERR_NOTFOUND ? ERR_OK : code; /* it went just now */
}

static int search_run(struct search *q)
{
    uint64_t below = UINT64_MAX;
    bool rebuilt = false, done = false;
    int code = ERR_OK;
    while (code == ERR_OK && !done && q->count < q->max)
        code = search_step(q, &below, &rebuilt, &done);
    return code;
}

int journal_find_uuid(struct journal *j, struct slice uuid, uint64_t before, uint64_t *positions, uint32_t max,
                      uint32_t *count)
{
    struct search q = {
        .j = j, .kind = INDEX_UUIDS, .hash = hash_bytes(uuid), .before = before, .positions = positions, .max = max};
    int code = search_run(&q);
    if (code == ERR_OK)
        *count = q.count;
    return code;
}

int journal_find_key(struct journal *j, uint64_t key_hash, uint64_t *position)
{
    uint64_t found;
    struct search q = {
        .j = j, .kind = INDEX_KEYS, .hash = key_hash, .before = UINT64_MAX, .positions = &found, .max = 1};
    int code = search_run(&q);
    if (code == ERR_OK && q.count == 0)
        code = ERR_NOTFOUND;
    if (code == ERR_OK)
        *position = found;
    return code;
}

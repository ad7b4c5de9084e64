/* Indexes of sealed segments: writing them from memory, building lost ones from the segment itself.
 *
 * Writing is the helper's; building may also happen on the thread of a lookup that needs it at once. After a crash at
 * any point an index file is whole or absent, and an absent one is built again. */
#include "base/sys.h"
#include "journal/files.h"
#include "journal/scan.h"
#include "journal/state.h"

enum { RETRY_MS = 10000 };

int index_path(const struct journal *j, uint64_t base, char *out)
{
    return file_path(j->options.dir, base, FILE_INDEX, out);
}

/* --- building --- */

struct build {
    struct journal *j;
    struct index *index;
    uint64_t base;
};

static int build_record(void *arg, const struct record *r)
{
    struct build *b = arg;
    index_add_record(b->index, b->base, r);
    return b->index->complete ? ERR_OK : ERR_NOMEM;
}

static int build_damage(void *arg, struct read_damage damage)
{
    struct build *b = arg;
    journal_report_damage(b->j, damage);
    return ERR_OK;
}

static int build_scan(struct journal *j, const struct journal_segment *s, struct index *index)
{
    int fd, code = journal_hold(j, s->base, &fd, NULL);
    if (code != ERR_OK)
        return code;
    struct build build = {.j = j, .index = index, .base = s->base};
    struct scan_visitor visitor = {.record = build_record, .damage = build_damage, .arg = &build};
    struct scan_result result;
    struct reader reader;
    reader_init(&reader, fd, s->base, s->salt);
    code = scan_segment(&reader, s->end, true, s->first_row, &visitor, &result);
    reader_fini(&reader);
    sys->close(fd);
    journal_unhold(j, s->base);
    return code;
}

int index_build(struct journal *j, uint64_t base)
{
    struct journal_segment about;
    journal_lock(j);
    struct segment *s = table_find(j, base);
    bool lost = s != NULL && s->sealed_us != 0;
    if (lost)
        segment_describe(s, &about);
    journal_unlock(j);
    if (!lost)
        return s == NULL ? ERR_NOTFOUND : ERR_NOMEM; /* the head's own index gave up */
    struct index *index = index_new();
    if (index == NULL)
        return ERR_NOMEM;
    int code = build_scan(j, &about, index);
    journal_lock(j);
    s = table_find(j, base);
    if (code == ERR_OK && s != NULL && !s->indexed && (s->memory == NULL || !s->memory->complete)) {
        struct index *before = s->memory;
        s->memory = index;
        index = before;
    }
    journal_unlock(j);
    index_free(&index);
    return code;
}

void index_distrust(struct journal *j, uint64_t base)
{
    journal_lock(j);
    struct segment *s = table_find(j, base);
    if (s != NULL)
        s->indexed = false;
    helper_call(j);
    journal_unlock(j);
}

/* --- writing --- */

/* The newest one first: it is the most asked for. Only the helper removes segments, so the pointer stays good. */
static struct segment *pending_find(struct journal *j)
{
    for (uint32_t i = j->count; i > 0; i--)
        if (j->table[i - 1]->sealed_us != 0 && !j->table[i - 1]->indexed)
            return j->table[i - 1];
    return NULL;
}

static int pending_write(struct journal *j, struct segment *s)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    struct index_filter filter = {NULL, 0};
    int code = index_path(j, s->header.base, path);
    if (code == ERR_OK)
        code = path_join(j->options.dir, "index.tmp", temporary);
    if (code != ERR_OK)
        return code;
    struct index_place place = {.path = path, .base = s->header.base, .salt = s->header.salt, .end = s->end};
    code = index_write(&place, temporary, s->memory, &filter);
    if (code != ERR_OK)
        return code;
    journal_lock(j);
    clients_table_fini(&s->clients);
    s->clients = s->memory->sets.clients; /* it stays in memory */
    s->memory->sets.clients = (struct index_clients){.all = NULL};
    index_free(&s->memory);
    filter_free(&s->filter);
    s->filter = filter;
    s->indexed = true;
    journal_unlock(j);
    return ERR_OK;
}

bool index_step(struct journal *j, int64_t now_ms)
{
    journal_lock(j);
    struct segment *s = j->index_ms <= now_ms ? pending_find(j) : NULL;
    bool whole = s != NULL && s->memory != NULL && s->memory->complete;
    journal_unlock(j);
    if (s == NULL)
        return false;
    int code = whole ? ERR_OK : index_build(j, s->header.base);
    if (code == ERR_OK)
        code = pending_write(j, s);
    if (code != ERR_OK)
        j->index_ms = now_ms + RETRY_MS;
    return code == ERR_OK;
}

/* Reading aside files back at start, from the medium: a copy that is only in the page cache must not take the place of
 * the one it was made of. A torn end is left out (the next append cuts it off), damage in the middle is stepped over
 * and counted. What a newer headgate wrote is refused: it must not be overwritten. */
#include "delivery/internal.h"

#include "base/sys.h"
#include "journal/reader.h"
#include "journal/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int load_row(struct aside *a, uint32_t file, const struct record *r, const struct aside_mark *m)
{
    struct slice id, set;
    struct aside_entry entry = {.file = file,
                                .rows = 1,
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
    if (context_get(r->context, CONTEXT_ASIDE_SET, &set)) {
        entry.place.row = PLACE_SET;
        entry.rows = r->rows;
    }
    int code = aside_reserve(a, 1);
    if (code != ERR_OK)
        return code;
    aside_put(a, &entry);
    return ERR_OK;
}

static void load_change(struct aside *a, const struct aside_mark *m)
{
    struct aside_entry *entry = aside_at(a, m->file, m->offset);
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
    if (!aside_mark_get(r->context, &mark))
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
    bool direct;
    int fd = medium_open(path, &direct);
    if (fd < 0)
        return err_from_errno(errno);
    struct stat st;
    int code = sys->fstat(fd, &st) == 0 && sys->fdatasync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    struct reader reader;
    reader_init(&reader, fd, 0, 0);
    uint64_t end = code == ERR_OK ? (uint64_t)st.st_size : 0, at = SEGMENT_HEADER, valid = SEGMENT_HEADER;
    while (code == ERR_OK && at + RECORD_HEADER <= end) {
        struct record r;
        code = reader_at(&reader, at, end, &r);
        if (code == ERR_DAMAGED || code == ERR_NOTFOUND) {
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

struct listing {
    uint32_t *numbers;
    size_t count;
};

static int list_name(void *arg, const char *name)
{
    struct listing *l = arg;
    char *end;
    unsigned long number = strtoul(name, &end, 16);
    if (*end != '\0' || end - name != 8 || number == 0)
        return ERR_OK;
    uint32_t *grown = realloc(l->numbers, (l->count + 1) * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    l->numbers = grown;
    grown[l->count++] = (uint32_t)number;
    return ERR_OK;
}

static int list_files(const char *dir, struct listing *out)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/aside", dir);
    int code = sys->list(path, list_name, out);
    if (code < 0 && errno != ENOENT)
        return err_from_errno(errno);
    if (out->count > 1)
        qsort(out->numbers, out->count, sizeof *out->numbers, number_cmp);
    return code < 0 ? ERR_OK : code;
}

static int id_cmp(const void *x, const void *y)
{
    const struct aside_entry *a = *(struct aside_entry *const *)x, *b = *(struct aside_entry *const *)y;
    int order = memcmp(&a->epoch, &b->epoch, sizeof a->epoch);
    if (order == 0)
        order = place_cmp(a->place, b->place);
    return order != 0 ? order : a < b ? -1 : a > b;
}

/* A crash while a set became dead letters leaves it and some of those: the set counts, and is judged again. `ids` are
 * sorted, so its rows stand before it. */
static void drop_rows_of_sets(struct aside *a, struct aside_entry **ids, size_t count)
{
    for (size_t i = count; i-- > 1;) {
        const struct aside_entry *set = ids[i];
        for (size_t k = i; set->place.row == PLACE_SET && set->state != ASIDE_GONE && k-- > 0;) {
            if (ids[k]->place.position != set->place.position ||
                memcmp(&ids[k]->epoch, &set->epoch, sizeof set->epoch) != 0)
                break;
            if (ids[k]->state != ASIDE_GONE)
                aside_move(a, ids[k], ASIDE_GONE, ids[k]->since_us);
        }
    }
}

/* A crash while rows were being moved leaves them twice: the later copy counts. */
static int drop_doubles(struct aside *a)
{
    size_t living = 0;
    struct aside_entry **ids = calloc(a->count + 1, sizeof *ids);
    if (ids == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < a->count; i++)
        if (a->entries[i].state != ASIDE_GONE)
            ids[living++] = &a->entries[i];
    qsort(ids, living, sizeof *ids, id_cmp);
    for (size_t i = 1; i < living; i++)
        if (memcmp(&ids[i - 1]->epoch, &ids[i]->epoch, sizeof ids[i]->epoch) == 0 &&
            place_cmp(ids[i - 1]->place, ids[i]->place) == 0)
            aside_move(a, ids[i - 1], ASIDE_GONE, ids[i - 1]->since_us);
    drop_rows_of_sets(a, ids, living);
    free(ids);
    return ERR_OK;
}

int aside_open(struct aside *a, const char *dir, uint32_t *damaged, struct err *e)
{
    *a = (struct aside){.dir = strdup(dir)};
    *damaged = 0;
    struct listing files = {.numbers = NULL};
    int code = a->dir == NULL ? ERR_NOMEM : list_files(dir, &files);
    a->oldest = files.count > 0 ? files.numbers[0] : 0;
    for (size_t i = 0; code == ERR_OK && i < files.count; i++)
        code = load_file(a, files.numbers[i], damaged);
    if (code == ERR_OK)
        code = drop_doubles(a);
    free(files.numbers);
    if (code != ERR_OK) {
        err_set(e, code, "cannot read %s/aside: %s", dir, err_text(code));
        aside_close(a);
        return code;
    }
    aside_sweep(a);
    return ERR_OK;
}

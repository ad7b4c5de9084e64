/* Finding row sets by whose they are and when they came: a page of them, newest first; and all of clients from a place
 * on, for a start that counts what is not delivered.
 *
 * Segment by segment, as lookup.c does. Each knows from when its row sets are and of which clients, so most are passed
 * by without a look. What is looked at is bounded by the caller. Any thread; the lock is never held while a file is
 * read. */
#include "base/sys.h"
#include "journal/files.h"
#include "journal/state.h"

struct page {
    struct journal *j;
    const struct journal_sets *what;
    uint64_t before;
    uint32_t look, max, count;
    uint64_t *positions;
};

/* One segment's list, wherever it is. */
struct list {
    uint64_t base;
    const struct index_sets *memory; /* under the lock; NULL: `file` */
    struct sets_file *file;
    uint32_t wanted; /* the client's number, or CLIENT_OTHERS */
};

enum where { WHERE_PAST, WHERE_MEMORY, WHERE_FILE, WHERE_LOST };

static uint64_t position_of(uint64_t base, const struct index_set *set)
{
    return base + (uint64_t)set->place * RECORD_ALIGN;
}

/* Offsets are rounded up: what stands at `position` itself is not before it. */
static uint64_t place_of(uint64_t base, uint64_t position)
{
    uint64_t past = position <= base ? 0 : position - base;
    return past / RECORD_ALIGN + (past % RECORD_ALIGN != 0);
}

static bool fits(const struct journal_sets *what, const struct list *l, const struct index_set *set)
{
    return set->received_us >= what->from_us && set->received_us < what->to_us &&
           (what->client.ptr == NULL || set->client == l->wanted || set->client == CLIENT_OTHERS);
}

static int list_get(const struct list *l, uint32_t number, struct index_set *out)
{
    if (l->memory == NULL)
        return sets_file_get(l->file, number, out);
    *out = l->memory->entries[number];
    return ERR_OK;
}

static int list_bound(const struct list *l, uint64_t place, uint32_t *out)
{
    if (l->memory == NULL)
        return sets_file_bound(l->file, place, out);
    *out = sets_bound(l->memory, place);
    return ERR_OK;
}

/* `before` moves to the last one looked at. */
static int list_page(struct page *p, const struct list *l)
{
    uint32_t at = 0;
    int code = list_bound(l, place_of(l->base, p->before), &at);
    for (; code == ERR_OK && at > 0 && p->count < p->max && p->look > 0; p->look--) {
        struct index_set set;
        code = list_get(l, --at, &set);
        if (code != ERR_OK)
            break;
        p->before = position_of(l->base, &set);
        if (fits(p->what, l, &set))
            p->positions[p->count++] = p->before;
    }
    if (code == ERR_OK && at == 0)
        p->before = l->base;
    return code;
}

static uint32_t wanted_number(const struct index_clients *c, struct slice client)
{
    return client.ptr == NULL ? CLIENT_OTHERS : clients_table_find(c, client);
}

static int file_open_sets(const struct journal *j, const struct index_place *about, struct sets_file *file)
{
    char path[PATH_MAX];
    struct index_place place = *about;
    int code = index_path(j, place.base, path);
    place.path = path;
    return code == ERR_OK ? index_open_sets(&place, file) : code;
}

static int page_file(struct page *p, const struct index_place *about, uint32_t wanted)
{
    struct sets_file file;
    const struct list list = {.base = about->base, .file = &file, .wanted = wanted};
    int code = file_open_sets(p->j, about, &file);
    if (code != ERR_OK)
        return code;
    code = list_page(p, &list);
    sys->close(file.fd);
    return code;
}

/* Under the lock. */
static enum where page_memory(struct page *p, const struct segment *s, uint32_t *wanted)
{
    const struct index_clients *c = segment_clients(s);
    if (c == NULL)
        return WHERE_LOST;
    if (!clients_table_holds(c, p->what->client, p->what->from_us, p->what->to_us)) {
        p->before = s->header.base;
        return WHERE_PAST;
    }
    *wanted = wanted_number(c, p->what->client);
    if (s->indexed)
        return WHERE_FILE;
    const struct list list = {.base = s->header.base, .memory = &s->memory->sets, .wanted = *wanted};
    (void)!list_page(p, &list); /* memory does not fail */
    return WHERE_MEMORY;
}

/* The newest segment with something before p->before. */
static int page_step(struct page *p, bool *rebuilt)
{
    struct index_place place = {.path = NULL};
    enum where where = WHERE_PAST;
    uint32_t wanted = CLIENT_OTHERS;
    journal_lock(p->j);
    struct segment *s = table_below(p->j, p->before);
    if (s == NULL) {
        p->before = 0;
    } else {
        place = (struct index_place){.base = s->header.base, .salt = s->header.salt, .end = s->end};
        where = page_memory(p, s, &wanted);
        s->holds += where == WHERE_FILE;
    }
    journal_unlock(p->j);
    if (where == WHERE_FILE) {
        if (page_file(p, &place, wanted) != ERR_OK)
            where = WHERE_LOST;
        journal_unhold(p->j, place.base);
    }
    if (where != WHERE_LOST) {
        *rebuilt = false;
        return ERR_OK;
    }
    if (*rebuilt)
        return ERR_IO;
    *rebuilt = true;
    index_distrust(p->j, place.base);
    int code = index_build(p->j, place.base);
    return code == ERR_NOTFOUND ? ERR_OK : code; /* it went just now */
}

int journal_find_sets(struct journal *j, const struct journal_sets *what, uint64_t *before, uint32_t look,
                      uint64_t *positions, uint32_t max, uint32_t *count)
{
    struct page p = {.j = j, .what = what, .before = *before, .look = look, .max = max, .positions = positions};
    bool rebuilt = false;
    int code = ERR_OK;
    while (code == ERR_OK && p.before > 0 && p.count < max && p.look > 0)
        code = page_step(&p, &rebuilt);
    if (code == ERR_OK) {
        *before = p.before;
        *count = p.count;
    }
    return code;
}

/* --- all of clients --- */

typedef void each_set(void *arg, struct slice client, uint64_t position, uint32_t bytes);

static bool any_client(const struct index_clients *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->all[i].sets > 0 && (i == CLIENT_OTHERS || c->all[i].name[0] != '\0'))
            return true;
    return false;
}

/* `*from` moves behind what was handed on, so that nothing is handed on twice. */
static int list_each(const struct list *l, const struct index_clients *c, uint32_t count, uint64_t *from,
                     each_set *each, void *arg)
{
    uint32_t at = 0;
    int code = list_bound(l, place_of(l->base, *from), &at);
    for (; code == ERR_OK && at < count; at++) {
        struct index_set set;
        code = list_get(l, at, &set);
        if (code != ERR_OK)
            break;
        *from = position_of(l->base, &set) + 1;
        if (set.client == CLIENT_OTHERS || c->all[set.client].name[0] != '\0')
            each(arg, slice_of(set.client == CLIENT_OTHERS ? "" : c->all[set.client].name), *from - 1, set.length);
    }
    return code;
}

/* Under the lock. Anything but ERR_OK: its index must be built first. */
static int segment_each(const struct journal *j, const struct segment *s, uint64_t *from, each_set *each, void *arg)
{
    const struct index_clients *c = segment_clients(s);
    if (c == NULL)
        return ERR_DAMAGED;
    if (!any_client(c))
        return ERR_OK;
    if (!s->indexed) {
        const struct list list = {.base = s->header.base, .memory = &s->memory->sets};
        return list_each(&list, c, s->memory->sets.count, from, each, arg);
    }
    struct sets_file file;
    const struct list list = {.base = s->header.base, .file = &file};
    const struct index_place place = {.base = s->header.base, .salt = s->header.salt, .end = s->end};
    int code = file_open_sets(j, &place, &file);
    if (code == ERR_OK) {
        code = list_each(&list, c, file.count, from, each, arg);
        sys->close(file.fd);
    }
    return code;
}

static struct segment *table_beyond(const struct journal *j, uint64_t position)
{
    for (uint32_t i = 0; i < j->count; i++)
        if (j->table[i]->end > position)
            return j->table[i];
    return NULL;
}

int journal_each_set(struct journal *j, uint64_t position, each_set *each, void *arg)
{
    bool rebuilt = false;
    int code = ERR_OK;
    while (code == ERR_OK) {
        journal_lock(j);
        const struct segment *s = table_beyond(j, position);
        uint64_t base = s == NULL ? 0 : s->header.base, end = s == NULL ? 0 : s->end;
        int found = s == NULL ? ERR_NOTFOUND : segment_each(j, s, &position, each, arg);
        journal_unlock(j);
        if (s == NULL)
            break;
        if (found == ERR_OK) {
            position = end;
            rebuilt = false;
            continue;
        }
        if (rebuilt)
            return ERR_IO;
        rebuilt = true;
        index_distrust(j, base);
        code = index_build(j, base);
        if (code == ERR_NOTFOUND)
            code = ERR_OK; /* it went just now */
    }
    return code;
}

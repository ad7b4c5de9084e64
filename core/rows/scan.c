/* A scan: its life, its bodies, its results.
 *
 * A body is one document, or with rules.ndjson one a line. A line's text ends at its line feed, so a fault in one
 * cannot spill into the next. While scanning, results are held by number, because arrays move when they grow; once all
 * is read and good they become pointers. Memory stays for the next body; scan_trim gives it back.
 *
 * Any one thread at a time; nothing is shared between scans. */
#include "rows/state.h"

#include "base/sys.h"

#include <stdlib.h>

enum { SCAN_MAGIC = 0x5ca9d0c5 };

static void seed_draw(uint64_t seed[2])
{
    if (sys->random(seed, 2 * sizeof(*seed)) == (ssize_t)(2 * sizeof(*seed)))
        return;
    /* Worse, but a client still cannot know it. */
    seed[0] = (uint64_t)clock_ns() * UINT64_C(0x9E3779B97F4A7C15);
    seed[1] = (uint64_t)(uintptr_t)seed ^ seed[0] >> 7;
}

struct scan *scan_new(void)
{
    struct scan *s = realloc(NULL, sizeof(*s));
    if (s == NULL)
        return NULL;
    memset(s, 0, sizeof(*s));
    s->magic = SCAN_MAGIC;
    uint64_t seed[2];
    seed_draw(seed);
    keys_init(&s->keys, seed[0], seed[1]);
    return s;
}

/* Everything that grows. */
#define SCAN_ARRAYS(X)                                                                                                 \
    X(frames, framed)                                                                                                  \
    X(deep, deepened) X(spans, spanned) X(tags, tagged) X(ignored, ignoring) X(found, founded) X(sets, setted)

static void scan_release(struct scan *s)
{
#define X(array, size)                                                                                                 \
    free(s->array);                                                                                                    \
    s->array = NULL;                                                                                                   \
    s->size = (struct grown){0};
    SCAN_ARRAYS(X)
#undef X
    keys_fini(&s->keys);
    arena_fini(&s->arena);
    s->fault_count = s->rows = 0;
    s->uuid = slice_make(NULL, 0);
}

void scan_free(struct scan **s)
{
    if (*s == NULL)
        return;
    CHECK_MAGIC(*s, SCAN_MAGIC);
    scan_release(*s);
    (*s)->magic = 0;
    free(*s);
    *s = NULL;
}

static size_t scan_memory(const struct scan *s)
{
    size_t total =
        s->arena.total + s->keys.listed.cap * sizeof(*s->keys.list) + s->keys.slotted.cap * sizeof(*s->keys.slots);
#define X(array, size) total += s->size.cap * sizeof(*s->array);
    SCAN_ARRAYS(X)
#undef X
    return total;
}

void scan_trim(struct scan *s, size_t keep)
{
    CHECK_MAGIC(s, SCAN_MAGIC);
    if (scan_memory(s) > keep)
        scan_release(s);
}

static void scan_begin(struct scan *s, const struct scan_rules *rules, struct slice body)
{
    s->stop = ERR_OK;
    s->nomem = s->stopped_once = false;
    s->rules = *rules;
    s->body = (const uint8_t *)body.ptr;
    s->fault_total = 0;
    s->fault_count = s->rows = 0;
    s->uuid = slice_make(NULL, 0);
#define X(array, size) s->size.count = 0;
    SCAN_ARRAYS(X)
#undef X
    arena_clear(&s->arena);
    s->shape.wait = 0;
    if (s->shape.any_keys != rules->any_keys)
        s->shape.count = 0;
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

static void scan_one(struct scan *s, const uint8_t *p, const uint8_t *end)
{
    s->stop = ERR_OK;
    s->end = end;
    s->framed.count = s->keys.listed.count = s->keys.slotted.count = 0;
    (void)document_scan(s, p);
}

static void scan_lines(struct scan *s, const uint8_t *p, const uint8_t *end)
{
    bool any = false;
    while (p < end && s->stop != ERR_LIMIT && !s->nomem) {
        const uint8_t *feed = memchr(p, '\n', (size_t)(end - p));
        const uint8_t *stop = feed == NULL ? end : feed;
        const uint8_t *first = space_skip(p, stop);
        if (first < stop)
            scan_one(s, first, stop);
        any |= first < stop;
        p = feed == NULL ? end : feed + 1;
    }
    if (!any)
        fault_add(s, FAULT_EMPTY, end, 0);
}

static void scan_document(struct scan *s, const uint8_t *p, const uint8_t *end)
{
    p = space_skip(p, end);
    if (p == end)
        fault_add(s, FAULT_EMPTY, end, 0);
    else
        scan_one(s, p, end);
}

/* The sets, now that nothing moves any more. */
static int sets_make(struct scan *s)
{
    uint32_t count = s->founded.count;
    if (grown_reserve(&s->setted, (void **)&s->sets, sizeof(*s->sets), count) != ERR_OK)
        return ERR_NOMEM;
    s->setted.count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct found_set *from = &s->found[i], *next = i + 1 < count ? from + 1 : NULL;
        s->sets[i] = (struct row_set){
            .document = from->document,
            .uuid = from->uuid,
            .spans = s->spans == NULL ? NULL : s->spans + from->span,
            .rows = (next == NULL ? s->spanned.count : next->span) - from->span,
            .tags = s->tags == NULL ? NULL : s->tags + from->tag,
            .tag_count = (next == NULL ? s->tagged.count : next->tag) - from->tag,
            .ignored = s->ignored == NULL ? NULL : s->ignored + from->ignored,
            .ignored_count = (next == NULL ? s->ignoring.count : next->ignored) - from->ignored,
        };
    }
    return ERR_OK;
}

static int scan_end(struct scan *s)
{
    if (!s->nomem && s->fault_count == 0)
        s->nomem = sets_make(s) != ERR_OK;
    if (s->nomem) {
        s->fault_count = 0;
        return ERR_NOMEM;
    }
    faults_finish(s);
    int code = s->fault_count == 0 ? ERR_OK : ERR_RANGE;
    for (uint32_t i = 0; i < s->fault_count && code != ERR_SYNTAX; i++)
        if (s->faults[i].kind != FAULT_SCHEMA)
            code = s->faults[i].kind == FAULT_SYNTAX ? ERR_SYNTAX : ERR_LIMIT;
    return code;
}

int scan_body(struct scan *s, const struct scan_rules *rules, struct slice body)
{
    CHECK_MAGIC(s, SCAN_MAGIC);
    if (body.ptr == NULL)
        body.ptr = "";
    scan_begin(s, rules, body);
    const uint8_t *end = s->body + body.len;
    if (body.len > UINT32_MAX)
        fault_add(s, FAULT_BODY_LIMIT, s->body, UINT32_MAX);
    else if (rules->ndjson)
        scan_lines(s, s->body, end);
    else
        scan_document(s, s->body, end);
    return scan_end(s);
}

/* --- results ------------------------------------------------------------------------------------------------------ */

const struct row_set *scan_sets(const struct scan *s, uint32_t *count)
{
    *count = s->setted.count;
    return s->sets;
}

const struct fault *scan_faults(const struct scan *s, uint32_t *count)
{
    *count = s->fault_count;
    return s->faults;
}

uint32_t scan_rows(const struct scan *s)
{
    return s->rows;
}

struct slice scan_uuid(const struct scan *s)
{
    return s->uuid;
}

/* Clients post row sets whose rows are numbered through: the number stands in the data, so that whatever arrives can be
 * told. A position, and an id, is never given twice: checked with every answer. */
#include "intake.h"

#include "base/hash.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct journal_entry entry;
    struct record_parts records[REQUEST_SETS];
    struct buf contexts[REQUEST_SETS];
    struct row_span *spans[REQUEST_SETS];
    char *data[REQUEST_SETS];
    uint64_t positions[REQUEST_SETS];
    uint32_t set[REQUEST_SETS];
    struct request *next;
};

struct sim_set sets[SETS_MAX];
uint32_t set_count;
uint64_t row_count;

static struct request *waiting;
static struct journal *journal;
static uint32_t life;
static uint64_t reached;  /* the end of whatever was acknowledged, or handed to a segment in this life */
static uint64_t promised; /* the end of what was acknowledged */
static uint32_t by_position[SETS_MAX], placed;

static void wake(void *arg)
{
    (void)arg;
}

static struct commit_queue queue = {.wake = wake};

const char *uuid_text(uint32_t uuid)
{
    static const char *const texts[UUIDS] = {"anna", "bert", "cleo", "dora", "emil", "finn"};
    return texts[uuid];
}

static void request_free(struct request *r)
{
    struct request **at = &waiting;
    while (*at != NULL && *at != r)
        at = &(*at)->next;
    if (*at == r)
        *at = r->next;
    for (uint32_t i = 0; i < r->entry.count; i++) {
        free(r->data[i]);
        free(r->spans[i]);
        buf_free(&r->contexts[i]);
    }
    free(r);
}

static uint64_t content_of(struct slice context, const void *spans, size_t len, struct slice data)
{
    uint64_t parts[3] = {hash_bytes(context), hash_bytes(slice_make(spans, len)), hash_bytes(data)};
    return hash_bytes(slice_make(parts, sizeof parts));
}

static void set_fill(struct request *r, uint32_t i, uint32_t uuid, uint32_t rows, uint32_t padding, const char *key)
{
    struct sim_set *s = &sets[set_count];
    *s = (struct sim_set){.first = row_count, .rows = rows, .uuid = uuid, .state = SET_QUEUED, .life = life};
    buf_init(&r->contexts[i], 4096);
    CHECK(context_add(&r->contexts[i], CONTEXT_UUID, slice_of(uuid_text(uuid))) == ERR_OK);
    if (key != NULL)
        CHECK(context_add(&r->contexts[i], CONTEXT_KEY, slice_of(key)) == ERR_OK &&
              context_add(&r->contexts[i], CONTEXT_PATH, slice_of("/v1/rows")) == ERR_OK);
    CHECK(context_finish(&r->contexts[i]) == ERR_OK);
    r->spans[i] = calloc(rows + 1, sizeof *r->spans[i]);
    r->data[i] = malloc((size_t)rows * (64 + padding) + 1);
    CHECK(r->spans[i] != NULL && r->data[i] != NULL);
    size_t at = 0;
    for (uint32_t row = 0; row < rows; row++) {
        int len = snprintf(r->data[i] + at, 64 + padding, "{\"n\":%" PRIu64 ",\"p\":\"%*s\"}", row_count + row,
                           (int)padding, "");
        r->spans[i][row] = (struct row_span){.offset = (uint32_t)at, .length = (uint32_t)len, .index = row};
        at += (size_t)len;
    }
    r->records[i] = (struct record_parts){.type = RECORD_ROWS,
                                          .rows = rows,
                                          .context = buf_slice(&r->contexts[i]),
                                          .spans = r->spans[i],
                                          .data = slice_make(r->data[i], at)};
    s->content = content_of(r->records[i].context, r->spans[i], rows * sizeof *r->spans[i], r->records[i].data);
    s->uuid_hash = hash_bytes(slice_of(uuid_text(uuid)));
    s->length = record_length(&r->records[i]);
    r->set[i] = set_count++;
    row_count += rows;
}

bool intake_post(uint32_t count, uint32_t most_rows, uint32_t padding)
{
    if (set_count + count > SETS_MAX)
        return false;
    struct request *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    char key[32];
    bool keyed = sim_chance(30);
    snprintf(key, sizeof key, "k%u", sim_below(20));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rows = sim_chance(3) ? 0 : 1 + sim_below(most_rows);
        set_fill(r, i, sim_below(UUIDS), rows, sim_below(padding + 1), keyed && i == 0 ? key : NULL);
    }
    r->entry =
        (struct journal_entry){.queue = &queue, .records = r->records, .count = count, .positions = r->positions};
    int code = journal_append(journal, &r->entry);
    for (uint32_t i = 0; i < count; i++) {
        sets[r->set[i]].key_hash = r->records[i].key_hash;
        if (code != ERR_OK)
            sets[r->set[i]].state = SET_REFUSED;
    }
    SIM_CHECK(code == ERR_OK || code == ERR_FULL || code == ERR_IO || code == ERR_LIMIT, "append: %s", err_text(code));
    if (code == ERR_OK) {
        r->next = waiting;
        waiting = r;
    } else {
        request_free(r);
    }
    return code == ERR_OK;
}

uint32_t intake_waiting(void)
{
    uint32_t n = 0;
    for (const struct request *r = waiting; r != NULL; r = r->next)
        n++;
    return n;
}

static void set_place(uint32_t index)
{
    uint32_t at = placed++;
    for (; at > 0 && sets[by_position[at - 1]].position > sets[index].position; at--)
        by_position[at] = by_position[at - 1];
    by_position[at] = index;
}

static void answered(struct request *r)
{
    const struct journal_entry *e = &r->entry;
    bool written = e->status == ERR_OK || (e->status == ERR_IO && r->positions[0] != 0);
    for (uint32_t i = 0; i < e->count; i++) {
        struct sim_set *s = &sets[r->set[i]];
        s->state = e->status == ERR_OK ? SET_ACKED : e->status == ERR_FULL ? SET_REFUSED : SET_UNKNOWN;
        sim_trace("set %u (rows %" PRIu64 "+%u, %s) at %" PRIu64 ": %s", r->set[i], s->first, s->rows,
                  uuid_text(s->uuid), r->positions[i], e->status == ERR_OK ? "acknowledged" : err_text(e->status));
        if (!written)
            continue;
        SIM_CHECK(r->positions[i] >= reached, "position %" PRIu64 " is given twice: %" PRIu64 " was reached",
                  r->positions[i], reached);
        s->position = r->positions[i];
        s->epoch = e->epoch;
        reached = s->position + s->length;
        if (e->status != ERR_OK)
            continue;
        promised = reached;
        set_place(r->set[i]);
    }
}

void intake_take(void)
{
    struct journal_entry *e = commit_take(&queue), *next;
    for (; e != NULL; e = next) {
        struct request *r = container_of(e, struct request, entry);
        next = e->next;
        SIM_CHECK(e->status == ERR_OK || e->status == ERR_IO || e->status == ERR_FULL, "commit: %s",
                  err_text(e->status));
        answered(r);
        request_free(r);
    }
}

void intake_open(struct journal *j, uint32_t number)
{
    journal = j;
    life = number;
    reached = promised; /* what nobody was told of may stand there again, under another epoch */
}

void intake_close(void)
{
    intake_take();
    while (waiting != NULL) {
        for (uint32_t i = 0; i < waiting->entry.count; i++)
            sets[waiting->set[i]].state = SET_UNKNOWN;
        request_free(waiting);
    }
}

void intake_weakened(void)
{
    for (uint32_t i = 0; i < set_count; i++)
        sets[i].state = sets[i].state == SET_ACKED ? SET_UNKNOWN : sets[i].state;
    promised = 0; /* the ids are others all the same: a new life draws a new epoch */
    placed = 0;
}

void intake_begin(void)
{
    set_count = placed = 0;
    row_count = reached = promised = 0;
    waiting = NULL;
    atomic_store(&queue.done, NULL);
}

void intake_end(void)
{
    intake_close();
}

struct sim_set *set_at(uint64_t position)
{
    for (uint32_t lo = 0, hi = placed; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct sim_set *s = &sets[by_position[mid]];
        if (s->position == position)
            return s;
        if (s->position < position)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

struct sim_set *set_of(uint64_t row)
{
    for (uint32_t lo = 0, hi = set_count; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct sim_set *s = &sets[mid];
        if (row >= s->first && row < s->first + s->rows)
            return s;
        if (s->first + s->rows <= row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

bool set_is(const struct sim_set *s, const struct record *r)
{
    return s->content == content_of(r->context, r->spans.ptr, r->spans.len, r->data);
}

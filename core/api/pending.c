/* The memory of requests under way, and what is kept of a scanned body.
 *
 * Requests come out of a free list with their arrays and buffers, so that in steady state nothing is allocated. The
 * body itself is never copied: records point into it, and http keeps it until the answer. Spans are, because the
 * scanner's memory serves the next request at once. What all this takes beyond a few KiB is paid for out of the budget
 * that the body came from: a body of a hundred thousand tiny documents costs more beside itself than it is long. */
#include "api/pending.h"

#include "base/hash.h"

#include <stdlib.h>

enum {
    SPARE_PENDING = 256,
    SPARE_BYTES = 32 * 1024, /* what one may hold on the free list */
    TEXT_MAX = 256 << 20,
    CHARGE_FROM = 16 * 1024,
    FIRST_RECORDS = 4,
    FIRST_SPANS = 256,
};

struct pending *pending_take(struct intake *i, struct http_request *r)
{
    struct pending *p = i->spare;
    if (p != NULL) {
        i->spare = p->next;
        i->spare_count--;
    } else {
        p = calloc(1, sizeof *p);
        if (p == NULL)
            return NULL;
        buf_init(&p->text, TEXT_MAX);
        buf_init(&p->receipts, TEXT_MAX);
    }
    p->next = NULL;
    p->intake = i;
    p->request = r;
    p->older = p->ndjson = p->keyed = p->entered = false;
    p->taken_bytes = 0;
    p->wait_s = p->waited = 0;
    i->busy++;
    return p;
}

static size_t bytes_held(const struct pending *p)
{
    return p->cap * (sizeof *p->records + sizeof *p->positions + sizeof *p->documents) +
           p->span_cap * sizeof *p->spans + p->text.cap + p->receipts.cap;
}

static void pending_free(struct pending *p)
{
    free(p->records);
    free(p->positions);
    free(p->documents);
    free(p->spans);
    buf_free(&p->text);
    buf_free(&p->receipts);
    free(p);
}

void pending_account(struct pending *p, bool stored)
{
    struct backlog *b = p->intake->options.backlog;
    const char *client = p->request->caller.client;
    for (uint32_t d = 0; b != NULL && stored && d < p->count; d++)
        backlog_store(b, client, p->positions[d], record_length(&p->records[d]));
    if (p->taken_bytes > 0)
        backlog_give(b, client, p->taken_bytes);
    p->taken_bytes = 0;
}

void pending_give(struct pending **at)
{
    struct pending *p = *at;
    struct intake *i = p->intake;
    *at = NULL;
    i->busy--;
    if (p->taken_bytes > 0)
        pending_account(p, false);
    if (i->spare_count >= SPARE_PENDING || bytes_held(p) > SPARE_BYTES) {
        pending_free(p);
        return;
    }
    buf_clear(&p->text);
    buf_clear(&p->receipts);
    p->request = NULL;
    p->next = i->spare;
    i->spare = p;
    i->spare_count++;
}

void pendings_free(struct intake *i)
{
    while (i->spare != NULL) {
        struct pending *p = i->spare;
        i->spare = p->next;
        pending_free(p);
    }
}

/* --- taking over a scan --- */

static bool records_room(struct pending *p, uint32_t count)
{
    if (count <= p->cap)
        return true;
    uint32_t cap = count < FIRST_RECORDS ? FIRST_RECORDS : count;
    struct record_parts *records = malloc(cap * sizeof *records);
    uint64_t *positions = malloc(cap * sizeof *positions);
    struct document *documents = malloc(cap * sizeof *documents);
    if (records == NULL || positions == NULL || documents == NULL) {
        free(records);
        free(positions);
        free(documents);
        return false;
    }
    free(p->records);
    free(p->positions);
    free(p->documents);
    p->records = records;
    p->positions = positions;
    p->documents = documents;
    p->cap = cap;
    return true;
}

static bool spans_room(struct pending *p, uint32_t count)
{
    if (count <= p->span_cap)
        return true;
    uint32_t cap = count < FIRST_SPANS ? FIRST_SPANS : count;
    struct row_span *spans = malloc(cap * sizeof *spans);
    if (spans == NULL)
        return false;
    free(p->spans);
    p->spans = spans;
    p->span_cap = cap;
    return true;
}

static int add_key(struct pending *p)
{
    uint32_t documents = p->count;
    unsigned char count[4] = {(unsigned char)documents, (unsigned char)(documents >> 8),
                              (unsigned char)(documents >> 16), (unsigned char)(documents >> 24)};
    int code = context_add(&p->text, CONTEXT_KEY, p->key.key);
    if (code == ERR_OK)
        code = context_add(&p->text, CONTEXT_DIGEST, slice_make(p->key.digest, KEY_DIGEST));
    if (code == ERR_OK)
        code = context_add(&p->text, CONTEXT_DOCUMENTS, slice_make(count, sizeof count));
    return code != ERR_OK ? code : context_add(&p->text, CONTEXT_PATH, p->key.path);
}

static int add_context(struct pending *p, const struct row_set *set, bool first)
{
    struct slice trace;
    const char *client = p->request->caller.client;
    int code = context_add(&p->text, CONTEXT_UUID, set->uuid);
    if (code == ERR_OK && client[0] != '\0')
        code = context_add(&p->text, CONTEXT_CLIENT, slice_of(client));
    for (uint32_t t = 0; code == ERR_OK && t < set->tag_count; t++)
        code = context_add_tag(&p->text, set->tags[t].name, set->tags[t].value);
    if (code == ERR_OK && traceparent_of(p->request, &trace))
        code = context_add(&p->text, CONTEXT_TRACEPARENT, trace);
    if (code == ERR_OK && first && p->keyed)
        code = add_key(p);
    return code != ERR_OK ? code : context_finish(&p->text);
}

static int add_ignored(struct pending *p, const struct row_set *set)
{
    int code = ERR_OK;
    for (uint32_t k = 0; code == ERR_OK && k < set->ignored_count; k++) {
        code = buf_addc(&p->text, k == 0 ? '[' : ',');
        if (code == ERR_OK)
            code = buf_add_json(&p->text, set->ignored[k]);
    }
    return code == ERR_OK && set->ignored_count > 0 ? buf_addc(&p->text, ']') : code;
}

/* Contexts stand first in `text`, all of them, because each must begin at a multiple of 8. */
static int contexts_build(struct pending *p, const struct row_set *sets)
{
    int code = ERR_OK;
    for (uint32_t d = 0; code == ERR_OK && d < p->count; d++) {
        p->documents[d] = (struct document){.rows = sets[d].rows, .context = (uint32_t)p->text.len};
        code = add_context(p, &sets[d], d == 0);
        p->documents[d].context_len = (uint32_t)p->text.len - p->documents[d].context;
    }
    return code;
}

static int answers_build(struct pending *p, const struct row_set *sets)
{
    int code = ERR_OK;
    for (uint32_t d = 0; code == ERR_OK && d < p->count && !p->older; d++) {
        struct document *document = &p->documents[d];
        document->uuid_hash = hash_bytes(sets[d].uuid);
        document->uuid = (uint32_t)p->text.len;
        code = buf_add_json(&p->text, sets[d].uuid);
        document->uuid_len = (uint32_t)p->text.len - document->uuid;
        document->ignored = (uint32_t)p->text.len;
        if (code == ERR_OK)
            code = add_ignored(p, &sets[d]);
        document->ignored_len = (uint32_t)p->text.len - document->ignored;
    }
    return code;
}

static void records_build(struct pending *p, const struct row_set *sets)
{
    struct row_span *spans = p->spans;
    for (uint32_t d = 0; d < p->count; d++) {
        if (sets[d].rows > 0)
            memcpy(spans, sets[d].spans, sets[d].rows * sizeof *spans);
        p->records[d] = (struct record_parts){
            .type = RECORD_ROWS,
            .rows = sets[d].rows,
            .context = slice_make(p->text.ptr + p->documents[d].context, p->documents[d].context_len),
            .spans = spans,
            .data = sets[d].document,
        };
        spans += sets[d].rows;
    }
}

int pending_build(struct pending *p, const struct row_set *sets, uint32_t count)
{
    uint32_t rows = 0;
    for (uint32_t d = 0; d < count; d++)
        rows += sets[d].rows;
    p->count = count;
    if (!records_room(p, count) || !spans_room(p, rows))
        return ERR_NOMEM;
    int code = contexts_build(p, sets);
    if (code == ERR_OK)
        code = answers_build(p, sets);
    if (code != ERR_OK)
        return code;
    records_build(p, sets);
    p->span_count = rows;
    size_t held = bytes_held(p);
    return held <= CHARGE_FROM || http_charge(p->request, held) ? ERR_OK : ERR_FULL;
}

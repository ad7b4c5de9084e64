/* A batch becomes row sets when it is emitted: many data objects share one, so that they cost the journal one record.
 * When the host refuses it, the fault's set and pointer lead back to the item it is about. */
#include "common/rowbatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t text_max = (size_t)256 << 20;

int rowbatch_init(struct rowbatch *b)
{
    strbuf_init(&b->text, text_max);
    b->count = 0;
    b->limit = ROWBATCH_ROWS;
    b->items = calloc(ROWBATCH_ROWS, sizeof(*b->items));
    return b->items ? 0 : -1;
}

void rowbatch_fini(struct rowbatch *b)
{
    strbuf_fini(&b->text);
    free(b->items);
    b->items = NULL;
}

void rowbatch_clear(struct rowbatch *b)
{
    strbuf_clear(&b->text);
    b->count = 0;
}

int rowbatch_shrink(struct rowbatch *b)
{
    if (b->count <= 1)
        return 0;
    b->limit = b->count / 2;
    return 1;
}

void rowbatch_grow(struct rowbatch *b)
{
    b->limit = b->limit * 2 < ROWBATCH_ROWS ? b->limit * 2 : ROWBATCH_ROWS;
}

int rowbatch_full(const struct rowbatch *b)
{
    return b->count >= b->limit || b->text.len >= ROWBATCH_BYTES;
}

int rowbatch_add_data(struct rowbatch *b, const char *ptr, size_t len, uint64_t line, int64_t index)
{
    size_t at = b->text.len;
    if (b->count == ROWBATCH_ROWS)
        return -1;
    strbuf_add(&b->text, ptr, len);
    if (b->text.failed) {
        strbuf_cut(&b->text, at);
        return -1;
    }
    b->items[b->count++] = (struct rowbatch_item){at, len, line, index, 0};
    return 0;
}

int rowbatch_add(struct rowbatch *b, const char *ptr, size_t len, uint64_t line)
{
    if (rowbatch_add_data(b, ptr, len, line, -1) != 0)
        return -1;
    b->items[b->count - 1].document = rowbatch_is_document(ptr, len);
    return 0;
}

/* --- emitting --- */

struct sets {
    struct hg_set *sets;
    size_t *first; /* item of each set */
    struct hg_new_row *rows;
    size_t count;
};

static void sets_build(const struct rowbatch *b, size_t count, const char *uuid, int apart, struct sets *s)
{
    s->count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct rowbatch_item *item = &b->items[i];
        const struct hg_text text = {b->text.ptr + item->at, item->len};
        s->rows[i] = (struct hg_new_row){text, item->index};
        if (!apart && !item->document && s->count > 0 && !s->sets[s->count - 1].document.ptr) {
            s->sets[s->count - 1].row_count++;
            continue;
        }
        s->first[s->count] = i;
        s->sets[s->count++] = item->document
                                  ? (struct hg_set){.document = text}
                                  : (struct hg_set){.uuid = {uuid, strlen(uuid)}, .rows = &s->rows[i], .row_count = 1};
    }
}

static size_t bad_item(const struct sets *s, const struct hg_emitted *told, size_t count)
{
    size_t row;
    if (told->bad_set >= s->count)
        return count;
    if (s->sets[told->bad_set].document.ptr)
        return s->first[told->bad_set];
    if (sscanf(told->reason, "/rows/%zu", &row) == 1 && row < s->sets[told->bad_set].row_count)
        return s->first[told->bad_set] + row;
    return s->sets[told->bad_set].row_count == 1 ? s->first[told->bad_set] : count;
}

int rowbatch_emit(const struct rowbatch *b, size_t count, const struct hg_api *api, struct hg_host *host,
                  const char *uuid, const void *position, size_t position_size, struct rowbatch_fault *out)
{
    struct sets s = {calloc(count + 1, sizeof(*s.sets)), calloc(count + 1, sizeof(*s.first)),
                     calloc(count + 1, sizeof(*s.rows)), 0};
    struct hg_emitted told = {.size = sizeof(told)};
    int result = HG_EMIT_NOT_NOW;
    snprintf(told.reason, sizeof(told.reason), "no memory");
    out->item = count;
    for (int apart = 0; s.sets && s.first && s.rows && apart < 2; apart++) {
        sets_build(b, count, uuid, apart, &s);
        const struct hg_emit emit = {.size = sizeof(emit),
                                     .set_size = sizeof(struct hg_set),
                                     .sets = s.sets,
                                     .set_count = s.count,
                                     .position = position,
                                     .position_size = position_size,
                                     .wait_ms = -1};
        result = api->emit(host, &emit, &told);
        out->item = result == HG_EMIT_REFUSED ? bad_item(&s, &told, count) : count;
        if (result != HG_EMIT_REFUSED || out->item < count) /* else once more, to be told which row it is */
            break;
    }
    memcpy(out->reason, told.reason, sizeof(out->reason));
    free(s.sets);
    free(s.first);
    free(s.rows);
    return result;
}

/* --- what an object is --- */

/* Behind the string that begins at `at`; `len` when it does not end. */
static size_t string_end(const char *ptr, size_t at, size_t len)
{
    for (at++; at < len && ptr[at] != '"'; at++)
        at += ptr[at] == '\\';
    return at < len ? at + 1 : len;
}

static int key_is(const char *ptr, size_t at, size_t end, const char *key)
{
    return end - at == strlen(key) + 2 && memcmp(ptr + at + 1, key, strlen(key)) == 0;
}

static size_t behind_blanks(const char *ptr, size_t at, size_t len)
{
    while (at < len && (ptr[at] == ' ' || ptr[at] == '\t' || ptr[at] == '\r' || ptr[at] == '\n'))
        at++;
    return at;
}

int rowbatch_is_document(const char *ptr, size_t len)
{
    int uuid = 0, row = 0, depth = 0;
    for (size_t at = 0; at < len;) {
        char c = ptr[at];
        if (c != '"') {
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
            at++;
            continue;
        }
        size_t end = string_end(ptr, at, len), colon = behind_blanks(ptr, end, len);
        if (depth == 1 && colon < len && ptr[colon] == ':') {
            uuid |= key_is(ptr, at, end, "uuid");
            row |= key_is(ptr, at, end, "row") || key_is(ptr, at, end, "rows");
        }
        at = end;
    }
    return uuid && row;
}

/* Row sets as text become rows with ids, and rows are copied for a push. */
#include "testkit_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hg_text kit_text(const char *text)
{
    return (struct hg_text){text, text ? strlen(text) : 0};
}

void kit_row_fini(struct hg_row *row)
{
    free(row->uuid);
    free(row->data);
    free(row->client);
    for (size_t i = 0; i < row->tag_count; i++) {
        free(row->tags[i]);
        free(row->values[i]);
    }
    row->tag_count = 0;
}

static char *span_copy(struct hg_text text)
{
    return strndup(text.ptr, text.len);
}

/* The characters of a JSON string, NULL when it is none. */
static char *string_copy(struct hg_value value)
{
    char *out = value.type == HG_STR ? malloc(value.json.len) : NULL;
    if (out && kit_json_text(value.json, out, value.json.len) < 0) {
        free(out);
        out = NULL;
    }
    return out;
}

static int tags_read(struct hg_row *row, struct hg_text tags)
{
    size_t at = 0;
    struct hg_text key;
    struct hg_value value;
    while (kit_json_next(tags, &at, &key, &value)) {
        if (row->tag_count == TAGS_MAX)
            return 0;
        char *text = string_copy(value);
        if (!text)
            return 0;
        row->values[row->tag_count] = text;
        row->tags[row->tag_count++] = span_copy(key);
    }
    return 1;
}

/* Base 32 in the digits that keep the order, as the gateway's ids. */
static void digits_put(char *out, uint64_t value, int count)
{
    for (int i = count - 1; i >= 0; i--, value >>= 5)
        out[i] = "0123456789abcdefghijklmnopqrstuv"[value & 31];
}

static void ids_put(struct hg_row *row, uint64_t set)
{
    memset(row->batch, 0, sizeof(row->batch));
    memset(row->id, 0, sizeof(row->id));
    snprintf(row->batch, sizeof(row->batch), "01testkit00000000000000000-");
    digits_put(row->batch + 27, (set + 1) * 4096, 13);
    snprintf(row->id, sizeof(row->id), "%.40s-", row->batch);
    digits_put(row->id + 41, row->number, 5);
}

static int row_read(struct testkit *kit, struct hg_row *row, struct hg_text set, struct hg_text object)
{
    struct hg_value uuid, tags, data, index;
    if (!kit_json_field(set, "uuid", &uuid) || !(row->uuid = string_copy(uuid)))
        return kit_fault(kit, "uuid is missing or no string");
    if (kit_json_field(set, "tags", &tags) && !tags_read(row, tags.json))
        return kit_fault(kit, "tags are not at most %d strings", TAGS_MAX);
    if (!kit_json_field(object, "data", &data) || data.type != HG_OBJECT)
        return kit_fault(kit, "data is missing or no object");
    int has_index = kit_json_field(object, "index", &index) && index.type == HG_NUM;
    row->index = has_index ? strtoll(index.json.ptr, NULL, 10) : -1;
    row->data = span_copy(data.json);
    return 1;
}

/* Its number, id and what the kit says of it. */
static int row_place(struct testkit *kit, struct hg_row *row)
{
    if ((kit->row_count & (kit->row_count - 1)) == 0) { /* full at powers of two */
        size_t cap = kit->row_count ? kit->row_count * 2 : 1;
        struct hg_row *rows = realloc(kit->rows, cap * sizeof(*rows));
        if (!rows)
            return kit_fault(kit, "no memory");
        kit->rows = rows;
    }
    row->client = strdup(kit->client);
    row->received = kit->received;
    ids_put(row, kit->set_count);
    kit->rows[kit->row_count++] = *row;
    return 1;
}

int kit_row_add(struct testkit *kit, struct hg_row row)
{
    int ok = row.uuid && row.data ? row_place(kit, &row) : kit_fault(kit, "no memory");
    if (!ok)
        kit_row_fini(&row);
    return ok;
}

static int object_add(struct testkit *kit, struct hg_text set, struct hg_text object, uint32_t number)
{
    struct hg_row row = {.number = number};
    if (row_read(kit, &row, set, object))
        return kit_row_add(kit, row); /* NOLINT(clang-analyzer-unix.Malloc): the kit has it now */
    kit_row_fini(&row);
    return 0;
}

int kit_document_add(struct testkit *kit, struct hg_text json)
{
    struct hg_value set, rows, row;
    size_t at = 0;
    uint32_t number = 0;
    struct hg_text key;
    int ok = kit_json_only(json, &set) && set.type == HG_OBJECT;
    if (ok && kit_json_field(set.json, "rows", &rows) && rows.type == HG_ARRAY)
        while (ok && kit_json_next(rows.json, &at, &key, &row))
            ok = object_add(kit, set.json, row.json, number++);
    else if (ok && kit_json_field(set.json, "row", &row))
        ok = object_add(kit, set.json, row.json, 0);
    else
        ok = kit_fault(kit, "neither {\"uuid\",\"row\"} nor {\"uuid\",\"rows\"}");
    return ok;
}

void kit_rows_cut(struct testkit *kit, size_t count)
{
    while (kit->row_count > count)
        kit_row_fini(&kit->rows[--kit->row_count]);
}

void kit_set_end(struct testkit *kit, size_t first)
{
    if (kit->row_count == first)
        return;
    kit->rows[kit->row_count - 1].last = 1;
    kit->set_count++;
}

size_t testkit_rows(struct testkit *kit, const char *json)
{
    size_t before = kit->row_count;
    if (!kit_document_add(kit, kit_text(json)))
        kit_rows_cut(kit, before);
    kit_set_end(kit, before);
    return kit->row_count - before;
}

int kit_row_copy(const struct testkit *kit, const struct hg_row *from, struct hg_row *to)
{
    *to = *from;
    to->uuid = strdup(from->uuid);
    to->data = strdup(from->data);
    to->client = strdup(from->client);
    to->origin = kit->origin;
    to->attempt = kit->attempt;
    int ok = to->uuid && to->data && to->client;
    for (size_t i = 0; i < from->tag_count; i++) {
        to->tags[i] = strdup(from->tags[i]);
        to->values[i] = strdup(from->values[i]);
        ok &= to->tags[i] && to->values[i];
    }
    return ok;
}

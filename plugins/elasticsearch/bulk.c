/* A document is what the other pushers write as a line: id, uuid, index, received, data. Its _id is the row's id and
 * its action `create`, which never overwrites: a row that is there already is answered with 409.
 *
 * What is held against a row is a list of its own faults; a code that is not in it waits, because the servers use 400
 * for their own state too (no shard left, a closed index, an alias without an index to write to). */
#include "bulk.h"

#include "common/rowline.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

void bulk_build(struct strbuf *out, const struct template *index, const struct hg_api *api, const struct hg_rows *rows,
                struct range r)
{
    strbuf_clear(out);
    for (size_t n = r.from; n < r.to; n++) {
        const struct hg_row *row = api->row(rows, n);
        char id[HG_ROW_ID_SIZE];
        api->row_id(row, id);
        strbuf_adds(out, "{\"create\":{\"_index\":\"");
        size_t from = out->len;
        template_expand(index, api, row, out);
        for (size_t i = from; i < out->len; i++)
            out->ptr[i] = (char)tolower((unsigned char)out->ptr[i]); /* names of indexes are lower case */
        strbuf_addf(out, "\",\"_id\":\"%s\"}}\n", id);
        rowline_add(out, api, row);
        strbuf_addc(out, '\n');
    }
}

/* --- the answer --- */

static const char *const row_faults[] = {
    "mapper_parsing_exception",
    "document_parsing_exception",
    "strict_dynamic_mapping_exception",
    "parsing_exception",
    "parse_exception",
    "x_content_parse_exception",
    "json_parse_exception",
    "invalid_index_name_exception",
    "stream_constraints_exception",
    "input_coercion_exception",
};

/* Words in an illegal_argument_exception that is about the server, not about the document. */
static const char *const server_words[] = {"shards", "alias", "pipeline", "write index", "index.blocks", "block"};

static int is_row_fault(const char *type, const char *reason)
{
    for (size_t i = 0; i < sizeof(row_faults) / sizeof(row_faults[0]); i++)
        if (strcmp(type, row_faults[i]) == 0)
            return 1;
    if (strcmp(type, "illegal_argument_exception") != 0)
        return 0;
    for (size_t i = 0; i < sizeof(server_words) / sizeof(server_words[0]); i++)
        if (strstr(reason, server_words[i]))
            return 0;
    return 1;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* {"create":{"status":…,"error":{…}}}; NULL: it is not such an item. */
static const json_t *item_of(const json_t *items, size_t n)
{
    const json_t *create = json_object_get(json_array_get(items, n), "create");
    return json_is_integer(json_object_get(create, "status")) ? create : NULL;
}

static uint32_t item_verdict(const json_t *item)
{
    json_int_t status = json_integer_value(json_object_get(item, "status"));
    const json_t *error = json_object_get(item, "error");
    const char *type = text_of(error, "type");
    if (status >= 200 && status < 300)
        return HG_OK;
    if (status == 409 && strcmp(type, "version_conflict_engine_exception") == 0)
        return HG_DUPLICATE;
    return status < 500 && is_row_fault(type, text_of(error, "reason")) ? HG_REJECT : HG_RETRY;
}

/* The server as a whole, not the one index that the row goes to. */
static int is_overload(const json_t *item)
{
    json_int_t status = json_integer_value(json_object_get(item, "status"));
    return status == 429 || status >= 500;
}

static void item_reason(const json_t *item, char out[BULK_REASON_SIZE])
{
    const json_t *error = json_object_get(item, "error"), *cause = json_object_get(error, "caused_by");
    int used = snprintf(out, BULK_REASON_SIZE, "%s: %s", text_of(error, "type"), text_of(error, "reason"));
    if (cause && used > 0 && used < BULK_REASON_SIZE)
        snprintf(out + used, (size_t)(BULK_REASON_SIZE - used), " (%s: %s)", text_of(cause, "type"),
                 text_of(cause, "reason"));
}

static enum bulk_kind items_judge(const json_t *items, const struct hg_api *api, struct hg_rows *rows, struct range r,
                                  char reason[BULK_REASON_SIZE])
{
    size_t count = r.to - r.from, waiting = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = item_of(items, i);
        if (!item)
            return BULK_UNREADABLE;
        if (is_overload(item) && waiting++ == 0)
            item_reason(item, reason);
    }
    if (waiting == count)
        return BULK_WAITS;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = item_of(items, i);
        uint32_t verdict = item_verdict(item);
        if (verdict != HG_OK && verdict != HG_DUPLICATE)
            item_reason(item, reason);
        api->judge(rows, r.from + i, verdict, 0, verdict == HG_REJECT || verdict == HG_RETRY ? reason : NULL);
    }
    return BULK_JUDGED;
}

int bulk_stranger(const struct http_answer *answer)
{
    return answer->status == 400 && (answer->body.len == 0 || answer->body.ptr[0] != '{');
}

enum bulk_kind bulk_judge(const struct http_answer *answer, const struct hg_api *api, struct hg_rows *rows,
                          struct range r, char reason[BULK_REASON_SIZE])
{
    json_t *body = answer->overlong ? NULL : json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
    const json_t *items = json_object_get(body, "items");
    enum bulk_kind kind = BULK_UNREADABLE;
    reason[0] = '\0';
    if (json_array_size(items) == r.to - r.from)
        kind = items_judge(items, api, rows, r, reason);
    json_decref(body);
    return kind;
}

/* `data` is copied byte for byte, so that no digit is lost. The document holds nothing that depends on when or how
 * often it is written: a repeat writes the same bytes. */
#include "document.h"

#include "common/jsontext.h"
#include "common/rowline.h"
#include "common/stamp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TAGS_MAX = 16 };

struct tag {
    struct hg_text name, value;
};

static int by_name(const void *a, const void *b)
{
    const struct tag *x = a, *y = b;
    size_t shorter = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.ptr, y->name.ptr, shorter);
    return order != 0 ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static size_t tags_sorted(const struct hg_api *api, const struct hg_row *row, struct tag tags[TAGS_MAX])
{
    size_t count = 0;
    while (count < TAGS_MAX && api->tag_at(row, count, &tags[count].name, &tags[count].value))
        count++;
    qsort(tags, count, sizeof(tags[0]), by_name);
    return count;
}

static void add_tags(struct strbuf *out, const struct hg_api *api, const struct hg_row *row)
{
    struct tag tags[TAGS_MAX];
    size_t count = tags_sorted(api, row, tags);
    if (count == 0)
        return;
    strbuf_adds(out, ",\"tags\":{");
    for (size_t n = 0; n < count; n++) {
        if (n > 0)
            strbuf_addc(out, ',');
        jsontext_add(out, tags[n].name);
        strbuf_addc(out, ':');
        jsontext_add(out, tags[n].value);
    }
    strbuf_addc(out, '}');
}

static void add_row(struct strbuf *out, const struct hg_api *api, const struct hg_row *row)
{
    struct hg_text data = api->data(row);
    int64_t index = api->index(row);
    strbuf_addc(out, '{');
    if (index >= 0)
        strbuf_addf(out, "\"index\":%" PRId64 ",", index);
    strbuf_adds(out, "\"data\":");
    strbuf_add(out, data.ptr, data.len);
    strbuf_addc(out, '}');
}

void document_json(struct strbuf *out, const struct hg_api *api, const struct hg_rows *rows, struct rowset set)
{
    const struct hg_row *first = api->row(rows, set.from);
    char id[HG_BATCH_ID_SIZE], stamp[STAMP_LEN + 1];
    struct hg_text client = api->client(first);
    api->batch_id(first, id);
    stamp_text(api->received(first), stamp);
    strbuf_addf(out, "{\"id\":\"%s\",\"uuid\":", id);
    jsontext_add(out, api->uuid(first));
    strbuf_addf(out, ",\"received\":\"%s\"", stamp);
    if (client.len > 0) {
        strbuf_adds(out, ",\"client\":");
        jsontext_add(out, client);
    }
    add_tags(out, api, first);
    strbuf_adds(out, ",\"rows\":[");
    for (size_t n = set.from; n < set.to; n++) {
        strbuf_adds(out, n > set.from ? ",\n" : "\n");
        add_row(out, api, api->row(rows, n));
    }
    strbuf_adds(out, "\n]}\n");
}

void document_lines(struct strbuf *out, const struct hg_api *api, const struct hg_rows *rows, struct rowset set)
{
    for (size_t n = set.from; n < set.to; n++) {
        rowline_add(out, api, api->row(rows, n));
        strbuf_addc(out, '\n');
    }
}

void document_tags(struct strbuf *out, const struct hg_api *api, const struct hg_row *row)
{
    struct tag tags[TAGS_MAX];
    size_t count = tags_sorted(api, row, tags);
    for (size_t n = 0; n < count; n++) {
        strbuf_add(out, tags[n].name.ptr, tags[n].name.len);
        strbuf_adds(out, " = ");
        for (size_t i = 0; i < tags[n].value.len; i++) {
            char c = tags[n].value.ptr[i];
            if (c == '\n' || c == '\r' || c == '\\')
                strbuf_addf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : '\\');
            else
                strbuf_addc(out, c);
        }
        strbuf_addc(out, '\n');
    }
}

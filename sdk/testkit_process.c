/* A processor's side of the kit: process(), and what it made of the rows, which the kit keeps until the next call.
 * Looking at rows is the same for what a puller emitted. */
#include "testkit.h"

#include "testkit_inner.h"

#include <stdlib.h>
#include <string.h>

enum { TAG_VALUE_MAX = 256 };

void kit_made_drop(struct testkit *kit)
{
    for (size_t i = 0; i < kit->made.count; i++)
        kit_row_fini(&kit->made.rows[i]);
    free(kit->made.rows);
    kit->made = (struct hg_rows){0};
}

int testkit_process(struct testkit *kit, size_t first, size_t count)
{
    if (!kit->opened || !kit->plugin->processor || first > kit->row_count || count > kit->row_count - first)
        return kit_fault(kit, "not started, no processor, or no such rows");
    free(kit->verdicts);
    kit_made_drop(kit);
    kit->verdicts = calloc(count + 1, sizeof(*kit->verdicts));
    kit->made = (struct hg_rows){kit, calloc(count + 1, sizeof(struct hg_row)), 0, kit->verdicts};
    int ok = kit->made.rows && kit->verdicts;
    kit->first = first;
    kit->count = ok ? count : 0;
    kit->push_reason[0] = '\0';
    kit->push_after = 0;
    kit->host.time_left = kit->time_left;
    while (ok && kit->made.count < count) {
        ok = kit_row_copy(kit, &kit->rows[first + kit->made.count], &kit->made.rows[kit->made.count]);
        kit->made.count++;
    }
    int result = ok ? kit->plugin->processor->process(kit->worker, &kit->made) : kit_fault(kit, "no memory");
    for (size_t i = 0; i < kit->count; i++) {
        struct verdict *v = &kit->verdicts[i];
        if (result != HG_ALL_OK)
            *v = (struct verdict){0};
        else if (v->verdict == 0)
            v->verdict = kit->made.rows[i].spoilt ? HG_RETRY : HG_OK;
    }
    return result;
}

static const struct hg_row *made_row(const struct testkit *kit, size_t row)
{
    if (kit->plugin->kind == HG_PULLER)
        return row < kit->row_count ? &kit->rows[row] : NULL;
    return row >= kit->first && row - kit->first < kit->made.count ? &kit->made.rows[row - kit->first] : NULL;
}

const char *testkit_data(const struct testkit *kit, size_t row)
{
    const struct hg_row *made = made_row(kit, row);
    return made ? made->data : "";
}

const char *testkit_tag(const struct testkit *kit, size_t row, const char *name)
{
    const struct hg_row *made = made_row(kit, row);
    for (size_t i = 0; made && i < made->tag_count; i++)
        if (strcmp(made->tags[i], name) == 0)
            return made->values[i];
    return NULL;
}

const char *testkit_uuid(const struct testkit *kit, size_t row)
{
    const struct hg_row *made = made_row(kit, row);
    return made ? made->uuid : "";
}

int64_t testkit_index(const struct testkit *kit, size_t row)
{
    const struct hg_row *made = made_row(kit, row);
    return made ? made->index : -1;
}

/* --- what the processor is offered --- */

/* Looser than the host, which also refuses numbers, names and texts that no client may post. */
int kit_set_data(struct hg_rows *rows, size_t n, const char *json, size_t len)
{
    struct hg_value value;
    if (n >= rows->count)
        return 0;
    struct hg_row *row = &rows->rows[n];
    int ok = json && kit_json_only((struct hg_text){json, len}, &value) && value.type == HG_OBJECT;
    char *copy = ok ? strndup(value.json.ptr, value.json.len) : NULL;
    row->spoilt |= !copy;
    if (!copy)
        return 0;
    free(row->data);
    row->data = copy;
    return 1;
}

static void tag_remove(struct hg_row *row, size_t i)
{
    free(row->tags[i]);
    free(row->values[i]);
    row->tag_count--;
    memmove(&row->tags[i], &row->tags[i + 1], (row->tag_count - i) * sizeof(row->tags[0]));
    memmove(&row->values[i], &row->values[i + 1], (row->tag_count - i) * sizeof(row->values[0]));
}

static int tag_put(struct hg_row *row, const char *name, const char *value)
{
    size_t i = 0;
    while (i < row->tag_count && strcmp(row->tags[i], name) != 0)
        i++;
    if (!value) {
        if (i < row->tag_count)
            tag_remove(row, i);
        return 1;
    }
    if (i == TAGS_MAX)
        return 0;
    char *copy = strdup(value), *named = i < row->tag_count ? row->tags[i] : strdup(name);
    if (!copy || !named) {
        free(copy);
        if (i == row->tag_count)
            free(named);
        return 0;
    }
    if (i < row->tag_count)
        free(row->values[i]);
    else
        row->tags[row->tag_count++] = named;
    row->values[i] = copy;
    return 1;
}

int kit_set_tag(struct hg_rows *rows, size_t n, const char *name, const char *value)
{
    if (n >= rows->count)
        return 0;
    struct hg_row *row = &rows->rows[n];
    int ok = name && name[0] >= 'a' && name[0] <= 'z' &&
             strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name) && strlen(name) < TAG_VALUE_MAX &&
             (!value || strlen(value) <= TAG_VALUE_MAX) && tag_put(row, name, value);
    row->spoilt |= !ok;
    return ok;
}

/* A body that is no judged answer is ignored: many receivers answer with something of their own. Only one that visibly
 * speaks of verdicts must be understood, or rows that the far end refused would pass for delivered. It is checked as a
 * whole before the first row is judged. */
#include "answer.h"

#include <jansson.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t verdict;
} verdicts[] = {{"ok", HG_OK}, {"duplicate", HG_DUPLICATE}, {"retry", HG_RETRY}, {"reject", HG_REJECT}};

static uint32_t verdict_of(const json_t *entry)
{
    const char *text = json_string_value(json_object_get(entry, "verdict"));
    for (size_t i = 0; text && i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
        if (strcmp(text, verdicts[i].name) == 0)
            return verdicts[i].verdict;
    return 0;
}

static int entry_ok(const json_t *entry, size_t count)
{
    const json_t *n = json_object_get(entry, "n");
    return json_is_integer(n) && json_integer_value(n) >= 0 && (size_t)json_integer_value(n) < count &&
           verdict_of(entry) != 0;
}

static void entry_judge(const json_t *entry, const struct hg_api *api, struct hg_rows *rows, size_t from)
{
    size_t n = from + (size_t)json_integer_value(json_object_get(entry, "n"));
    const json_t *after = json_object_get(entry, "after");
    int64_t ms = json_is_integer(after) && json_integer_value(after) > 0 ? json_integer_value(after) : 0;
    const char *reason = json_string_value(json_object_get(entry, "reason"));
    uint32_t verdict = verdict_of(entry);
    api->judge(rows, n, verdict, ms, reason ? reason : verdict == HG_REJECT ? "refused by the far end" : NULL);
}

static int speaks_of_verdicts(const struct http_answer *answer)
{
    static const char word[] = "\"verdict\"";
    return answer->body.len > 0 && memmem(answer->body.ptr, answer->body.len, word, sizeof(word) - 1) != NULL;
}

static enum answer_kind entries_judge(const json_t *list, const struct hg_api *api, struct hg_rows *rows, size_t from,
                                      size_t count)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (!entry_ok(entry, count))
            return ANSWER_UNREADABLE;
    }
    json_array_foreach(list, i, entry)
    {
        entry_judge(entry, api, rows, from);
    }
    return ANSWER_JUDGED;
}

enum answer_kind answer_judge(const struct http_answer *answer, const struct hg_api *api, struct hg_rows *rows,
                              size_t from, size_t count)
{
    if (!speaks_of_verdicts(answer))
        return ANSWER_PLAIN;
    if (answer->overlong)
        return ANSWER_UNREADABLE;
    json_t *body = json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
    const json_t *list = json_object_get(body, "rows");
    enum answer_kind kind = json_is_array(list) ? entries_judge(list, api, rows, from, count)
                            : body              ? ANSWER_PLAIN
                                                : ANSWER_UNREADABLE;
    json_decref(body);
    return kind;
}

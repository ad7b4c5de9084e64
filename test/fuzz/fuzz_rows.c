/* The row scanner against the independent reading of rows_judge.h, on what libFuzzer comes up with.
 *
 * The first byte picks the rules, the rest is the body, held in memory of exactly its size. A disagreement ends the run
 * like a crash. What was accepted is then walked, as the plugin host does. Seeds: corpus/rows, made by seed_rows.py. */
#include "rows_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rules_pick(uint8_t choice, struct scan_rules *rules)
{
    *rules = (struct scan_rules){
        .max_rows = (choice & 1) != 0 ? 2 : 100000,
        .max_depth = (choice & 2) != 0 ? 3 : 32,
        .any_keys = (choice & 4) != 0,
        .ndjson = (choice & 8) != 0,
        .single = (choice & 0x30) == 0x10,
        .batch = (choice & 0x30) == 0x20,
    };
}

static void walk(struct slice json)
{
    struct json_field field;
    struct slice value;
    char text[64];
    size_t at = 0;
    while (json_next(json, &at, &field)) {
        bool found = json.ptr[0] != '{' || field.key_escaped || json_get(json, field.key, &value);
        if (!found)
            abort();
        if (field.value.ptr[0] == '"' && json_unescape(field.value, text, sizeof(text)) > (long)sizeof(text))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scan *scan;
    struct scan_rules rules;
    struct judge judge;
    if (size == 0 || (scan == NULL && (scan = scan_new()) == NULL))
        return 0;
    rules_pick(data[0], &rules);
    struct slice body = slice_make(data + 1, size - 1);
    const char *what = judge_disagreement(&judge, scan, &rules, body);
    if (what != NULL) {
        fprintf(stderr, "disagreement: %s\n", what);
        abort();
    }
    uint32_t sets;
    const struct row_set *set = scan_sets(scan, &sets);
    for (uint32_t i = 0; i < sets; i++)
        for (uint32_t row = 0; row < set[i].rows; row++)
            walk(slice_make(set[i].document.ptr + set[i].spans[row].offset, set[i].spans[row].length));
    walk(body); /* that may be anything */
    return 0;
}

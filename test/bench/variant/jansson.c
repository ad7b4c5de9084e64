/* The daemon with another judge: jansson reads the body into a tree, which is walked for the schema. For the bench.
 *
 * A tree does not know where in the body a row's data stood, and the journal needs that, so the scanner runs as well,
 * after it: about 2 % of what the tree costs. Linked with --wrap=scan_body. */
#include "rows/rows.h"

#include <jansson.h>

int __wrap_scan_body(struct scan *s, const struct scan_rules *rules, struct slice body);
int __real_scan_body(struct scan *s, const struct scan_rules *rules, struct slice body);

static bool key_is_camel(const char *key)
{
    if (*key < 'a' || *key > 'z')
        return false;
    for (; *key != '\0'; key++)
        if (!((*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') || (*key >= '0' && *key <= '9')))
            return false;
    return true;
}

static bool row_is_valid(const json_t *row)
{
    const json_t *index = json_object_get(row, "index"), *value;
    json_t *data = json_object_get(row, "data");
    const char *key;
    if (!json_is_object(data) || (index != NULL && !json_is_integer(index) && !json_is_null(index)))
        return false;
    json_object_foreach(data, key, value)
    {
        if (!key_is_camel(key))
            return false;
    }
    return true;
}

static bool set_is_valid(const json_t *set)
{
    const json_t *row = json_object_get(set, "row"), *rows = json_object_get(set, "rows");
    if (!json_is_string(json_object_get(set, "uuid")) || (row == NULL) == (rows == NULL))
        return false;
    if (row != NULL)
        return row_is_valid(row);
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!row_is_valid(json_array_get(rows, i)))
            return false;
    return json_is_array(rows);
}

int __wrap_scan_body(struct scan *s, const struct scan_rules *rules, struct slice body)
{
    json_error_t error;
    json_t *set = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);
    bool valid = set != NULL && set_is_valid(set);
    json_decref(set);
    int code = __real_scan_body(s, rules, body);
    return valid || code != ERR_OK ? code : ERR_SYNTAX;
}

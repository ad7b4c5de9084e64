/* A row is walked by the host's spans and not by jq's parser, so that each number's text is known when its double is
 * made, and what jq would read in another way than headgate does cannot differ. Depth is bounded by what may be posted
 * on the way in, and here on the way out. */
#include "jq/tree.h"

#include "common/jsontext.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 200, KEY_MAX = 256 };

static int tree_failed(struct tree *t)
{
    t->nomem |= t->text.failed || t->numbers.failed;
    return t->nomem || t->why[0] != '\0';
}

/* --- reading --- */

static jv read_string(struct tree *t, struct hg_text json)
{
    strbuf_clear(&t->text);
    char *room = strbuf_room(&t->text, json.len + 1);
    long len = room ? t->api->text(json, room, json.len + 1) : -1;
    t->nomem |= len < 0;
    return len < 0 ? jv_invalid() : jv_string_sized(room, (int)len);
}

static jv read_number(struct tree *t, struct hg_text text)
{
    if (t->big != BIG_KEEP && !number_exact(text)) {
        if (t->big == BIG_STRING)
            return jv_string_sized(text.ptr, (int)text.len);
        snprintf(t->why, sizeof(t->why), "jq would lose digits of %.*s", text.len < 60 ? (int)text.len : 60, text.ptr);
        return jv_invalid();
    }
    return jv_number(numbers_add(&t->numbers, text));
}

static jv read_container(struct tree *t, const struct hg_value *value)
{
    int object = value->type == HG_OBJECT;
    jv all = object ? jv_object() : jv_array();
    struct hg_text key;
    struct hg_value item;
    size_t at = 0;
    while (!tree_failed(t) && t->api->next(value->json, &at, &key, &item)) {
        jv name = object ? read_string(t, (struct hg_text){key.ptr - 1, key.len + 2}) : jv_null(); /* with its quotes */
        jv one = jv_is_valid(name) ? tree_read(t, &item) : jv_invalid();
        if (!jv_is_valid(one)) {
            jv_free(name);
            jv_free(one);
            break;
        }
        if (object)
            all = jv_object_set(all, name, one);
        else
            all = jv_array_append(all, one);
    }
    if (!tree_failed(t))
        return all;
    jv_free(all);
    return jv_invalid();
}

jv tree_read(struct tree *t, const struct hg_value *value)
{
    switch (value->type) {
    case HG_NULL: return jv_null();
    case HG_FALSE: return jv_false();
    case HG_TRUE: return jv_true();
    case HG_NUM: return read_number(t, value->json);
    case HG_STR: return read_string(t, value->json);
    }
    return read_container(t, value);
}

/* --- writing --- */

static int write_value(struct tree *t, jv value, struct strbuf *out, int depth);

static int write_string(struct tree *t, jv value, struct strbuf *out)
{
    struct hg_text text = {jv_string_value(value), (size_t)jv_string_length_bytes(jv_copy(value))};
    if (memchr(text.ptr, '\0', text.len)) {
        snprintf(t->why, sizeof(t->why), "a text of the result holds a NUL");
        return 0;
    }
    jsontext_add(out, text);
    return 1;
}

static int write_array(struct tree *t, jv value, struct strbuf *out, int depth)
{
    int length = jv_array_length(jv_copy(value)), good = 1;
    strbuf_addc(out, '[');
    for (int i = 0; good && i < length; i++) {
        if (i > 0)
            strbuf_addc(out, ',');
        good = write_value(t, jv_array_get(jv_copy(value), i), out, depth + 1);
    }
    strbuf_addc(out, ']');
    return good;
}

static int write_key(struct tree *t, jv key, struct strbuf *out)
{
    int good = jv_string_length_bytes(jv_copy(key)) <= KEY_MAX;
    if (!good)
        snprintf(t->why, sizeof(t->why), "a name of the result has more than %d bytes", KEY_MAX);
    good = good && write_string(t, key, out);
    jv_free(key);
    return good;
}

static int write_object(struct tree *t, jv value, struct strbuf *out, int depth)
{
    int good = 1, some = 0;
    strbuf_addc(out, '{');
    for (int i = jv_object_iter(value); good && jv_object_iter_valid(value, i); i = jv_object_iter_next(value, i)) {
        if (some++)
            strbuf_addc(out, ',');
        good = write_key(t, jv_object_iter_key(value, i), out);
        strbuf_addc(out, ':');
        good = good && write_value(t, jv_object_iter_value(value, i), out, depth + 1);
    }
    strbuf_addc(out, '}');
    return good;
}

/* Consumes `value`. */
static int write_value(struct tree *t, jv value, struct strbuf *out, int depth)
{
    int good = depth <= DEPTH_MAX;
    if (!good)
        snprintf(t->why, sizeof(t->why), "the result is nested more than %d deep", DEPTH_MAX);
    switch (good ? jv_get_kind(value) : JV_KIND_INVALID) {
    case JV_KIND_INVALID: break;
    case JV_KIND_NULL: strbuf_adds(out, "null"); break;
    case JV_KIND_FALSE: strbuf_adds(out, "false"); break;
    case JV_KIND_TRUE: strbuf_adds(out, "true"); break;
    case JV_KIND_NUMBER: good = numbers_write(&t->numbers, jv_number_value(value), out, t->why, sizeof(t->why)); break;
    case JV_KIND_STRING: good = write_string(t, value, out); break;
    case JV_KIND_ARRAY: good = write_array(t, value, out, depth); break;
    case JV_KIND_OBJECT: good = write_object(t, value, out, depth); break;
    }
    jv_free(value);
    return good;
}

int tree_write(struct tree *t, jv value, struct strbuf *out)
{
    int good = write_value(t, value, out, 0);
    t->nomem |= out->failed;
    return good && !t->nomem;
}

/* Small readers over jansson. Pure. */
#include "cli/js.h"

json_t *js_parse(struct slice text)
{
    return text.len == 0 ? NULL : json_loadb(text.ptr, text.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
}

const char *js_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

long long js_integer(const json_t *object, const char *name)
{
    return (long long)json_number_value(json_object_get(object, name));
}

double js_number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

bool js_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

/* headgate_jansson.h - a row's data as jansson's json_t, and back. Optional: for plugins that link libjansson (LIBS :=
 * -ljansson in the Makefile) and want a tree. The functions of headgate.h do without one, and cost less.
 *
 * What a tree costs: jansson keeps integers exactly (headgate takes none beyond 64 bits), but its other numbers are
 * doubles: the text they were sent as is lost, and so are digits that a double does not hold. Where every digit counts,
 * use api->next and the spans it gives. Objects keep their order.
 *
 * All functions are static and take the table that the plugin was given. Any thread that may ask for the row. */
#ifndef HEADGATE_JANSSON_H
#define HEADGATE_JANSSON_H

#include <headgate.h>
#include <jansson.h>
#include <stdlib.h>

#if defined(__GNUC__)
#define HG_JANSSON static inline __attribute__((unused))
#else
#define HG_JANSSON static inline
#endif

/* A value, as one of api->field and api->next. A new reference, yours to json_decref(); NULL: no memory, or a number
 * that is too large for a double. */
HG_JANSSON json_t *hg_json_value(struct hg_text json)
{
    return json_loadb(json.ptr, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* The row's `data`, an object. As above. */
HG_JANSSON json_t *hg_json_data(const struct hg_api *api, const struct hg_row *row)
{
    return hg_json_value(api->data(row));
}

/* One field of it, or NULL: not there either. As above. */
HG_JANSSON json_t *hg_json_field(const struct hg_api *api, const struct hg_row *row, const char *key)
{
    struct hg_value value;
    return api->field(row, key, &value) ? hg_json_value(value.json) : NULL;
}

/* From process(): the row's data from now on; `data` stays yours. 1; 0: no memory, or it is no row's data (no object, a
 * number that is not finite). As api->set_data: then the row is tried again later, unless it is judged otherwise. */
HG_JANSSON int hg_json_set(const struct hg_api *api, struct hg_rows *rows, size_t n, const json_t *data)
{
    char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(17));
    size_t len = 0;
    while (text != NULL && text[len] != '\0')
        len++;
    int set = api->set_data(rows, n, text, len);
    free(text);
    return set;
}

#endif

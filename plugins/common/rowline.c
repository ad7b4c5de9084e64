/* The hot path of three pushers: the room is taken once, then the parts are copied behind each other. Nothing is
 * parsed.
 */
#include "common/rowline.h"

#include "common/jsontext.h"
#include "common/stamp.h"

#include <string.h>

enum { PARTS_MAX = 160 }; /* all that is neither uuid nor data */

static char *put(char *at, const char *ptr, size_t len)
{
    memcpy(at, ptr, len);
    return at + len;
}

#define PUT_TEXT(at, text) put((at), (text), sizeof(text) - 1)

static char *put_number(char *at, int64_t value)
{
    char digits[24];
    size_t n = sizeof(digits);
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(at, digits + n, sizeof(digits) - n);
}

static char *put_data(char *at, struct hg_text data)
{
    char *end = put(at, data.ptr, data.len);
    for (char *p = at; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        *p = ' ';
    for (char *p = at; (p = memchr(p, '\r', (size_t)(end - p))); p++)
        *p = ' ';
    return end;
}

void rowline_add(struct strbuf *out, const struct hg_api *api, const struct hg_row *row)
{
    char id[HG_ROW_ID_SIZE], stamp[STAMP_LEN + 1];
    struct hg_text uuid = api->uuid(row), data = api->data(row);
    int64_t index = api->index(row);
    api->row_id(row, id);
    stamp_text(api->received(row), stamp);
    char *at = strbuf_room(out, PARTS_MAX + HG_ROW_ID_SIZE + uuid.len * JSONTEXT_GROWTH + data.len);
    if (!at)
        return;
    at = PUT_TEXT(at, ROWLINE_HEAD);
    at = put(at, id, strlen(id));
    at = PUT_TEXT(at, ROWLINE_SECOND);
    at = jsontext_put(at, uuid);
    *at++ = '"';
    if (index >= 0)
        at = put_number(PUT_TEXT(at, ",\"index\":"), index);
    at = PUT_TEXT(at, ",\"received\":\"");
    at = put(at, stamp, STAMP_LEN);
    at = PUT_TEXT(at, "\",\"data\":");
    at = put_data(at, data);
    *at++ = '}';
    out->len = (size_t)(at - out->ptr);
}

struct hg_text rowline_payload(struct strbuf *text, const struct hg_api *api, const struct hg_row *row, int32_t form)
{
    if (form == ROW_FORM_DATA)
        return api->data(row);
    strbuf_clear(text);
    rowline_add(text, api, row);
    return (struct hg_text){text->failed ? NULL : text->ptr, text->len};
}

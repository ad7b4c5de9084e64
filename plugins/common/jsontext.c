/* Only what JSON does not allow as it is becomes an escape; all else stays, so that text is as short as it came. */
#include "common/jsontext.h"

char *jsontext_put(char *at, struct hg_text text)
{
    static const char digits[] = "0123456789abcdef", named[] = "btn?fr"; /* from 8 on; 11 has no name */
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c >= 8 && c <= 13 && c != 11) {
            *at++ = '\\';
            *at++ = named[c - 8];
        } else if (c < 0x20) {
            *at++ = '\\';
            *at++ = 'u';
            *at++ = '0';
            *at++ = '0';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        } else {
            *at++ = (char)c;
        }
    }
    return at;
}

void jsontext_add(struct strbuf *out, struct hg_text text)
{
    char *at = strbuf_room(out, text.len * JSONTEXT_GROWTH + 2);
    if (!at)
        return;
    *at++ = '"';
    at = jsontext_put(at, text);
    *at++ = '"';
    out->len = (size_t)(at - out->ptr);
}

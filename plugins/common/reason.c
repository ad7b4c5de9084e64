/* Servers answer in several lines, with hints and a newline at the end. A dead letter shows one line, and what is cut
 * must still be UTF-8, for it becomes JSON. */
#include "common/reason.h"

static int continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

size_t reason_line(char *out, size_t size, const char *text)
{
    const char *at = text ? text : "";
    size_t len = 0;
    int space = 0;
    for (; *at && len + 1 + (size_t)space < size; at++) {
        if ((unsigned char)*at <= ' ' || *at == 127) {
            space = len > 0;
            continue;
        }
        if (space)
            out[len++] = ' ';
        space = 0;
        out[len++] = *at;
    }
    if (continues(*at)) { /* cut in the middle of a character */
        while (len > 0 && continues(out[len - 1]))
            len--;
        len -= len > 0;
    }
    out[len] = '\0';
    return len;
}

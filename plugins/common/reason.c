/* Servers answer in several lines, with hints and a newline at the end. A dead letter shows one line, and what is cut
 * must still be UTF-8, for it becomes JSON. */
#include "common/reason.h"

size_t reason_line(char *out, size_t size, const char *text)
{
    size_t len = 0;
    int space = 0;
    for (const char *at = text ? text : ""; *at && len + 2 < size; at++) {
        unsigned char c = (unsigned char)*at;
        if (c <= ' ' || c == 127) {
            space = len > 0;
            continue;
        }
        if (space)
            out[len++] = ' ';
        space = 0;
        out[len++] = (char)c;
        if (len + 2 >= size && ((unsigned char)at[1] & 0xC0) == 0x80) { /* in the middle of a character */
            while (len > 0 && ((unsigned char)out[len - 1] & 0xC0) == 0x80)
                len--;
            len -= len > 0;
        }
    }
    out[len] = '\0';
    return len;
}

/* Lines of text for people: see lines.h. A line that cannot be kept is left out whole. */
#include "conf/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void lines_add(struct lines *l, const char *format, ...)
{
    l->count++;
    if (l->to == NULL)
        return;
    size_t before = l->to->len;
    va_list args;
    va_start(args, format);
    int code = buf_vaddf(l->to, format, args);
    va_end(args);
    for (size_t i = before; code == ERR_OK && i < l->to->len; i++)
        if ((unsigned char)l->to->ptr[i] < 0x20 || l->to->ptr[i] == 0x7F)
            l->to->ptr[i] = '?';
    if (code != ERR_OK || buf_addc(l->to, '\n') != ERR_OK)
        l->to->len = before;
}

char *lines_copy(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text != NULL) {
        va_start(args, format);
        vsnprintf(text, (size_t)len + 1, format, args);
        va_end(args);
    }
    return text;
}

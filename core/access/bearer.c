/* Strict on purpose: what is not exactly one token is no token, so that nothing behind it, in front of it or inside it
 * can be read in two ways. */
#include "access/bearer.h"

#include <strings.h>

static bool token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~+/", c) != NULL);
}

bool bearer_token(struct slice value, struct slice *token)
{
    static const char scheme[] = "bearer";
    size_t at = sizeof scheme - 1;
    if (value.len <= at || strncasecmp(value.ptr, scheme, at) != 0 || value.ptr[at] != ' ')
        return false;
    while (at < value.len && value.ptr[at] == ' ')
        at++;
    size_t end = at;
    while (end < value.len && token_char(value.ptr[end]))
        end++;
    size_t begin = at;
    bool some = end > begin;
    while (end < value.len && value.ptr[end] == '=')
        end++;
    if (!some || end != value.len)
        return false;
    *token = slice_make(value.ptr + begin, end - begin);
    return true;
}

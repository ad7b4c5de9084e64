/* The byte classes as one table that is filled at build time, so that scanning a head costs one lookup a byte. */
#include "http/bytes.h"

#define T BYTE_TOKEN
#define X BYTE_TEXT
#define P (BYTE_PATH | BYTE_QUERY)
#define Q BYTE_QUERY
#define H BYTE_HOST
#define D BYTE_HEX

#define MARK   (T | X | P | H) /* in a token and in a name: ! $ & ' * + - . _ ~ */
#define LETTER (T | X | P | H)

const unsigned char byte_classes[256] = {
    ['\t'] = X,
    [' '] = X,
    ['!'] = MARK,
    ['"'] = X,
    ['#'] = T | X,
    ['$'] = MARK,
    ['%'] = T | X,
    ['&'] = MARK,
    ['\''] = MARK,
    ['('] = X | P | H,
    [')'] = X | P | H,
    ['*'] = MARK,
    ['+'] = MARK,
    [','] = X | P | H,
    ['-'] = MARK,
    ['.'] = MARK,
    ['/'] = X | P,
    ['0' ... '9'] = LETTER | D,
    [':'] = X | P,
    [';'] = X | P | H,
    ['<'] = X,
    ['='] = X | P | H,
    ['>'] = X,
    ['?'] = X | Q,
    ['@'] = X | P,
    ['A' ... 'F'] = LETTER | D,
    ['G' ... 'Z'] = LETTER,
    ['['] = X,
    ['\\'] = X,
    [']'] = X,
    ['^'] = T | X,
    ['_'] = MARK,
    ['`'] = T | X,
    ['a' ... 'f'] = LETTER | D,
    ['g' ... 'z'] = LETTER,
    ['{'] = X,
    ['|'] = T | X,
    ['}'] = X,
    ['~'] = MARK,
    [0x80 ... 0xFF] = X,
};

int byte_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool bytes_are(struct slice s, enum byte_class class)
{
    for (size_t i = 0; i < s.len; i++)
        if (!byte_is(s.ptr[i], class))
            return false;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool slice_same(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool list_next(struct slice *rest, struct slice *member)
{
    if (rest->ptr == NULL)
        return false;
    const char *comma = rest->len == 0 ? NULL : memchr(rest->ptr, ',', rest->len);
    size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->ptr);
    *member = slice_trim(slice_make(rest->ptr, len));
    *rest = comma == NULL ? slice_make(NULL, 0) : slice_make(comma + 1, rest->len - len - 1);
    return true;
}

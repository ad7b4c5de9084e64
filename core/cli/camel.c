/* Column names turned camelCase. Pure ASCII rules and one small table for the letters of Latin-1. */
#include "cli/camel.h"

#include "rows/rows.h"

/* U+00C0 to U+00FF, without accents. The two signs among them are no letters. */
static const char *const latin[64] = {
    "A", "A", "A", "A", "A", "A", "AE", "C", "E",  "E",  "E", "E", "I", "I", "I", "I", "D",  "N", "O",  "O", "O", "O",
    "O", "",  "O", "U", "U", "U", "U",  "Y", "TH", "ss", "a", "a", "a", "a", "a", "a", "ae", "c", "e",  "e", "e", "e",
    "i", "i", "i", "i", "d", "n", "o",  "o", "o",  "o",  "o", "",  "o", "u", "u", "u", "u",  "y", "th", "y",
};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool camel_already(struct slice name)
{
    if (name.len == 0 || !is_lower(name.ptr[0]))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_lower(name.ptr[i]) && !is_upper(name.ptr[i]) && !is_digit(name.ptr[i]))
            return false;
    return true;
}

/* The name in ASCII: letters and digits; everything else a blank. */
static int camel_plain(struct slice name, struct buf *plain)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i], next = i + 1 < name.len ? (unsigned char)name.ptr[i + 1] : 0;
        if (is_upper((char)c) || is_lower((char)c) || is_digit((char)c)) {
            code = buf_addc(plain, (char)c);
        } else if (c == 0xC3 && next >= 0x80 && next < 0xC0) {
            code = buf_adds(plain, latin[next - 0x80][0] == '\0' ? " " : latin[next - 0x80]);
            i++;
        } else if ((c == 0xC2 && next == 0xB5) || (c == 0xCE && next == 0xBC)) { /* micro sign, Greek mu */
            code = buf_addc(plain, 'u');
            i++;
        } else if (c != '\'') { /* Cohen's -> cohens */
            code = buf_addc(plain, ' ');
        }
    }
    return code;
}

/* Does a word begin at `i`, seen from the letters around it? */
static bool camel_hump(struct slice p, size_t i)
{
    char before = i > 0 ? p.ptr[i - 1] : ' ', after = i + 1 < p.len ? p.ptr[i + 1] : ' ';
    if (before == ' ')
        return true;
    if (!is_upper(p.ptr[i]))
        return false;
    return is_lower(before) || is_digit(before) || (is_upper(before) && is_lower(after));
}

static int camel_join(struct slice plain, struct buf *out)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < plain.len; i++) {
        char c = plain.ptr[i];
        if (c == ' ')
            continue;
        bool hump = camel_hump(plain, i) && out->len > 0;
        if (out->len == 0 && is_digit(c))
            code = buf_addc(out, 'n');
        if (hump && is_lower(c))
            c = (char)(c - 'a' + 'A');
        else if (!hump && is_upper(c))
            c = (char)(c - 'A' + 'a');
        if (code == ERR_OK)
            code = buf_addc(out, c);
    }
    return code;
}

int camel_name(struct slice name, struct buf *out, struct err *e)
{
    struct buf plain;
    buf_init(&plain, (size_t)8 * KEY_MAX_BYTES);
    buf_clear(out);
    int code = camel_already(name) ? buf_add(out, name.ptr, name.len) : camel_plain(name, &plain);
    if (code == ERR_OK && plain.len > 0)
        code = camel_join(buf_slice(&plain), out);
    buf_free(&plain);
    if (code == ERR_NOMEM)
        return err_set(e, code, "out of memory");
    if (code != ERR_OK || out->len > KEY_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "the name is longer than %d bytes: shorten it", KEY_MAX_BYTES);
    if (out->len == 0)
        return err_set(e, ERR_SYNTAX,
                       name.len == 0 ? "the column has no name" : "the name has no Latin letter or digit: rename it");
    return ERR_OK;
}

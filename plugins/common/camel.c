/* Column names turned camelCase. Pure ASCII rules and one small table for the letters of Latin-1. */
#include "common/camel.h"

enum { NAME_MAX_BYTES = 8 * CAMEL_MAX };

/* U+00C0 to U+00FF, without accents. The two signs among them are no letters. */
static const char *const latin[64] = {
    "A", "A", "A", "A", "A", "A", "AE", "C", "E",  "E",  "E", "E", "I", "I", "I", "I", "D",  "N", "O",  "O", "O", "O",
    "O", "",  "O", "U", "U", "U", "U",  "Y", "TH", "ss", "a", "a", "a", "a", "a", "a", "ae", "c", "e",  "e", "e", "e",
    "i", "i", "i", "i", "d", "n", "o",  "o", "o",  "o",  "o", "",  "o", "u", "u", "u", "u",  "y", "th", "y",
};

static int is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static int is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int camel_already(struct hg_text name)
{
    if (name.len == 0 || !is_lower(name.ptr[0]))
        return 0;
    for (size_t i = 0; i < name.len; i++)
        if (!is_lower(name.ptr[i]) && !is_upper(name.ptr[i]) && !is_digit(name.ptr[i]))
            return 0;
    return 1;
}

/* The name in ASCII: letters and digits; everything else a blank. */
static void camel_plain(struct hg_text name, struct strbuf *plain)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i], next = i + 1 < name.len ? (unsigned char)name.ptr[i + 1] : 0;
        if (is_upper((char)c) || is_lower((char)c) || is_digit((char)c)) {
            strbuf_addc(plain, (char)c);
        } else if (c == 0xC3 && next >= 0x80 && next < 0xC0) {
            strbuf_adds(plain, latin[next - 0x80][0] == '\0' ? " " : latin[next - 0x80]);
            i++;
        } else if ((c == 0xC2 && next == 0xB5) || (c == 0xCE && next == 0xBC)) { /* micro sign, Greek mu */
            strbuf_addc(plain, 'u');
            i++;
        } else if (c != '\'') { /* Cohen's -> cohens */
            strbuf_addc(plain, ' ');
        }
    }
}

/* Does a word begin at `i`, seen from the letters around it? */
static int camel_hump(struct hg_text p, size_t i)
{
    char before = i > 0 ? p.ptr[i - 1] : ' ', after = i + 1 < p.len ? p.ptr[i + 1] : ' ';
    if (before == ' ')
        return 1;
    if (!is_upper(p.ptr[i]))
        return 0;
    return is_lower(before) || is_digit(before) || (is_upper(before) && is_lower(after));
}

static void camel_join(struct hg_text plain, struct strbuf *out)
{
    for (size_t i = 0; i < plain.len; i++) {
        char c = plain.ptr[i];
        if (c == ' ')
            continue;
        int hump = camel_hump(plain, i) && out->len > 0;
        if (out->len == 0 && is_digit(c))
            strbuf_addc(out, 'n');
        if (hump && is_lower(c))
            c = (char)(c - 'a' + 'A');
        else if (!hump && is_upper(c))
            c = (char)(c - 'A' + 'a');
        strbuf_addc(out, c);
    }
}

const char *camel_name(struct hg_text name, struct strbuf *out)
{
    static const char too_long[] = "the name is longer than 256 bytes: shorten it";
    struct strbuf plain;
    strbuf_clear(out);
    if (name.len > NAME_MAX_BYTES)
        return too_long;
    strbuf_init(&plain, (size_t)2 * NAME_MAX_BYTES); /* a letter becomes two at the most */
    if (camel_already(name))
        strbuf_add(out, name.ptr, name.len);
    else
        camel_plain(name, &plain);
    if (plain.len > 0)
        camel_join((struct hg_text){plain.ptr, plain.len}, out);
    int failed = out->failed || plain.failed;
    strbuf_fini(&plain);
    if (failed)
        return "out of memory";
    if (out->len > CAMEL_MAX)
        return too_long;
    if (out->len == 0)
        return name.len == 0 ? "the column has no name" : "the name has no Latin letter or digit: rename it";
    return NULL;
}

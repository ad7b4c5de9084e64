/* A word begins at a capital that follows a small letter or a digit, or that is followed by a small letter: so the
 * letters of an acronym stay together and the word behind it does not. */
#include "common/sqlname.h"

#include <string.h>

static int is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static int is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static int begins_word(const char *key, size_t len, size_t at)
{
    if (at == 0 || !is_upper(key[at]))
        return 0;
    char before = key[at - 1];
    if (is_lower(before) || (before >= '0' && before <= '9'))
        return 1;
    return is_upper(before) && at + 1 < len && is_lower(key[at + 1]);
}

int sqlname_of(const char *key, size_t len, char out[SQLNAME_MAX + 1])
{
    size_t n = 0, i = 0;
    for (; i < len; i++) {
        int new_word = begins_word(key, len, i);
        if (n + (size_t)new_word + 1 > SQLNAME_MAX)
            break;
        if (new_word)
            out[n++] = '_';
        out[n++] = is_upper(key[i]) ? (char)(key[i] - 'A' + 'a') : key[i];
    }
    out[n] = '\0';
    return len > 0 && i == len ? 0 : -1;
}

void sqlname_quote(struct strbuf *out, const char *name, char quote)
{
    strbuf_addc(out, quote);
    for (const char *at = name; *at; at++) {
        if (*at == quote)
            strbuf_addc(out, quote);
        strbuf_addc(out, *at);
    }
    strbuf_addc(out, quote);
}

void sqlname_literal(struct strbuf *out, const char *text, int backslash)
{
    strbuf_addc(out, '\'');
    for (const char *at = text; *at; at++) {
        if (*at == '\'' || (backslash && *at == '\\'))
            strbuf_addc(out, *at);
        strbuf_addc(out, *at);
    }
    strbuf_addc(out, '\'');
}

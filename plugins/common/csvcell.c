/* CSV cells as JSON values. Numbers keep their digits: they are checked, never converted. Pure. */
#include "common/csvcell.h"

#include "common/jsontext.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_MAX = 400, SHOWN_MAX = 40, PIECE = 4096 };

static const int64_t index_max = (INT64_C(1) << 53) - 1;
static const char *const type_names[] = {"auto", "text", "integer", "number", "boolean"};

int csvcell_type_parse(struct hg_text text, enum csvcell_type *out)
{
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
        if (strlen(type_names[i]) == text.len && memcmp(type_names[i], text.ptr, text.len) == 0) {
            *out = (enum csvcell_type)i;
            return 0;
        }
    return -1;
}

static size_t digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

/* RFC 8259 number; `*integer`: no fraction, no exponent. */
static int number_grammar(const char *text, int *integer)
{
    text += *text == '-';
    size_t whole = digits_at(text);
    if (whole == 0 || (whole > 1 && text[0] == '0'))
        return 0;
    text += whole;
    *integer = *text == '\0';
    if (*text == '.') {
        size_t fraction = digits_at(text + 1);
        if (fraction == 0)
            return 0;
        text += 1 + fraction;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        size_t exponent = digits_at(text);
        if (exponent == 0)
            return 0;
        text += exponent;
    }
    return *text == '\0';
}

/* What the gateway takes as a number: integers of 64 bits, finite doubles. */
static int number_fits(const char *text, int integer)
{
    errno = 0;
    if (integer) {
        (void)strtoll(text, NULL, 10);
        return errno != ERANGE;
    }
    return isfinite(strtod(text, NULL)) != 0;
}

/* The cell as a number's text in `out`, the decimal sign made a point. */
static int number_text(struct hg_text cell, char decimal, char out[NUMBER_MAX], int *integer)
{
    if (cell.len == 0 || cell.len >= NUMBER_MAX || memchr(cell.ptr, '\0', cell.len))
        return 0;
    memcpy(out, cell.ptr, cell.len);
    out[cell.len] = '\0';
    if (decimal != '.') {
        if (strchr(out, '.'))
            return 0;
        char *sign = strchr(out, decimal);
        if (sign)
            *sign = '.';
    }
    return number_grammar(out, integer) && number_fits(out, *integer);
}

static struct hg_text trimmed(struct hg_text s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = (struct hg_text){s.ptr + 1, s.len - 1};
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static int cell_not(struct hg_text cell, const char *what, char why[CSVCELL_WHY_MAX])
{
    int shown = (int)(cell.len < SHOWN_MAX ? cell.len : SHOWN_MAX);
    snprintf(why, CSVCELL_WHY_MAX, "`%.*s` is no %s", shown, cell.ptr, what);
    return -1;
}

static int cell_text(struct strbuf *out, struct hg_text cell, char why[CSVCELL_WHY_MAX])
{
    size_t bad = csvcell_utf8(cell);
    if (bad < cell.len) {
        snprintf(why, CSVCELL_WHY_MAX,
                 "the byte 0x%02X is not UTF-8: convert the file first (iconv -f latin1 -t utf-8)",
                 (unsigned)(unsigned char)cell.ptr[bad]);
        return -1;
    }
    strbuf_addc(out, '"');
    for (size_t i = 0; i < cell.len; i += PIECE) { /* room for all of it at once would be six times its size */
        struct hg_text piece = {cell.ptr + i, cell.len - i < PIECE ? cell.len - i : PIECE};
        char *at = strbuf_room(out, piece.len * JSONTEXT_GROWTH);
        if (at)
            out->len = (size_t)(jsontext_put(at, piece) - out->ptr);
    }
    strbuf_addc(out, '"');
    return 0;
}

static int cell_boolean(struct strbuf *out, struct hg_text cell, char why[CSVCELL_WHY_MAX])
{
    static const char *const words[] = {"false", "true", "no", "yes", "0", "1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strlen(words[i]) == cell.len && strncasecmp(words[i], cell.ptr, cell.len) == 0) {
            strbuf_adds(out, i % 2 == 1 ? "true" : "false");
            return 0;
        }
    return cell_not(cell, "boolean (true, false, yes, no, 1, 0)", why);
}

static int put(struct strbuf *out, const char *text)
{
    strbuf_adds(out, text);
    return 0;
}

int csvcell_write(struct strbuf *out, struct hg_text cell, enum csvcell_type type, char decimal,
                  char why[CSVCELL_WHY_MAX])
{
    char number[NUMBER_MAX];
    int integer = 0;
    struct hg_text bare = type == CSVCELL_TEXT || type == CSVCELL_AUTO ? cell : trimmed(cell);
    if (bare.len == 0)
        return put(out, "null");
    switch (type) {
    case CSVCELL_TEXT: break;
    case CSVCELL_AUTO:
        return number_text(cell, decimal, number, &integer) ? put(out, number) : cell_text(out, cell, why);
    case CSVCELL_BOOLEAN: return cell_boolean(out, bare, why);
    case CSVCELL_INTEGER:
        return number_text(bare, decimal, number, &integer) && integer ? put(out, number)
                                                                       : cell_not(bare, "integer of 64 bits", why);
    case CSVCELL_NUMBER:
        return number_text(bare, decimal, number, &integer)
                   ? put(out, number)
                   : cell_not(bare, "number as JSON writes it (1, -2.5, 1e3)", why);
    }
    return cell_text(out, cell, why);
}

int csvcell_index(struct hg_text cell, int64_t *out, char why[CSVCELL_WHY_MAX])
{
    struct hg_text bare = trimmed(cell);
    int64_t number = 0;
    for (size_t i = 0; i < bare.len; i++) {
        if (bare.ptr[i] < '0' || bare.ptr[i] > '9')
            return cell_not(bare, "index (a whole number from 0)", why);
        number = number * 10 + (bare.ptr[i] - '0');
        if (number > index_max)
            return cell_not(bare, "index (at most 2^53-1)", why);
    }
    *out = bare.len == 0 ? -1 : number;
    return 0;
}

/* Length of the sequence that `first` begins, 0 when it begins none, and the range its second byte lies in. */
static size_t utf8_size(unsigned char first, unsigned char *least, unsigned char *most)
{
    *least = 0x80;
    *most = 0xBF;
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if (first >= 0xE0 && first <= 0xEF) {
        *least = first == 0xE0 ? 0xA0 : 0x80;
        *most = first == 0xED ? 0x9F : 0xBF;
        return 3;
    }
    if (first < 0xF0 || first > 0xF4)
        return 0;
    *least = first == 0xF0 ? 0x90 : 0x80;
    *most = first == 0xF4 ? 0x8F : 0xBF;
    return 4;
}

size_t csvcell_utf8(struct hg_text text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    for (size_t i = 0; i < text.len;) {
        unsigned char least, most;
        size_t size = utf8_size(bytes[i], &least, &most);
        if (size == 0 || i + size > text.len || (size > 1 && (bytes[i + 1] < least || bytes[i + 1] > most)))
            return i;
        for (size_t k = 2; k < size; k++)
            if ((bytes[i + k] & 0xC0) != 0x80)
                return i;
        i += size;
    }
    return text.len;
}

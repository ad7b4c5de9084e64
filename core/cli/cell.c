/* CSV cells as JSON values. Numbers keep their digits: they are checked, never converted. Pure. */
#include "cli/cell.h"

#include "rows/rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

enum { NUMBER_MAX = 400, SHOWN_MAX = 40 };

static const char *const type_names[] = {"auto", "text", "integer", "number", "boolean"};

int cell_type_parse(struct slice text, enum cell_type *out)
{
    for (size_t i = 0; i < COUNT_OF(type_names); i++)
        if (slice_is(text, type_names[i])) {
            *out = (enum cell_type)i;
            return ERR_OK;
        }
    return ERR_UNKNOWN;
}

static size_t digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

/* RFC 8259 number; `*integer`: no fraction, no exponent. */
static bool number_grammar(const char *text, bool *integer)
{
    text += *text == '-';
    size_t whole = digits_at(text);
    if (whole == 0 || (whole > 1 && text[0] == '0'))
        return false;
    text += whole;
    *integer = *text == '\0';
    if (*text == '.') {
        size_t fraction = digits_at(text + 1);
        if (fraction == 0)
            return false;
        text += 1 + fraction;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        size_t exponent = digits_at(text);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

/* What the gateway takes as a number: integers of 64 bits, finite doubles. */
static bool number_fits(const char *text, bool integer)
{
    errno = 0;
    if (integer) {
        (void)strtoll(text, NULL, 10);
        return errno != ERANGE;
    }
    return isfinite(strtod(text, NULL)) != 0;
}

/* The cell as a number's text in `out`, the decimal sign made a point. */
static bool number_text(struct slice cell, char decimal, char out[NUMBER_MAX], bool *integer)
{
    if (cell.len == 0 || cell.len >= NUMBER_MAX || memchr(cell.ptr, '\0', cell.len) != NULL)
        return false;
    memcpy(out, cell.ptr, cell.len);
    out[cell.len] = '\0';
    if (decimal != '.') {
        if (strchr(out, '.') != NULL)
            return false;
        char *sign = strchr(out, decimal);
        if (sign != NULL)
            *sign = '.';
    }
    return number_grammar(out, integer) && number_fits(out, *integer);
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = slice_make(s.ptr + 1, s.len - 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static int cell_not(struct slice cell, const char *what, struct err *e)
{
    int shown = (int)(cell.len < SHOWN_MAX ? cell.len : SHOWN_MAX);
    return err_set(e, ERR_SYNTAX, "`%.*s` is no %s", shown, cell.ptr, what);
}

static int cell_text(struct buf *out, struct slice cell, struct err *e)
{
    size_t bad = cell_utf8(cell);
    if (bad < cell.len)
        return err_set(e, ERR_SYNTAX, "the byte 0x%02X is not UTF-8: convert the file first (iconv -f latin1 -t utf-8)",
                       (unsigned)(unsigned char)cell.ptr[bad]);
    return buf_add_json(out, cell);
}

static int cell_boolean(struct buf *out, struct slice cell, struct err *e)
{
    static const char *const words[] = {"false", "true", "no", "yes", "0", "1"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strlen(words[i]) == cell.len && strncasecmp(words[i], cell.ptr, cell.len) == 0)
            return buf_adds(out, i % 2 == 1 ? "true" : "false");
    return cell_not(cell, "boolean (true, false, yes, no, 1, 0)", e);
}

int cell_write(struct buf *out, struct slice cell, enum cell_type type, char decimal, struct err *e)
{
    char number[NUMBER_MAX];
    bool integer = false;
    struct slice bare = type == CELL_TEXT || type == CELL_AUTO ? cell : trimmed(cell);
    if (bare.len == 0)
        return buf_adds(out, "null");
    switch (type) {
    case CELL_TEXT: return cell_text(out, cell, e);
    case CELL_AUTO:
        return number_text(cell, decimal, number, &integer) ? buf_adds(out, number) : cell_text(out, cell, e);
    case CELL_BOOLEAN: return cell_boolean(out, bare, e);
    case CELL_INTEGER:
        return number_text(bare, decimal, number, &integer) && integer ? buf_adds(out, number)
                                                                       : cell_not(bare, "integer of 64 bits", e);
    case CELL_NUMBER:
        return number_text(bare, decimal, number, &integer)
                   ? buf_adds(out, number)
                   : cell_not(bare, "number as JSON writes it (1, -2.5, 1e3)", e);
    }
    return err_set(e, ERR_INTERNAL, "internal fault: a cell's type");
}

int cell_index(struct slice cell, uint64_t *out, struct err *e)
{
    struct slice bare = trimmed(cell);
    uint64_t number = 0;
    if (bare.len == 0) {
        *out = INDEX_NONE;
        return ERR_OK;
    }
    for (size_t i = 0; i < bare.len; i++) {
        if (bare.ptr[i] < '0' || bare.ptr[i] > '9')
            return cell_not(bare, "index (a whole number from 0)", e);
        number = number * 10 + (uint64_t)(bare.ptr[i] - '0');
        if (number > INDEX_MAX)
            return cell_not(bare, "index (at most 2^53-1)", e);
    }
    *out = number;
    return ERR_OK;
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

size_t cell_utf8(struct slice text)
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

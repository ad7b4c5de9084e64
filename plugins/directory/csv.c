/* CSV after RFC 4180, with a header. A column's name becomes a key: as it is when it is camelCase already, else its
 * words put together (`temp_max`, `Temp max` -> tempMax). A cell that is a number as JSON writes it, and fits, is one;
 * an empty cell is null; all else is text. The same rules as those of `headgate send`. */
#include "items.h"

#include "common/jsontext.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 10000, KEY_MAX = 256, NUMBER_MAX = 64 };

size_t csv_record_end(const char *ptr, size_t len, uint64_t *lines)
{
    int quoted = 0;
    *lines = 0;
    for (size_t i = 0; i < len; i++) {
        if (ptr[i] == '"')
            quoted = !quoted;
        else if (ptr[i] == '\n' && !quoted)
            return i;
        *lines += ptr[i] == '\n';
    }
    return len;
}

/* --- one field --- */

/* The field at *at with its quotes undone into `out`; *at behind it and its delimiter, *last when there is none. */
static int field_next(struct items *s, const char *ptr, size_t len, size_t *at, struct strbuf *out, int *last)
{
    size_t i = *at;
    strbuf_clear(out);
    if (i < len && ptr[i] == '"') {
        for (i++; i < len; i++) {
            if (ptr[i] == '"' && (i + 1 == len || ptr[i + 1] != '"'))
                break;
            i += ptr[i] == '"';
            strbuf_addc(out, ptr[i]);
        }
        if (i == len) {
            snprintf(s->why, sizeof(s->why), "a quote is not closed");
            return -1;
        }
        i++;
        if (i < len && ptr[i] != s->delimiter) {
            snprintf(s->why, sizeof(s->why), "text behind a closing quote");
            return -1;
        }
    } else {
        for (; i < len && ptr[i] != s->delimiter; i++) {
            if (ptr[i] == '"') {
                snprintf(s->why, sizeof(s->why), "a quote inside a field that does not begin with one");
                return -1;
            }
            strbuf_addc(out, ptr[i]);
        }
    }
    *last = i >= len;
    *at = i + 1;
    if (out->failed)
        snprintf(s->why, sizeof(s->why), "no memory for a field");
    return out->failed ? -1 : 0;
}

/* --- the header --- */

static int fits(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) || (unsigned char)name[i] > 127)
            return 0;
    return len > 0 && islower((unsigned char)name[0]);
}

/* Words are runs of letters and digits, divided also between `aB` and `ABc`. Returns bytes, 0: nothing is left. */
static size_t camel(const char *name, size_t len, char out[KEY_MAX + 2])
{
    size_t n = 0;
    int first = 1;
    for (size_t i = 0; i < len && n < KEY_MAX; i++) {
        unsigned char c = (unsigned char)name[i], before = i > 0 ? (unsigned char)name[i - 1] : 0;
        unsigned char after = i + 1 < len ? (unsigned char)name[i + 1] : 0;
        if (c > 127 || !isalnum(c))
            continue;
        int begins = before > 127 || !isalnum(before) || (isupper(c) && islower(before)) ||
                     (isupper(c) && isupper(before) && after < 128 && islower(after));
        if (first && isdigit(c))
            out[n++] = 'n';
        out[n++] = (char)(begins && !first ? toupper(c) : tolower(c));
        first = 0;
    }
    return n;
}

static int column_add(struct items *s, const struct strbuf *title)
{
    char key[KEY_MAX + 3] = "\"";
    const char *name = title->len > 0 ? title->ptr : "";
    size_t len = title->len > KEY_MAX ? KEY_MAX + 1 : title->len;
    if (len <= KEY_MAX && fits(name, len))
        memcpy(key + 1, name, len);
    else
        len = len > KEY_MAX ? 0 : camel(name, len, key + 1);
    if (len == 0) {
        snprintf(s->why, sizeof(s->why), "column %zu: its name has no letter from A to Z and no digit, or is too long",
                 s->column_count + 1);
        return -1;
    }
    key[len + 1] = '"';
    key[len + 2] = '\0';
    for (size_t i = 0; i < s->column_count; i++)
        if (strcmp(s->columns[i], key) == 0) {
            snprintf(s->why, sizeof(s->why), "columns %zu and %zu both become %.300s", i + 1, s->column_count + 1, key);
            return -1;
        }
    char **grown = realloc(s->columns, (s->column_count + 1) * sizeof(*grown));
    if (grown)
        s->columns = grown;
    char *copy = grown ? strdup(key) : NULL;
    if (!copy || s->column_count == COLUMNS_MAX) {
        free(copy);
        snprintf(s->why, sizeof(s->why), "no memory, or more than %d columns", COLUMNS_MAX);
        return -1;
    }
    s->columns[s->column_count++] = copy;
    return 0;
}

void csv_columns_free(struct items *s)
{
    for (size_t i = 0; i < s->column_count; i++)
        free(s->columns[i]);
    free(s->columns);
    s->columns = NULL;
    s->column_count = 0;
}

int csv_columns(struct items *s, const char *ptr, size_t len)
{
    struct strbuf title;
    size_t at = len >= 3 && memcmp(ptr, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* as spreadsheets write it */
    int last = 0, result = 0;
    strbuf_init(&title, ITEM_MAX);
    while (result == 0 && !last) {
        result = field_next(s, ptr, len, &at, &title, &last);
        if (result == 0)
            result = column_add(s, &title);
    }
    strbuf_fini(&title);
    return result;
}

/* --- a record --- */

/* RFC 8259 section 6, and what headgate takes: integers of 64 bits, finite doubles. */
static int number(const char *text)
{
    const char *p = text + (*text == '-');
    size_t whole = strspn(p, "0123456789");
    if (whole == 0 || (whole > 1 && *p == '0'))
        return 0;
    p += whole;
    int integer = *p == '\0';
    if (*p == '.') {
        size_t digits = strspn(++p, "0123456789");
        if (digits == 0)
            return 0;
        p += digits;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        size_t digits = strspn(p, "0123456789");
        if (digits == 0)
            return 0;
        p += digits;
    }
    errno = 0;
    if (integer)
        (void)strtoll(text, NULL, 10);
    return *p == '\0' && (integer ? errno == 0 : isfinite(strtod(text, NULL)));
}

static void cell_add(struct strbuf *out, struct strbuf *cell)
{
    int numeric =
        cell->len > 0 && cell->len < NUMBER_MAX && !memchr(cell->ptr, '\0', cell->len) && number(strbuf_str(cell));
    if (cell->len == 0)
        strbuf_adds(out, "null");
    else if (numeric)
        strbuf_add(out, cell->ptr, cell->len);
    else
        jsontext_add(out, (struct hg_text){cell->ptr, cell->len});
}

int csv_row(struct items *s, const char *ptr, size_t len)
{
    struct strbuf cell;
    size_t at = 0, n = 0;
    int last = 0, result = 0;
    strbuf_init(&cell, ITEM_MAX);
    strbuf_clear(&s->row);
    for (; result == 0 && !last; n++) {
        result = field_next(s, ptr, len, &at, &cell, &last);
        if (result != 0 || n >= s->column_count)
            continue;
        strbuf_addc(&s->row, n == 0 ? '{' : ',');
        strbuf_adds(&s->row, s->columns[n]);
        strbuf_addc(&s->row, ':');
        cell_add(&s->row, &cell);
    }
    strbuf_addc(&s->row, '}');
    strbuf_fini(&cell);
    if (result == 0 && (n != s->column_count || s->row.failed)) {
        snprintf(s->why, sizeof(s->why), "%zu cells, but the header has %zu columns", n, s->column_count);
        result = -1;
    }
    return result;
}

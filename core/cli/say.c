/* Errors and harmless text for terminals. No state but the two standard streams. */
#include "cli/say.h"

#include <stdarg.h>
#include <string.h>

enum { MESSAGE_MAX = 2048, WORD_COLUMNS = 400 };

static void say_line(const char *format, va_list args) PRINTF_LIKE(1, 0);

static void say_line(const char *format, va_list args)
{
    char raw[MESSAGE_MAX], text[MESSAGE_MAX];
    vsnprintf(raw, sizeof raw, format, args);
    say_clean(text, sizeof text, raw, sizeof text);
    fflush(stdout);
    fprintf(stderr, "headgate: %s\n", text);
}

int say_error(int exit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_line(format, args);
    va_end(args);
    return exit;
}

void say_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_line(format, args);
    va_end(args);
}

void say_notes(const char *lines)
{
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        say_note("%.*s", (int)len, lines);
        lines += len + (lines[len] == '\n');
    }
}

/* Bytes of the character at `text`; 0 when it must be shown as '?' (control, or not UTF-8). */
static size_t character_size(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7F ? 1 : 0;
    size_t size = text[0] >= 0xF0 && text[0] < 0xF5   ? 4
                  : text[0] >= 0xE0 && text[0] < 0xF0 ? 3
                  : text[0] >= 0xC2 && text[0] < 0xE0 ? 2
                                                      : 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    if (text[0] == 0xC2 && text[1] < 0xA0)
        return 0;
    /* Marks that turn the reading direction around can disguise a name. */
    if (text[0] == 0xE2 && ((text[1] == 0x80 && text[2] >= 0xAA && text[2] <= 0xAE) ||
                            (text[1] == 0x81 && text[2] >= 0xA6 && text[2] <= 0xA9)))
        return 0;
    return size;
}

/* Bytes that one '?' stands for. */
static size_t bad_size(const unsigned char *text)
{
    size_t size = 1;
    if (text[0] >= 0x80)
        while ((text[size] & 0xC0) == 0x80)
            size++;
    return size;
}

size_t say_clean(char *out, size_t size, const char *text, size_t columns)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0, len = 0, last = 0;
    while (*at != '\0') {
        size_t n = character_size(at);
        size_t room = n == 0 ? 1 : n;
        if (len + room >= size || used == columns) {
            if (used > 0 && columns < size) { /* the last character gives way to the mark */
                out[last] = '~';
                len = last + 1;
            }
            break;
        }
        last = len;
        if (n == 0) {
            out[len] = '?';
            at += bad_size(at);
        } else {
            memcpy(out + len, at, n);
            at += n;
        }
        len += room;
        used++;
    }
    out[len] = '\0';
    return used;
}

size_t say_columns(const char *text)
{
    size_t columns = 0;
    for (; *text != '\0'; text++)
        if (((unsigned char)*text & 0xC0) != 0x80)
            columns++;
    return columns;
}

void say_wrapped(FILE *out, int indent, int width, const char *text, bool begun)
{
    int column = indent;
    if (!begun)
        fprintf(out, "%*s", indent, "");
    bool first = true;
    while (*text != '\0') {
        size_t blanks = strspn(text, " ");
        size_t len = strcspn(text + blanks, " ");
        if (len == 0)
            break;
        char raw[WORD_COLUMNS], word[2 * WORD_COLUMNS];
        size_t take = len < sizeof raw - 1 ? len : sizeof raw - 1;
        memcpy(raw, text + blanks, take);
        raw[take] = '\0';
        int columns = (int)say_clean(word, sizeof word, raw, sizeof word);
        if (!first && column + 1 + columns > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        fprintf(out, "%s%s", first ? "" : " ", word);
        column += columns + (first ? 0 : 1);
        first = false;
        text += blanks + take;
        if (take < len)
            first = true; /* an overlong word goes on without a blank */
    }
    fputc('\n', out);
}

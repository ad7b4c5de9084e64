/* Spreadsheets and instruments of Europe write semicolons and decimal commas, often in the encoding of old Windows,
 * often below some lines about the run. Those two encodings are a byte a character, so a file is cut into cells first
 * and each cell is made UTF-8 then. Pure. */
#include "common/csvform.h"

#include <stdbool.h>
#include <string.h>

int csvform_delimiter(const char *text, char *out)
{
    bool tab = strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0;
    if (!tab && (strlen(text) != 1 || strchr("\"\r\n", text[0]) != NULL || (unsigned char)text[0] >= 0x80))
        return -1;
    *out = tab ? '\t' : text[0];
    return 0;
}

int csvform_word(const char *text, const char *words)
{
    size_t len = strlen(text);
    for (int place = 0; *words != '\0'; place++) {
        size_t word = strcspn(words, "|");
        if (word == len && memcmp(words, text, len) == 0)
            return place;
        words += word + (words[word] == '|');
    }
    return -1;
}

const char *csvform_wrong(const struct csvform *form)
{
    if (form->quotes == CSVFORM_SINGLE && form->delimiter == '\'')
        return "a quote cannot be the delimiter";
    return form->quotes == CSVFORM_NONE && form->delimiter == ',' && form->decimal == ','
               ? "without quotes, commas cannot be both between the cells and in their numbers"
               : NULL;
}

/* What Windows-1252 has where Latin-1 has control characters; 0: those bytes stay what they are in Latin-1. */
static const uint16_t windows[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

static void add_character(struct strbuf *out, unsigned c)
{
    if (c < 0x80) {
        strbuf_addc(out, (char)c);
        return;
    }
    if (c >= 0x800) {
        strbuf_addc(out, (char)(0xE0 | c >> 12));
        strbuf_addc(out, (char)(0x80 | (c >> 6 & 0x3F)));
    } else {
        strbuf_addc(out, (char)(0xC0 | c >> 6));
    }
    strbuf_addc(out, (char)(0x80 | (c & 0x3F)));
}

static int is_ascii(struct hg_text text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return 0;
    return 1;
}

struct hg_text csvform_utf8(const struct csvform *form, struct hg_text text, struct strbuf *scratch)
{
    if (form->encoding == CSVFORM_UTF8 || is_ascii(text))
        return text;
    strbuf_clear(scratch);
    for (size_t i = 0; i < text.len; i++) {
        unsigned c = (unsigned char)text.ptr[i];
        if (form->encoding == CSVFORM_WINDOWS1252 && c >= 0x80 && c < 0xA0 && windows[c - 0x80] != 0)
            c = windows[c - 0x80];
        add_character(scratch, c);
    }
    return (struct hg_text){scratch->ptr, scratch->len};
}

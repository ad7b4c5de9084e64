/* How a CSV file is written: what `headgate send` has options for, and pullers of files have under the same names. */
#ifndef COMMON_CSVFORM_H
#define COMMON_CSVFORM_H

#include "common/strbuf.h"
#include "headgate.h"

#include <stdint.h>

enum csvform_encoding { CSVFORM_UTF8, CSVFORM_LATIN1, CSVFORM_WINDOWS1252 };
#define CSVFORM_ENCODINGS "utf-8|latin-1|windows-1252"

enum csvform_quotes { CSVFORM_DOUBLE, CSVFORM_SINGLE, CSVFORM_NONE };
#define CSVFORM_QUOTES "double|single|none"

enum { CSVFORM_SKIP_MAX = 10000 };

struct csvform {
    char delimiter;                 /* between cells */
    char decimal;                   /* '.' or ',' */
    enum csvform_quotes quotes;     /* CSVFORM_NONE: a quote is a character like others */
    enum csvform_encoding encoding; /* of the file; rows are UTF-8 */
    uint32_t skip;                  /* lines before the header */
    const char *types, *index;      /* csvtable_types(), csvtable_index(); borrowed, or NULL */
};

/* One character, or "tab". 0, or -1: it is neither, or cannot be one. */
int csvform_delimiter(const char *text, char *out);
/* The place of `text` in "a|b|c", or -1. */
int csvform_word(const char *text, const char *words);
/* NULL, or a sentence: what cannot be together. */
const char *csvform_wrong(const struct csvform *form);
/* The text in UTF-8: itself, or what is put into `scratch`, which it lives as long as. What is no UTF-8 stays so with
 * CSVFORM_UTF8; the other two know every byte. scratch->failed on lack of memory. */
struct hg_text csvform_utf8(const struct csvform *form, struct hg_text text, struct strbuf *scratch);

#endif

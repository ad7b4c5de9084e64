/* Any bytes as CSV of any form: however they are cut, the records and the fault are the same; what was read, written
 * again with every cell quoted, reads the same; and the rows made of it are UTF-8 whatever the bytes were. */
#include "base/buf.h"
#include "base/check.h"
#include "common/csvtable.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 20, FAULT_MAX = 200 };

/* Records into `out`, cells quoted; true when there was no fault. `faults` takes the text of one. */
static bool rewrite(struct slice text, const struct csvform *form, size_t piece, struct buf *out, char fault[FAULT_MAX])
{
    static const char *const quotes[] = {"\"", "'", ""};
    const char *quote = quotes[form->quotes];
    struct csvread csv;
    csvread_init(&csv, form);
    enum csvread_result got = CSVREAD_MORE;
    for (size_t at = 0, used = 0; got != CSVREAD_FAULT;) {
        bool end = at == text.len;
        size_t take = text.len - at < piece ? text.len - at : piece;
        got = end ? csvread_finish(&csv) : csvread_feed(&csv, text.ptr + at, take, &used);
        CHECK(end || (used <= take && (used > 0 || got == CSVREAD_FAULT)));
        at += end ? 0 : used;
        for (size_t i = 0; got == CSVREAD_RECORD && i < csv.count; i++) {
            struct hg_text cell = csvread_field(&csv, i);
            CHECK(buf_adds(out, i > 0 ? (char[]){form->delimiter, '\0'} : "") == ERR_OK);
            CHECK(buf_adds(out, quote) == ERR_OK);
            for (size_t k = 0; k < cell.len; k++) {
                CHECK(buf_addc(out, cell.ptr[k]) == ERR_OK);
                CHECK(buf_adds(out, cell.ptr[k] == quote[0] ? quote : "") == ERR_OK);
            }
            CHECK(buf_adds(out, quote) == ERR_OK);
        }
        CHECK(got != CSVREAD_RECORD || (csv.count > 0 && buf_addc(out, '\n') == ERR_OK));
        if (end && got == CSVREAD_MORE)
            break;
    }
    if (got == CSVREAD_FAULT)
        snprintf(fault, FAULT_MAX, "line %d: %s", (int)csv.line, csv.why);
    csvread_fini(&csv);
    return got != CSVREAD_FAULT;
}

/* Rows until the first fault. */
static void make_rows(struct slice text, const struct csvform *form)
{
    struct csvtable t;
    int64_t index;
    size_t used = 0;
    csvtable_init(&t, form);
    enum csvread_result got = csvread_feed(&t.csv, text.ptr, text.len, &used);
    bool well = got == CSVREAD_RECORD && csvtable_header(&t) == 0;
    well = well && csvtable_types(&t, form->types) == 0 && csvtable_index(&t, t.columns[0].title) == 0;
    while (well) {
        text = slice_make(text.ptr + used, text.len - used);
        got = text.len > 0 ? csvread_feed(&t.csv, text.ptr, text.len, &used) : CSVREAD_MORE;
        well = got == CSVREAD_RECORD && csvtable_row(&t, &index) == 0;
        CHECK(!well || (index >= -1 && csvcell_utf8((struct hg_text){t.row.ptr, t.row.len}) == t.row.len));
    }
    csvtable_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 64 * 1024)
        return 0;
    static const char delimiters[] = ",;\t|";
    static const char *const types[] = {"*=auto", "*=text", "*=number", "*=boolean"};
    const struct csvform form = {.delimiter = delimiters[data[0] % 4],
                                 .decimal = ".,"[data[0] / 4 % 2],
                                 .quotes = (enum csvform_quotes)(data[0] / 8 % 3),
                                 .encoding = (enum csvform_encoding)(data[0] / 24 % 3),
                                 .skip = data[1] / 64u,
                                 .types = types[data[0] / 72 % 4]};
    const struct csvform again_form = {.delimiter = form.delimiter, .quotes = form.quotes};
    size_t piece = 1 + data[1] % 64;
    struct slice text = slice_make(data + 2, size - 2);
    make_rows(text, &form);
    struct buf whole, cut, again;
    char one[FAULT_MAX] = "", two[FAULT_MAX] = "", three[FAULT_MAX] = "";
    buf_init(&whole, TEXT_MAX);
    buf_init(&cut, TEXT_MAX);
    buf_init(&again, TEXT_MAX);
    bool well = rewrite(text, &form, text.len + 1, &whole, one);
    CHECK(well == rewrite(text, &form, piece, &cut, two));
    CHECK(slice_eq(buf_slice(&whole), buf_slice(&cut)) && strcmp(one, two) == 0);
    CHECK(rewrite(buf_slice(&whole), &again_form, whole.len + 1, &again, three));
    CHECK(slice_eq(buf_slice(&whole), buf_slice(&again)));
    buf_free(&whole);
    buf_free(&cut);
    buf_free(&again);
    return 0;
}

/* Any bytes as CSV: however they are cut, the records and the fault are the same; and what was read, written again with
 * every cell quoted, reads the same. */
#include "base/buf.h"
#include "base/check.h"
#include "common/csvread.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 20, FAULT_MAX = 200 };

/* Records into `out`, cells quoted; true when there was no fault. `faults` takes the text of one. */
static bool rewrite(struct slice text, char delimiter, size_t piece, struct buf *out, char fault[FAULT_MAX])
{
    struct csvread csv;
    csvread_init(&csv, delimiter);
    enum csvread_result got = CSVREAD_MORE;
    for (size_t at = 0, used = 0; got != CSVREAD_FAULT;) {
        bool end = at == text.len;
        size_t take = text.len - at < piece ? text.len - at : piece;
        got = end ? csvread_finish(&csv) : csvread_feed(&csv, text.ptr + at, take, &used);
        CHECK(end || (used <= take && (used > 0 || got == CSVREAD_FAULT)));
        at += end ? 0 : used;
        for (size_t i = 0; got == CSVREAD_RECORD && i < csv.count; i++) {
            struct hg_text cell = csvread_field(&csv, i);
            CHECK(buf_adds(out, i > 0 ? (char[]){delimiter, '"', '\0'} : "\"") == ERR_OK);
            for (size_t k = 0; k < cell.len; k++)
                CHECK(buf_adds(out, cell.ptr[k] == '"' ? "\"\"" : (char[]){cell.ptr[k], '\0'}) == ERR_OK);
            CHECK(buf_addc(out, '"') == ERR_OK);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 64 * 1024)
        return 0;
    static const char delimiters[] = ",;\t|";
    char delimiter = delimiters[data[0] % 4];
    size_t piece = 1 + data[1] % 64;
    struct slice text = slice_make(data + 2, size - 2);
    struct buf whole, cut, again;
    char one[FAULT_MAX] = "", two[FAULT_MAX] = "", three[FAULT_MAX] = "";
    buf_init(&whole, TEXT_MAX);
    buf_init(&cut, TEXT_MAX);
    buf_init(&again, TEXT_MAX);
    bool well = rewrite(text, delimiter, text.len + 1, &whole, one);
    CHECK(well == rewrite(text, delimiter, piece, &cut, two));
    CHECK(slice_eq(buf_slice(&whole), buf_slice(&cut)) && strcmp(one, two) == 0);
    CHECK(rewrite(buf_slice(&whole), delimiter, whole.len + 1, &again, three));
    CHECK(slice_eq(buf_slice(&whole), buf_slice(&again)));
    buf_free(&whole);
    buf_free(&cut);
    buf_free(&again);
    return 0;
}

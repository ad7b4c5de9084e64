/* The CSV reader: every record the same however the bytes are cut, and a line for every fault. */
#include "common/csvread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SHOWN = 4096 };

static const struct csvform commas = {.delimiter = ','};

/* All records as "line:[cell][cell]", then "!" and the fault, if there is one; fed `piece` bytes at a time. */
static void read_all(const char *text, size_t len, const struct csvform *form, size_t piece, char out[SHOWN],
                     uint64_t *blank)
{
    struct csvread csv;
    size_t used = 0, shown = 0;
    enum csvread_result got = CSVREAD_MORE;
    csvread_init(&csv, form);
    out[0] = '\0';
    for (size_t at = 0; got != CSVREAD_FAULT && (at < len || got == CSVREAD_RECORD);) {
        size_t take = len - at < piece ? len - at : piece;
        char *copy = malloc(take + 1); /* of its own, so that a byte too far is seen */
        assert_non_null(copy);
        memcpy(copy, text + at, take);
        got = csvread_feed(&csv, copy, take, &used);
        free(copy);
        at += used;
        if (got != CSVREAD_RECORD)
            continue;
        shown += (size_t)snprintf(out + shown, SHOWN - shown, "%d:", (int)csv.began);
        for (size_t i = 0; i < csv.count; i++)
            shown += (size_t)snprintf(out + shown, SHOWN - shown, "[%.*s]", (int)csvread_field(&csv, i).len,
                                      csvread_field(&csv, i).ptr);
    }
    if (got != CSVREAD_FAULT)
        got = csvread_finish(&csv);
    if (got == CSVREAD_RECORD) {
        shown += (size_t)snprintf(out + shown, SHOWN - shown, "%d:", (int)csv.began);
        for (size_t i = 0; i < csv.count; i++)
            shown += (size_t)snprintf(out + shown, SHOWN - shown, "[%.*s]", (int)csvread_field(&csv, i).len,
                                      csvread_field(&csv, i).ptr);
        got = csvread_finish(&csv);
        assert_int_equal(got, CSVREAD_MORE);
    }
    if (got == CSVREAD_FAULT)
        snprintf(out + shown, SHOWN - shown, "!line %d: %.3s", (int)csv.line, csv.why);
    *blank = csv.blank;
    csvread_fini(&csv);
}

static const struct {
    const char *text, *expected;
    int blank;
} cases[] = {
    {"", "", 0},
    {"a", "1:[a]", 0},
    {"a,b\n1,2\n", "1:[a][b]2:[1][2]", 0},
    {"a,b\r\n1,2\r\n", "1:[a][b]2:[1][2]", 0},
    {"a,b\n1,2", "1:[a][b]2:[1][2]", 0},
    {"a,b\r", "1:[a][b]", 0},
    {",\n", "1:[][]", 0},
    {",", "1:[][]", 0},
    {"a,\n,b", "1:[a][]2:[][b]", 0},
    {"\"\"\n", "1:[]", 0},
    {"\"\"", "1:[]", 0},
    {"\"a,b\",\"c\"\"d\"\n", "1:[a,b][c\"d]", 0},
    {"\"a\nb\r\nc\",x\ny,z\n", "1:[a\nb\r\nc][x]4:[y][z]", 0},
    {"\"\"\"\"", "1:[\"]", 0},
    {"a\n\n\r\nb\n\n", "1:[a]4:[b]", 3},
    {"\n\na\n", "3:[a]", 2},
    {"\xC3\xA4,\xE2\x82\xAC\n", "1:[\xC3\xA4][\xE2\x82\xAC]", 0},
    {" a , b \n", "1:[ a ][ b ]", 0},
    {"a\nb\"c\n", "1:[a]!line 2: a q", 0},
    {"a\n\"b\"c\n", "1:[a]!line 2: tex", 0},
    {"a\n\"b\nc", "1:[a]!line 2: a q", 0},
    {"a\rb\n", "!line 1: a c", 0},
    {"\ra\n", "!line 1: a c", 0},
    {"\"a\"\rb\n", "!line 1: a c", 0},
};

static void cuts_make_no_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece <= strlen(cases[i].text) + 1; piece++) {
            char out[SHOWN];
            uint64_t blank;
            read_all(cases[i].text, strlen(cases[i].text), &commas, piece, out, &blank);
            assert_string_equal(out, cases[i].expected);
            assert_int_equal(blank, cases[i].blank);
        }
}

static void other_delimiters(void **state)
{
    (void)state;
    char out[SHOWN];
    uint64_t blank;
    read_all("a\tb,c\n", 6, &(struct csvform){.delimiter = '\t'}, 6, out, &blank);
    assert_string_equal(out, "1:[a][b,c]");
    read_all("a;b,c;\"d;e\"", 11, &(struct csvform){.delimiter = ';'}, 3, out, &blank);
    assert_string_equal(out, "1:[a][b,c][d;e]");
}

static void other_forms(void **state)
{
    (void)state;
    static const struct {
        struct csvform form;
        const char *text, *expected;
    } forms[] = {
        {{.delimiter = ';', .quotes = CSVFORM_SINGLE}, "'a;''b';\"c\"\n'd", "1:[a;'b][\"c\"]!line 2: a q"},
        {{.delimiter = ';', .quotes = CSVFORM_NONE}, "\"a;b'\nc\"d;\"\n", "1:[\"a][b']2:[c\"d][\"]"},
        {{.delimiter = ';', .quotes = CSVFORM_NONE}, "\xFF;\xFF\n", "1:[\xFF][\xFF]"},
        {{.delimiter = ',', .skip = 2}, "Run \"7\r\n\na,b\n1,2\n", "3:[a][b]4:[1][2]"},
        {{.delimiter = ',', .skip = 2}, "Run 7\n", ""},
        {{.delimiter = ',', .skip = 1}, "x\n", ""},
        {{.delimiter = ',', .skip = 1}, "x\n\n\"a\nb\n", "!line 3: a q"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        for (size_t piece = 1; piece <= strlen(forms[i].text) + 1; piece++) {
            char out[SHOWN];
            uint64_t blank;
            read_all(forms[i].text, strlen(forms[i].text), &forms[i].form, piece, out, &blank);
            assert_string_equal(out, forms[i].expected);
        }
}

static void words_of_a_form(void **state)
{
    (void)state;
    char c = '?';
    static const char *const bad[] = {"", ";;", "\"", "\n", "\r", "tabs", "\tx", "\xC2", "\xC2\xA7"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(csvform_delimiter(bad[i], &c), -1);
    assert_int_equal(c, '?');
    assert_int_equal(csvform_delimiter(";", &c), 0);
    assert_int_equal(c, ';');
    assert_int_equal(csvform_delimiter("tab", &c), 0);
    assert_int_equal(c, '\t');
    assert_int_equal(csvform_word("utf-8", CSVFORM_ENCODINGS), CSVFORM_UTF8);
    assert_int_equal(csvform_word("windows-1252", CSVFORM_ENCODINGS), CSVFORM_WINDOWS1252);
    assert_int_equal(csvform_word("windows", CSVFORM_ENCODINGS), -1);
    assert_int_equal(csvform_word("", CSVFORM_QUOTES), -1);
    assert_non_null(csvform_wrong(&(struct csvform){.delimiter = '\'', .quotes = CSVFORM_SINGLE}));
    assert_non_null(csvform_wrong(&(struct csvform){.delimiter = ',', .decimal = ',', .quotes = CSVFORM_NONE}));
    assert_null(csvform_wrong(&(struct csvform){.delimiter = ',', .decimal = ','}));
}

static void encodings_become_utf8(void **state)
{
    (void)state;
    static const struct {
        enum csvform_encoding encoding;
        const char *bytes, *expected;
    } texts[] = {
        {CSVFORM_UTF8, "\xB5g", "\xB5g"},
        {CSVFORM_LATIN1, "\xB5g/\xE4\xFF", "\xC2\xB5g/\xC3\xA4\xC3\xBF"},
        {CSVFORM_LATIN1, "\x80", "\xC2\x80"},
        {CSVFORM_WINDOWS1252,
         "\x80 \x9F \x81 \xB0"
         "C",
         "\xE2\x82\xAC \xC5\xB8 \xC2\x81 \xC2\xB0"
         "C"},
        {CSVFORM_WINDOWS1252, "plain", "plain"},
    };
    struct strbuf scratch;
    strbuf_init(&scratch, SHOWN);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct csvform form = {.encoding = texts[i].encoding};
        struct hg_text got = csvform_utf8(&form, (struct hg_text){texts[i].bytes, strlen(texts[i].bytes)}, &scratch);
        assert_int_equal(got.len, strlen(texts[i].expected));
        assert_memory_equal(got.ptr, texts[i].expected, got.len);
    }
    strbuf_fini(&scratch);
}

static void a_nul_is_refused(void **state)
{
    (void)state;
    char out[SHOWN];
    uint64_t blank;
    read_all("a\n\"b\0c\"", 7, &commas, 7, out, &blank);
    assert_string_equal(out, "1:[a]!line 2: a N");
}

static void records_are_bounded(void **state)
{
    (void)state;
    struct csvread csv;
    size_t used, total = 0;
    static char chunk[1 << 20];
    csvread_init(&csv, &commas);
    memset(chunk, 'x', sizeof chunk);
    chunk[0] = '"';
    enum csvread_result got = csvread_feed(&csv, chunk, sizeof chunk, &used);
    for (chunk[0] = 'x'; got == CSVREAD_MORE && total < (size_t)2 * CSVREAD_RECORD_MAX; total += used)
        got = csvread_feed(&csv, chunk, sizeof chunk, &used);
    assert_int_equal(got, CSVREAD_FAULT);
    assert_true(total <= CSVREAD_RECORD_MAX);
    csvread_fini(&csv);

    csvread_init(&csv, &commas);
    memset(chunk, ',', sizeof chunk);
    assert_int_equal(csvread_feed(&csv, chunk, sizeof chunk, &used), CSVREAD_FAULT);
    assert_int_equal(csv.count, CSVREAD_FIELDS_MAX);
    csvread_fini(&csv);
}

static void the_last_cell_is_counted_too(void **state)
{
    (void)state;
    struct csvread csv;
    size_t used;
    csvread_init(&csv, &commas);
    for (int i = 0; i < CSVREAD_FIELDS_MAX; i++)
        assert_int_equal(csvread_feed(&csv, ",", 1, &used), CSVREAD_MORE);
    assert_int_equal(csvread_finish(&csv), CSVREAD_FAULT);
    csvread_fini(&csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_make_no_difference),
        cmocka_unit_test(other_delimiters),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(words_of_a_form),
        cmocka_unit_test(encodings_become_utf8),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(records_are_bounded),
        cmocka_unit_test(the_last_cell_is_counted_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The CSV reader: every record the same however the bytes are cut, and a line for every fault. */
#include "cli/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SHOWN = 4096 };

/* All records as "line:[cell][cell]", then "!" and the fault, if there is one; fed `piece` bytes at a time. */
static void read_all(const char *text, size_t len, char delimiter, size_t piece, char out[SHOWN], uint64_t *blank)
{
    struct csv csv;
    struct err e = {0};
    size_t used = 0, shown = 0;
    enum csv_result got = CSV_MORE;
    csv_init(&csv, delimiter);
    out[0] = '\0';
    for (size_t at = 0; got != CSV_FAULT && (at < len || got == CSV_RECORD);) {
        size_t take = len - at < piece ? len - at : piece;
        char *copy = malloc(take + 1); /* of its own, so that a byte too far is seen */
        assert_non_null(copy);
        memcpy(copy, text + at, take);
        got = csv_feed(&csv, copy, take, &used, &e);
        free(copy);
        at += used;
        if (got != CSV_RECORD)
            continue;
        shown += (size_t)snprintf(out + shown, SHOWN - shown, "%d:", (int)csv.began);
        for (size_t i = 0; i < csv.count; i++)
            shown += (size_t)snprintf(out + shown, SHOWN - shown, "[" SLICE_FMT "]", SLICE_ARG(csv_field(&csv, i)));
    }
    if (got != CSV_FAULT)
        got = csv_finish(&csv, &e);
    if (got == CSV_RECORD) {
        shown += (size_t)snprintf(out + shown, SHOWN - shown, "%d:", (int)csv.began);
        for (size_t i = 0; i < csv.count; i++)
            shown += (size_t)snprintf(out + shown, SHOWN - shown, "[" SLICE_FMT "]", SLICE_ARG(csv_field(&csv, i)));
        got = csv_finish(&csv, &e);
        assert_int_equal(got, CSV_MORE);
    }
    if (got == CSV_FAULT)
        snprintf(out + shown, SHOWN - shown, "!%.11s", e.text);
    *blank = csv.blank;
    csv_fini(&csv);
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
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t piece = 1; piece <= strlen(cases[i].text) + 1; piece++) {
            char out[SHOWN];
            uint64_t blank;
            read_all(cases[i].text, strlen(cases[i].text), ',', piece, out, &blank);
            assert_string_equal(out, cases[i].expected);
            assert_int_equal(blank, cases[i].blank);
        }
}

static void other_delimiters(void **state)
{
    (void)state;
    char out[SHOWN];
    uint64_t blank;
    read_all("a\tb,c\n", 6, '\t', 6, out, &blank);
    assert_string_equal(out, "1:[a][b,c]");
    read_all("a;b,c;\"d;e\"", 11, ';', 3, out, &blank);
    assert_string_equal(out, "1:[a][b,c][d;e]");
}

static void a_nul_is_refused(void **state)
{
    (void)state;
    char out[SHOWN];
    uint64_t blank;
    read_all("a\n\"b\0c\"", 7, ',', 7, out, &blank);
    assert_string_equal(out, "1:[a]!line 2: a N");
}

static void records_are_bounded(void **state)
{
    (void)state;
    struct csv csv;
    struct err e;
    size_t used, total = 0;
    static char chunk[1 << 20];
    csv_init(&csv, ',');
    memset(chunk, 'x', sizeof chunk);
    chunk[0] = '"';
    enum csv_result got = csv_feed(&csv, chunk, sizeof chunk, &used, &e);
    for (chunk[0] = 'x'; got == CSV_MORE && total < (size_t)2 * CSV_RECORD_MAX; total += used)
        got = csv_feed(&csv, chunk, sizeof chunk, &used, &e);
    assert_int_equal(got, CSV_FAULT);
    assert_true(total <= CSV_RECORD_MAX);
    csv_fini(&csv);

    csv_init(&csv, ',');
    memset(chunk, ',', sizeof chunk);
    assert_int_equal(csv_feed(&csv, chunk, sizeof chunk, &used, &e), CSV_FAULT);
    assert_int_equal(csv.count, CSV_FIELDS_MAX);
    csv_fini(&csv);
}

static void the_last_cell_is_counted_too(void **state)
{
    (void)state;
    struct csv csv;
    struct err e;
    size_t used;
    csv_init(&csv, ',');
    for (int i = 0; i < CSV_FIELDS_MAX; i++)
        assert_int_equal(csv_feed(&csv, ",", 1, &used, &e), CSV_MORE);
    assert_int_equal(csv_finish(&csv, &e), CSV_FAULT);
    csv_fini(&csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_make_no_difference),
        cmocka_unit_test(other_delimiters),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(records_are_bounded),
        cmocka_unit_test(the_last_cell_is_counted_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

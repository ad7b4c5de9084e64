/* The row scanner, rule by rule: what it finds, and how it says what is wrong. */
#include "rows/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct scan_rules usual = {.max_rows = 1000, .max_depth = 32};
static const struct scan_rules lines = {.max_rows = 1000, .max_depth = 32, .ndjson = true};
static const struct scan_rules single = {.max_rows = 1000, .max_depth = 32, .any_keys = true, .single = true};
static const struct scan_rules batch = {.max_rows = 1000, .max_depth = 32, .any_keys = true, .batch = true};

static struct scan *scan;

static int setup(void **state)
{
    (void)state;
    scan = scan_new();
    return scan == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    scan_free(&scan);
    scan_free(&scan); /* nothing there: nothing happens */
    return scan == NULL ? 0 : -1;
}

static int scan_text(const struct scan_rules *rules, const char *body)
{
    return scan_body(scan, rules, slice_of(body));
}

static const struct row_set *accept(const struct scan_rules *rules, const char *body, uint32_t expect)
{
    uint32_t count;
    int code = scan_text(rules, body);
    const struct fault *fault = scan_faults(scan, &count);
    if (code != ERR_OK)
        fail_msg("%s: %s %.*s", body, err_text(code), SLICE_ARG(fault->detail));
    assert_int_equal(count, 0);
    const struct row_set *sets = scan_sets(scan, &count);
    assert_int_equal(count, expect);
    return sets;
}

static void assert_slice(struct slice s, const char *text)
{
    if (!slice_is(s, text))
        fail_msg("'%.*s' is not '%s'", SLICE_ARG(s), text);
}

static const struct fault *fault_at(uint32_t i)
{
    uint32_t count;
    const struct fault *faults = scan_faults(scan, &count);
    assert_true(i < count);
    return &faults[i];
}

/* Exactly these faults, told as "type pointer". */
static void refuse(const struct scan_rules *rules, const char *body, int code, const char *first, const char *second)
{
    const char *const expect[] = {first, second};
    uint32_t count;
    assert_int_equal(scan_text(rules, body), code);
    scan_sets(scan, &count);
    assert_int_equal(count, 0);
    scan_faults(scan, &count);
    assert_int_equal(count, second == NULL ? 1 : 2);
    for (uint32_t i = 0; i < count; i++) {
        char text[512];
        const struct fault *f = fault_at(i);
        snprintf(text, sizeof(text), "%s %.*s", f->type, SLICE_ARG(f->pointer));
        assert_string_equal(text, expect[i]);
        assert_true(f->detail.len > 10);
    }
}

static void refuse_schema(const char *body, const char *first)
{
    refuse(&usual, body, ERR_RANGE, first, NULL);
}

static void refuse_syntax(const char *body, const char *type, uint64_t byte)
{
    assert_int_equal(scan_text(&usual, body), ERR_SYNTAX);
    const struct fault *f = fault_at(0);
    assert_int_equal(f->kind, FAULT_SYNTAX);
    assert_string_equal(f->type, type);
    assert_int_equal(f->byte, byte);
    assert_int_equal(f->line, 1);
    assert_int_equal(f->column, byte + 1);
}

static void test_row(void **state)
{
    (void)state;
    static const char body[] = " {\"uuid\":\"a\\u0041\",\"row\":{\"index\":95,\"data\":{\"k\":1 , \"l\":[{}]}}}\n";
    const struct row_set *set = accept(&usual, body, 1);
    assert_slice(set->uuid, "aA");
    assert_ptr_equal(set->document.ptr, body + 1);
    assert_int_equal(set->document.len, sizeof(body) - 3);
    assert_int_equal(set->rows, 1);
    assert_int_equal(set->spans[0].index, 95);
    assert_slice(slice_make(set->document.ptr + set->spans[0].offset, set->spans[0].length), "{\"k\":1 , \"l\":[{}]}");
    assert_int_equal(scan_rows(scan), 1);
    assert_slice(scan_uuid(scan), "aA");
}

static void test_rows(void **state)
{
    (void)state;
    const struct row_set *set =
        accept(&usual,
               "{\"rows\":[{\"data\":{}},{\"data\":{\"a\":1},\"index\":null},{\"index\":9007199254740991,"
               "\"data\":{\"a\":2}}],\"uuid\":\"u\"}",
               1);
    assert_int_equal(set->rows, 3);
    assert_true(set->spans[0].index == INDEX_NONE && set->spans[1].index == INDEX_NONE);
    assert_true(set->spans[2].index == INDEX_MAX);
    assert_int_equal(set->spans[0].length, 2);
    set = accept(&usual, "{\"uuid\":\"u\",\"rows\":[]}", 1);
    assert_int_equal(set->rows, 0);
    assert_int_equal(scan_rows(scan), 0);
}

static void test_tags_and_ignored(void **state)
{
    (void)state;
    const struct row_set *set =
        accept(&usual,
               "{\"uuid\":\"u\",\"tags\":{\"site\":\"n\\u00e9\",\"run_2\":\"\"},\"x/~y\":[1],\"rows\":[{\"data\":{},"
               "\"indx\":1},{\"inde\\u0078\":3,\"Data\":{\"a\":{}},\"data\":{}}]}",
               1);
    assert_int_equal(set->tag_count, 2);
    assert_slice(set->tags[0].name, "site");
    assert_slice(set->tags[0].value, "n\xc3\xa9");
    assert_slice(set->tags[1].value, "");
    assert_int_equal(set->ignored_count, 3);
    assert_slice(set->ignored[0], "/x~1~0y");
    assert_slice(set->ignored[1], "/rows/0/indx");
    assert_slice(set->ignored[2], "/rows/1/Data");
    assert_int_equal(set->spans[1].index, 3);
}

static void test_ignored_is_bounded(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 1 << 20);
    assert_int_equal(buf_adds(&body, "{\"uuid\":\"u\",\"rows\":[]"), ERR_OK);
    for (int i = 0; i < 150; i++)
        assert_int_equal(buf_addf(&body, ",\"x%d\":0", i), ERR_OK);
    assert_int_equal(buf_adds(&body, "}"), ERR_OK);
    const struct row_set *set = accept(&usual, buf_str(&body), 1);
    assert_int_equal(set->ignored_count, FAULTS_MAX);
    assert_slice(set->ignored[99], "/x99");
    buf_free(&body);
}

static void test_schema(void **state)
{
    (void)state;
    refuse_schema("[]", "object_type ");
    refuse_schema("7", "object_type ");
    refuse_schema("{\"rows\":[]}", "missing /uuid");
    refuse_schema("{\"uuid\":\"u\"}", "missing ");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"row\":{\"data\":{}}}", "one_of ");
    refuse_schema("{\"uuid\":1,\"rows\":[]}", "string_type /uuid");
    refuse_schema("{\"uuid\":\"\",\"rows\":[]}", "too_short /uuid");
    refuse_schema("{\"uuid\":\"a\\u0085\",\"rows\":[]}", "control_character /uuid");
    refuse_schema("{\"uuid\":\"a\x7f\",\"rows\":[]}", "control_character /uuid");
    refuse_schema("{\"uuid\":\"a\\n\",\"rows\":[]}", "control_character /uuid");
    refuse_schema("{\"uuid\":\"a\\u0000\",\"rows\":[]}", "nul_character /uuid");
    refuse_schema("{\"uuid\":\"u\",\"rows\":{}}", "array_type /rows");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[1]}", "object_type /rows/0");
    refuse_schema("{\"uuid\":\"u\",\"row\":null}", "object_type /row");
    refuse_schema("{\"uuid\":\"u\",\"row\":{}}", "missing /row/data");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":[]}}", "object_type /row/data");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"time\":1}", "reserved /time");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"schema\":{\"a\":1}}", "reserved /schema");
}

static void test_duplicates(void **state)
{
    (void)state;
    refuse_schema("{\"uuid\":\"u\",\"uuid\":\"u\",\"rows\":[]}", "duplicate_key /uuid");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{}},\"row\":7}", "duplicate_key /row");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"x\":1,\"x\":2}", "duplicate_key /x");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{},\"data\":{}}}", "duplicate_key /row/data");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{},\"index\":1,\"ind\\u0065x\":1}}", "duplicate_key /row/index");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":1,\"\\u0061\":1}}}", "duplicate_key /row/data/a");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":[0,{\"b\":1,\"c\":1,\"b\":1}]}}}",
                  "duplicate_key /row/data/a/1/b");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\":1,\"b\":1}},{\"data\":{\"a\":1,\"b\":1,\"a\":2}}]}",
                  "duplicate_key /rows/1/data/a");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\":1,\"b\":1}},{\"data\":{\"b\":1,\"a\":1,\"a\":2}}]}",
                  "duplicate_key /rows/1/data/a");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"a\":\"\",\"a\":\"\"}}", "duplicate_key /tags/a");
}

/* Objects wide enough for a table, one inside the other. */
static void test_duplicates_in_wide_objects(void **state)
{
    (void)state;
    for (int twice = -1; twice < 300; twice += 43) {
        struct buf body;
        buf_init(&body, 1 << 20);
        assert_int_equal(buf_adds(&body, "{\"uuid\":\"u\",\"row\":{\"data\":{"), ERR_OK);
        for (int i = 0; i < 300; i++)
            assert_int_equal(buf_addf(&body, "\"key%d\":%d,", i, i), ERR_OK);
        assert_int_equal(buf_adds(&body, "\"in\":{"), ERR_OK);
        for (int i = 0; i < 200; i++)
            assert_int_equal(buf_addf(&body, "\"key%d\":%d,", i, i), ERR_OK);
        assert_int_equal(buf_addf(&body, "\"z\":0},\"%s%d\":0}}}", twice < 0 ? "last" : "key", twice < 0 ? 0 : twice),
                         ERR_OK);
        char expect[64];
        snprintf(expect, sizeof(expect), "duplicate_key /row/data/key%d", twice);
        if (twice < 0)
            accept(&usual, buf_str(&body), 1);
        else
            refuse_schema(buf_str(&body), expect);
        buf_free(&body);
    }
}

static void test_keys(void **state)
{
    (void)state;
    struct scan_rules any = usual;
    any.any_keys = true;
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{\"\":1}}}", "camel_case /row/data/");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{\"Key\":1}}}", "camel_case /row/data/Key");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{\"some_key\":1}}}", "camel_case /row/data/some_key");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{\"aVeryLongKeyThatGoesOnAnd~on\":1}}}",
                  "camel_case /row/data/aVeryLongKeyThatGoesOnAnd~0on");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{\"exactlySixteen_x\":1}}}",
                  "camel_case /row/data/exactlySixteen_x");
    refuse_schema("{\"uuid\":\"u\",\"row\":{\"data\":{\"cl\xc3\xa9\":1}}}", "camel_case /row/data/cl\xc3\xa9");
    accept(&usual, "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\\u0065y\":{\"\":1,\"Any_Key\":2}}}}", 1);
    static const char odd[] = "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"\":1,\"a b\":2}},{\"data\":{\"\":1,\"a b\":2}}]}";
    accept(&any, odd, 1);
    accept(&any, odd, 1);
    /* What was learned while any key was allowed must not be let through afterwards. */
    refuse(&usual, "{\"uuid\":\"u\",\"row\":{\"data\":{\"\":1,\"a b\":2}}}", ERR_RANGE, "camel_case /row/data/",
           "camel_case /row/data/a b");
}

static void test_shape_is_followed_and_left(void **state)
{
    (void)state;
    const struct row_set *set = accept(
        &usual,
        "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\":1,\"b\":2,\"c\":3,\"aKeyOfMoreThanSixteenBytesThisTime\":4}},"
        "{\"data\":{\"a\":1,\"c\":3}},{\"data\":{ \"b\" :1,\"c\":\"x\"}},{\"data\":{\"c\":1,\"a\":2,\"d\":[]}},"
        "{\"data\":{\"c\":1,\"a\":2,\"d\":[]}},{\"data\":{\"aKeyOfMoreThanSixteenBytesThisTime\":4,\"b\":0}},"
        "{\"data\":{\"\\u0061\":1,\"b\":2}},{\"data\":{}}]}",
        1);
    assert_int_equal(set->rows, 8);
    /* What a key says without its escapes is no key to be looked for: it may hold a quote. */
    struct scan_rules any = usual;
    any.any_keys = true;
    refuse(&any, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\\\"b\":1}},{\"data\":{\"a\"b\":1}}]}", ERR_SYNTAX, "syntax ",
           NULL);
    /* A prefix of a learned key is another key; a quote is needed at its end. */
    accept(&usual, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"abc\":1}},{\"data\":{\"ab\":1}},{\"data\":{\"abcd\":1}}]}",
           1);
}

/* Three rows with the same keys; in the last one the key of that number comes once more. */
static void wide_rows(struct buf *b, int width, int twice)
{
    assert_int_equal(buf_adds(b, "{\"uuid\":\"u\",\"rows\":["), ERR_OK);
    for (int row = 0; row < 3; row++) {
        for (int i = 0; i < width; i++)
            assert_int_equal(buf_addf(b, "%s\"k%d\":1", i == 0 ? "{\"data\":{" : ",", i), ERR_OK);
        if (row == 2)
            assert_int_equal(buf_addf(b, ",\"k%d\":2", twice), ERR_OK);
        assert_int_equal(buf_adds(b, row == 2 ? "}}]}" : "}},"), ERR_OK);
    }
}

/* A key that was found in the shape of the row before is known when it comes again, wherever it stands. */
static void test_wide_shapes(void **state)
{
    (void)state;
    static const int widths[] = {63, 64, 65, 128, 255, 256, 257}, keys[] = {0, 1, 62, 63, 64, 127, 128, 254, 255, 256};
    for (size_t w = 0; w < COUNT_OF(widths); w++)
        for (size_t k = 0; k < COUNT_OF(keys); k++) {
            struct buf b;
            char expect[64];
            buf_init(&b, 1 << 20);
            wide_rows(&b, widths[w], keys[k]);
            snprintf(expect, sizeof expect, "duplicate_key /rows/2/data/k%d", keys[k]);
            if (keys[k] < widths[w])
                refuse_schema(buf_str(&b), expect);
            else
                assert_int_equal(accept(&usual, buf_str(&b), 1)->rows, 3);
            buf_free(&b);
        }
}

/* A row with the keys of the one before it in the order that `seed` gives. */
static void add_ordered(struct buf *b, int keys, unsigned seed, int twice)
{
    int order[128];
    for (int i = 0; i < keys; i++) {
        int at = (int)(seed % (unsigned)(i + 1));
        seed = seed * 1103515245u + 12345u;
        order[i] = order[at];
        order[at] = i;
    }
    for (int i = 0; i < keys; i++) {
        assert_int_equal(buf_addf(b, "%s\"key%d\":%d", i == 0 ? "{\"data\":{" : ",", order[i], i), ERR_OK);
        if (order[i] == twice)
            assert_int_equal(buf_addf(b, ",\"key%d\":[{}]", (order[i] + 1) % keys), ERR_OK);
    }
    assert_int_equal(buf_adds(b, "}}"), ERR_OK);
}

/* The same keys in any order are no news, but one that comes twice is, also when the first of the two is not where the
 * row before had it. Some keys are beyond those that are found wherever they come. */
static void test_other_orders(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 5, 10, 64, 65, 100};
    for (size_t c = 0; c < COUNT_OF(counts); c++)
        for (unsigned seed = 1; seed < 60; seed++) {
            int keys = counts[c], twice = seed % 3 == 0 && keys > 1 ? (int)(seed % (unsigned)keys) : -1;
            struct buf b;
            char expect[64];
            buf_init(&b, 1 << 20);
            assert_int_equal(buf_adds(&b, "{\"uuid\":\"u\",\"rows\":["), ERR_OK);
            for (unsigned row = 0; row < 4; row++) {
                assert_int_equal(buf_adds(&b, row > 0 ? "," : ""), ERR_OK);
                add_ordered(&b, keys, seed * row, row == 3 ? twice : -1);
            }
            assert_int_equal(buf_adds(&b, "]}"), ERR_OK);
            snprintf(expect, sizeof expect, "duplicate_key /rows/3/data/key%d", (twice + 1) % keys);
            if (twice >= 0)
                refuse_schema(buf_str(&b), expect);
            else
                assert_int_equal(accept(&usual, buf_str(&b), 1)->rows, 4);
            buf_free(&b);
        }
}

static void test_index(void **state)
{
    (void)state;
    static const char *const bad[] = {"1.0",
                                      "1e0",
                                      "true",
                                      "\"1\"",
                                      "-1",
                                      "-0",
                                      "9007199254740992",
                                      "[0]",
                                      "1e400",
                                      "{}",
                                      "false",
                                      "1.5",
                                      "100000000000000000000000000000000"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char body[256];
        snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"rows\":[{\"index\":%s,\"data\":{}}]}", bad[i]);
        refuse_schema(body, "index_type /rows/0/index");
    }
    refuse_syntax("{\"uuid\":\"u\",\"row\":{\"index\":01", "syntax", 27);
    refuse_syntax("{\"uuid\":\"u\",\"row\":{\"index\":nul", "syntax", 27);
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const good[] = {"-0",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1e-400",
                                       "1.7976931348623157e308",
                                       "0e99999999999999999999",
                                       "0.00000000000000000000001e330",
                                       "1797693134862315807e290",
                                       "17976931348623157000.5E+288"};
    static const char *const bad[] = {"9223372036854775808",
                                      "-9223372036854775809",
                                      "1e400",
                                      "1.8e308",
                                      "-1e309",
                                      "1e99999999999999999999",
                                      "1.7976931348623159e308",
                                      "0.00000000000000000000001e332",
                                      "18446744073709551616",
                                      "10000000000000000000000000"};
    char body[512];
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":%s,\"l\":[%s]}}}", good[i], good[i]);
        accept(&usual, body, 1);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":%s,\"l\":[%s]}}}", bad[i], bad[i]);
        refuse(&usual, body, ERR_RANGE, "range /row/data/k", "range /row/data/l/0");
    }
}

/* The least number that rounds to infinity, one unit in its last place below it, and both with more digits. */
static void test_number_bound(void **state)
{
    (void)state;
    static const char bound[] = "17976931348623158079372897140530341507993413271003782693617377898044496829276475"
                                "09466490179775872070963302864166928879109465555478519404026306574886715058206819"
                                "08902000708383676273854845817711531764475730270069855571366959622842914819860834"
                                "936475292719074168444365510704342711559699508093042880177904174497792";
    char below[sizeof(bound)], body[1024];
    memcpy(below, bound, sizeof(bound));
    memcpy(below + sizeof(bound) - 3, "79", 2);
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":[%s.0,%s.9999,-%s.0]}}}", below, below,
             below);
    accept(&usual, body, 1);
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":%s.0}}}", bound);
    refuse_schema(body, "range /row/data/k");
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":0.%s0001e309}}}", bound);
    refuse_schema(body, "range /row/data/k");
}

static void test_syntax(void **state)
{
    (void)state;
    refuse_syntax("", "empty", 0);
    refuse_syntax("  ", "empty", 2);
    refuse_syntax("\xEF\xBB\xBF{}", "encoding", 0);
    refuse_syntax("{", "syntax", 1);
    refuse_syntax("{}x", "syntax", 2);
    refuse_syntax("[] []", "syntax", 3);
    refuse_syntax("{'a':1}", "syntax", 1);
    refuse_syntax("{\"a\" 1}", "syntax", 5);
    refuse_syntax("{\"a\":1 \"b\":2}", "syntax", 7);
    refuse_syntax("{\"a\":[1 2]}", "syntax", 8);
    refuse_syntax("{\"a\":[1,]}", "syntax", 8);
    refuse_syntax("{\"a\":1,}", "syntax", 7);
    refuse_syntax("{\"a\":+1}", "syntax", 5);
    refuse_syntax("{\"a\":\"\\x\"}", "syntax", 6);
    refuse_syntax("{\"a\":\"\\u12g4\"}", "syntax", 6);
    refuse_syntax("{\"a\":\"\t\"}", "syntax", 6);
    refuse_syntax("{\"a\":\"\xC0\x80\"}", "encoding", 6);
    refuse_syntax("{\"a\":\"\xED\xA0\x80\"}", "encoding", 6);
    refuse_syntax("{\"a\":\"\\uDC00\"}", "encoding", 6);
    refuse_syntax("{\"a\":\"\\uD800\\u0041\"}", "encoding", 6);
    refuse_syntax("{\"a\":\"\\uDC00\\uDC00\"}", "encoding", 6);
    refuse_syntax("{\"tags\":{\"a\":\"x\" 1}", "syntax", 17);
    refuse_syntax("{\"tags\":{\"a\":\"\\", "syntax", 15);
    refuse_syntax("{\"uuid\":\"\x80", "encoding", 9);
    refuse_syntax("{\"rows\":[{} 1]}", "syntax", 12);
    refuse_syntax("{\"rows\":[{\"data\":{\"a\":1 2}}]}", "syntax", 24);
    refuse_syntax("{\"rows\":[{\"x\":1 2}]}", "syntax", 16);
    refuse_syntax("{\"rows\":[{\"data\":{\"a\":- }}]}", "syntax", 23);
    refuse_syntax("{\"rows\":[{\"data\":{\"a\":tru}}]}", "syntax", 22);
    assert_int_equal(scan_body(scan, &usual, slice_make("{\"a\":1\0}", 8)), ERR_SYNTAX);
    assert_int_equal(fault_at(0)->byte, 6);
    assert_int_equal(scan_body(scan, &usual, slice_make(NULL, 0)), ERR_SYNTAX);
}

static void test_places(void **state)
{
    (void)state;
    assert_int_equal(scan_text(&usual, "{\n \"uuid\": 1,\r\n \"rows\": [\n{\"data\":{\"A\":1}}, ]\n}"), ERR_SYNTAX);
    assert_int_equal(fault_at(0)->kind, FAULT_SYNTAX); /* first, though found last */
    assert_int_equal(fault_at(0)->line, 4);
    assert_int_equal(fault_at(0)->column, 19);
    assert_slice(fault_at(0)->pointer, "");
    assert_string_equal(fault_at(1)->type, "string_type");
    assert_int_equal(fault_at(1)->line, 2);
    assert_int_equal(fault_at(1)->column, 10);
    assert_int_equal(fault_at(1)->byte, 11);
    assert_string_equal(fault_at(2)->type, "camel_case");
    assert_int_equal(fault_at(2)->line, 4);
    assert_int_equal(fault_at(2)->column, 10);
    assert_slice(fault_at(2)->detail,
                 "a key of data must be camelCase: a small letter, then letters and digits, as in sampleId");
}

static void test_uuid_length(void **state)
{
    (void)state;
    char text[600], body[700];
    for (size_t i = 0; i < 129; i++)
        memcpy(text + 4 * i, "\xF0\x9D\x84\x9E", 4);
    snprintf(body, sizeof(body), "{\"uuid\":\"%.512s\",\"rows\":[]}", text);
    assert_int_equal(accept(&usual, body, 1)->uuid.len, 512);
    snprintf(body, sizeof(body), "{\"uuid\":\"%.516s\",\"rows\":[]}", text);
    refuse_schema(body, "too_long /uuid");
    assert_slice(fault_at(0)->detail, "uuid must have at most 128 characters; send a shorter one");
    assert_int_equal(scan_uuid(scan).len, 516);
}

static void test_key_length(void **state)
{
    (void)state;
    char key[300], body[1024], expect[512];
    memset(key, 'k', sizeof(key));
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"%.256s\":1}}}", key);
    accept(&usual, body, 1);
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"%.257s\":1}}}", key);
    snprintf(expect, sizeof(expect), "too_long /row/data/%.256s", key); /* the pointer shows its beginning */
    refuse_schema(body, expect);
    memcpy(key + 255, "\xc3\xa9", 2);
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"%.257s\":1}}}", key);
    snprintf(expect, sizeof(expect), "too_long /row/data/%.255s", key);
    refuse_schema(body, expect);
}

static void test_tags(void **state)
{
    (void)state;
    char value[300], body[512];
    memset(value, 'v', sizeof(value));
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"tags\":null}", "object_type /tags");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"a\":1}}", "string_type /tags/a");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"A\":\"\"}}", "tag_name /tags/A");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"\":\"\"}}", "tag_name /tags/");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"a-b\":\"\"}}", "tag_name /tags/a-b");
    refuse_schema("{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"a\":\"\\u0000\"}}", "nul_character /tags/a");
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"a\":\"%.256s\"}}", value);
    accept(&usual, body, 1);
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"a\":\"%.257s\"}}", value);
    refuse_schema(body, "too_long /tags/a");
    snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"rows\":[],\"tags\":{\"%.257s\":\"\"}}", value);
    assert_int_equal(scan_text(&usual, body), ERR_RANGE);
    assert_string_equal(fault_at(0)->type, "too_long");
}

static void test_tag_count(void **state)
{
    (void)state;
    for (int count = 16; count <= 17; count++) {
        struct buf body;
        buf_init(&body, 4096);
        assert_int_equal(buf_adds(&body, "{\"uuid\":\"u\",\"rows\":[],\"tags\":{"), ERR_OK);
        for (int i = 0; i < count; i++)
            assert_int_equal(buf_addf(&body, "%s\"t%d\":\"\"", i == 0 ? "" : ",", i), ERR_OK);
        assert_int_equal(buf_adds(&body, "}}"), ERR_OK);
        if (count == 16)
            assert_int_equal(accept(&usual, buf_str(&body), 1)->tag_count, 16);
        else
            refuse_schema(buf_str(&body), "tag_count /tags");
        buf_free(&body);
    }
}

static void test_depth(void **state)
{
    (void)state;
    struct scan_rules flat = usual;
    flat.max_depth = 1;
    accept(&flat, "{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":1}}}", 1);
    refuse(&flat, "{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":[1]}}}", ERR_RANGE, "depth /row/data/a", NULL);
    flat.max_depth = 0;
    refuse(&flat, "{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":[]}}}", ERR_RANGE, "depth /row/data/a", NULL);
    flat.max_depth = 3;
    accept(&flat, "{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":[[1]]}}}", 1);
    /* Of what is too deep only the outermost is named, and only its syntax counts. */
    refuse(&flat, "{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":[[1,{\"x\":[1e400,\"\\u0000\"],\"x\":{}}],2,[[[]]]]}}}",
           ERR_RANGE, "depth /row/data/a/0/1", "depth /row/data/a/2/0");
    assert_slice(fault_at(0)->detail, "this is nested deeper than 3 levels; flatten it or send it as a string");
    assert_int_equal(scan_text(&flat, "{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":[[[{\"x\" 1}]]]}}}"), ERR_SYNTAX);
    assert_int_equal(scan_text(&flat, "{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":[[[{\"x\":1]]]]}}}"), ERR_SYNTAX);
}

static void test_very_deep(void **state)
{
    (void)state;
    enum { DEPTH = 1000000 };
    static char body[6 * DEPTH + 64];
    for (int object = 0; object < 2; object++) {
        char *p = body + sprintf(body, "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":");
        for (int i = 0; i < DEPTH; i++, p += object ? 5 : 1)
            memcpy(p, object ? "{\"a\":" : "[", object ? 5 : 1);
        *p++ = '1';
        memset(p, object ? '}' : ']', DEPTH);
        p += DEPTH;
        size_t open = (size_t)(p - body);
        memcpy(p, "}}}", 3);
        assert_int_equal(scan_body(scan, &usual, slice_make(body, open + 3)), ERR_RANGE);
        assert_string_equal(fault_at(0)->type, "depth");
        assert_int_equal(scan_body(scan, &usual, slice_make(body, open)), ERR_SYNTAX);
        assert_int_equal(fault_at(0)->byte, open);
        scan_trim(scan, 4096);
    }
}

static void test_many_faults(void **state)
{
    (void)state;
    struct buf body;
    uint32_t count;
    buf_init(&body, 1 << 20);
    assert_int_equal(buf_adds(&body, "{\"uuid\":\"u\",\"rows\":["), ERR_OK);
    for (int i = 0; i < 150; i++)
        assert_int_equal(buf_addf(&body, "%s{\"index\":-1,\"data\":{}}", i == 0 ? "" : ","), ERR_OK);
    assert_int_equal(buf_adds(&body, "]}"), ERR_OK);
    assert_int_equal(scan_text(&usual, buf_str(&body)), ERR_RANGE);
    scan_faults(scan, &count);
    assert_int_equal(count, FAULTS_MAX);
    assert_slice(fault_at(99)->pointer, "/rows/99/index");
    /* That it is not even JSON counts more than what has no room any more. */
    assert_int_equal(buf_adds(&body, "}"), ERR_OK);
    assert_int_equal(scan_text(&usual, buf_str(&body)), ERR_SYNTAX);
    scan_faults(scan, &count);
    assert_int_equal(count, FAULTS_MAX);
    assert_int_equal(fault_at(0)->byte, body.len - 1);
    assert_slice(fault_at(1)->pointer, "/rows/0/index");
    buf_free(&body);
}

static void test_limits(void **state)
{
    (void)state;
    struct scan_rules two = usual;
    two.max_rows = 2;
    accept(&two, "{\"uuid\":\"u\",\"rows\":[{\"data\":{}},{\"data\":{}}]}", 1);
    refuse(&two, "{\"uuid\":\"u\",\"rows\":[{\"data\":{}},{\"data\":{}},{\"data\":{}}]}", ERR_LIMIT,
           "too_many_rows /rows/2", NULL);
    assert_slice(fault_at(0)->detail, "a request may hold at most 2 rows; send several requests");
    two.ndjson = true;
    refuse(&two, "{\"uuid\":\"u\",\"row\":{\"data\":{}}}\n{\"uuid\":\"u\",\"rows\":[{\"data\":{}},{\"data\":{}}]}",
           ERR_LIMIT, "too_many_rows /rows/1", NULL);
    assert_int_equal(fault_at(0)->line, 2);
    refuse(&two, "{\"uuid\":\"u\",\"rows\":[]}\n{\"uuid\":\"u\",\"rows\":[]}\n{\"uuid\":\"u\",\"rows\":[]}", ERR_LIMIT,
           "too_many_rows ", NULL);
    if (SIZE_MAX > UINT32_MAX)
        assert_int_equal(scan_body(scan, &usual, slice_make("", (size_t)UINT32_MAX + 1)), ERR_LIMIT);
}

static void test_lines(void **state)
{
    (void)state;
    const struct row_set *set = accept(&lines,
                                       "\n{\"uuid\":\"a\",\"row\":{\"data\":{\"x\":1}}}\r\n \t\r\n"
                                       "  {\"uuid\":\"b\",\"rows\":[{\"data\":{}},{\"data\":{}}],\"q\":1}\n"
                                       "{\"uuid\":\"c\",\"tags\":{\"t\":\"1\"},\"rows\":[]}",
                                       3);
    assert_slice(set[1].uuid, "b");
    assert_int_equal(set[0].rows, 1);
    assert_int_equal(set[1].rows, 2);
    assert_int_equal(set[1].ignored_count, 1);
    assert_int_equal(set[0].ignored_count, 0);
    assert_int_equal(set[2].tag_count, 1);
    assert_int_equal(set[1].tag_count, 0);
    assert_memory_equal(set[1].document.ptr + set[1].spans[0].offset, "{}", 2);
    assert_int_equal(scan_rows(scan), 3);
    assert_slice(scan_uuid(scan), "a");
    refuse(&lines, " \n\n", ERR_SYNTAX, "empty ", NULL);
}

static void test_line_faults(void **state)
{
    (void)state;
    refuse(&lines, "{\"uuid\":\"a\",\"row\":{}}\n{\"uuid\":\"a\",\"rows\":[]}\n{\"uuid\":\"\",\"rows\":[]}\n",
           ERR_RANGE, "missing /row/data", "too_short /uuid");
    assert_int_equal(fault_at(0)->line, 1);
    assert_int_equal(fault_at(1)->line, 3);
    assert_int_equal(fault_at(1)->column, 0);
    /* A string does not go on in the next line, and the next line is read all the same. */
    refuse(&lines, "{\"uuid\":2,\"rows\":[]}\n{\"uuid\":\"a\n{\"uuid\":\"b\",\"rows\":[]}\n", ERR_SYNTAX, "syntax ",
           "string_type /uuid");
    assert_int_equal(fault_at(0)->line, 2);
    assert_int_equal(fault_at(0)->column, 11);
    refuse(&lines, "{\"uuid\":\"a\",\"row\":{\"data\":{\"k\":[}\n{\"uuid\":2,\"rows\":[]}\n", ERR_SYNTAX, "syntax ",
           "string_type /uuid");
}

static void test_older_paths(void **state)
{
    (void)state;
    accept(&single, "{\"uuid\":\"u\",\"row\":{\"data\":{\"Any key\":1}}}", 1);
    refuse(&single, "{\"uuid\":\"u\",\"rows\":[]}", ERR_RANGE, "misplaced /rows", "missing /row");
    refuse(&single, "{\"uuid\":\"u\",\"row\":{\"data\":{}},\"rows\":[]}", ERR_RANGE, "misplaced /rows", NULL);
    accept(&batch, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"Any key\":1}}]}", 1);
    refuse(&batch, "{\"uuid\":\"u\",\"row\":{\"data\":{}}}", ERR_RANGE, "misplaced /row", "missing /rows");
}

static void test_trim(void **state)
{
    (void)state;
    static const char body[] = "{\"uuid\":\"u\",\"row\":{\"data\":{\"a\":[{}]}},\"x\":1}";
    uint32_t count;
    accept(&usual, body, 1);
    scan_trim(scan, 1 << 20); /* less than that is held: nothing happens */
    assert_int_equal(scan_sets(scan, &count)->rows, 1);
    scan_trim(scan, 0);
    scan_sets(scan, &count);
    assert_int_equal(count, 0);
    accept(&usual, body, 1);
}

/* Long texts around the ends of what is looked at in one step. */
static void test_strings_of_every_length(void **state)
{
    (void)state;
    static const char *const odd[] = {"\xc3\xa9", "\\n", "\xe2\x82\xac", "\\ud834\\udd1e", "\xf0\x9d\x84\x9e"};
    for (size_t before = 0; before < 70; before++) {
        for (size_t i = 0; i < COUNT_OF(odd); i++) {
            char body[512], pad[80];
            memset(pad, 'x', sizeof(pad));
            snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":\"%.*s%s%.*s\"}}}", (int)before, pad,
                     odd[i], (int)(69 - before), pad);
            accept(&usual, body, 1);
            snprintf(body, sizeof(body), "{\"uuid\":\"u\",\"row\":{\"data\":{\"k\":\"%.*s\x01%s\"}}}", (int)before, pad,
                     odd[i]);
            assert_int_equal(scan_text(&usual, body), ERR_SYNTAX);
            assert_int_equal(fault_at(0)->byte, 32 + before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_tags_and_ignored),
        cmocka_unit_test(test_ignored_is_bounded),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_duplicates_in_wide_objects),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_shape_is_followed_and_left),
        cmocka_unit_test(test_wide_shapes),
        cmocka_unit_test(test_other_orders),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_number_bound),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_uuid_length),
        cmocka_unit_test(test_key_length),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_tag_count),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_very_deep),
        cmocka_unit_test(test_many_faults),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_line_faults),
        cmocka_unit_test(test_older_paths),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_strings_of_every_length),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

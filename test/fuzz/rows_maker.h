/* Random bodies from a seed: valid row sets, nearly valid ones, and broken ones.
 *
 * A body is written member by member, each with a small chance of breaking one of the rules; half of the bodies are
 * then cut, spliced with the body before, or strewn with tokens that are likely to matter. Rows of a batch mostly have
 * the keys of the row before, so that what the scanner learns from one row is put to use, and to the test, in the next.
 */
#ifndef HG_TEST_ROWS_MAKER_H
#define HG_TEST_ROWS_MAKER_H

#include "rows/rows.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAKER_MAX = 60000, MAKER_KEYS = 48 };

struct maker {
    uint64_t state;
    char text[MAKER_MAX];
    size_t len;
    char before[MAKER_MAX]; /* the body before, for splicing */
    size_t before_len;
    bool tidy; /* this body breaks no rule on purpose */
};

static uint32_t maker_draw(struct maker *m, uint32_t below)
{
    m->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = m->state;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z >> 33) % below);
}

/* True once in `n` times, where rules may be broken. */
static bool maker_odd(struct maker *m, uint32_t n)
{
    return maker_draw(m, n) == 0 && !m->tidy;
}

static void maker_add(struct maker *m, const char *ptr, size_t len)
{
    if (len > MAKER_MAX - m->len)
        len = MAKER_MAX - m->len;
    memcpy(m->text + m->len, ptr, len);
    m->len += len;
}

static void maker_put(struct maker *m, const char *text)
{
    maker_add(m, text, strlen(text));
}

#define MAKER_PICK(m, list) ((list)[maker_draw(m, (uint32_t)COUNT_OF(list))])

static void maker_blank(struct maker *m)
{
    static const char *const blanks[] = {" ", "  ", "\t", "\r", " \t "};
    if (maker_draw(m, 12) == 0)
        maker_put(m, MAKER_PICK(m, blanks));
}

static void maker_repeat(struct maker *m, const char *text, uint32_t times)
{
    while (times-- > 0)
        maker_put(m, text);
}

static void maker_text(struct maker *m)
{
    static const char *const good[] = {"a",
                                       "Zz",
                                       "0",
                                       "-",
                                       " ",
                                       "_",
                                       "/",
                                       "~",
                                       "\\n",
                                       "\\\"",
                                       "\\\\",
                                       "\\/",
                                       "\\u0041",
                                       "\\u00e9",
                                       "\x7f",
                                       "\xc3\xa9",
                                       "\\t",
                                       "\\uFFFE",
                                       "\\u0080",
                                       "\\uD834\\udd1e",
                                       "\xe2\x82\xac",
                                       "\xf0\x9d\x84\x9e",
                                       "\xef\xbf\xbf",
                                       "0123456789abcdef",
                                       "\xed\x9f\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\\u0000",
                                      "\n",
                                      "\x01",
                                      "\x1f",
                                      "\\x",
                                      "\\u12",
                                      "\\u00G0",
                                      "\\uD800",
                                      "\\",
                                      "\\uDC00",
                                      "\x80",
                                      "\xff",
                                      "\xc0\xaf",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xc3",
                                      "\xf4\x90\x80\x80",
                                      "\xe2\x82",
                                      "\xf0\x9f",
                                      "\\uD834\\u0041",
                                      "\\uD834x",
                                      "\\uDC00\\uDC00"};
    for (uint32_t n = maker_draw(m, 7); n > 0; n--)
        maker_put(m, MAKER_PICK(m, good));
    if (maker_draw(m, 40) == 0)
        maker_repeat(m, "0123456789abcdefghi", maker_draw(m, 20));
    if (maker_odd(m, 150))
        maker_put(m, MAKER_PICK(m, bad));
}

static void maker_string(struct maker *m)
{
    maker_put(m, "\"");
    maker_text(m);
    maker_put(m, "\"");
}

static void maker_long_number(struct maker *m)
{
    static const char *const ends[] = {"", ".0", ".5", "e0", "e-10", "e5", ".25e1", "e-300"};
    uint32_t len = maker_draw(m, 2) == 0 ? 300 + maker_draw(m, 20) : 1 + maker_draw(m, 40);
    for (uint32_t i = 0; i < len; i++) {
        char digit[2] = {(char)('0' + maker_draw(m, 10)), 0};
        maker_put(m, i == 0 && digit[0] == '0' ? "1" : digit);
    }
    maker_put(m, MAKER_PICK(m, ends));
}

/* Next to the bound between the largest double and infinity. */
static void maker_near_bound(struct maker *m)
{
    static const char largest[] = "17976931348623157",
                      bound[] = "17976931348623158079372897140530341507993413271003782693617377898044496829276475"
                                "09466490179775872070963302864166928879109465555478519404026306574886715058206819"
                                "08902000708383676273854845817711531764475730270069855571366959622842914819860834"
                                "936475292719074168444365510704342711559699508093042880177904174497792";
    const char *digits = maker_draw(m, 4) == 0 ? largest : bound;
    size_t len = 1 + maker_draw(m, (uint32_t)strlen(digits));
    if (maker_draw(m, 2) == 0)
        len = strlen(digits);
    char text[512];
    memcpy(text, digits, len);
    if (maker_draw(m, 2) == 0)
        text[len - 1 - maker_draw(m, (uint32_t)(len < 4 ? len : 4))] = (char)('0' + maker_draw(m, 10));
    size_t dot = 1 + maker_draw(m, (uint32_t)len);
    if (maker_draw(m, 3) == 0)
        maker_put(m, "-");
    maker_add(m, text, dot);
    maker_put(m, ".");
    maker_add(m, text + dot, len - dot);
    maker_put(m, "0");
    char exponent[16];
    snprintf(exponent, sizeof(exponent), "e%d", 309 - (int)dot + (maker_draw(m, 6) == 0 ? 1 : 0));
    maker_put(m, exponent);
}

static void maker_number(struct maker *m)
{
    static const char *const good[] = {"0",
                                       "-0",
                                       "7",
                                       "10",
                                       "-12.5",
                                       "3.25",
                                       "1e3",
                                       "1E+2",
                                       "2.5e-3",
                                       "123456",
                                       "9007199254740991",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1e-400",
                                       "0e999999999999",
                                       "0.1234567890123456789",
                                       "1.7976931348623157e308",
                                       "5e-324",
                                       "-0.0",
                                       "0.000e999",
                                       "123456789012345",
                                       "1234567890123456",
                                       "12345678.12345678"};
    static const char *const bad[] = {"01",
                                      "-",
                                      "+1",
                                      ".5",
                                      "5.",
                                      "1e",
                                      "1e+",
                                      "1.e1",
                                      "-01",
                                      "0x10",
                                      "NaN",
                                      "-Infinity",
                                      "1eE2",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "18446744073709551616",
                                      "1e400",
                                      "-1e400",
                                      "1.8e308",
                                      "1e99999999999999999999",
                                      "1.2.3",
                                      "1_000",
                                      "00",
                                      "- 1"};
    uint32_t kind = maker_draw(m, 40);
    if (maker_odd(m, 60))
        maker_put(m, MAKER_PICK(m, bad));
    else if (kind == 0 && !m->tidy)
        maker_long_number(m);
    else if (kind == 1 && !m->tidy)
        maker_near_bound(m);
    else
        maker_put(m, MAKER_PICK(m, good));
}

static void maker_value(struct maker *m, uint32_t depth);

static void maker_nested(struct maker *m, uint32_t depth)
{
    bool object = maker_draw(m, 2) == 0;
    maker_put(m, object ? "{" : "[");
    maker_blank(m);
    uint32_t count = maker_draw(m, 20) == 0 ? maker_draw(m, 80) : maker_draw(m, 4);
    if (depth > 3 && count > 1)
        count = 1;
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        if (i > 0)
            maker_put(m, ",");
        maker_blank(m);
        if (object) {
            uint32_t number = maker_odd(m, 60) ? maker_draw(m, i + 1) : i;
            snprintf(key, sizeof(key), maker_draw(m, 20) == 0 ? "\"\\u006b%u\"" : "\"k%u\"", number);
            maker_put(m, key);
            maker_blank(m);
            maker_put(m, ":");
            maker_blank(m);
        }
        maker_value(m, depth + 1);
        maker_blank(m);
    }
    maker_put(m, object ? "}" : "]");
}

static void maker_value(struct maker *m, uint32_t depth)
{
    static const char *const words[] = {"true", "false", "null"}, *const bad[] = {"tru",       "nul", "True",
                                                                                  "undefined", "",    "'x'"};
    uint32_t kind = maker_draw(m, 20);
    if (maker_odd(m, 300))
        maker_put(m, MAKER_PICK(m, bad));
    else if (kind < 7)
        maker_string(m);
    else if (kind < 13)
        maker_number(m);
    else if (kind < 17)
        maker_put(m, MAKER_PICK(m, words));
    else if (depth < 8)
        maker_nested(m, depth);
    else
        maker_put(m, "1");
}

static void maker_key(struct maker *m, uint32_t number)
{
    static const char *const names[] = {"a",         "k",
                                        "sampleId",  "concentration",
                                        "volumeUl",  "plateBarcodeOfThisRow",
                                        "x1",        "instrumentSerialNumberOfTheDevice",
                                        "isControl", "data",
                                        "index",     "uuid"};
    static const char *const odd[] = {"",           "A",   "1a",     "a_b",      "a-b",
                                      "cl\xc3\xa9", "a b", "key\\n", "a\\u0000", "__proto__"};
    maker_put(m, "\"");
    if (maker_odd(m, 80)) {
        maker_put(m, MAKER_PICK(m, odd));
    } else if (maker_draw(m, 60) == 0) {
        maker_put(m, number % 2 == 0 ? "\\u0061" : "k\\u0065y");
    } else if (maker_odd(m, 500)) {
        maker_put(m, "k");
        maker_repeat(m, maker_draw(m, 2) == 0 ? "\xc3\xa9" : "y", 200 + maker_draw(m, 120));
    } else {
        char text[16] = "";
        maker_put(m, names[number % COUNT_OF(names)]);
        if (number >= COUNT_OF(names))
            snprintf(text, sizeof(text), "%u", number);
        maker_put(m, text);
    }
    maker_put(m, "\"");
}

/* The keys of a row: `keys` numbers, mostly those of the row before. */
struct maker_shape {
    uint32_t keys[MAKER_KEYS];
    uint32_t count;
};

static void maker_reshape(struct maker *m, struct maker_shape *shape)
{
    shape->count = maker_draw(m, 8) == 0 ? maker_draw(m, MAKER_KEYS) : maker_draw(m, 8);
    uint32_t first = maker_draw(m, 12);
    for (uint32_t i = 0; i < shape->count; i++)
        shape->keys[i] = first + i;
}

static void maker_shift(struct maker *m, struct maker_shape *shape)
{
    if (shape->count < 2)
        return;
    uint32_t a = maker_draw(m, shape->count), b = maker_draw(m, shape->count), kept = shape->keys[a];
    switch (maker_draw(m, 3)) {
    case 0: /* two change places */
        shape->keys[a] = shape->keys[b];
        shape->keys[b] = kept;
        break;
    case 1: /* one is left out */
        memmove(shape->keys + a, shape->keys + a + 1, (shape->count - a - 1) * sizeof(kept));
        shape->count--;
        break;
    default: /* one comes twice */
        if (maker_odd(m, 2))
            shape->keys[a] = shape->keys[b];
        break;
    }
}

static void maker_data(struct maker *m, const struct maker_shape *shape)
{
    if (maker_odd(m, 100)) {
        maker_value(m, 2);
        return;
    }
    maker_put(m, "{");
    maker_blank(m);
    for (uint32_t i = 0; i < shape->count; i++) {
        if (i > 0)
            maker_put(m, ",");
        maker_blank(m);
        maker_key(m, shape->keys[i]);
        maker_blank(m);
        maker_put(m, ":");
        maker_blank(m);
        maker_value(m, 0);
        maker_blank(m);
    }
    maker_put(m, "}");
}

static void maker_index(struct maker *m)
{
    static const char *const good[] = {"0", "1", "95", "null", "9007199254740991", "1234567890123456"};
    static const char *const bad[] = {"-1",
                                      "1.0",
                                      "1e0",
                                      "true",
                                      "\"1\"",
                                      "9007199254740992",
                                      "-0",
                                      "[0]",
                                      "01",
                                      "nul",
                                      "1e400",
                                      "{\"a\":1,\"a\":2}",
                                      "1000000000000000000000000000000",
                                      "9223372036854775808",
                                      "",
                                      "0.",
                                      "00000000000000000000"};
    maker_put(m, maker_odd(m, 25) ? MAKER_PICK(m, bad) : MAKER_PICK(m, good));
}

static void maker_row(struct maker *m, struct maker_shape *shape)
{
    static const char *const extra[] = {"indx", "Data", "name", "inde\\u0078", "dat\\u0061", "index", "data", "a/b~c"};
    const char *before = "";
    if (maker_odd(m, 100)) {
        maker_value(m, 2);
        return;
    }
    if (maker_draw(m, 4) == 0)
        maker_reshape(m, shape);
    else if (maker_draw(m, 3) == 0)
        maker_shift(m, shape);
    maker_put(m, "{");
    maker_blank(m);
    bool late = maker_draw(m, 6) == 0, any = maker_draw(m, 4) > 0;
    for (int part = 0; part < 3; part++) {
        bool index = part == (late ? 1 : 0), data = part == (late ? 0 : 1);
        if ((index && !any) || (data && maker_odd(m, 60)) || (part == 2 && maker_draw(m, 20) != 0))
            continue;
        maker_put(m, before);
        before = ",";
        maker_blank(m);
        maker_put(m, "\"");
        maker_put(m, index ? "index" : data ? "data" : m->tidy ? "other" : MAKER_PICK(m, extra));
        maker_put(m, "\"");
        maker_blank(m);
        maker_put(m, ":");
        maker_blank(m);
        if (index)
            maker_index(m);
        else if (data)
            maker_data(m, shape);
        else
            maker_value(m, 2);
        maker_blank(m);
    }
    maker_put(m, "}");
}

static void maker_rows(struct maker *m)
{
    struct maker_shape shape;
    maker_reshape(m, &shape);
    if (maker_odd(m, 100)) {
        maker_value(m, 2);
        return;
    }
    maker_put(m, "[");
    maker_blank(m);
    uint32_t count = maker_draw(m, 40) == 0 ? maker_draw(m, 30) : maker_draw(m, 4);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            maker_put(m, ",");
        maker_blank(m);
        maker_row(m, &shape);
        maker_blank(m);
    }
    maker_put(m, "]");
}

static void maker_uuid(struct maker *m)
{
    static const char *const odd[] = {"null",         "1",        "\"\"", "\"a\\nb\"",  "\"\\u0000\"", "\"a\xc2\x85\"",
                                      "\"a\\u009f\"", "\"\x7f\"", "{}",   "\"\\u007f\""};
    if (maker_odd(m, 30)) {
        maker_put(m, MAKER_PICK(m, odd));
    } else if (maker_odd(m, 60)) {
        maker_put(m, "\"");
        maker_repeat(m, maker_draw(m, 2) == 0 ? "x" : "\xe2\x82\xac", 120 + maker_draw(m, 16));
        maker_put(m, "\"");
    } else {
        maker_put(m, maker_draw(m, 4) == 0 ? "\"\xc3\xa9\\u0041 x\"" : "\"dd4f1f8c-62a1\"");
    }
}

static void maker_tags(struct maker *m)
{
    static const char *const odd[] = {"A", "", "a-b", "_a", "1", "a\\u0000"};
    if (maker_odd(m, 20)) {
        maker_value(m, 2);
        return;
    }
    maker_put(m, "{");
    uint32_t count = maker_odd(m, 20) ? 14 + maker_draw(m, 5) : maker_draw(m, 4);
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        uint32_t number = maker_odd(m, 40) ? maker_draw(m, i + 1) : i;
        snprintf(key, sizeof(key), "\"site_%u\"", number);
        maker_put(m, i > 0 ? "," : "");
        if (maker_odd(m, 40)) {
            maker_put(m, "\"");
            maker_put(m, MAKER_PICK(m, odd));
            maker_put(m, "\"");
        } else {
            maker_put(m, key);
        }
        maker_put(m, ":");
        if (maker_odd(m, 40))
            maker_value(m, 2);
        else if (m->tidy)
            maker_put(m, "\"north \\u0041\"");
        else
            maker_string(m);
    }
    maker_put(m, "}");
}

static void maker_member(struct maker *m, const char *name)
{
    maker_blank(m);
    maker_put(m, "\"");
    maker_put(m, name);
    maker_put(m, "\"");
    maker_blank(m);
    maker_put(m, ":");
    maker_blank(m);
    if (strcmp(name, "uuid") == 0 || strcmp(name, "u\\u0075id") == 0)
        maker_uuid(m);
    else if (strcmp(name, "row") == 0 || strcmp(name, "\\u0072ow") == 0)
        maker_row(m, &(struct maker_shape){.keys = {1, 2, 3}, .count = 3});
    else if (strcmp(name, "rows") == 0)
        maker_rows(m);
    else if (strcmp(name, "tags") == 0)
        maker_tags(m);
    else
        maker_value(m, 1);
    maker_blank(m);
}

static void maker_document(struct maker *m, const struct scan_rules *rules)
{
    static const char *const odd[] = {"time",       "schema",    "uuid",  "row",  "rows",    "tags",
                                      "u\\u0075id", "\\u0072ow", "extra", "UUID", "a\\u0000"};
    const char *body = rules->single ? "row" : rules->batch || maker_draw(m, 2) == 0 ? "rows" : "row";
    const char *names[8] = {"uuid", body};
    uint32_t count = 2;
    if (maker_draw(m, 5) == 0)
        names[count++] = "tags";
    if (maker_draw(m, 12) == 0)
        names[count++] = "extra";
    if (maker_odd(m, 12))
        names[count++] = MAKER_PICK(m, odd);
    if (maker_odd(m, 40))
        names[maker_draw(m, 2)] = MAKER_PICK(m, odd);
    maker_blank(m);
    maker_put(m, "{");
    for (uint32_t left = count; left > 0; left--) {
        uint32_t at = maker_draw(m, 3) == 0 ? maker_draw(m, left) : 0;
        if (left < count)
            maker_put(m, ",");
        maker_member(m, names[at]);
        memmove(names + at, names + at + 1, (left - at - 1) * sizeof(*names));
    }
    maker_put(m, "}");
    maker_blank(m);
}

/* --- breaking it -------------------------------------------------------------------------------------------------- */

static void maker_insert(struct maker *m, size_t at, const char *ptr, size_t len)
{
    if (len > MAKER_MAX - m->len)
        return;
    memmove(m->text + at + len, m->text + at, m->len - at);
    memcpy(m->text + at, ptr, len);
    m->len += len;
}

static void maker_remove(struct maker *m, size_t at, size_t len)
{
    memmove(m->text + at, m->text + at + len, m->len - at - len);
    m->len -= len;
}

static void maker_deep(struct maker *m, size_t at)
{
    uint32_t depth = maker_draw(m, 10) == 0 ? maker_draw(m, 2000) : maker_draw(m, 40);
    bool object = maker_draw(m, 2) == 0;
    char text[12000];
    size_t len = 0;
    for (uint32_t i = 0; i < depth; i++, len += object ? 5 : 1)
        memcpy(text + len, object ? "{\"a\":" : "[", object ? 5 : 1);
    text[len++] = '1';
    memset(text + len, object ? '}' : ']', depth);
    maker_insert(m, at, text, len + (maker_draw(m, 4) == 0 ? 0 : depth));
}

static void maker_break(struct maker *m)
{
    static const char *const tokens[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         ",",
                                         ":",
                                         "\"",
                                         "\\",
                                         "null",
                                         "true",
                                         "1",
                                         "-",
                                         "e",
                                         ".",
                                         "0",
                                         "\n",
                                         "\r\n",
                                         " ",
                                         "\xef\xbb\xbf",
                                         "//x",
                                         "/**/",
                                         "\\u0000",
                                         "\\uD800",
                                         "\xff",
                                         "\x80",
                                         "[]",
                                         "{}",
                                         "\"a\":1,",
                                         ",\"data\":{}",
                                         "\"uuid\":\"x\",",
                                         "\"row\":{\"data\":{}},",
                                         "\"index\":1,",
                                         "NaN",
                                         "'",
                                         "\x7f",
                                         "\x1f",
                                         "\x0c",
                                         "1e400",
                                         "\"\""};
    size_t at = maker_draw(m, (uint32_t)m->len + 1);
    if (m->len == 0)
        return;
    size_t in = at < m->len ? at : m->len - 1, left = m->len - in;
    size_t some = 1 + maker_draw(m, (uint32_t)(left < 20 ? left : 20));
    switch (maker_draw(m, 9)) {
    case 0: m->text[in] = (char)(m->text[in] ^ 1 << maker_draw(m, 8)); break;
    case 1: m->text[in] = (char)maker_draw(m, 256); break;
    case 2: maker_remove(m, in, some <= left ? some : left); break;
    case 3:
    case 4: {
        const char *token = MAKER_PICK(m, tokens);
        maker_insert(m, at, token, strlen(token));
        break;
    }
    case 5: /* some of it once more, elsewhere */
        if (some <= left) {
            char copy[32];
            memcpy(copy, m->text + in, some);
            maker_insert(m, maker_draw(m, (uint32_t)m->len + 1), copy, some);
        }
        break;
    case 6: m->len = in; break;
    case 7:
        if (m->before_len > 0) {
            size_t from = maker_draw(m, (uint32_t)m->before_len);
            m->len = in;
            maker_add(m, m->before + from, m->before_len - from);
        }
        break;
    default: maker_deep(m, at); break;
    }
}

static void maker_rules(struct maker *m, struct scan_rules *rules)
{
    *rules = (struct scan_rules){
        .max_rows = maker_draw(m, 10) == 0 ? maker_draw(m, 5) : 100000,
        .max_depth = maker_draw(m, 4) == 0 ? maker_draw(m, 7) : 32,
        .any_keys = maker_draw(m, 4) == 0,
        .ndjson = maker_draw(m, 5) == 0,
    };
    uint32_t path = maker_draw(m, 10);
    rules->single = path == 0;
    rules->batch = path == 1;
}

/* The next body, and the rules it is to be read by; in m->text. */
static void maker_body(struct maker *m, struct scan_rules *rules)
{
    memcpy(m->before, m->text, m->len);
    m->before_len = m->len;
    m->len = 0;
    maker_rules(m, rules);
    m->tidy = maker_draw(m, 3) == 0;
    uint32_t lines = rules->ndjson ? maker_draw(m, 5) : 1;
    for (uint32_t i = 0; i < lines; i++) {
        maker_document(m, rules);
        if (rules->ndjson && i + 1 < lines)
            maker_put(m, maker_draw(m, 4) == 0 ? "\r\n" : maker_draw(m, 10) == 0 ? "\n \n" : "\n");
    }
    if (maker_draw(m, 2) == 0)
        maker_put(m, "\n");
    if (m->tidy || maker_draw(m, 2) == 0)
        return;
    for (uint32_t n = 1 + maker_draw(m, 3); n > 0; n--)
        maker_break(m);
}

#endif

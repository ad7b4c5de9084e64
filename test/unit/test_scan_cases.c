/* The bodies of the acceptance cases, at the scanner: what is taken, with how many rows, and why the others are not. */
#include "rows/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char path[] = "test/fixture/rows/cases.txt";

struct fixture {
    char *text;
    size_t len, at;
};

struct rows_case {
    char name[64], verdict[16];
    int rows; /* -1: the case does not say */
    struct slice body;
};

static void fixture_load(struct fixture *f)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *f = (struct fixture){.text = malloc(1 << 20)};
    assert_non_null(f->text);
    f->len = fread(f->text, 1, (1 << 20) - 1, file);
    f->text[f->len] = '\0';
    fclose(file);
}

static bool fixture_next(struct fixture *f, struct rows_case *out)
{
    size_t len;
    int head = 0;
    if (f->at >= f->len)
        return false;
    assert_int_equal(4,
                     sscanf(f->text + f->at, "%63s %15s %d %zu%n", out->name, out->verdict, &out->rows, &len, &head));
    f->at += (size_t)head + 1;
    assert_true(f->at + len < f->len);
    out->body = slice_make(f->text + f->at, len);
    f->at += len + 1;
    return true;
}

static bool as_expected(const struct rows_case *c, int code, uint32_t rows)
{
    if (strcmp(c->verdict, "ok") == 0)
        return code == ERR_OK && (c->rows < 0 || rows == (uint32_t)c->rows);
    if (strcmp(c->verdict, "syntax") == 0)
        return code == ERR_SYNTAX;
    if (strcmp(c->verdict, "schema") == 0)
        return code == ERR_RANGE;
    return strcmp(c->verdict, "any") == 0 || code != ERR_OK;
}

static void test_cases(void **state)
{
    (void)state;
    const struct scan_rules rules = {.max_rows = 100000, .max_depth = 32};
    struct fixture f;
    struct rows_case c;
    unsigned count = 0, failed = 0;
    struct scan *s = scan_new();
    assert_non_null(s);
    fixture_load(&f);
    for (; fixture_next(&f, &c); count++) {
        int code = scan_body(s, &rules, c.body);
        if (!as_expected(&c, code, scan_rows(s))) {
            failed++;
            print_error("%s: %s, expected %s\n", c.name, err_text(code), c.verdict);
        }
    }
    free(f.text);
    scan_free(&s);
    assert_int_equal(failed, 0);
    assert_true(count >= 130);
}

/* Every body cut short at every byte is a syntax fault, or blank; never anything that was found is left behind. */
static void test_cut(void **state)
{
    (void)state;
    const struct scan_rules rules = {.max_rows = 100000, .max_depth = 32};
    struct fixture f;
    struct rows_case c;
    struct scan *s = scan_new();
    assert_non_null(s);
    fixture_load(&f);
    while (fixture_next(&f, &c)) {
        struct slice whole = c.body;
        if (strcmp(c.verdict, "ok") != 0 || whole.len > 300)
            continue;
        while (whole.len > 0 && strchr(" \t\r\n", whole.ptr[whole.len - 1]) != NULL)
            whole.len--;
        for (size_t len = 0; len < whole.len; len++) {
            char *copy = malloc(len + 1); /* of exactly this size, for the address sanitizer to watch */
            assert_non_null(copy);
            memcpy(copy, whole.ptr, len);
            uint32_t count;
            assert_int_equal(scan_body(s, &rules, slice_make(copy, len)), ERR_SYNTAX);
            scan_sets(s, &count);
            assert_int_equal(count, 0);
            assert_true(scan_faults(s, &count)->byte <= len);
            free(copy);
        }
    }
    free(f.text);
    scan_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

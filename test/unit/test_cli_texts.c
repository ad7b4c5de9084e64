/* Addresses, moments, numbers and columns as people write and read them. */
#include "cli/grid.h"
#include "cli/human.h"
#include "cli/say.h"
#include "cli/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void targets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *base, *socket;
    } good[] = {
        {"127.0.0.1:8081", "http://127.0.0.1:8081", ""},
        {"lab-pc:80", "http://lab-pc:80", ""},
        {"[fe80::1]:80", "http://[fe80::1]:80", ""},
        {":8080", "http://127.0.0.1:8080", ""},
        {"*:8080", "http://127.0.0.1:8080", ""},
        {"0.0.0.0:8080", "http://127.0.0.1:8080", ""},
        {"[::]:8080", "http://[::1]:8080", ""},
        {"unix:/run/h.sock", "http://localhost", "/run/h.sock"},
        {"http://gate:8080/", "http://gate:8080", ""},
        {"https://gate/base/", "https://gate/base", ""},
        {" 127.0.0.1:1, 127.0.0.1:2", "http://127.0.0.1:1", ""},
        {"unix:/a 127.0.0.1:2", "http://localhost", "/a"},
    };
    static const char *const bad[] = {"",      "host",    "host:",     "host:0",  "host:65536", "host:8x",
                                      "::1:8", "unix:h",  "unix:",     "http://", "http://a?b", "http://u@h",
                                      "a/b:1", "a b:c:1", "[::1:8080", "host:-1", "host: 8"};
    struct target t;
    struct err e;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(remote_target_parse(good[i].text, &t, &e), ERR_OK);
        assert_string_equal(t.base, good[i].base);
        assert_string_equal(t.socket, good[i].socket);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(remote_target_parse(bad[i], &t, &e), ERR_SYNTAX);
    char path[200] = "unix:/";
    memset(path + 6, 'x', 120);
    assert_int_equal(remote_target_parse(path, &t, &e), ERR_SYNTAX);
}

static void moments(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } good[] = {
        {"2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"},
        {"2026-01-31 12:00", "2026-01-31T12:00:00.000000Z"},
        {"2026-01-31", "2026-01-31T00:00:00.000000Z"},
        {"2026-01-31T12:00:00.5+01:00", "2026-01-31T11:00:00.500000Z"},
        {"2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000000Z"},
        {"2026-01-31T12:00:00.123456789-00:30", "2026-01-31T12:30:00.123456Z"},
        {"2024-02-29", "2024-02-29T00:00:00.000000Z"},
    };
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "2026",
                                      "2026-02-30",
                                      "2025-02-29",
                                      "2026-1-31",
                                      "2026-01-31T",
                                      "2026-01-31T25:00:00Z",
                                      "2026-01-31T12:00:00+1",
                                      "2026-01-31x",
                                      "5",
                                      "1960-01-01",
                                      "2026-13-01",
                                      "2026-01-31T12:60"};
    char out[HUMAN_MAX];
    struct err e;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(human_when(good[i].text, out, &e), ERR_OK);
        assert_string_equal(out, good[i].expected);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(human_when(bad[i], out, &e), ERR_SYNTAX);
    assert_int_equal(human_when("now", out, &e), ERR_OK);
    assert_int_equal(human_when("24h", out, &e), ERR_OK);
}

static void numbers(void **state)
{
    (void)state;
    char out[HUMAN_MAX];
#define SHOWS(call, expected)                                                                                          \
    do {                                                                                                               \
        call;                                                                                                          \
        assert_string_equal(out, expected);                                                                            \
    } while (0)
    SHOWS(human_bytes(0, out), "0");
    SHOWS(human_bytes(1, out), "1B");
    SHOWS(human_bytes(812, out), "812B");
    SHOWS(human_bytes(1024, out), "1.0KiB");
    SHOWS(human_bytes(3.1 * 1048576, out), "3.1MiB");
    SHOWS(human_bytes(1e18, out), "909495TiB");
    SHOWS(human_rate(0.4, out), "0.4");
    SHOWS(human_rate(8100, out), "8.1k");
    SHOWS(human_seconds(0, out), "0");
    SHOWS(human_seconds(0.42, out), "0.4s");
    SHOWS(human_seconds(59.9, out), "59s");
    SHOWS(human_seconds(130, out), "2m10s");
    SHOWS(human_seconds(11520, out), "3h12m");
    SHOWS(human_seconds(90000, out), "1d1h");
    SHOWS(human_count(12345678, 8, out), "12345678");
    SHOWS(human_count(123456789, 8, out), "123M");
    SHOWS(human_time("2026-01-31T12:00:00.123456Z", out), "2026-01-31 12:00:00Z");
    SHOWS(human_time("?", out), "?");
#undef SHOWS
}

static void cleaning(void **state)
{
    (void)state;
    char out[64];
    say_clean(out, sizeof out, "a\x1b[2J\tb\x7f", 64);
    assert_string_equal(out, "a?[2J?b?");
    say_clean(out, sizeof out, "\xC2\x9B\x31m", 64); /* the 8-bit CSI */
    assert_string_equal(out, "?1m");
    say_clean(out, sizeof out, "\xFF\xC3\xA4\xE2\x80\xAE", 64);
    assert_string_equal(out, "?\xC3\xA4?");
    assert_int_equal(say_clean(out, sizeof out, "\xC3\xA4\xC3\xB6\xC3\xBC", 2), 2);
    assert_string_equal(out, "\xC3\xA4~");
    assert_int_equal(say_columns("\xC3\xA4x"), 2);
    char small[4];
    say_clean(small, sizeof small, "\xE2\x82\xAC\xE2\x82\xAC", 64);
    assert_string_equal(small, "\xE2\x82\xAC");
}

static void wrapping(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    say_wrapped(out, 2, 10, "one two three  four", false);
    fclose(out);
    assert_string_equal(text, "  one two\n  three\n  four\n");
    free(text);
}

static void grids(void **state)
{
    (void)state;
    static const struct grid_column columns[] = {{"NAME", false, true}, {"N", true, false}, {"LAST", false, false}};
    char *text = NULL, name[200];
    size_t size;
    struct grid g;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    grid_init(&g, columns, COUNT_OF(columns));
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    grid_cell(&g, "%s", name);
    grid_cell(&g, "%d", 12345);
    grid_cell(&g, "x\x1b");
    grid_note(&g, "a note");
    grid_note(&g, "");
    assert_int_equal(grid_print(&g, out), ERR_OK);
    grid_fini(&g);
    fclose(out);
    char *second = strchr(text, '\n') + 1;
    assert_memory_equal(text, "NAME ", 5);
    assert_non_null(strstr(second, "n~  12345  x?\n    a note\n"));
    assert_true(strcspn(second, "\n") <= GRID_WIDTH);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),  cmocka_unit_test(moments),  cmocka_unit_test(numbers),
        cmocka_unit_test(cleaning), cmocka_unit_test(wrapping), cmocka_unit_test(grids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

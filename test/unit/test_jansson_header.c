/* headgate_jansson.h, used as a plugin's author would: a processor that lives in this test, on the test kit. */
#include "headgate_jansson.h"
#include "testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct hg_api *api;

static int open_it(struct hg_host *host, const struct hg_api *given, const void *config, void **state)
{
    (void)host, (void)config, (void)state;
    api = given;
    return HG_OPEN_OK;
}

static void close_it(void *state)
{
    (void)state;
}

/* Adds the sum of `list`; a row whose `list` is no list is refused; `bad` makes what is no row. */
static int process(void *state, struct hg_rows *rows)
{
    (void)state;
    for (size_t n = 0; n < api->row_count(rows); n++) {
        const struct hg_row *row = api->row(rows, n);
        json_t *data = hg_json_data(api, row), *list = hg_json_field(api, row, "list"), *item;
        assert_non_null(data);
        json_int_t sum = 0;
        size_t i;
        json_array_foreach(list, i, item) sum += json_integer_value(item);
        json_object_set_new(data, "sum", json_integer(sum));
        if (!json_is_array(list))
            api->judge(rows, n, HG_REJECT, 0, "no list");
        else
            (void)hg_json_set(api, rows, n, json_object_get(data, "bad") ? list : data);
        json_decref(list);
        json_decref(data);
    }
    return HG_ALL_OK;
}

static const struct hg_plugin *entry(void)
{
    static const struct hg_processor processor = {
        .size = sizeof processor, .open = open_it, .close = close_it, .process = process};
    static const struct hg_plugin plugin = {.abi_major = HG_ABI_MAJOR,
                                            .size = sizeof plugin,
                                            .kind = HG_PROCESSOR,
                                            .name = "sums",
                                            .version = "1",
                                            .summary = "Sums.",
                                            .option_size = sizeof(struct hg_option),
                                            .processor = &processor};
    return &plugin;
}

static void test_a_tree_and_back(void **state)
{
    (void)state;
    struct testkit *kit = testkit_link(entry);
    assert_non_null(kit);
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    assert_int_equal(testkit_rows(kit,
                                  "{\"uuid\":\"u\",\"rows\":["
                                  "{\"data\":{\"z\":\"\\u00e9\\n\",\"list\":[1,9007199254740993],\"a\":0.1}},"
                                  "{\"data\":{\"list\":{}}},{\"data\":{}},{\"data\":{\"list\":[],\"bad\":true}}]}"),
                     4);
    assert_int_equal(testkit_process(kit, 0, 4), HG_ALL_OK);
    assert_string_equal(testkit_data(kit, 0), "{\"z\":\"\xc3\xa9\\n\",\"list\":[1,9007199254740993],"
                                              "\"a\":0.10000000000000001,\"sum\":9007199254740994}");
    assert_int_equal(testkit_verdict(kit, 1), HG_REJECT);
    assert_int_equal(testkit_verdict(kit, 2), HG_REJECT);
    assert_int_equal(testkit_verdict(kit, 3), HG_RETRY); /* an array is no row, and the old data must not go on */
    testkit_free(&kit);
}

static void test_values(void **state)
{
    (void)state;
    json_t *text = hg_json_value((struct hg_text){"\"x\" , 1", 3}), *none = hg_json_value((struct hg_text){"1e999", 5});
    assert_string_equal(json_string_value(text), "x");
    assert_null(none);
    json_decref(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_tree_and_back), cmocka_unit_test(test_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
